"""What may stand in a conversation that is written down as a test: what happens, what is answered from outside, what must come of it. Pure."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from parley.contracts import Channel, ConsentState, Purpose
from parley_router.durations import Duration
from parley_router.steps import Entry, EventName, Language, Name, Slug, listed
from parley_router.tools.values import Consented, Words, later, moment, words

# --- what happens ------------------------------------------------------------------------------------------------------------------------


class Keyed(Entry):
    """An entry of a talk, by the key that names it."""

    key: ClassVar[str]


class Happening(Keyed):
    """What happens. All that is said to it must be expected before the next one."""


class Meaning(Entry):
    """A reading in full: what the understanding would have found. `verdict`: as many `intents` as there are say it, where it is left out."""

    intents: Annotated[tuple[Slug, ...], BeforeValidator(listed)] = ()
    verdict: Literal["sure", "unsure", "unknown"] | None = None
    leaving: bool = False
    language: Language | None = None
    entities: dict[Name, Words] = {}


def _meaning(value: Any) -> Any:
    return {"intents": value} if isinstance(value, str | list) else value


class Says(Happening):
    """The customer writes. `means`: what the message is understood as, where no rule understands it: an intent; several between which it is not sure;
    none of them (`[]`); or a reading in full. `on`: on another channel than the contact's.
    """

    key = "says"
    says: Words
    means: Annotated[Meaning | None, BeforeValidator(_meaning)] = None
    channel: Channel | None = None


class Taps(Happening):
    """The customer taps a choice of the last message that had some: by its id, by what it reads, or by its number."""

    key = "tap"
    tap: Words
    channel: Channel | None = None


class Spot(Entry):
    lat: float = Field(ge=-90, le=90)
    lon: float = Field(ge=-180, le=180)


class Parcel(Entry):
    """A picture, a sound, a film, a document by its address; or a place."""

    image: str | None = None
    audio: str | None = None
    video: str | None = None
    document: str | None = None
    location: Spot | None = None

    @model_validator(mode="after")
    def _one(self) -> Parcel:
        if len(self.model_dump(exclude_none=True)) != 1:
            raise ValueError("one of `image`, `audio`, `video`, `document`, `location` is sent at a time")
        return self


class Sends(Happening):
    """The customer sends a picture, a sound, a film, a document, or where they are."""

    key = "sends"
    sends: Parcel


class Event(Happening):
    """Another service tells of something that the customer did, `with` these properties."""

    key = "event"
    event: EventName
    given: Annotated[dict[str, JsonValue], Field(alias="with")] = {}


class After(Happening):
    """Time passes, and all that is due meanwhile happens in order."""

    key = "after"
    after: Duration


class At(Happening):
    """Time passes up to this moment (`2026-11-26 09:00`), or until it is this time of day next (`"09:00"`), in the tenant's zone."""

    key = "at"
    at: Annotated[datetime | time, BeforeValidator(later)]


def _any(value: Any) -> Any:
    return "*" if value is True else value


class Clicks(Happening):
    """The customer follows a link in the last message of ours, or in the last one that reads like this."""

    key = "clicks"
    clicks: Annotated[str, BeforeValidator(_any)] = "*"


class Agent(Happening):
    """A person of the brand replies."""

    key = "agent"
    agent: Words


class Resolves(Happening):
    """The person who has the conversation resolves it."""

    key = "resolves"
    resolves: Literal[True] = True


# --- what is answered from outside -------------------------------------------------------------------------------------------------------


class Served(Entry):
    """What a service answers from here on: to any `path`, or to those that look like it (`*` stands for anything); `method` and `body` narrow it.

    `status` is 200 where there is an `answer`; `error` instead: nothing came back (`timeout`). The last one that fits counts.
    """

    path: str = "*"
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] | None = None
    body: JsonValue = None
    status: int = Field(default=200, ge=100, le=599)
    answer: JsonValue = None
    error: str | None = None


def _served(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class Service(Keyed):
    """Services of `services.yaml`, and what each answers from here on. Nothing is really asked."""

    key = "service"
    service: dict[Slug, Annotated[tuple[Served, ...], BeforeValidator(_served)]]


class Model(Keyed):
    """What the language model answers to `answer` steps from here on; null: nothing that stands in the FAQ."""

    key = "model"
    model: str | None


# --- what must come of it ----------------------------------------------------------------------------------------------------------------


class Expected(Keyed):
    """What must hold then."""


class Message(Entry):
    """A message in detail; what is left out may be anything.

    - `text`: as behind `bot`, with `*` for anything; `is`: to the letter; `contains`: a part or several;
    - `choices`: what can be tapped, in order, by id or by what it reads; `[]`: nothing can; `media`: addresses; `cards`: titles;
    - `purpose`, `campaign`, `variant`, `step` (as `flow/step`), `channel` (the first that is tried);
    - `not_before`: the moment, in the tenant's zone, until which it waits for the customer's daytime; `null`: it leaves at once.
    """

    text: str | None = None
    exactly: Annotated[str | None, Field(alias="is")] = None
    contains: Annotated[tuple[str, ...], BeforeValidator(listed)] = ()
    choices: tuple[Words, ...] | None = None
    media: Annotated[tuple[str, ...] | None, BeforeValidator(listed)] = None
    cards: Annotated[tuple[str, ...] | None, BeforeValidator(listed)] = None
    purpose: Purpose | None = None
    campaign: str | None = None
    variant: str | None = None
    step: str | None = None
    channel: Channel | None = None
    not_before: Annotated[datetime | None, BeforeValidator(lambda value: value if value is None else moment(value))] = None


def _bot(value: Any) -> Any:
    return {"text": words(value)} if isinstance(value, str | int | float | date) else value


class Bot(Expected):
    """Something is said: a text, in which `*` stands for anything, or a message in detail."""

    key = "bot"
    bot: Annotated[Message, BeforeValidator(_bot)]


class Nothing(Expected):
    """Nothing is said."""

    key = "nothing"
    nothing: Literal[True] = True


class Agreed(Expected):
    """These consents are as they say; null: nothing was ever said about it."""

    key = "consent"
    consent: dict[Consented, ConsentState | None]


class Tags(Expected):
    """The contact has these tags, and no others."""

    key = "tags"
    tags: Annotated[tuple[Slug, ...], BeforeValidator(listed)]


class Profile(Expected):
    """This is known; null: it is not."""

    key = "profile"
    profile: dict[Name, Words | None]


class Speaks(Expected):
    """The contact's language is this one."""

    key = "language"
    language: Language


class Escalated(Expected):
    """People of this team have the conversation."""

    key = "escalated"
    escalated: Slug


class Ended(Expected):
    """No flow waits for anything."""

    key = "ended"
    ended: Literal[True] = True


class Waits(Expected):
    """A flow waits: at any step, or at this one (`flow/step`; a step without an id by its place, counted from 1)."""

    key = "waits"
    waits: str


class Reached(Expected):
    """A goal that a flow watched for was reached just now."""

    key = "goal"
    goal: EventName


class Trouble(Expected):
    """Something could not be done, and this is how the log tells it; a trouble that is not expected fails the test."""

    key = "trouble"
    trouble: str


ENTRIES: tuple[type[Keyed], ...] = (
    Says, Taps, Sends, Event, After, At, Clicks, Agent, Resolves, Service, Model,
    Bot, Nothing, Agreed, Tags, Profile, Speaks, Escalated, Ended, Waits, Reached, Trouble,
)  # fmt: skip
KEYS: dict[str, type[Keyed]] = {one.key: one for one in ENTRIES}


def key_of(value: Any) -> str | None:
    """Which entry a mapping is, in brackets as steps have it."""
    if isinstance(value, Keyed):
        return f"({value.key})"
    found = next((one for one in KEYS if one in value), None) if isinstance(value, dict) else None
    return f"({found})" if found else None
