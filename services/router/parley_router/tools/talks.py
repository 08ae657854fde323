"""Conversations written down as tests, as models of the YAML: who it is, when it begins, who says what, and what is said to it. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, StringConstraints, Tag

from parley.contracts import Channel, ConsentState
from parley_router.durations import Duration
from parley_router.steps import Entry, EventName, Language, Name, Slug, listed, some
from parley_router.tools.entries import (
    KEYS,
    After,
    Agent,
    Agreed,
    At,
    Bot,
    Clicks,
    Ended,
    Escalated,
    Event,
    Model,
    Nothing,
    Profile,
    Reached,
    Resolves,
    Says,
    Sends,
    Service,
    Speaks,
    Tags,
    Taps,
    Trouble,
    Waits,
    key_of,
)
from parley_router.tools.values import Consented, Moment, Words

ALONE = ("nothing", "ended", "clicks", "resolves")
"""Entries that may stand as a word alone."""


class Scored(Entry):
    """What the figures tell of the contact (docs/people.md), as of a day ago.

    - `fan`, `silent`: 0 to 100;
    - `best_hour`: the hour, by the tenant's clock, in which it reacts most;
    - `best_hour_of`: whose hour that is: `contact`, `segment` or `tenant`;
    - `order_again`: the probability that it orders in the next 365 days;
    - `next_order_days`: days in which half of such people order again, of those who have not stopped;
    - `lifetime_value`: what it is expected to spend in the next 365 days;
    - `currency`: of that.
    """

    fan: int = Field(default=0, ge=0, le=100)
    silent: int = Field(default=0, ge=0, le=100)
    best_hour: int | None = Field(default=None, ge=0, le=23)
    best_hour_of: Literal["contact", "segment", "tenant"] | None = None
    order_again: float | None = Field(default=None, ge=0, le=1)
    next_order_days: float | None = Field(default=None, ge=0)
    lifetime_value: float | None = None
    currency: str | None = None


class Contact(Entry):
    """Who it is: what is known before the conversation begins. All of it may be left out.

    - `channel` (default sms), `language` (default: the tenant's first), `profile`, `tags`, `orders` (status by number);
    - `consents`: a purpose, or channel and purpose, and its state;
    - `events`: that already happened, each with how long ago it was, once or several times;
    - `channels`: further channels that the contact can be reached on; `address`: on `channel`, for who is known by a phone number;
    - `scores`: what the figures tell: `fan`, `silent`, `best_hour` and the others of docs/people.md;
    - `new`: has never written before (default false): then not even the language is known;
    - `variants`: in which variant of an experiment it is, by the flow's `campaign` or the `split`'s name. Without it, whichever the hash gives.
    """

    channel: Channel = Channel.SMS
    channels: Annotated[tuple[Channel, ...], BeforeValidator(listed)] = ()
    address: str = "customer"
    language: Language | None = None
    profile: dict[Name, Words] = {}
    tags: Annotated[tuple[Slug, ...], BeforeValidator(listed)] = ()
    orders: dict[Words, Words] = {}
    consents: dict[Consented, ConsentState] = {}
    events: dict[EventName, Annotated[tuple[Duration, ...], BeforeValidator(listed)]] = {}
    scores: Scored | None = None
    new: bool = False
    variants: dict[Slug, Slug] = {}


def _word(value: Any) -> Any:
    return {value: "*" if value == "clicks" else True} if isinstance(value, str) and value in ALONE else value


AnyEntry = Annotated[
    Annotated[Says, Tag("(says)")]
    | Annotated[Taps, Tag("(tap)")]
    | Annotated[Sends, Tag("(sends)")]
    | Annotated[Event, Tag("(event)")]
    | Annotated[After, Tag("(after)")]
    | Annotated[At, Tag("(at)")]
    | Annotated[Clicks, Tag("(clicks)")]
    | Annotated[Agent, Tag("(agent)")]
    | Annotated[Resolves, Tag("(resolves)")]
    | Annotated[Service, Tag("(service)")]
    | Annotated[Model, Tag("(model)")]
    | Annotated[Bot, Tag("(bot)")]
    | Annotated[Nothing, Tag("(nothing)")]
    | Annotated[Agreed, Tag("(consent)")]
    | Annotated[Tags, Tag("(tags)")]
    | Annotated[Profile, Tag("(profile)")]
    | Annotated[Speaks, Tag("(language)")]
    | Annotated[Escalated, Tag("(escalated)")]
    | Annotated[Ended, Tag("(ended)")]
    | Annotated[Waits, Tag("(waits)")]
    | Annotated[Reached, Tag("(goal)")]
    | Annotated[Trouble, Tag("(trouble)")],
    Discriminator(key_of, custom_error_type="entry", custom_error_message=f"an entry of a talk is one of {', '.join(KEYS)}"),
]
Talk = Annotated[tuple[Annotated[AnyEntry, BeforeValidator(_word)], ...], AfterValidator(some)]


class Test(Entry):
    """One conversation: what it shows, whose it is, when it begins (in the tenant's zone), with whom, and how it goes."""

    __test__: ClassVar[bool] = False  # pytest would take it for one of its own

    test: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    tenant: Slug | None = None
    at: Moment = datetime(2026, 3, 2, 10)  # noqa: DTZ001  a Monday; the zone is the tenant's
    contact: Contact = Contact()
    talk: Talk


class Tests(Entry):
    """A file with several conversations."""

    __test__: ClassVar[bool] = False

    tests: Annotated[tuple[Test, ...], AfterValidator(some)]
