"""A flow, as the model of its YAML file: how it begins and what it does, checked here as far as one file alone can tell."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from parley.contracts import ConsentState, Purpose
from parley_router.conditions import Clock, Condition
from parley_router.durations import Duration
from parley_router.steps import AnyStep, Entry, EventName, Language, Name, Slug, Target, Wait, listed, some


class Agreeing(Entry):
    """A flow begins when this consent becomes `state` (default granted), on whatever channel, unless a flow itself changed it."""

    purpose: Purpose
    state: ConsentState = ConsentState.GRANTED


class Dated(Entry):
    """A flow begins at a date of the profile, such as `profile.birthday`: `days` after it (before it, where negative) at the time `at`; with
    `yearly`, every year on that day. A date that has passed begins nothing."""

    profile: Name
    days: int = Field(default=0, ge=-365, le=365)
    at: Clock
    yearly: bool = False


class Start(Entry):
    """How a flow begins. Without any of it, only other flows go to it.

    - `keywords`: the whole message is one of these words, whatever its case and width;
    - `intents`: the message means one of these (see docs/understanding.md);
    - `event`: another service tells of it; `where` asks its properties (`event.NAME`);
    - `consent`: consent was given or withdrawn; `segment`: the contact came into it; `date`: a date of the profile is there;
    - `welcome`: the first message ever; `fallback`: nothing else fitted.

    `again_after`: how long after it began it may begin anew by itself (by an event, consent, segment or date); default: always.
    """

    keywords: dict[Language, tuple[str, ...]] = {}
    intents: Annotated[tuple[Slug, ...], BeforeValidator(listed)] = ()
    event: EventName | None = None
    where: Condition | None = None
    consent: Agreeing | None = None
    segment: Slug | None = None
    date: Dated | None = None
    welcome: bool = False
    fallback: bool = False
    again_after: Duration | None = None

    @property
    def said(self) -> bool:
        """Whether a customer's message begins it: then all that it says is a reply."""
        return bool(self.keywords or self.intents or self.welcome or self.fallback)

    @property
    def own(self) -> bool:
        """Whether it begins by itself: then it speaks for its own purpose."""
        return any(one is not None for one in (self.event, self.consent, self.segment, self.date))

    @model_validator(mode="after")
    def _somehow(self) -> Start:
        if self.own and self.said:
            raise ValueError(
                "a flow that begins by itself is begun by nothing that a customer says: it speaks for its own purpose; make two flows and let one go to the other"
            )
        if self.where is not None and self.event is None:
            raise ValueError("`where` asks the properties of `event`, which is missing")
        return self


class Flow(Entry):
    """A flow: its name, version, whose it is, how it starts, and its steps in order.

    - `purpose`: of what it says by itself; an answer to a customer's message is a reply, whatever stands here;
    - `campaign`: what it says is counted under it, and its links are tracked (without one, under its own name where it waits for a click);
    - `variants`: an experiment over all of the flow, by weight;
    - `urgent`: it does not wait for the customer's daytime;
    - `priority`: of two messages for which a frequency cap has one slot, the higher gets it;
    - `fallback`: what it says and is not delivered within this time is told over the contact's next channel;
    - `parameters`: values that `do … with` may give, with their defaults; they are slots;
    - `escape`: words that leave any question of it, beside the known ones (see docs/flows.md), for the step `left` (default: the flow ends with a word).
    """

    flow: Slug
    version: int = Field(ge=1)
    tenant: Slug
    start: Start = Start()
    purpose: Purpose = Purpose.TRANSACTIONAL
    campaign: Slug | None = None
    variants: dict[Slug, Annotated[int, Field(ge=1, le=1000)]] = {}
    urgent: bool = False
    priority: int = Field(default=0, ge=-100, le=100)
    fallback: Duration | None = None
    parameters: dict[Name, str] = {}
    escape: dict[Language, tuple[str, ...]] = {}
    left: Target | None = None
    steps: Annotated[tuple[AnyStep, ...], AfterValidator(some), Field(max_length=200)]

    @model_validator(mode="after")
    def _whole(self) -> Flow:
        if self.variants and self.campaign is None:
            raise ValueError("a flow with variants needs a campaign to count them under")
        ids = [step.id for step in self.steps if step.id]
        if twice := {one for one in ids if ids.count(one) > 1}:
            raise ValueError(f"two steps have the id {', '.join(sorted(twice))}")
        return self

    @property
    def counted(self) -> str | None:
        """The campaign under which its messages are counted and their links tracked; without one, its own name where it waits for a click."""
        return self.campaign or (self.flow if any(isinstance(step, Wait) and step.click is not None for step in self.steps) else None)

    def index(self, step: str) -> int | None:
        """The place of the step with this id."""
        return next((place for place, one in enumerate(self.steps) if one.id == step), None)

    def step_name(self, place: int) -> str:
        """The step's id, or its place counted from 1."""
        return self.steps[place].id or str(place + 1) if place < len(self.steps) else "end"
