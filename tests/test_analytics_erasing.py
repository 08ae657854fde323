"""Erasing a person from the figures on real PostgreSQL: no row leads to them any more, and no digit changes, whatever comes late or again."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.contracts import ContactErased, Envelope
from parley_analytics import erasing
from tests import analytics_oracle as oracle
from tests import arriving
from tests.arriving import tables
from tests.conftest import until
from tests.test_analytics_count import (
    FIRST,
    MESSAGES,
    OTHER,
    PEOPLE,
    T0,
    applied,
    apply,
    consent,
    delivery,
    engagement,
    event,
    figures,
    happenings,
    moments,
    order,
    reply,
)

__all__ = ["tables"]
pytestmark = pytest.mark.stack
GONE = PEOPLE[0]
TABLES = ("messages", "people", "hits", "replies", "opt_outs", "orders", "spenders", "erased")


def erasure(contact: UUID = GONE) -> Envelope:
    return event(ContactErased(contact_id=contact, at=T0), T0)


async def traces(connection, *words: object) -> set[str]:
    """The tables in which a word stands."""
    rows = [(table, str(row)) for table in TABLES for row in await connection.fetch(f"SELECT t::text FROM {table} AS t")]
    return {table for table, row in rows if any(str(word) in row for word in words)}


def found(tables, *words: object) -> set[str]:
    runner, pool = tables
    return runner.run(traces(pool, *words))


STORY = [
    delivery(FIRST, "delivered", T0), engagement(FIRST, "clicked", "human", T0), order("SN-1", GONE, T0), reply(1, GONE, "sms", T0),
    consent(GONE, "sms", "revoked", "keyword", T0),
]  # fmt: skip


def test_no_row_leads_to_the_person_and_the_counts_stay(tables):
    """Another id stands in every fact; the order has no number any more."""
    before = applied(tables, STORY)
    known = found(tables, GONE, "SN-1")
    after = applied(tables, [erasure()])

    assert ({"messages", "people", "hits", "replies", "opt_outs", "orders", "spenders"}, set()) == (known, found(tables, GONE, "SN-1"))
    assert {"sent": 1, "clicked": 1, "replied": 1, "opted_out": 1, "converted": 1, "people_converted": 1}.items() <= before.items()
    assert before == after


def test_what_comes_late_finds_its_facts_and_brings_nobody_back(tables):
    """A message that was on its way, a click, the order again and another one: of somebody who has no name."""
    applied(tables, STORY, [erasure()])
    late = [delivery(OTHER, "sent", T0), engagement(OTHER, "clicked", "human", T0 + timedelta(hours=1)), order("SN-2", GONE, T0 + timedelta(hours=2))]
    total = applied(tables, late, STORY, [erasure()], late)

    assert {"sent": 2, "clicked": 2, "converted": 2, "people_sent": 2, "people_converted": 2}.items() <= total.items()
    assert set() == found(tables, GONE, "SN-1", "SN-2")


def test_an_erasure_that_comes_first_holds(tables):
    """The figures hear of it before they hear of the message: topics have no order among them."""
    total = applied(tables, [erasure()], STORY)

    assert (1, 1, set()) == (total["converted"], total["people_sent"], found(tables, GONE, "SN-1"))


def test_nobody_else_is_touched(tables):
    """Others keep their ids and the numbers of their orders."""
    message = UUID(int=101)
    applied(tables, [delivery(message, "sent", T0), order("SN-9", PEOPLE[1], T0)], STORY, [erasure()])

    assert ({"messages", "people", "orders"}, {"orders"}) == (found(tables, PEOPLE[1]), found(tables, "SN-9"))


def test_the_hash_is_thrown_away(tables):
    """Once nothing can come late any more; whoever comes with that id then is somebody new, and the old facts stay nobody's."""
    runner, pool = tables
    applied(tables, STORY, [erasure()])

    async def left(time: timedelta) -> int:
        await erasing.forget(pool, T0 + time)
        return await pool.fetchval("SELECT count(*) FROM erased")

    kept, thrown = (runner.run(left(time)) for time in (erasing.KEPT, erasing.KEPT + timedelta(seconds=1)))
    total = applied(tables, [delivery(OTHER, "sent", T0)])

    assert (2, 0) == (kept, thrown)
    assert (2, {"messages", "people"}) == (total["people_sent"], found(tables, GONE))


def test_a_batch_that_is_being_counted_while_somebody_is_erased_leaves_no_trace(tables):
    """The erasure waits until the other replica is done, and then sees what it wrote."""
    runner, pool = tables

    async def main():
        async with pool.acquire() as one, pool.acquire() as other:
            counting = one.transaction()
            await counting.start()
            await apply(one, STORY)
            forgetting = asyncio.create_task(apply(other, [erasure()]))

            async def waits() -> bool:
                return forgetting.done() or await pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") > 0

            await until(waits, "the erasure waits or ends")
            await counting.commit()
            await forgetting
        return await traces(pool, GONE, "SN-1")

    assert set() == runner.run(main())


def test_without_the_key_a_hash_says_nothing():
    """Of another contact, another order or under another key it is another one."""
    hashes = {
        erasing.of_contact(b"k", GONE), erasing.of_contact(b"k", PEOPLE[1]), erasing.of_contact(b"o", GONE),
        erasing.of_order(b"k", ("acme", "g", "1")), erasing.of_order(b"k", ("other", "g", "1")), erasing.of_order(b"o", ("acme", "g", "1")),
    }  # fmt: skip

    assert 6 == len(hashes)


@st.composite
def arrivals(draw) -> tuple[list[Envelope], list[list[Envelope]], set[UUID]]:
    """A log about a few people, the erasures of some of them anywhere in it, as batches: shuffled, with repeats, cut anywhere."""
    gone = draw(st.sets(st.sampled_from(PEOPLE), min_size=1))
    messages = st.sampled_from(list(MESSAGES)[:9])
    buys = st.builds(lambda who, number, at: order(f"SN-{who.int}-{number}", who, at), st.sampled_from(PEOPLE), st.integers(1, 2), moments)
    log = draw(st.lists(happenings(messages, buys), min_size=5, max_size=40))
    return log, arriving.arrivals(draw, [*log, *map(erasure, sorted(gone))]), gone


@arriving.thorough(100)
@given(arrivals())
def test_wherever_an_erasure_comes_the_digits_are_those_of_a_log_without_it(tables, arrived):
    """Property: and no row has the id of anybody erased, nor the number of their order."""
    log, parts, gone = arrived
    runner, pool = tables

    async def found(connection):
        return await figures(connection), await traces(connection, *gone, *(f"SN-{one.int}-" for one in gone))

    assert (oracle.figures(log), set()) == runner.run(arriving.tried(pool, parts, apply, found))
