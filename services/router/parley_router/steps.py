"""The steps of flows, as models of the YAML: what a marketer can write, checked here as far as one step alone can tell."""

from __future__ import annotations

import re
from collections.abc import Sized
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, JsonValue, StringConstraints, Tag, model_validator

from parley.contracts import Channel, ConsentState, Purpose
from parley_router.conditions import Clock, Condition, Weekday
from parley_router.durations import Duration

Many = TypeVar("Many", bound=Sized)


def some(value: Many) -> Many:
    """Not empty. Asked after the parts are read: else a wrong part would also be counted as a missing one."""
    if not value:
        raise ValueError("there must be at least one")
    return value


def listed(value: object) -> object:
    """One where several may stand."""
    return [value] if isinstance(value, str) else value


def _regex(text: str) -> str:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from error
    if pattern.search(""):
        raise ValueError(f"{text!r} fits an empty answer too, so everything would fit")
    return text


Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Slugs = Annotated[tuple[Slug, ...], BeforeValidator(listed), AfterValidator(some)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
EventName = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")]
Template = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
"""A text with Liquid in it."""
Text = Annotated[dict[Language, Template], AfterValidator(some)]
Title = Annotated[dict[Language, Annotated[str, StringConstraints(min_length=1, max_length=500)]], AfterValidator(some)]
Target = Annotated[str, StringConstraints(pattern=r"^(flow/)?[a-z0-9][a-z0-9-]{0,62}$")]
"""A step of the same flow by its id, or `flow/NAME`, which goes to another flow and does not come back."""
SubFlow = Annotated[str, StringConstraints(pattern=r"^flow/[a-z0-9][a-z0-9-]{0,62}$")]
Kept = Annotated[str, StringConstraints(pattern=r"^(profile|slot)\.[a-z0-9][a-z0-9_-]{0,62}$")]
Slot = Annotated[str, StringConstraints(pattern=r"^(profile\.)?[a-z0-9][a-z0-9_-]{0,62}$")]
"""A slot, kept while the flow runs; `profile.NAME`: kept for good."""
Path = Annotated[str, StringConstraints(pattern=r"^/", max_length=2000)]
Entity = Literal["order_number", "phone", "email", "date", "quantity", "size"]
Answer = Literal["text", "choice", "number", "date", "phone", "email", "rating", "location"]


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


class Card(Entry):
    """A product, an offer, a date: title, text, picture and link, shown as a card where the channel has them, else as lines of text and a picture."""

    title: Title
    text: Text | None = None
    image: Annotated[str, StringConstraints(pattern=r"^(https://|\{)", max_length=2000)] | None = None
    url: Annotated[str, StringConstraints(pattern=r"^(https://|\{)", max_length=2000)] | None = None


class Option(Hint):
    """A choice of a question: its id, what the person reads, and where it leads (the next step where `go` is left out)."""

    go: Target | None = None


class Step(Entry):
    """What all steps have: an id by which others lead to it."""

    kind: ClassVar[str]
    id: Slug | None = None


class Say(Step):
    """Says a text and goes on; `variants` has a text for each variant of the flow's experiment instead.

    `short`: said instead where every segment costs (SMS). `cards`: up to ten. `each`: a slot that holds a list of items (as `recommend` gives
    them), each of which becomes a card. `over`: channels to try first, where the contact may be reached on them.
    """

    kind = "say"
    say: Text | None = None
    variants: dict[Slug, Text] = {}
    short: Text | None = None
    choices: tuple[Hint, ...] = ()
    media: tuple[File, ...] = ()
    cards: Annotated[tuple[Card, ...], Field(max_length=10)] = ()
    each: Name | None = None
    over: Annotated[tuple[Channel, ...], BeforeValidator(listed)] = ()

    @model_validator(mode="after")
    def _something(self) -> Say:
        if (self.say is None) == (not self.variants):
            raise ValueError("a say step has either `say` or `variants`")
        return self


class Ask(Step):
    """Asks and waits for the answer, kept in the slot `ask`, or in the profile for good (`ask: profile.city`): then it is only asked while it is not known.

    - `type`: what an answer must be: `choice` where there are `choices`, else `text` (the default), `number` (`min`, `max`), `date` (kept as
      2026-11-25; relative words are understood), `phone` (kept in E.164), `email`, `rating` (`min` 1 to `max` 5), `location` (kept as `lat,lon`);
    - `pattern`: a text must hold this regular expression; what it finds is kept, in upper case;
    - `entity`: where the message that began the flow holds one, that is the answer, and nothing is asked;
    - `again`: said when an answer does not fit, `tries` times in all (default 2); then it goes to `otherwise`, else to a person;
    - `within`: how long the answer is waited for; then it goes to `late` (default: the flow ends).
    """

    kind = "ask"
    ask: Slot
    say: Text
    short: Text | None = None
    type: Answer | None = None
    choices: tuple[Option, ...] = ()
    pattern: Annotated[str, AfterValidator(_regex)] | None = None
    min: float | None = None
    max: float | None = None
    entity: Entity | None = None
    again: Text | None = None
    tries: int = Field(default=2, ge=1, le=5)
    otherwise: Target | None = None
    within: Duration | None = None
    late: Target | None = None

    @model_validator(mode="after")
    def _answerable(self) -> Ask:
        if self.choices and self.pattern:
            raise ValueError("an ask step has either `choices` or `pattern`")
        if self.choices and self.type not in (None, "choice"):
            raise ValueError(f"an ask step with `choices` is of the type choice, not {self.type}")
        if self.type == "choice" and not self.choices:
            raise ValueError("an ask step of the type choice needs `choices`")
        if self.pattern and self.type not in (None, "text"):
            raise ValueError(f"`pattern` belongs to texts, not to the type {self.type}")
        if (self.min is not None or self.max is not None) and self.type not in ("number", "rating"):
            raise ValueError("`min` and `max` belong to the types number and rating")
        if self.late is not None and self.within is None:
            raise ValueError("`late` says where it goes after `within`, which is missing")
        ids = [one.id for one in self.choices]
        if twice := {one for one in ids if ids.count(one) > 1}:
            raise ValueError(f"two choices have the id {', '.join(sorted(twice))}")
        return self

    @property
    def wants(self) -> Answer:
        """The type of the answer."""
        return self.type or ("choice" if self.choices else "text")


class Set(Step):
    """Keeps values: `profile.NAME` for good, `slot.NAME` while the flow runs. Each value is a template; an empty one forgets."""

    kind = "set"
    set: Annotated[dict[Kept, Annotated[str | int | float | bool, Field()]], AfterValidator(some)]


class Tagged(Step):
    """Puts tags on the contact, and takes those in `remove` off."""

    kind = "tag"
    tag: Annotated[tuple[Slug, ...], BeforeValidator(listed)] = ()
    remove: Annotated[tuple[Slug, ...], BeforeValidator(listed)] = ()

    @model_validator(mode="after")
    def _something(self) -> Tagged:
        if not self.tag and not self.remove:
            raise ValueError("a tag step names at least one tag")
        return self


class Consent(Step):
    """Changes the consent for one purpose on the channel of the conversation. With `pending`, a later step with `granted` confirms it (double opt-in);
    granted once more, it counts from then on. `night`: the yes is also one to the hours for which law wants its own (Korea's 21 to 8)."""

    kind = "consent"
    consent: Purpose
    state: ConsentState
    night: bool = False


class Case(Entry):
    when: Condition
    go: Target


class Branch(Step):
    """Goes where the first condition that holds leads, else to `otherwise`, else to the next step."""

    kind = "branch"
    branch: Annotated[tuple[Case, ...], AfterValidator(some)]
    otherwise: Target | None = None


class Span(Entry):
    """How long a `wait` waits: `for` a length of time, or `until` a date or moment that a template gives (`before` it), then on to the next `at`, on `days`.

    With `best_hour`, on to the hour in which the contact reacts most, as the figures know it (docs/people.md); where they do not, to `at`, if it is there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    length: Annotated[Duration | None, Field(alias="for")] = None
    until: Template | None = None
    before: Duration | None = None
    at: Clock | None = None
    days: tuple[Weekday, ...] | None = None
    best_hour: bool = False

    @model_validator(mode="after")
    def _something(self) -> Span:
        if self.length is not None and self.until is not None:
            raise ValueError("a wait is either `for` a length of time or `until` a moment")
        if self.before is not None and self.until is None:
            raise ValueError("`before` belongs to `until`")
        if self.length is None and self.until is None and self.at is None and not self.best_hour:
            raise ValueError("a wait needs `for`, `until`, `at` or `best_hour`")
        return self


class Awaited(Entry):
    """What else ends a wait: the event `name` whose properties fulfil `where` (asked as `event.NAME`), then to `go` (default: the next step)."""

    name: EventName
    where: Condition | None = None
    go: Target | None = None


class Reaction(Entry):
    go: Target | None = None


def _span(value: object) -> object:
    return {"for": value} if isinstance(value, str) else value


class Wait(Step):
    """Waits: for a time, for one of `events`, for a `reply` (any message that means nothing else), for a `click` on what this flow has sent; for whichever
    comes first. After the time it goes to `go`, else to the next step. What the flow was waiting against is cancelled by itself.
    """

    kind = "wait"
    wait: Annotated[Span, BeforeValidator(_span)]
    events: tuple[Awaited, ...] = ()
    reply: Reaction | None = None
    click: Reaction | None = None
    go: Target | None = None


class Variant(Entry):
    """A variant of a split. A `holdout` is left alone: the flow ends for it."""

    weight: int = Field(default=1, ge=1, le=1000)
    go: Target | None = None
    holdout: bool = False

    @model_validator(mode="after")
    def _alone(self) -> Variant:
        if self.holdout and self.go is not None:
            raise ValueError("a `holdout` is left alone: the flow ends for it, so it has no `go`")
        return self


class Split(Step):
    """An experiment: each contact gets one of `variants` by a hash of contact and the experiment's name, so always the same, in shares of the weights.
    All that the flow says afterwards is counted under it; the flow needs a `campaign`. For a variant that is the `holdout` the flow ends here: what these
    people do without a message is what messages are measured by.
    """

    kind = "split"
    split: Slug
    variants: Annotated[dict[Slug, Variant], Field(min_length=2, max_length=10)]

    @model_validator(mode="after")
    def _one_holdout(self) -> Split:
        if len([one for one in self.variants.values() if one.holdout]) > 1:
            raise ValueError("one variant at most is the `holdout`")
        return self

    @property
    def weights(self) -> dict[str, int]:
        return {name: one.weight for name, one in self.variants.items()}

    @property
    def holdout(self) -> str | None:
        """The variant that is left alone."""
        return next((name for name, one in self.variants.items() if one.holdout), None)


class Asking(Step):
    """What the steps that ask a service over HTTP have: `failed` after the service's last try, `none` where it has nothing (404, or an empty answer)."""

    path: Path
    failed: Target | None = None
    none: Target | None = None


class Call(Asking):
    """Asks a service of `services.yaml`; `path` and the texts in `body` are templates. `keep` takes values out of the JSON answer, by dotted paths.

    Without `failed` a failure hands over to a person; without `none` a 404 is a failure.
    """

    kind = "call"
    call: Slug
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    body: JsonValue = None
    keep: dict[Kept, Annotated[str, StringConstraints(min_length=1, max_length=200)]] = {}


class Recommend(Asking):
    """Asks a service for things to recommend: its answer is `{"items": [{"id", "title", "text", "image", "url", "price"}, …]}`, all but `title` optional.

    At most `count` of them are kept in the slot `keep` (default `picks`), for a `say` with `each`. Without items it goes to `none`, else to the next step.
    """

    kind = "recommend"
    recommend: Slug
    count: int = Field(default=3, ge=1, le=10)
    keep: Name = "picks"


class Booked(Asking):
    """An appointment: asks the service for free times (`{"slots": [{"id", "start", "title"}, …]}`), lets the customer choose one of up to `count`, and books it
    by POST of `{"slot": ID, "contact": ID, "profile": {…}}` to `book_path` (default: `path` without its query). Taken meanwhile (409): offers anew.

    The slot `booking` then has `id`, `start` and `title`. Without free times it goes to `none`.
    """

    kind = "book"
    book: Slug
    book_path: Path | None = None
    say: Text
    again: Text | None = None
    count: int = Field(default=3, ge=1, le=10)
    tries: int = Field(default=2, ge=1, le=5)
    otherwise: Target | None = None


class Reply(Step):
    """Lets a language model answer with the FAQ as its only ground, by an endpoint set for it; what it says must be quoted from there. Else `otherwise`."""

    kind = "answer"
    answer: Literal["faq"]
    otherwise: Target | None = None


class Goal(Step):
    """Watches for a conversion: the event `goal`, whose properties fulfil `where`, `within` a time from here, is counted under this flow and variant."""

    kind = "goal"
    goal: EventName
    within: Duration
    where: Condition | None = None


class Escalate(Step):
    """Hands the conversation to people of a team; the bot is silent until they resolve it."""

    kind = "escalate"
    escalate: Slug
    say: Text | None = None


class Do(Step):
    """Runs another flow and comes back to the next step. `with` fills its parameters (templates); `keep` takes slots of it along, when it has ended."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    kind = "do"
    do: SubFlow
    given: Annotated[dict[Name, Template], Field(alias="with")] = {}
    keep: Annotated[tuple[Name, ...], BeforeValidator(listed)] = ()


class Go(Step):
    kind = "go"
    go: Target


class End(Step):
    kind = "end"
    end: Literal[True]


KINDS: dict[str, type[Step]] = {
    "ask": Ask, "set": Set, "tag": Tagged, "consent": Consent, "branch": Branch, "wait": Wait, "split": Split, "call": Call, "recommend": Recommend,
    "book": Booked, "answer": Reply, "goal": Goal, "escalate": Escalate, "do": Do, "end": End, "say": Say, "go": Go,
}  # fmt: skip
"""Steps by the key that names them, in the order in which they are looked for: `say` and `go` stand in others too."""


def kind_of(value: Any) -> str | None:
    """Which step a mapping is, by the key that names it. The tag is in brackets so that, standing in the place of a complaint, it is not taken for the key."""
    if isinstance(value, Step):
        return f"({value.kind})"
    if not isinstance(value, dict):
        return None
    if "remove" in value and "tag" not in value:
        return "(tag)"
    found = next((one for one in KINDS if one in value), "say" if "variants" in value else None)
    return f"({found})" if found else None


AnyStep = Annotated[
    Annotated[Say, Tag("(say)")]
    | Annotated[Ask, Tag("(ask)")]
    | Annotated[Set, Tag("(set)")]
    | Annotated[Tagged, Tag("(tag)")]
    | Annotated[Consent, Tag("(consent)")]
    | Annotated[Branch, Tag("(branch)")]
    | Annotated[Wait, Tag("(wait)")]
    | Annotated[Split, Tag("(split)")]
    | Annotated[Call, Tag("(call)")]
    | Annotated[Recommend, Tag("(recommend)")]
    | Annotated[Booked, Tag("(book)")]
    | Annotated[Reply, Tag("(answer)")]
    | Annotated[Goal, Tag("(goal)")]
    | Annotated[Escalate, Tag("(escalate)")]
    | Annotated[Do, Tag("(do)")]
    | Annotated[Go, Tag("(go)")]
    | Annotated[End, Tag("(end)")],
    Discriminator(kind_of, custom_error_type="step", custom_error_message=f"a step is one of {', '.join(KINDS)}"),
]


def targets(step: AnyStep) -> list[str]:
    """Everywhere a step may lead, but for the next one (and, for `do`, where it comes back from)."""
    match step:
        case Go():
            return [step.go]
        case Ask():
            found = [*(one.go for one in step.choices), step.otherwise, step.late]
        case Branch():
            found = [*(one.go for one in step.branch), step.otherwise]
        case Wait():
            found = [step.go, *(one.go for one in step.events), *(one.go for one in (step.reply, step.click) if one)]
        case Split():
            found = [one.go for one in step.variants.values()]
        case Booked():
            found = [step.failed, step.none, step.otherwise]
        case Call() | Recommend():
            found = [step.failed, step.none]
        case Reply():
            found = [step.otherwise]
        case Do():
            found = [step.do]
        case _:
            found = []
    return [one for one in found if one]


def falls_through(step: AnyStep) -> bool:
    """Whether the step after this one can be reached from it directly."""
    match step:
        case Go() | End() | Escalate():
            return False
        case Ask():
            return not step.choices or any(one.go is None for one in step.choices)
        case Branch():
            return step.otherwise is None
        case Split():
            return any(one.go is None and not one.holdout for one in step.variants.values())
        case Wait():
            reactions = [step.go, *(one.go for one in step.events), *(one.go for one in (step.reply, step.click) if one)]
            return None in reactions
        case _:
            return True
