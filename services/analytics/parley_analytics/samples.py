"""The people of an experiment as figures: which of a campaign's experiments is meant, how it was drawn, and the moments that are compared. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from parley_analytics.experiments import Arm, Design
from parley_analytics.experiments_query import METRICS, REVENUE, Asked
from parley_analytics.query import Unclear
from parley_analytics.sequences import Moments, share

LATELY = timedelta(days=7)
"""From which the traffic is told."""
UNNAMED = "¤"
"""The sign of money whose currency nobody told."""


class Group(NamedTuple):
    """The people of a variant, and of how many of them each thing is so. `lately`: those who came in the last days; `since`: when the first one did."""

    variant: str
    people: int
    opened: int
    clicked: int
    replied: int
    converted: int
    lately: int
    since: datetime


class Spent(NamedTuple):
    """What the people of a variant spent, and the sum of the squares of what each one did."""

    total: float
    squares: float


class Row(NamedTuple):
    """A variant of one design of an experiment: its weights, its holdout, and when the last person was drawn."""

    design_id: UUID
    experiment: str
    weights: Mapping[str, float]
    holdout: str | None
    latest: datetime
    group: Group


@dataclass(frozen=True, slots=True)
class Sample:
    """The people of an experiment, `drawn` or only known as those to whom something was `sent`; `spent` by currency and variant, where it was looked up.

    `earlier`: people who were drawn by other weights before, and do not count here.
    """

    counted: str
    groups: Sequence[Group]
    spent: Mapping[str, Mapping[str, Spent]] = field(default_factory=dict)
    experiment: str | None = None
    weights: Mapping[str, float] | None = None
    holdout: str | None = None
    earlier: int = 0

    def design(self, asked: Asked) -> Design:
        """What was asked, completed by how people were drawn."""
        return Design(asked.smallest, asked.weights or self.weights, asked.control, asked.holdout or self.holdout)

    def currency(self, asked: Asked) -> str | None:
        """The currency in which people are compared; None where it is not money. Raises `Unclear` where there are several."""
        if asked.metric != REVENUE:
            return None
        known = sorted(self.spent)
        if asked.currency is None and len(known) > 1:
            raise Unclear(f"`currency` is missing: people spent in {', '.join(one or UNNAMED for one in known)}; which of them is compared?")
        wanted = asked.currency or next(iter(known), "")
        return "" if wanted == UNNAMED else wanted

    def arms(self, asked: Asked) -> list[Arm]:
        """The variants with the figure that is asked for. Raises `Unclear`."""
        currency = self.currency(asked)
        return [Arm(one.variant, self._figure(one, asked.metric, currency)) for one in self.groups]

    def per_day(self, now: datetime) -> float:
        """New people a day lately, or since the first one came where that was later; of less than an hour nobody tells a day."""
        began = min(one.since for one in self.groups)
        span = max(min(now - began, LATELY), timedelta(hours=1))
        return sum(one.lately for one in self.groups) / (span / timedelta(days=1))

    def _figure(self, group: Group, metric: str, currency: str | None) -> Moments:
        if currency is None:
            return share(group.people, getattr(group, METRICS[metric]))
        spent = self.spent.get(currency, {}).get(group.variant, Spent(0.0, 0.0))
        return Moments(group.people, spent.total, spent.squares)


def chosen(rows: Sequence[Row], split: str | None) -> list[Row]:
    """The rows of the experiment that is meant, those of its newest design first. Raises `Unclear` where it is not clear which one is.

    Another design is another experiment: by other weights other people get a variant, and to count both as one would compare seasons instead of variants.
    """
    names = sorted({one.experiment for one in rows})
    if split is None and len(names) > 1:
        raise Unclear(f"`split` is missing: people of this campaign were drawn for {', '.join(names)}; which of them is meant?")
    if split is not None and names and split not in names:
        raise Unclear(f"`split` cannot be {split[:50]!r}; people of this campaign were drawn for {', '.join(names)}.")
    meant = [one for one in rows if one.experiment == (split or names[0])] if names else []
    newest = max(((one.latest, one.design_id) for one in meant), default=None)
    return sorted(meant, key=lambda one: (newest is None or one.design_id != newest[1], one.group.variant))


def sampled(rows: Sequence[Row], spent: Mapping[str, Mapping[str, Spent]]) -> Sample:
    """The people of the first row's design; those of the others came earlier."""
    first = rows[0]
    groups = [one.group for one in rows if one.design_id == first.design_id]
    earlier = sum(one.group.people for one in rows if one.design_id != first.design_id)
    return Sample("drawn", groups, spent, first.experiment, first.weights, first.holdout, earlier)
