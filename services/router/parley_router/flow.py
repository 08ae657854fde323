"""The language of flows, as models of the YAML files: what a marketer can write. Checked here as far as one file alone can tell."""

from __future__ import annotations

import re
from collections.abc import Sized
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag, model_validator

from parley.contracts import ConsentState, Purpose
from parley_router.conditions import Condition

Many = TypeVar("Many", bound=Sized)


def _some(value: Many) -> Many:
    """Not empty. Asked after the parts are read: else a wrong part would also be counted as a missing one."""
    if not value:
        raise ValueError("there must be at least one")
    return value


Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")]
Text = Annotated[dict[Language, Annotated[str, StringConstraints(min_length=1, max_length=4096)]], AfterValidator(_some)]
Title = Annotated[dict[Language, Annotated[str, StringConstraints(min_length=1, max_length=500)]], AfterValidator(_some)]
Target = Annotated[str, StringConstraints(pattern=r"^(flow/)?[a-z0-9][a-z0-9-]{0,62}$")]
"""A step of the same flow by its id, or `flow/NAME`."""
Kept = Annotated[str, StringConstraints(pattern=r"^(profile|slot)\.[a-z0-9][a-z0-9_-]{0,62}$")]


def _regex(text: str) -> str:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from error
    if pattern.search(""):
        raise ValueError(f"{text!r} fits an empty answer too, so everything would fit")
    return text


class Entry(BaseModel):
    """A part of a file: unknown keys are refused, for they are typing mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Hint(Entry):
    """A choice under a text that does not wait: tapping it is writing its title, which must be a keyword of some flow."""

    id: Slug
    title: Title


class File(Entry):
    """A picture, sound, film or document beside a text; the address may be a template."""

    kind: Literal["image", "audio", "video", "document"]
    url: Annotated[str, StringConstraints(pattern=r"^https://", max_length=2000)]


class Option(Hint):
    """A choice of a question: its id, what the person reads, and where it leads (the next step where `go` is left out)."""

    go: Target | None = None


class Step(Entry):
    """What all steps have: an id by which others lead to it."""

    kind: ClassVar[str]
    id: Slug | None = None


class Say(Step):
    """Says a text and goes on; `variants` has a text for each variant of the flow's experiment instead."""

    kind = "say"
    say: Text | None = None
    variants: dict[Slug, Text] = {}
    choices: tuple[Hint, ...] = ()
    media: tuple[File, ...] = ()

    @model_validator(mode="after")
    def _something(self) -> Say:
        if (self.say is None) == (not self.variants):
            raise ValueError("a say step has either `say` or `variants`")
        return self


class Ask(Step):
    """Asks and waits for the answer, kept in the slot `ask`: one of `choices`, or what fits `pattern`, or any text."""

    kind = "ask"
    ask: Slug
    say: Text
    choices: tuple[Option, ...] = ()
    pattern: Annotated[str, AfterValidator(_regex)] | None = None
    again: Text | None = None
    tries: int = Field(default=2, ge=1, le=5)
    otherwise: Target | None = None

    @model_validator(mode="after")
    def _answerable(self) -> Ask:
        if self.choices and self.pattern:
            raise ValueError("an ask step has either `choices` or `pattern`")
        ids = [one.id for one in self.choices]
        if twice := {one for one in ids if ids.count(one) > 1}:
            raise ValueError(f"two choices have the id {', '.join(sorted(twice))}")
        return self


class Remember(Step):
    """Keeps values: `profile.NAME` for good, `slot.NAME` while the flow runs. Each value is a template."""

    kind = "remember"
    remember: Annotated[dict[Kept, Annotated[str, StringConstraints(max_length=4096)]], AfterValidator(_some)]


class Consent(Step):
    """Changes the consent for one purpose on the channel of the conversation."""

    kind = "consent"
    consent: Purpose
    state: ConsentState


class Case(Entry):
    when: Condition
    go: Target


class Branch(Step):
    """Goes where the first condition that holds leads, else to `otherwise`, else to the next step."""

    kind = "branch"
    branch: Annotated[tuple[Case, ...], AfterValidator(_some)]
    otherwise: Target | None = None


class Escalate(Step):
    """Hands the conversation to people of a team; the bot is silent until they resolve it."""

    kind = "escalate"
    escalate: Slug
    say: Text | None = None


class Go(Step):
    kind = "go"
    go: Target


class End(Step):
    kind = "end"
    end: Literal[True]


KINDS = ("ask", "branch", "remember", "consent", "escalate", "end")


def _kind(value: Any) -> str | None:
    """Which step a mapping is, by the key that names it. `say` stands in several, so it is looked at last.

    The tag is in brackets so that, standing in the place of a complaint, it is not taken for the key.
    """
    if not isinstance(value, dict):
        return f"({value.kind})" if isinstance(value, Step) else None
    for one in KINDS:
        if one in value:
            return f"({one})"
    if "say" in value or "variants" in value:
        return "(say)"
    return "(go)" if "go" in value else None


AnyStep = Annotated[
    Annotated[Say, Tag("(say)")]
    | Annotated[Ask, Tag("(ask)")]
    | Annotated[Remember, Tag("(remember)")]
    | Annotated[Consent, Tag("(consent)")]
    | Annotated[Branch, Tag("(branch)")]
    | Annotated[Escalate, Tag("(escalate)")]
    | Annotated[Go, Tag("(go)")]
    | Annotated[End, Tag("(end)")],
    Discriminator(
        _kind,
        custom_error_type="step",
        custom_error_message="a step is one of say, ask, remember, consent, branch, escalate, go, end",
    ),
]


class Start(Entry):
    """How a flow begins: by words that a customer writes, by an event, as the first thing ever, or when nothing else fits."""

    keywords: dict[Language, tuple[str, ...]] = {}
    event: str | None = None
    welcome: bool = False
    fallback: bool = False

    @model_validator(mode="after")
    def _somehow(self) -> Start:
        if self.event is not None and (self.keywords or self.welcome or self.fallback):
            raise ValueError("a flow that an event starts is started by nothing else: it speaks for its own purpose")
        return self


class Flow(Entry):
    """A flow: its name, version, whose it is, how it starts, and its steps in order."""

    flow: Slug
    version: int = Field(ge=1)
    tenant: Slug
    start: Start = Start()
    purpose: Purpose = Purpose.TRANSACTIONAL
    campaign: Slug | None = None
    variants: dict[Slug, Annotated[int, Field(ge=1, le=1000)]] = {}
    steps: Annotated[tuple[AnyStep, ...], AfterValidator(_some), Field(max_length=200)]

    @model_validator(mode="after")
    def _whole(self) -> Flow:
        if self.variants and self.campaign is None:
            raise ValueError("a flow with variants needs a campaign to count them under")
        ids = [step.id for step in self.steps if step.id]
        if twice := {one for one in ids if ids.count(one) > 1}:
            raise ValueError(f"two steps have the id {', '.join(sorted(twice))}")
        return self

    def index(self, step: str) -> int | None:
        """The place of the step with this id."""
        return next((place for place, one in enumerate(self.steps) if one.id == step), None)


def targets(step: AnyStep) -> list[str]:
    """Everywhere a step may lead, but for the next one."""
    if isinstance(step, Go):
        return [step.go]
    if isinstance(step, Ask):
        return [one.go for one in step.choices if one.go] + ([step.otherwise] if step.otherwise else [])
    if isinstance(step, Branch):
        return [one.go for one in step.branch] + ([step.otherwise] if step.otherwise else [])
    return []


def falls_through(step: AnyStep) -> bool:
    """Whether the step after this one can be reached from it directly."""
    if isinstance(step, Go | End | Escalate):
        return False
    if isinstance(step, Ask):
        return not step.choices or any(one.go is None for one in step.choices)
    return not isinstance(step, Branch) or step.otherwise is None
