"""Conversations written down as tests, as models of the YAML: who it is, when it begins, who says what, and what is said to it. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Discriminator, StringConstraints, Tag

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


class Contact(Entry):
    """Who it is: what is known before the conversation begins. All of it may be left out.

    - `channel` (default sms), `language` (default: the tenant's first), `profile`, `tags`, `orders` (status by number);
    - `consents`: a purpose, or channel and purpose, and its state;
    - `events`: that already happened, each with how long ago it was, once or several times;
    - `channels`: further channels that the contact can be reached on; `address`: on `channel`, for who is known by a phone number;
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
