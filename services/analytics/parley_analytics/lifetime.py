"""What buyers will do next: whether they still buy, when they order again, what they will spend. Pure.

A buyer orders at a rate of their own until, after some order, they stop for good; rates and chances of stopping differ between people as a gamma and a beta
distribution do (BG/NBD: Fader, Hardie and Lee, Marketing Science 24, 2005). What an order of theirs is worth is their mean so far, drawn towards everybody's
by how much people differ (Bühlmann's credibility, which has the form of a gamma-gamma model). See docs/people.md.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Row: TypeAlias = npt.NDArray[np.float64]
Cost: TypeAlias = Callable[[Row], float]

FEWEST = 100
"""Buyers without whom nothing is said of any; among them `FEWEST_AGAIN` who came again."""
FEWEST_AGAIN = 20
FEWEST_VALUES = 20
"""Buyers with two orders in a currency, below which only everybody's mean is known."""
AHEAD = 365.0
"""Days over which the value of a buyer is expected."""
DAY = 86_400.0
PULL = 0.0005
"""How hard the parameters are held near where they start: it only matters where the figures say next to nothing."""
TERMS = 2000


class Bought(NamedTuple):
    """A buyer: on how many days after the first they ordered, days from the first order to the last, and to now."""

    again: int
    recency: float
    age: float


class Spent(NamedTuple):
    """What a buyer spent in one currency: in how many orders, how much, and the sum of its squares."""

    orders: int
    total: float
    squares: float


@dataclass(frozen=True)
class Buying:
    """How often people order, and how likely they stop: `r`, `alpha` of the rates (a day), `a`, `b` of the chance to stop after an order."""

    r: float
    alpha: float
    a: float
    b: float


@dataclass(frozen=True)
class Worth:
    """An order's mean over people, and how many orders of one's own weigh as much as that; None: nobody's own say anything."""

    mean: float
    weight: float | None


def bought(orders: Iterable[datetime], now: datetime) -> Bought | None:
    """The history of a buyer by the days on which they ordered, up to now; None for who never did. Several orders of a day are one purchase."""
    ages = [age for at in orders if (age := (now - at).total_seconds() / DAY) >= 0]
    if not ages:
        return None
    first = max(ages)
    days = {int(first - age) for age in ages}
    return Bought(len(days) - 1, float(max(days)), first)


def spent(values: Sequence[float]) -> Spent:
    return Spent(len(values), sum(values), sum(one * one for one in values))


# --- whether and when ------------------------------------------------------------------------------------------------------------------


def buying(people: Sequence[Bought]) -> Buying | None:
    """The likeliest parameters for these buyers; None where there are too few to say."""
    if len(people) < FEWEST or sum(one.again > 0 for one in people) < FEWEST_AGAIN:
        return None
    rows = Counter(people)  # many have the same history: one order, long ago
    again, recency, age = (np.array([one[place] for one in rows], dtype=float) for place in range(3))
    count = np.array(list(rows.values()), dtype=float)
    gaps = (age.sum() + 1) / (again.sum() + 1)
    start = np.log([1.0, gaps, 1.0, 3.0])

    def cost(logs: Row) -> float:
        likely = _likelihood(np.exp(np.clip(logs, -15, 15)), again, recency, age)
        return float(-(count @ likely) / count.sum() + PULL * ((logs - start) ** 2).sum())

    r, alpha, a, b = np.exp(np.clip(_lowest(cost, start), -15, 15))
    return Buying(float(r), float(alpha), float(a), float(b))


def _likelihood(parameters: Row, again: Row, recency: Row, age: Row) -> Row:
    """The logarithm of the likelihood of each history. Gamma and beta functions of whole steps are products, so sums of logarithms."""
    r, alpha, a, b = parameters
    steps = np.arange(int(again.max()) if len(again) else 0, dtype=float)
    rates = np.concatenate(([0.0], np.cumsum(np.log(r + steps))))[again.astype(int)]
    goes_on = np.concatenate(([0.0], np.cumsum(np.log((b + steps) / (a + b + steps)))))[again.astype(int)]
    there = -(r + again) * np.log(alpha + age)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(again > 0, np.log(a) - np.log(b + again - 1) - (r + again) * np.log(alpha + recency), -np.inf)
    return np.asarray(rates + r * np.log(alpha) + goes_on + np.logaddexp(there, left))


def alive(model: Buying, one: Bought) -> float:
    """The probability that the buyer has not stopped. Not for people to see: see `again`."""
    if one.again == 0:
        return 1.0  # nobody stops before their second order: those who never come again have a low rate
    odds = math.log(model.a / (model.b + one.again - 1)) + (model.r + one.again) * math.log((model.alpha + one.age) / (model.alpha + one.recency))
    return 1 / (1 + math.exp(min(700.0, odds)))


def orders(model: Buying, one: Bought, days: float = AHEAD) -> float:
    """How many orders are expected of the buyer in the next days.

    Formula 10 of the paper with Euler's transformation of its hypergeometric function: so its series is short for those who order often.
    """
    a = model.a if abs(model.a - 1) > 1e-6 else 1 + 1e-6
    c = a + model.b + one.again - 1
    if c <= 0 and abs(c - round(c)) < 1e-6:
        c += 1e-6  # as with `a`: there the formula is the limit of what it is beside
    z = days / (model.alpha + one.age + days)
    share = float((1 - z) ** (a - 1)) * _hypergeometric(a + model.b - 1 - model.r, a - 1, c, z)
    return max(0.0, c / (a - 1) * (1 - share) * alive(model, one))


def again(model: Buying, one: Bought, days: float = AHEAD) -> float:
    """The probability that the buyer orders within the next days."""
    none = ((model.alpha + one.age) / (model.alpha + one.age + days)) ** (model.r + one.again)
    return alive(model, one) * float(1 - none)


def next_order(model: Buying, one: Bought) -> float:
    """The days within which half of such buyers order again, of those who have not stopped."""
    return float((model.alpha + one.age) * (2 ** (1 / (model.r + one.again)) - 1))


def _hypergeometric(a: float, b: float, c: float, z: float) -> float:
    """Gauss' function by its series, for 0 <= z < 1."""
    total = term = 1.0
    for n in range(TERMS):
        term *= (a + n) * (b + n) / (c + n) * z / (n + 1)
        total += term
        if abs(term) < 1e-12 * abs(total):
            break
    return total


# --- how much --------------------------------------------------------------------------------------------------------------------------


def worth(people: Sequence[Spent]) -> Worth | None:
    """What an order is worth to people, from what they spent in one currency; None for nobody."""
    known = [one for one in people if one.orders > 0]
    if not known:
        return None
    count, total, squares = (np.array([one[place] for one in known], dtype=float) for place in range(3))
    mean = float(total.sum() / count.sum())
    if (count > 1).sum() < FEWEST_VALUES:
        return Worth(mean, None)
    within = max(0.0, float((squares - total**2 / count).sum() / (count.sum() - len(known))))
    spread = float((count * (total / count - mean) ** 2).sum()) - (len(known) - 1) * within
    between = spread / float(count.sum() - (count**2).sum() / count.sum())
    weight = within / between if between > 0 else math.inf
    if not math.isfinite(weight):
        return Worth(mean, None)
    shares = count / (count + weight)
    return Worth(float(shares @ (total / count) / shares.sum()), weight)


def order_value(model: Worth, one: Spent) -> float:
    """What the next order of a buyer is expected to be worth."""
    if model.weight is None:
        return model.mean
    return (model.weight * model.mean + one.total) / (model.weight + one.orders)


# --- the lowest point of a function ----------------------------------------------------------------------------------------------------


def _lowest(cost: Cost, start: Row, turns: int = 600) -> Row:
    """Nelder and Mead's simplex: four parameters need no gradient."""
    points = [start, *(start + 0.7 * one for one in np.eye(len(start)))]
    found = sorted(((cost(one), place, one) for place, one in enumerate(points)), key=lambda item: item[:2])
    for turn in range(turns):
        best, (worst, _, far) = found[0], found[-1]
        if worst - best[0] < 1e-9:
            break
        middle = np.mean([one for _, _, one in found[:-1]], axis=0)
        new = _stepped(cost, middle, far, best[0], found[-2][0], worst)
        if new is None:
            points = [best[2] + 0.5 * (one - best[2]) for _, _, one in found[1:]]
            found = [best, *((cost(one), len(found) + turn, one) for one in points)]
        else:
            found[-1] = (*new[:1], len(found) + turn, new[1])
        found.sort(key=lambda item: item[:2])
    return found[0][2]


def _stepped(cost: Cost, middle: Row, far: Row, best: float, second: float, worst: float) -> tuple[float, Row] | None:
    """A point in the place of the worst one: mirrored, further on, or drawn in; None where none is better."""
    mirrored = 2 * middle - far
    value = cost(mirrored)
    if value < best:
        further = 3 * middle - 2 * far
        return min((value, mirrored), (cost(further), further), key=lambda item: item[0])
    if value < second:
        return value, mirrored
    drawn = middle + 0.5 * ((mirrored if value < worst else far) - middle)
    value = cost(drawn)
    return (value, drawn) if value < worst else None
