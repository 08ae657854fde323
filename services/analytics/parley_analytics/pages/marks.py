"""Small marks beside numbers: where a rate and its interval lie, how long a bar is. Places are shares of the width, as SVG writes them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import NamedTuple

from parley_analytics.rates import Rate

HIGH = 0.8
"""A column whose rates all lie above is looked at from below 1."""
ROOM = 0.06
"""Of the width left free at both ends, so that no dot is cut."""


class Scale(NamedTuple):
    """From where to where a column of marks goes."""

    least: float
    most: float


def scale(rates: Sequence[Rate | None]) -> Scale:
    """A common scale for these: from 0 to the highest end of their intervals, made round. Where all are high, such as what is delivered, from a round share
    below the lowest one to 1.

    One row of a handful of people must not flatten all others: the ends count up to four times the highest rate.
    """
    told = [one for one in rates if one is not None]
    if not told:
        return Scale(0.0, 1.0)
    if min(one.value for one in told) > HIGH:
        return Scale(max(1 - rounded(1 - min(one.low for one in told)), 0.0), 1.0)
    top = min(max(one.high for one in told), 4 * max(max(one.value for one in told), 0.0005))
    return Scale(0.0, min(rounded(top), 1.0))


def rounded(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten."""
    if value <= 0:
        return 1.0
    size = 10.0 ** floor(log10(value))
    return next((step * size for step in (1, 1.5, 2, 3, 4, 5, 6, 8) if value <= step * size * 1.000001), ceil(value / size) * size)


def strip(rate: Rate | None, on: Scale) -> dict[str, str] | None:
    """A line from the low end to the high one, and a dot."""
    if rate is None:
        return None
    return {name: _place((one - on.least) / (on.most - on.least)) for name, one in (("low", rate.low), ("high", rate.high), ("dot", rate.value))}


def whiskers(low: float, value: float, high: float, reach: float) -> dict[str, str]:
    """The same around zero, which is in the middle: from -reach to reach."""
    return {name: _place((one / reach + 1) / 2) for name, one in (("low", low), ("dot", value), ("high", high))}


def bar(value: float, most: float) -> str:
    """The length of a bar; what is there is seen."""
    return f"{max(min(value / most, 1.0), 0.004) * 100:.2f}%" if most and value else "0%"


def _place(share: float) -> str:
    return f"{(ROOM + min(max(share, 0.0), 1.0) * (1 - 2 * ROOM)) * 100:.2f}%"
