"""What a tenant's teams promise their customers: `teams` in `accounts.yaml`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from parley.policies import DAYS, Day, Length

LONGEST = timedelta(days=7)
"""A promise is counted in minutes or hours of work; what takes longer than a week is no answer."""
SHORTEST_DAY = timedelta(hours=1)
"""Of work: so a week of it is never more than a few years of the calendar."""
Clock = Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]


@dataclass(frozen=True, slots=True)
class Promise:
    """Within which time a person answers, counted in the team's hours: from `opens` to `closes` after midnight on `days` (Monday is 0)."""

    within: timedelta
    opens: timedelta = timedelta()
    closes: timedelta = timedelta(days=1)
    days: frozenset[int] = frozenset(range(7))

    def due(self, at: datetime, zone: tzinfo) -> datetime:
        """When the time is over that began `at`, in UTC. An hour that a change of clocks skips is no hour of work, one that comes twice is two."""
        left, day = self.within, at.astimezone(zone).date()
        while True:
            begin, end = max(at, _moment(day, self.opens, zone)), _moment(day, self.closes, zone)
            if day.weekday() in self.days and begin < end:
                if left <= end - begin:
                    return begin.astimezone(UTC) + left
                left -= end - begin
            day += timedelta(days=1)


def _moment(day: date, after: timedelta, zone: tzinfo) -> datetime:
    """So much after midnight by the clock, in UTC."""
    whole, rest = divmod(after, timedelta(days=1))
    return (datetime.combine(day + timedelta(days=whole), time(), tzinfo=zone) + rest).astimezone(UTC)


def _within(length: timedelta) -> timedelta:
    if length > LONGEST:
        raise ValueError(f"a team promises an answer within a week at most; not in {length.days} days")
    return length


class TeamEntry(BaseModel):
    """A team: a person of it answers within this time of its `hours`, on its `days`, by the tenant's clock; without them, around the clock."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answers_within: Annotated[Length, AfterValidator(_within)]
    hours: tuple[Clock, Clock] = ("00:00", "24:00")
    days: tuple[Day, ...] = Field(default=DAYS, min_length=1)

    @model_validator(mode="after")
    def _long_enough(self) -> TeamEntry:
        opens, closes = map(_after_midnight, self.hours)
        if closes - opens < SHORTEST_DAY:
            raise ValueError(f'the hours of a team are of one day, an hour at least, as in ["09:00", "18:00"]; not {list(self.hours)}')
        return self

    def told(self) -> Promise:
        """As a value."""
        opens, closes = map(_after_midnight, self.hours)
        return Promise(self.answers_within, opens, closes, frozenset(map(DAYS.index, self.days)))


def _after_midnight(clock: str) -> timedelta:
    hours, minutes = clock.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes))
