"""The twin's shop: the same request gets the same answer, and flows find in it what they ask for."""

import aiohttp
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.local import free_port
from parley.twin import TwinOptions, running_twin
from parley.twin.shop import ROUTES, answer

NOON = 1_795_143_600.0
"""2026-11-20, twelve o'clock in Seoul."""
words = st.text(max_size=20)


def ask(path: str, method: str = "GET", body: object = None, now: float = NOON, **query: str) -> tuple[int, dict]:
    found = answer(method, f"/shop/{path}", query, orjson.dumps(body) if body is not None else b"", now)
    return found.status, orjson.loads(found.body)


@given(
    st.sampled_from(list(ROUTES)),
    words,
    st.dictionaries(st.sampled_from(["taste", "budget", "with", "people", "ahead"]), words),
    st.binary(max_size=50),
)
def test_whatever_is_asked_has_an_answer(route, last, query, body):
    """Always the same, never a fault."""
    method, place = route
    first = answer(method, f"/shop/{place}/{last}", query, body, NOON)

    assert first.status in (200, 201, 404, 409, 422)
    assert first == answer(method, f"/shop/{place}/{last}", query, body, NOON)


def test_orders_are_known_by_their_number():
    """However it is written; and there are some that the shop does not know."""
    assert ask("orders/a1002") == ask("orders/A1002") == (200, {"number": "A1002", "status": "placed", "eta": "2026-11-21"})
    assert [404, 404] == [ask(f"orders/{number}")[0] for number in ("A1000", "none")]


def test_a_free_time_can_be_booked_and_another_cannot():
    """Each that is offered; of those that are not, the word is that somebody was faster."""
    _, found = ask("slots", ahead="2d")
    free = [one["id"] for one in found["slots"]]
    taken = next(name for name in (f"20261122-{hour}" for hour in (10, 13, 15, 17)) if name not in free)

    assert all(one["start"] >= "2026-11-22T10:00:00+09:00" for one in found["slots"])
    assert [201] * len(free) == [ask("bookings", "POST", {"slot": one})[0] for one in free]
    assert (409, 422, 200) == (ask("bookings", "POST", {"slot": taken})[0], ask("bookings", "POST", {"slot": "x"})[0], ask("bookings/1", "DELETE")[0])
    assert {"slots": []} == ask("slots", people="9")[1]


def test_recommendations_keep_to_taste_and_budget():
    """And without either there is all of it."""
    assert ["sejak"] == [one["id"] for one in ask("recommendations", taste="green", budget="20000")[1]["items"]]
    assert 6 == len(ask("recommendations")[1]["items"])


@pytest.mark.parametrize("contact, there", [("7", {"points": 4600}), ("4", {"error": "not a member"})])
def test_some_are_members(contact, there):
    """By the contact alone."""
    assert there == ask(f"points/{contact}")[1]


def test_the_shop_stands_at_the_twins_door(tmp_path, run):
    """Beside the providers, under its own path."""

    async def main():
        options = TwinOptions(port=free_port(), ledger=tmp_path / "ledger.jsonl")
        async with (
            running_twin(options) as twin,
            aiohttp.ClientSession(twin.url) as client,
            client.get("/shop/orders/A1002") as known,
            client.get("/shop/cakes") as unknown,
        ):
            return known.status, (await known.json())["number"], unknown.status, twin.ledger.book.entries

    assert (200, "A1002", 404, []) == run(main())
