"""One walk through a flow: what it starts from, what it carries along, and what comes of it. Values, and the one object that changes while it walks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from parley.contracts import Channel, Choice, ConsentState, Content, Location, Purpose
from parley.wire import caused_id
from parley_router import daytime
from parley_router.catalogue import Book, Shelf
from parley_router.conditions import Asked
from parley_router.conditions import find as found_in
from parley_router.flow import Flow
from parley_router.state import ContactState, Frame, Position, Wanted, Watched

CARE = "support"
"""The team that takes over where no flow names one."""
LONGEST = 500
"""Characters of a message that go along with a run."""
UNSCORED = {"fan": 0, "silent": 0}
"""Who was never scored has done nothing that makes them either."""
SAID_KEPT = 5
"""Messages of a run that are kept for its clicks."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a walk starts from: the contact as it is, the moment, the event that sets it going, and what the customer said."""

    book: Book
    shelf: Shelf
    contact: UUID
    state: ContactState
    at: datetime
    cause: str
    text: str = ""
    tapped: str | None = None
    location: Location | None = None
    entities: Mapping[str, str] = field(default_factory=dict)

    @property
    def local(self) -> datetime:
        """The moment in the contact's own zone."""
        return self.at.astimezone(daytime.zone(self.state.profile.get("timezone"), self.state.addresses.values(), self.shelf.zone))


@dataclass(frozen=True, slots=True)
class Said:
    """A message of a flow; `short` is its text where every segment costs. `replying`: it answers the customer. `over`: the channels to try first."""

    content: Content
    flow: Flow
    step: str
    variant: str | None
    campaign: str | None = None
    short: str | None = None
    replying: bool = True
    over: tuple[Channel, ...] = ()


@dataclass(frozen=True, slots=True)
class Agreed:
    """The consent for a purpose, on the channel of the conversation, is to change; `shown` and `said` prove how."""

    purpose: Purpose
    state: ConsentState
    flow: str
    step: str
    shown: str | None = None
    said: str | None = None
    night: bool = False


@dataclass(frozen=True, slots=True)
class Escalated:
    """People of a team take over. `told`: the flow has said so itself."""

    team: str
    flow: str
    told: bool = True


@dataclass(frozen=True, slots=True)
class Failed:
    """The flow could not go on and has ended; `reason` names flow and step."""

    flow: str
    reason: str
    replying: bool


@dataclass(frozen=True, slots=True)
class Left:
    """The customer left a question, and the flow says nothing to it itself."""


@dataclass(frozen=True, slots=True)
class Drew:
    """The contact was given a variant of an experiment, which is counted under `campaign`; `step`: none where the whole flow is the experiment."""

    experiment: str
    campaign: str
    variant: str
    weights: Mapping[str, int]
    holdout: str | None
    flow: str
    step: str | None


@dataclass(frozen=True, slots=True)
class Rated:
    """The customer gave so many points of five."""

    flow: str
    score: int


Passed: TypeAlias = tuple[str, int, int, str]
"""A flow, its version and a step that was taken, by its place; and the way out of it, empty for having come there. Ways by `tools.edges`."""
Effect: TypeAlias = Said | Agreed | Escalated | Failed | Watched | Left | Drew | Rated


@dataclass(slots=True)
class Walk:
    """One walk, from the event that sets it going to where it waits or ends. It belongs to the one call that makes it, and changes as it goes.

    `origin` is the run it came from, None for a new one. `waits`: for a `reply`, for something `else`, or not (it has ended).
    """

    scene: Scene
    flow: Flow
    step: int
    slots: dict[str, Any]
    variant: str | None
    event: dict[str, Any]
    profile: dict[str, str]
    tags: tuple[str, ...]
    replying: bool
    origin: Position | None = None
    stack: tuple[Frame, ...] = ()
    tries: int = 0
    phase: str = ""
    taken: int = 0
    waits: str = ""
    token: str | None = None
    due: datetime | None = None
    call: Wanted | None = None
    shown: str | None = None
    found: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    """What the customer wrote last."""
    known_now: bool = False
    """Whether a message that nobody had understood got its answer after all."""
    effects: list[Effect] = field(default_factory=list)
    trail: list[Passed] = field(default_factory=list)
    minted: int = 0

    @property
    def shelf(self) -> Shelf:
        return self.scene.shelf

    @property
    def step_name(self) -> str:
        return self.flow.step_name(self.step)

    def passes(self, way: str = "") -> None:
        """Notes where it has come, or the way by which it leaves the step."""
        self.trail.append((self.flow.flow, self.flow.version, self.step, way))

    def mint(self) -> str:
        """A new token, the same whenever this event is decided; counted behind the ids of what the event may cause."""
        self.minted += 1
        return str(caused_id(self.scene.cause, 100_000 + 1000 * len(self.scene.state.runs) + self.minted))

    def position(self) -> Position:
        """Where it waits."""
        return Position(
            flow=self.flow.flow, version=self.flow.version, step=self.step, slots=self.slots, tries=self.tries, variant=self.variant, event=self.event,
            stack=self.stack, phase=self.phase, token=self.token, due=self.due, call=self.call, said=self.origin.said if self.origin else (),
            replying=self.replying, taken=self.taken, shown=self.shown, found=dict(self.found),
            text=self.text if self.call is not None else "",
        )  # fmt: skip

    def failed(self, reason: str) -> Walk:
        """Ended, with the reason and its place among the effects."""
        self.waits = ""
        self.effects.append(Failed(self.flow.flow, f"flow {self.flow.flow}@{self.flow.version}, step {self.step_name}: {reason}", self.replying))
        return self

    def known(self) -> dict[str, Any]:
        """What texts and conditions may name. The order is the one whose number was asked for (slot `order`) or came with the event (`order_id`)."""
        state = self.scene.state
        number = str(self.slots.get("order") or self.event.get("order_id") or "").upper()
        order = {name: text for name, text in (("number", number), ("status", state.orders.get(number))) if text}
        scores = state.scores.model_dump(mode="json", exclude={"at"}, exclude_none=True) if state.scores is not None else dict(UNSCORED)
        return {"profile": self.profile, "score": scores, "tag": dict.fromkeys(self.tags, True), "slot": self.slots, "event": self.event, "order": order,
                "language": self.language, "channel": str(state.channel or ""), "contact": str(self.scene.contact)}  # fmt: skip

    @property
    def language(self) -> str:
        """The contact's language, if the tenant speaks it, else the tenant's first."""
        language, languages = self.scene.state.language, self.shelf.languages
        return language if language in languages else languages[0]

    def asked(self, event: Mapping[str, Any] | None = None) -> Asked:
        """What conditions may ask; of `event` instead of the one that began the flow."""
        known = self.known() if event is None else self.known() | {"event": event}
        return asked(self.scene, known, self.tags)


def asked(scene: Scene, known: Mapping[str, Any], tags: Sequence[str]) -> Asked:
    """What conditions may ask of a contact at the moment of a scene."""
    state = scene.state

    def consent(channel: Channel | None, purpose: Purpose) -> ConsentState | None:
        on = channel or state.channel
        return state.consent(on, purpose) if on is not None else None

    return Asked(lambda name: found_in(known, name), lambda name: state.happened.get(name, ()), consent, state.channel, tags, lambda: scene.local)


def started(scene: Scene, flow: Flow, event: Mapping[str, Any], *, replying: bool) -> Walk:
    """A walk at the beginning of a flow."""
    state = scene.state
    slots: dict[str, Any] = dict(flow.parameters)
    walk = Walk(
        scene,
        flow,
        0,
        slots,
        None,
        dict(event),
        state.profile,
        state.tags,
        replying,
        found=scene.entities,
        text=scene.text[:LONGEST],
    )
    walk.variant = entered(walk, flow)
    return walk


def resumed(scene: Scene, position: Position, *, replying: bool) -> Walk | None:
    """The walk where a run waits; None when its version is gone: it has ended."""
    found = scene.shelf.at(position)
    if found is None:
        return None
    flow, step = found
    state = scene.state
    return Walk(
        scene, flow, step, dict(position.slots), position.variant, position.event, state.profile, state.tags, replying,
        origin=position, stack=position.stack, tries=position.tries, phase=position.phase, taken=position.taken, shown=position.shown,
        found=position.found, text=scene.text[:LONGEST] or position.text,
    )  # fmt: skip


def entered(walk: Walk, flow: Flow) -> str | None:
    """The variant of the experiment that the whole flow is, now that the walk comes to it; None where it is none."""
    variant = variant_of(flow, walk.scene.contact)
    if variant is not None:
        campaign = str(flow.campaign)
        walk.effects.append(Drew(campaign, campaign, variant, flow.variants, None, f"{flow.flow}@{flow.version}", None))
    return variant


def variant_of(flow: Flow, contact: UUID) -> str | None:
    """The variant that a contact has in a flow's experiment, by the weights."""
    return drawn(str(flow.campaign), flow.variants, contact) if flow.variants else None


def drawn(experiment: str, weights: Mapping[str, int], contact: UUID) -> str:
    """The variant of a contact in an experiment: by a hash of both, so always the same, in shares of the weights."""
    draw = int.from_bytes(hashlib.blake2b(f"{experiment}:{contact}".encode(), digest_size=8).digest(), "big") / 2**64 * sum(weights.values())
    name = ""
    for name, weight in weights.items():
        draw -= weight
        if draw < 0:
            return name
    return name


def choices_of(titles: Sequence[tuple[str, str]]) -> tuple[Choice, ...]:
    """Choices by id and title, cut to what the contract takes."""
    return tuple(Choice(id=name[:200], title=title[:500]) for name, title in titles)
