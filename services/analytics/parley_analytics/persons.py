"""What the facts say of one person: from what was sent to them and what they did to their scores. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any, NamedTuple

from parley_analytics import hours, lifetime, scores
from parley_analytics.hours import NONE, Hours
from parley_analytics.lifetime import Buying, Spent, Worth
from parley_analytics.scores import Act, Scores

CENT = Decimal("0.01")


class Order(NamedTuple):
    at: datetime
    value: float
    currency: str


@dataclass(slots=True)
class Person:
    """What is known of somebody. `channel`: on which they were written to last. `unheard`: when messages left that nothing came of."""

    tenant: str = ""
    channel: str = ""
    unheard: list[datetime] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)


@dataclass(frozen=True)
class Forecast:
    """What is known of a tenant's buyers: how they order, and what an order is worth, by currency."""

    buying: Buying | None = None
    worth: Mapping[str, Worth] = field(default_factory=dict)

    def dumped(self) -> dict[str, Any]:
        return {"buying": self.buying and asdict(self.buying), "worth": {name: asdict(one) for name, one in self.worth.items()}}

    @classmethod
    def loaded(cls, found: Mapping[str, Any]) -> Forecast:
        return cls(found["buying"] and Buying(**found["buying"]), {name: Worth(**one) for name, one in found["worth"].items()})


@dataclass(frozen=True)
class Setting:
    """Around whom a person is judged: the tenant's clock and the hours in which it may write, what its people do, how its buyers order."""

    zone: tzinfo
    allowed: Collection[int]
    tenant: Hours = NONE
    segments: Mapping[str, Hours] = field(default_factory=dict)
    forecast: Forecast = Forecast()


def judged(person: Person, around: Setting, own: Hours, now: datetime, told: Scores | None) -> Scores:
    """The scores of somebody who acts at these hours. An hour that was told stays where another is hardly better."""
    hour = hours.best(own, around.segments.get(person.channel, NONE), around.tenant, around.allowed, told.best_hour if told else None)
    bought = [Act("bought", one.at) for one in person.orders]
    found = Scores(
        fan=round(scores.fan([*person.acts, *bought], now)),
        silent=round(scores.silent(person.unheard, [*person.acts, *bought], now)),
        best_hour=hour.hour if hour else None,
        best_hour_of=hour.of if hour else None,
    )
    return _foreseen(found, person, around.forecast, now)


def acted(person: Person, zone: tzinfo, now: datetime) -> Hours:
    """When the person does something, by the clock of this zone."""
    return hours.counted([*(one.at for one in person.acts), *(one.at for one in person.orders)], zone, now)


def _foreseen(found: Scores, person: Person, forecast: Forecast, now: datetime) -> Scores:
    """With what is expected of who has bought; what they spend is told in the currency in which they ordered most."""
    history = lifetime.bought((one.at for one in person.orders), now)
    if history is None or forecast.buying is None:
        return found
    currency = main_currency(person.orders)
    model, coming = forecast.worth.get(currency), lifetime.orders(forecast.buying, history)
    own = lifetime.spent([one.value for one in person.orders if one.currency == currency])
    value = None if model is None else Decimal(max(0.0, coming * lifetime.order_value(model, own))).quantize(CENT)
    return Scores(
        found.fan, found.silent, found.best_hour, found.best_hour_of,
        order_again=round(lifetime.again(forecast.buying, history), 3),
        next_order_days=round(lifetime.next_order(forecast.buying, history), 1),
        lifetime_value=value,
        currency=currency or None,
    )  # fmt: skip


def main_currency(orders: Collection[Order]) -> str:
    """The currency of most of these orders."""
    return min(Counter(one.currency for one in orders).items(), key=lambda item: (-item[1], item[0]))[0]


def forecast(people: Mapping[Any, Collection[Order]], now: datetime) -> Forecast:
    """What these buyers tell of all."""
    histories = [one for orders in people.values() if (one := lifetime.bought((order.at for order in orders), now)) is not None]
    spent: dict[str, list[Spent]] = {}
    for orders in people.values():
        currency = main_currency(orders)
        spent.setdefault(currency, []).append(lifetime.spent([one.value for one in orders if one.currency == currency]))
    known = {currency: worth for currency, some in spent.items() if (worth := lifetime.worth(some)) is not None}
    return Forecast(lifetime.buying(histories), known)
