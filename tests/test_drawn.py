"""People counted when they are drawn, on real PostgreSQL: whatever the order, the repetition, the cutting and the replicas, the counters are a naive reading."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.contracts import ContactDrawn, ContactErased, CustomerActed, DeliveryChanged, EngagementRecorded, Envelope, MessageReceived
from parley_analytics.drawn import Drawn
from parley_analytics.stage import Count
from tests import arriving
from tests.arriving import tables
from tests.conftest import until

__all__ = ["tables"]
pytestmark = pytest.mark.stack
T0 = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
PEOPLE = [UUID(int=number) for number in range(1, 4)]
MESSAGES = {UUID(int=100 + number): (PEOPLE[number % 3], ("spring", "spring", "autumn")[number // 3]) for number in range(9)}
"""Who each message is for, and its campaign. Everybody has two messages of spring and one of autumn."""
FIRST = UUID(int=100)
WINDOW = timedelta(days=7)
moments = st.builds(
    lambda days, minutes: T0 + timedelta(days=days, minutes=minutes), st.sampled_from([-1, 0, 0, 0, 1, 7]), st.sampled_from([0, 1, 59, 60, 61])
)


def event(data, at, tenant="acme") -> Envelope:
    return Envelope(id="e", source="test", time=at, tenant=tenant, data=data)


def draw(contact, at=T0, variant="a", experiment="offer", weights=(1, 1), campaign="spring") -> Envelope:
    shares = dict(zip("ab", weights, strict=True))
    data = ContactDrawn(
        contact_id=contact, experiment=experiment, campaign=campaign, variant=variant, weights=shares, holdout="b", flow="f@1", step="1", at=at
    )
    return event(data, at)


def delivery(message, status, at=T0) -> Envelope:
    contact, campaign = MESSAGES[message]
    data = DeliveryChanged(
        message_id=message, contact_id=contact, channel="sms", account="a", purpose="marketing", campaign=campaign, variant="a", status=status, at=at
    )
    return event(data, at)


def engagement(message, kind="clicked", by="human", at=T0, **more) -> Envelope:
    return event(EngagementRecorded(message_id=message, contact_id=MESSAGES[message][0], kind=kind, by=by, at=at, **more), at)


def order(number, contact, at=T0, total=10, currency="KRW") -> Envelope:
    properties = {"order_id": number, "total": total, "currency": currency}
    return event(CustomerActed(contact_id=contact, customer={"id": "c"}, name="order.placed", properties=properties, occurred_at=at), at)


# --- the naive reading -------------------------------------------------------------------------------------------------------------------------


def naive(log) -> tuple[dict, dict]:
    """Counts by experiment, weights, variant and hour; what was spent by experiment, weights, variant and currency: the people, the sum, the squares."""
    draws, arms, spending = {}, {}, {}
    for one in log:
        if isinstance(data := one.data, ContactDrawn):
            draws.setdefault((data.campaign, data.experiment, data.contact_id), []).append(data)
    for (campaign, experiment, contact), told in draws.items():
        first = min(told, key=lambda data: (data.at, str(design(data)), data.variant))
        where = (campaign, experiment, tuple(first.weights.values()), first.variant)
        counts = arms.setdefault((*where, first.at.replace(minute=0)), Counter())
        bought = purchases(log, contact, first.at)
        counts.update(people=1, converted=int(bool(bought)), **engaged(log, contact, campaign, first.at))
        for currency in {currency for _, currency in bought}:
            spent = sum(value for value, other in bought if other == currency)
            if spent:
                spending.setdefault((*where, currency), []).append(spent)
    sums = {key: (len(each), sum(each), sum(one * one for one in each)) for key, each in spending.items()}
    return {key: +counts for key, counts in arms.items()}, sums


def design(data) -> UUID:
    """By which the least of two draws at one time is known."""
    from parley_analytics.drawn import gather

    return next(iter(gather([event(data, data.at)]).designs))


def engaged(log, contact, campaign, since) -> dict[str, int]:
    """Whether a message of the campaign that left since then was opened, and clicked, by a person."""
    found = {"opened": 0, "clicked": 0}
    for message, (owner, theirs) in MESSAGES.items():
        told = [one.data for one in log if getattr(one.data, "message_id", None) == message]
        statuses = [data for data in told if isinstance(data, DeliveryChanged) and data.status != "queued"]
        hits = [data for data in told if isinstance(data, EngagementRecorded) and data.by == "human"]
        left = [data.at for data in [*(one for one in statuses if one.status in ("sent", "delivered", "read")), *hits]]
        if (owner, theirs) != (contact, campaign) or not statuses or not left or min(left) < since:
            continue
        found["opened"] |= any(data.kind == "opened" for data in hits) or any(data.status == "read" for data in statuses)
        found["clicked"] |= any(data.kind == "clicked" for data in hits)
    return {name: int(value) for name, value in found.items()}


def purchases(log, contact, since) -> list[tuple[Decimal, str]]:
    """The orders of a contact within the window after a moment, each by its least telling."""
    told: dict[str, list] = {}
    for one in log:
        if isinstance(data := one.data, CustomerActed):
            value = Decimal(str(data.properties["total"]))
            told.setdefault(data.properties["order_id"], []).append((data.occurred_at, data.contact_id, value, data.properties["currency"]))
    least = [min(each) for each in told.values()]
    return [(value, currency) for at, buyer, value, currency in least if buyer == contact and since <= at <= since + WINDOW]


# --- on the tables -----------------------------------------------------------------------------------------------------------------------------


async def apply(connection, part) -> None:
    """A batch as the two stages take it, each in its own step."""
    for stage in (Count.prepared(b"key"), Drawn.prepared(b"key")):
        drawn = isinstance(stage, Drawn)
        mine = [SimpleNamespace(event=one) for one in part if isinstance(one.data, ContactDrawn) is drawn]
        async with connection.transaction():
            await stage.apply(connection, mine, T0)


async def counted(connection) -> tuple[dict, dict]:
    """The counters as the naive reading gives them."""
    arms, sums = {}, {}
    names = ("people", "opened", "clicked", "converted")
    designs = {row["design_id"]: row for row in await connection.fetch("SELECT *, weights::text AS shares FROM designs")}
    for row in await connection.fetch("SELECT * FROM arms"):
        counts = Counter({name: row[name] for name in names if row[name]})
        if counts:
            arms[(*where(designs[row["design_id"]], row["variant"]), row["period"])] = counts
    for row in await connection.fetch("SELECT * FROM spending WHERE people <> 0 OR total <> 0 OR squares <> 0"):
        sums[(*where(designs[row["design_id"]], row["variant"]), row["currency"])] = (row["people"], row["total"], row["squares"])
    return arms, sums


def where(design, variant) -> tuple:
    shares = tuple(int(part.split(":")[1]) for part in design["shares"].strip("{}").split(","))
    return design["campaign"], design["experiment"], shares, variant


draws = st.builds(
    draw, st.sampled_from(PEOPLE), moments, st.sampled_from("ab"), st.sampled_from(["offer", "tone"]), st.sampled_from([(1, 1), (1, 2)]),
    st.sampled_from(["spring", "spring", "autumn"]),
)  # fmt: skip
statuses = st.sampled_from(["queued", "sent", "sent", "delivered", "read", "failed"])
messages = st.sampled_from(list(MESSAGES))
events = st.one_of(
    draws,
    st.builds(delivery, messages, statuses, moments),
    st.builds(engagement, messages, st.sampled_from(["opened", "clicked"]), st.sampled_from(["human", "human", "scanner"]), moments),
    st.builds(order, st.sampled_from(["o1", "o2", "o3"]), st.sampled_from(PEOPLE[:2]), moments, st.sampled_from([10, 0, 2.5]), st.sampled_from(["KRW", "EUR"])),
)  # fmt: skip


@st.composite
def arrivals(draw) -> tuple[list[Envelope], list[list[Envelope]]]:
    """A log, and batches in which it may come."""
    log = [*draw(st.lists(events, min_size=8, max_size=50)), draw(draws)]
    return log, arriving.arrivals(draw, log)


@arriving.thorough(200)
@given(arrivals())
def test_any_order_repetition_and_cutting_gives_the_people_of_the_sorted_log(tables, arrived):
    """Draws after what followed from them, orders that turn out to be another's, weights that changed: the digits are those of the naive reading."""
    log, parts = arrived
    runner, pool = tables

    assert naive(log) == runner.run(arriving.tried(pool, parts, apply, counted))


@pytest.mark.parametrize("seed", range(3))
def test_replicas_at_once_count_as_one(tables, seed):
    """Draws are in other hands than what follows from them, and both in several: no wrong digit is left behind."""
    runner, pool = tables
    dice = random.Random(seed)
    log = [dealt(dice) for _ in range(300)]
    runner.run(arriving.at_once(pool, arriving.tens(log), apply))

    assert naive(log) == runner.run(counted(pool))


def dealt(dice: random.Random) -> Envelope:
    at = T0 + timedelta(minutes=dice.randrange(0, 12_000, 7))
    kind = dice.random()
    if kind < 0.25:
        return draw(dice.choice(PEOPLE), at, dice.choice("ab"), campaign=dice.choice(["spring", "autumn"]))
    if kind < 0.5:
        return delivery(dice.choice(list(MESSAGES)), dice.choice(["sent", "delivered", "read"]), at)
    if kind < 0.75:
        return engagement(dice.choice(list(MESSAGES)), dice.choice(["opened", "clicked"]), dice.choice(["human", "scanner"]), at)
    return order(f"o{dice.randrange(20)}", dice.choice(PEOPLE), at)


def test_a_draw_and_its_order_in_two_replicas_at_once_find_each_other(tables):
    """The order comes while the draw is not committed yet: it waits, and then sees it."""
    runner, pool = tables

    async def main():
        async with pool.acquire() as one, pool.acquire() as other:
            drawing = one.transaction()
            await drawing.start()
            await apply(one, [draw(PEOPLE[0])])
            ordering = asyncio.create_task(apply(other, [order("o1", PEOPLE[0])]))

            async def waits() -> bool:
                return ordering.done() or await pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") > 0

            await until(waits, "the second replica waits or ends")
            await drawing.commit()
            await ordering
        return await pool.fetchval("SELECT sum(converted) FROM arms")

    assert 1 == runner.run(main())


def total(tables, *parts) -> Counter:
    """The counts over all arms, after these batches."""
    runner, pool = tables

    async def main():
        async with pool.acquire() as connection:
            for part in parts:
                await apply(connection, part)
        row = await pool.fetchrow(
            "SELECT sum(people) AS people, sum(opened) AS opened, sum(clicked) AS clicked, sum(replied) AS replied, sum(converted) AS converted FROM arms"
        )
        return +Counter({name: int(value or 0) for name, value in row.items()})

    return runner.run(main())


def test_who_is_left_alone_counts_by_what_they_do(tables):
    """A holdout is never written to; an order of theirs is one."""
    assert {"people": 1, "converted": 1} == total(tables, [draw(PEOPLE[0], variant="b"), order("o1", PEOPLE[0], T0 + timedelta(days=7))])


@pytest.mark.parametrize("after", [timedelta(seconds=-1), timedelta(days=7, microseconds=1)])
def test_an_order_out_of_the_window_is_none_of_the_experiment(tables, after):
    """Before the draw, or more than the tenant's window after it."""
    assert {"people": 1} == total(tables, [draw(PEOPLE[0]), order("o1", PEOPLE[0], T0 + after)])


def test_what_was_sent_before_the_draw_is_none_of_the_experiment(tables):
    """A split in the middle of a flow: the click on what came before it is not its doing."""
    before = [delivery(FIRST, "sent", T0 - timedelta(hours=1)), engagement(FIRST, at=T0 + timedelta(hours=1))]

    assert {"people": 1} == total(tables, [draw(PEOPLE[0]), *before])


def test_an_order_that_turns_out_to_be_anothers_is_taken_back(tables):
    """An earlier telling names another person: of who was drawn nothing is left, though the batch does not name them."""
    assert {"people": 1, "converted": 1} == total(tables, [draw(PEOPLE[0]), order("o1", PEOPLE[0], T0 + timedelta(hours=2))])
    assert {"people": 1} == total(tables, [order("o1", PEOPLE[1], T0 + timedelta(hours=1))])


def test_a_click_that_turns_out_to_be_a_scanners_is_taken_back(tables):
    """The later judgement of the same hit counts."""
    hit = UUID(int=900)
    sent = [draw(PEOPLE[0]), delivery(FIRST, "sent"), engagement(FIRST, hit=hit)]

    assert {"people": 1, "clicked": 1} == total(tables, sent)
    assert {"people": 1} == total(tables, [engagement(FIRST, by="scanner", hit=hit, revision=1)])


def test_an_answer_counts(tables):
    """Owed to the last message before it, as everywhere."""
    said = MessageReceived(
        contact_id=PEOPLE[0], message_id=UUID(int=800), account="a", channel="sms", address="+1", kind="text", text="yes", received_at=T0 + timedelta(hours=1)
    )  # fmt: skip

    assert {"people": 1, "replied": 1} == total(tables, [draw(PEOPLE[0]), delivery(FIRST, "delivered")], [event(said, said.received_at)])


def test_a_repeat_writes_nothing(tables):
    """A replayed batch leaves the rows themselves untouched."""
    runner, pool = tables
    batch = [draw(PEOPLE[0]), delivery(FIRST, "delivered"), engagement(FIRST), order("o1", PEOPLE[0])]
    rows = "SELECT (SELECT array_agg(ctid) FROM drawn) || (SELECT array_agg(ctid) FROM arms) || (SELECT array_agg(ctid) FROM spending)"
    total(tables, batch)
    before = runner.run(pool.fetchval(rows))
    total(tables, batch)

    assert before == runner.run(pool.fetchval(rows))


@pytest.mark.parametrize("order_of", [(0, 1, 2), (1, 0, 2), (0, 2, 1), (2, 0, 1), (1, 2, 0)])
def test_who_is_erased_stays_counted_and_leaves_no_trace(tables, order_of):
    """Whether the draw, what followed or the erasure comes first."""
    runner, pool = tables
    parts = [[draw(PEOPLE[0])], [order("o1", PEOPLE[0])], [event(ContactErased(contact_id=PEOPLE[0], at=T0), T0)]]
    counts = total(tables, *(parts[one] for one in order_of), *parts)
    left = runner.run(pool.fetch("SELECT contact_id FROM drawn"))

    assert {"people": 1, "converted": 1} == counts
    assert (1, False) == (len(left), PEOPLE[0] in {row["contact_id"] for row in left})
