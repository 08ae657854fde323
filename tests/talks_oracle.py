"""What the counters of conversations must be, computed the slow and obvious way from a whole log: nothing here is shared with the service.

For each conversation look at all of its events, and sort them. No merging, no differences.
"""

from bisect import bisect_right
from collections import Counter
from datetime import UTC, datetime, time, timedelta

BOUNDS = [0.01 * 10 ** (step / 12) for step in range(120)]
"""Seconds at which the steps of durations begin, from the first on."""


def counters(log, zones) -> Counter:
    """How many conversations count, by (tenant, dimension, grain, period, value, name, place)."""
    found = Counter()
    log = [event for event in log if event.data.change != "rated" or event.data.score in (1, 2, 3, 4, 5)]
    for number in {event.data.conversation_id for event in log}:
        story = Story([event for event in log if event.data.conversation_id == number])
        for dimension, value in [("", ""), *((name, getattr(story, name)) for name in ("channel", "flow", "team", "agent"))]:
            for grain, period in periods(story.began, zones[story.tenant]).items():
                for what, place in story.marks():
                    found[story.tenant, dimension, grain, period, value, what, place] += 1
    return found


class Story:
    """All that happened in one conversation."""

    def __init__(self, events) -> None:
        self.tenant = events[0].tenant
        steps = [event.data for event in sorted(events, key=lambda event: event.data.at)]
        self.began = min(one.at for one in steps)
        self.channel, self.flow = (min(told(steps, name), default=(None, ""))[1] for name in ("channel", "flow"))
        self.team, self.agent = (max(told(steps, name), default=(None, ""))[1] for name in ("team", "agent"))
        self.score = max(((one.at, one.score) for one in steps if one.change == "rated"), default=(None, None))[1]
        people = [one for one in steps if one.change == "resolved" and (one.by == "person" or (one.by is None and one.agent))]
        system = [one for one in steps if one.change == "resolved" and one not in people]
        self.first = {change: next((one.at for one in steps if one.change == change), None) for change in CHANGES} | {
            "resolved": people[0].at if people else None, "closed": system[0].at if system else None,
        }  # fmt: skip

    def earliest(self, *changes):
        return min((self.first[one] for one in changes if self.first[one] is not None), default=None)

    def marks(self):
        """The names and places for which it counts."""
        answered, asked = self.earliest("answered", "replied"), self.earliest("escalated", "assigned", "overdue", "replied", "resolved")
        yield "opened", 0
        if answered is not None:
            yield "answered", step(answered - self.began)
        if self.first["answered"] is not None and asked is None:
            yield "automated", 0
        if asked is not None:
            yield "escalated", 0
        if self.first["replied"] is not None:
            yield "replied", step(self.first["replied"] - asked)
        if self.first["overdue"] is not None:
            yield "overdue", 0
        if self.first["resolved"] is not None:
            yield "resolved", step(self.first["resolved"] - self.began)
        elif self.first["closed"] is not None:
            yield "closed", 0
        if self.score is not None:
            yield "rated", self.score


CHANGES = ("opened", "answered", "escalated", "assigned", "replied", "overdue")


def told(steps, name) -> list:
    return [(one.at, str(getattr(one, name))) for one in steps if getattr(one, name)]


def step(lasted: timedelta) -> int:
    return bisect_right(BOUNDS, lasted.total_seconds())


def periods(moment: datetime, zone) -> dict[str, datetime]:
    """When the quarter, the day, the week and the month began in which a moment is."""
    here = moment.astimezone(zone)
    monday = datetime.combine(here.date() - timedelta(days=here.weekday()), time(), zone)
    return {
        "quarter": moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0),
        "day": datetime(here.year, here.month, here.day, tzinfo=zone).astimezone(UTC),
        "week": monday.astimezone(UTC),
        "month": datetime(here.year, here.month, 1, tzinfo=zone).astimezone(UTC),
    }
