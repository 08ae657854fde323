"""The twin as the tenant's own shop: what flows ask it over HTTP. Every answer follows from the request and the day alone, and nothing is kept. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import orjson

from parley.twin.shape import Answer, as_json

PREFIX = "/shop/"
SEOUL = timezone(timedelta(hours=9))
STATUSES = ("placed", "shipped", "delivered")
HOURS = (10, 13, 15, 17)
TASTES = ("green", "black", "herbal")
TEAS: tuple[tuple[str, str, str, int], ...] = (
    ("sejak", "Sejak", "green", 18_000),
    ("ujeon", "Ujeon", "green", 32_000),
    ("darjeeling", "Darjeeling First Flush", "black", 24_000),
    ("assam", "Assam", "black", 12_000),
    ("camomile", "Camomile", "herbal", 9_000),
    ("mint", "Mint", "herbal", 8_000),
)
"""Id, title, taste, price in won."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: the last part of its path (empty where there is none), its query, its body, and the time of the shop's clock."""

    last: str
    query: Mapping[str, str]
    body: bytes
    now: float


def answer(method: str, path: str, query: Mapping[str, str], body: bytes, now: float) -> Answer:
    """The shop's answer; 404 where it has nothing of the kind."""
    place, _, last = path.removeprefix(PREFIX).partition("/")
    handle = ROUTES.get((method, place))
    return handle(Asked(last, query, body, now)) if handle is not None else _missing(f"no {method} {path} in this shop")


def _order(asked: Asked) -> Answer:
    """Any number with a digit is an order, but for those that end in 000; its status and day follow from it."""
    number = asked.last.upper()
    if not any(one.isdigit() for one in number) or number.endswith("000"):
        return _missing("no such order")
    draw = zlib.crc32(number.encode())
    eta = (_day(asked.now) + timedelta(days=1 + draw % 3)).date().isoformat()
    status = STATUSES[draw % len(STATUSES)]
    return as_json(200, {"number": number, "status": status, **({"eta": eta} if status != "delivered" else {})})


def _recommendations(asked: Asked) -> Answer:
    """What has the `taste` and does not cost more than the `budget`, where they are named; beside an order (`with`) something to go with it."""
    taste, budget = asked.query.get("taste", ""), asked.query.get("budget", "")
    limit = int(budget) if budget.isascii() and budget.isdigit() else None
    found = [one for one in TEAS if (taste not in TASTES or one[2] == taste) and (limit is None or one[3] <= limit)]
    if found and (beside := asked.query.get("with")):
        turn = zlib.crc32(beside.encode()) % len(found)
        found = [*found[turn:], *found[:turn]]
    items = [
        {"id": tea, "title": title, "text": f"{price:,} KRW", "price": price, "url": f"https://shop.acme.example/tea/{tea}",
         "image": f"https://shop.acme.example/tea/{tea}.jpg"}
        for tea, title, _, price in found
    ]  # fmt: skip
    return as_json(200, {"items": items})


def _slots(asked: Asked) -> Answer:
    """The free times of three days from `ahead` (as in `2d`; default: tomorrow) on. For more than eight `people` there is no table."""
    people, ahead = asked.query.get("people", "1"), asked.query.get("ahead", "1d").removesuffix("d")
    if people.isdigit() and int(people) > 8:
        return as_json(200, {"slots": []})
    first = _day(asked.now) + timedelta(days=int(ahead) if ahead.isdigit() and len(ahead) < 4 else 1)
    times = [first + timedelta(days=day, hours=hour) for day in range(3) for hour in HOURS]
    return as_json(200, {"slots": [{"id": name, "start": one.isoformat()} for one in times if _free(name := _name(one))]})


def _booking(asked: Asked) -> Answer:
    """Books a free time by its id. One that is not free has been taken meanwhile: 409."""
    try:
        body = orjson.loads(asked.body)
        name = body["slot"]
        start = datetime.strptime(name, "%Y%m%d-%H").replace(tzinfo=SEOUL)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return as_json(422, {"error": "`slot` must be the id of a free time"}, "no slot")
    if not _free(name):
        return as_json(409, {"error": "taken meanwhile"}, "taken")
    return as_json(201, {"id": name, "start": start.isoformat()})


def _cancelled(asked: Asked) -> Answer:
    return as_json(200, {"id": asked.last, "cancelled": True}) if asked.last else _missing("no such booking")


def _points(asked: Asked) -> Answer:
    """Three customers in four are members."""
    draw = zlib.crc32(asked.last.encode())
    return as_json(200, {"points": draw % 50 * 100}) if asked.last and draw % 4 else _missing("not a member")


def _day(now: float) -> datetime:
    """The beginning of the shop's day."""
    return datetime.fromtimestamp(now, UTC).astimezone(SEOUL).replace(hour=0, minute=0, second=0, microsecond=0)


def _name(moment: datetime) -> str:
    return moment.strftime("%Y%m%d-%H")


def _free(name: str) -> bool:
    """Whether a time is still to be had; of each three, one is not."""
    return zlib.crc32(name.encode()) % 3 != 0


def _missing(sentence: str) -> Answer:
    return as_json(404, {"error": sentence}, "missing")


ROUTES: Mapping[tuple[str, str], Callable[[Asked], Answer]] = {
    ("GET", "orders"): _order,
    ("GET", "recommendations"): _recommendations,
    ("GET", "slots"): _slots,
    ("POST", "bookings"): _booking,
    ("DELETE", "bookings"): _cancelled,
    ("GET", "points"): _points,
}
"""Who answers, by method and the first part of the path behind `/shop/`."""
