"""Conditions: a small model of its own, so that the same condition can be asked of one contact here and of many at once by SQL. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from parley.contracts import Channel, ConsentState, Purpose
from parley_router.durations import Duration

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def clock(text: object) -> time:
    """The time of day that the text writes: `09:00`. Raises `ValueError`."""
    if isinstance(text, time):
        return text
    if not isinstance(text, str):  # YAML 1.1 reads 9:30 as the number 570
        raise ValueError(f'a time of day is written in quotes, as "09:00"; not {text!r}')
    try:
        if not re.fullmatch(r"\d\d:\d\d", text):
            raise ValueError(text)
        return time.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f'a time of day is written as "09:00", from "00:00" to "23:59"; not {text!r}') from error


Clock = Annotated[time, BeforeValidator(clock)]
ASKED = ("equals", "one_of", "known", "above", "below", "contains")
KINDS = ("value", "event", "consent", "channel", "tag", "between", "all_of", "any_of", "none_of")


class Condition(BaseModel):
    """One question about a contact at a moment; exactly one of these keys says which:

    - `value`: a dotted name, with exactly one of `is`, `in`, `known`, `above`, `below` (numbers, not included), `contains` (a text or one of a list);
    - `event`: it happened `at_least` times (default 1) and `at_most` times, `within` a length of time (default: ever);
    - `consent`: for this purpose on the channel of the conversation, or on `on`, it `is` granted (default), pending or revoked;
    - `channel`: the conversation is on it, or on one of a list;
    - `tag`: the contact has it;
    - `between`: two times of day, in the contact's zone, from the first to before the second (over midnight where the second is earlier), on `days`;
    - `all`, `any`, `not`: of others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    value: str | None = None
    equals: Annotated[str | int | float | bool | None, Field(alias="is")] = None
    one_of: Annotated[tuple[str | int | float, ...] | None, Field(alias="in")] = None
    known: bool | None = None
    above: float | None = None
    below: float | None = None
    contains: str | None = None
    event: str | None = None
    within: Duration | None = None
    at_least: int | None = Field(default=None, ge=0, le=20)
    at_most: int | None = Field(default=None, ge=0, le=19)
    consent: Purpose | None = None
    on: Channel | None = None
    channel: Channel | tuple[Channel, ...] | None = None
    tag: str | None = None
    between: tuple[Clock, Clock] | None = None
    days: tuple[Weekday, ...] | None = None
    all_of: Annotated[tuple[Condition, ...] | None, Field(alias="all")] = None
    any_of: Annotated[tuple[Condition, ...] | None, Field(alias="any")] = None
    none_of: Annotated[Condition | None, Field(alias="not")] = None

    @model_validator(mode="before")
    @classmethod
    def _on_is_a_key(cls, given: Any) -> Any:
        """YAML 1.1 reads the key `on` as true."""
        return {"on" if key is True else key: one for key, one in given.items()} if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _one_question(self) -> Condition:
        kinds = [name for name in KINDS if getattr(self, name) is not None]
        if len(kinds) != 1:
            raise ValueError("a condition asks one thing: `value`, `event`, `consent`, `channel`, `tag`, `between`, `all`, `any` or `not`")
        asked = [name for name in ASKED if getattr(self, name) is not None]
        if kinds == ["value"] and len(asked) != 1:
            raise ValueError("`value` needs one of `is`, `in`, `known`, `above`, `below`, `contains`")
        if kinds == ["consent"]:
            if asked not in ([], ["equals"]) or self.equals not in (None, *ConsentState):
                raise ValueError("`consent` takes `is` with granted, pending or revoked")
        elif kinds != ["value"] and asked:
            raise ValueError(f"`{_key(asked[0])}` belongs to `value`, not to `{_key(kinds[0])}`")
        for owner, parts in (("event", ("within", "at_least", "at_most")), ("consent", ("on",)), ("between", ("days",))):
            if kinds != [owner] and (alone := [one for one in parts if getattr(self, one) is not None]):
                raise ValueError(f"`{alone[0]}` belongs to `{owner}`")
        return self

    def names(self) -> tuple[str, ...]:
        """Every dotted name that is asked about."""
        return ((self.value,) if self.value else ()) + tuple(name for one in self.inner() for name in one.names())

    def events(self) -> tuple[str, ...]:
        """Every event that is asked about."""
        return ((self.event,) if self.event else ()) + tuple(name for one in self.inner() for name in one.events())

    def inner(self) -> tuple[Condition, ...]:
        """The conditions that this one joins."""
        return (*(self.all_of or ()), *(self.any_of or ()), *((self.none_of,) if self.none_of else ()))


def _key(name: str) -> str:
    return {"equals": "is", "one_of": "in", "all_of": "all", "any_of": "any", "none_of": "not"}.get(name, name)


@dataclass(frozen=True, slots=True)
class Asked:
    """What conditions may ask of a contact at a moment. `now`, in the contact's zone, is only worked out where it is asked for.

    `happened`: when each event happened, the newest last.
    """

    find: Callable[[str], object | None]
    happened: Callable[[str], Sequence[datetime]]
    consent: Callable[[Channel | None, Purpose], ConsentState | None]
    channel: Channel | None
    tags: Sequence[str]
    now: Callable[[], datetime]


def holds(condition: Condition, asked: Asked) -> bool:
    """Whether the condition holds. What is not known is not equal to, above, below or part of anything."""
    if condition.all_of is not None:
        return all(holds(one, asked) for one in condition.all_of)
    if condition.any_of is not None:
        return any(holds(one, asked) for one in condition.any_of)
    if condition.none_of is not None:
        return not holds(condition.none_of, asked)
    if condition.event is not None:
        return _happened(condition, asked)
    if condition.consent is not None:
        return asked.consent(condition.on, condition.consent) == (condition.equals or ConsentState.GRANTED)
    if condition.channel is not None:
        return asked.channel is not None and asked.channel in ((condition.channel,) if isinstance(condition.channel, str) else condition.channel)
    if condition.tag is not None:
        return condition.tag in asked.tags
    if condition.between is not None:
        now = asked.now()
        return _between(condition.between, now) and (condition.days is None or WEEKDAYS[now.weekday()] in condition.days)
    assert condition.value is not None
    return _compares(condition, asked.find(condition.value))


def _happened(condition: Condition, asked: Asked) -> bool:
    assert condition.event is not None
    moments = asked.happened(condition.event)
    now = asked.now()
    count = sum(condition.within is None or now - one <= condition.within for one in moments if one <= now)
    least = condition.at_least if condition.at_least is not None else (0 if condition.at_most is not None else 1)
    return least <= count and (condition.at_most is None or count <= condition.at_most)


def _between(edges: tuple[time, time], now: datetime) -> bool:
    first, second = edges
    moment = now.time()
    return first <= moment < second if first <= second else moment >= first or moment < second


def _compares(condition: Condition, found: object | None) -> bool:
    """Texts compare without regard to case; numbers as numbers, also where a text holds one."""
    if condition.known is not None:
        return (found is not None and found != "") is condition.known
    if found is None:
        return False
    if condition.above is not None or condition.below is not None:
        number = _number(found)
        return number is not None and (number > condition.above if condition.above is not None else number < (condition.below or 0))
    if condition.contains is not None:
        parts = [str(one) for one in found] if isinstance(found, list | tuple) else [str(found)]
        wanted = condition.contains.casefold()
        return any(wanted == one.casefold() for one in parts) if isinstance(found, list | tuple) else wanted in parts[0].casefold()
    return any(_equal(found, one) for one in (condition.one_of if condition.one_of is not None else (condition.equals,)))


def _equal(found: object, wanted: object) -> bool:
    if isinstance(found, bool) or isinstance(wanted, bool):
        return str(found).casefold() == str(wanted).casefold()
    if isinstance(wanted, int | float) and (number := _number(found)) is not None:
        return number == wanted
    return str(found).casefold() == str(wanted).casefold()


def _number(found: object) -> Decimal | None:
    if isinstance(found, bool):
        return None
    try:
        number = Decimal(str(found).replace(",", "").strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def find(known: Any, name: str) -> object | None:
    """What stands under a dotted name, at any depth: `event.address.city`, `slot.picks.0.title`."""
    found: object = known
    for part in name.split("."):
        if isinstance(found, Mapping):
            found = found.get(part)
        elif isinstance(found, list | tuple) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        else:
            return None
    return found
