"""The figures on real PostgreSQL: whatever the order, the repetition, the cutting and the replicas, they are what a naive reading of the log says."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from parley.attribution import Attribution
from parley.contracts import ConsentChanged, CustomerActed, DeliveryChanged, EngagementRecorded, Envelope, MessageReceived, OptedOut
from parley_analytics.rates import COUNTS
from parley_analytics.stage import Count
from tests import analytics_oracle as oracle
from tests import arriving
from tests.arriving import tables
from tests.conftest import until

__all__ = ["tables"]
pytestmark = pytest.mark.stack
T0 = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PEOPLE = [UUID(int=number) for number in range(1, 4)]
CELLS = [
    ("spring", "sms", "a", "ko", "offer", "ask"),
    ("spring", "whatsapp", "b", "ko", "offer", "ask"),
    ("autumn", "sms", "a", "en", "offer", "tell"),
    ("", "sms", "", "", "", ""),
]
MESSAGES = {UUID(int=100 + number): (PEOPLE[number % 3], CELLS[(0, 0, 1, 2, 3)[number // 3]]) for number in range(15)}
"""Who each message is for and what it belongs to: that never changes. Everybody has two messages of the first cell."""
FIRST, TWIN, OTHER = UUID(int=100), UUID(int=103), UUID(int=106)
"""Messages to the first person: two of one cell, one of another."""
RULES = {"acme": Attribution(timedelta(days=2), timedelta(hours=24), frozenset({"order.placed", "trial.started"}), "EUR")}
"""A tenant with a rule of its own."""
NAIVE = {"acme": {"window": timedelta(days=2), "after_delivery": timedelta(hours=24), "goals": ("order.placed", "trial.started"), "currency": "EUR"}}
KINDS = ("counters", "reasons", "money", "worth", "unowed")
moments = st.builds(
    lambda days, minutes: T0 + timedelta(days=days, minutes=minutes), st.sampled_from([0, 0, 0, 0, 2, 3, 7]), st.sampled_from([0, 1, 15, 61])
)
"""So few that things happen at once, in windows and just beyond them."""


def event(data, at, tenant="acme") -> Envelope:
    return Envelope(id="e", source="test", time=at, tenant=tenant, data=data)


def delivery(message, status, at, reason=None, segments=1, price=None) -> Envelope:
    contact, (campaign, channel, variant, language, flow, step) = MESSAGES[message]
    data = DeliveryChanged(
        message_id=message, contact_id=contact, channel=channel, account="a", purpose="marketing" if campaign else "reply",
        campaign=campaign or None, variant=variant or None, language=language or None, flow=f"{flow}@3" if flow else None, step=step or None,
        status=status, reason=reason, segments=segments, price=price and Decimal(price), currency=price and "USD", at=at,
    )  # fmt: skip
    return event(data, at)


def engagement(message, kind, by, at, **more) -> Envelope:
    return event(EngagementRecorded(message_id=message, contact_id=MESSAGES[message][0], kind=kind, by=by, at=at, **more), at)


def judgement(number, message, kind, by, rules, revision) -> Envelope:
    """Hit `number` of a message as one of several judgements says; another message or kind is another hit."""
    hit = UUID(int=message.int * 1000 + number * 10 + (kind == "opened"))
    return engagement(message, kind, by, T0 + timedelta(hours=number * 47 - 1), hit=hit, rules=rules, revision=revision)


def order(number, contact, at, total=10, name="order.placed", **properties) -> Envelope:
    told = {"order_id": number, "total": total, "currency": "KRW", **properties}
    return event(CustomerActed(contact_id=contact, customer={"id": "c"}, name=name, properties=told, occurred_at=at), at)


def reply(number, contact, channel, at, text="hello", kind="text") -> Envelope:
    data = MessageReceived(
        contact_id=contact, message_id=UUID(int=5000 + number), account="a", channel=channel, address="x", kind=kind, text=text, received_at=at
    )
    return event(data, at)


def written(contact, channel, at, text) -> Envelope:
    """What a contact wrote then. An id is made from an account, which has one channel: on another one it is another message."""
    number = (at - T0) // MINUTE * 16 + contact.int * 4 + (channel == "sms") * 2 + (text == "STOP")
    return reply(number, contact, channel, at, text)


def consent(contact, channel, state, source, at) -> Envelope:
    return event(ConsentChanged(contact_id=contact, channel=channel, purpose="marketing", state=state, source=source, at=at), at)


def opted(contact, channel, state, at) -> Envelope:
    return event(OptedOut(contact_id=contact, account="a", channel=channel, address="x", state=state, purposes=("marketing",), at=at), at)


statuses = st.sampled_from(["queued", "held", "suppressed", "sent", "sent", "sent", "delivered", "read", "failed", "failed", "unknown", "expired"])
reasons = st.sampled_from([None, "provider:30003", "provider:30005", "provider:30005", "unbuildable: a link of 3 MB", "quiet_hours"])
prices = st.sampled_from([None, None, "0.0075", "0.01"])
kinds = st.sampled_from(["opened", "clicked", "clicked", "clicked", "unsubscribed", "complained"])
agents = st.sampled_from(["human", "human", "scanner", "prefetch", "unknown"])
somebody, channels = st.sampled_from(PEOPLE[:2]), st.sampled_from(["sms", "whatsapp"])
orders = st.builds(
    order, st.sampled_from(["o1", "o2", "o3"]), somebody, moments, st.sampled_from([5, 10, 0.25]), st.sampled_from(["order.placed", "trial.started"]),
    currency=st.sampled_from(["KRW", None]),
)  # fmt: skip
said = st.one_of(
    st.builds(written, somebody, channels, moments, st.sampled_from(["hello", "STOP"])),
    st.builds(consent, somebody, channels, st.sampled_from(["granted", "revoked"]), st.sampled_from(["flow", "merge"]), moments),
    st.builds(opted, somebody, channels, st.sampled_from(["granted", "revoked"]), moments),
)  # fmt: skip


def happenings(messages, orders=orders):
    """Events of every kind that means something, about these messages and their people."""
    hits = st.builds(judgement, st.integers(0, 1), messages, st.sampled_from(["opened", "clicked"]), agents, st.integers(1, 2), st.integers(0, 1))
    told = st.builds(delivery, messages, statuses, moments, reasons, st.integers(1, 3), prices)
    return st.one_of(told, told, told, st.builds(engagement, messages, kinds, agents, moments), hits, orders, said, said)


@st.composite
def arrivals(draw) -> tuple[list[Envelope], list[list[Envelope]]]:
    """A log about a few messages, and batches in which it may come."""
    messages = st.sampled_from(draw(st.lists(st.sampled_from(list(MESSAGES)), min_size=2, max_size=9, unique=True)))
    log = draw(st.lists(happenings(messages), min_size=20, max_size=60))
    return log, arriving.arrivals(draw, log)


AT_ONCE = [
    engagement(FIRST, "opened", "human", T0),
    delivery(FIRST, "held", T0),
    *(written(PEOPLE[0], on, T0 + MINUTE, "hello") for on in ("whatsapp", "sms")),
]
"""Answers on two channels in one moment: each is owed on its own."""


async def apply(connection, part, rules=None) -> None:
    async with connection.transaction():
        await Count.prepared(b"key", rules or {}).apply(connection, [SimpleNamespace(event=one) for one in part], T0)


async def counted(connection) -> dict[tuple, Counter]:
    """The counters as the oracle gives them."""
    return (await figures(connection))["counters"]


async def figures(connection) -> dict[str, dict]:
    """All figures as the oracle gives them."""
    found = {kind: {} for kind in KINDS}
    for row in await connection.fetch("SELECT * FROM counters JOIN cells USING (cell_id)"):
        if counts := Counter({name: row[name] for name in COUNTS if row[name]}):
            found["counters"][*of(row), row["period"]] = counts
    for row in await connection.fetch("SELECT * FROM reasons JOIN cells USING (cell_id) WHERE messages <> 0"):
        found["reasons"][*of(row), row["period"], row["status"], row["reason"]] = row["messages"]
    for row in await connection.fetch("SELECT * FROM money JOIN cells USING (cell_id) WHERE (orders, revenue, cost) <> (0, 0, 0)"):
        found["money"][*of(row), row["period"], row["currency"]] = (row["orders"], row["revenue"], row["cost"])
    for row in await connection.fetch("SELECT * FROM worth JOIN cells USING (cell_id) WHERE people <> 0 OR total <> 0 OR squares <> 0"):
        found["worth"][*of(row), row["currency"]] = (row["people"], row["total"], row["squares"])
    for row in await connection.fetch("SELECT * FROM unowed WHERE (happened, value) <> (0, 0)"):
        found["unowed"][row["tenant"], row["goal"], row["period"], row["currency"]] = (row["happened"], row["value"])
    return found


def of(row) -> tuple[str, ...]:
    return tuple(row[name] for name in ("tenant", "campaign", "channel", "variant", "purpose", "language", "flow", "step"))


@arriving.thorough(100)
@given(arrivals(), st.booleans())
@example(arrived=(AT_ONCE, [AT_ONCE]), ruled=False)
def test_any_order_repetition_and_cutting_gives_the_figures_of_the_sorted_log(tables, arrived, ruled):
    """Late clicks, orders before their click, receipts before their message, judgements that are taken back: the digits are those of the oracle."""
    log, parts = arrived
    runner, pool = tables

    async def counts(connection, part):
        await apply(connection, part, RULES if ruled else None)

    assert oracle.figures(log, NAIVE if ruled else None) == runner.run(arriving.tried(pool, parts, counts, figures))


@pytest.mark.parametrize("seed", range(3))
def test_two_replicas_at_once_count_as_one(tables, seed):
    """A moment in which two replicas hold events of the same people leaves no wrong digit behind."""
    runner, pool = tables
    dice = random.Random(seed)
    log = [dealt(dice) for _ in range(400)]
    parts = arriving.tens(log)
    dice.shuffle(parts)
    runner.run(arriving.at_once(pool, parts, apply))

    assert oracle.figures(log) == runner.run(figures(pool))


def test_a_click_and_its_order_in_two_replicas_at_once_find_each_other(tables):
    """The order comes while the click is not committed yet: it waits, and then sees it."""
    runner, pool = tables
    sent_and_clicked = [delivery(FIRST, "sent", T0), engagement(FIRST, "clicked", "human", T0)]

    async def main():
        async with pool.acquire() as one, pool.acquire() as other:
            clicking = one.transaction()
            await clicking.start()
            await apply(one, sent_and_clicked)
            ordering = asyncio.create_task(apply(other, [order("o1", PEOPLE[0], T0)]))

            async def waits() -> bool:
                return ordering.done() or await pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") > 0

            await until(waits, "the second replica waits or ends")
            await clicking.commit()
            await ordering
        return await pool.fetchval("SELECT message_id FROM orders")

    assert FIRST == runner.run(main())


def dealt(dice: random.Random) -> Envelope:
    """An event of some kind."""
    at = T0 + timedelta(minutes=dice.randrange(0, 20_000, 7))
    message, person, channel = dice.choice(list(MESSAGES)), dice.choice(PEOPLE), dice.choice(["sms", "whatsapp"])
    greeting = reply(person.int * 2 + (channel == "sms"), person, channel, T0)
    made = dice.choice([
        lambda: delivery(message, dice.choice(["sent", "delivered", "read"]), at, None, dice.randrange(1, 4), dice.choice([None, "0.0075"])),
        lambda: delivery(message, dice.choice(["held", "failed", "suppressed", "unknown", "expired"]), at, dice.choice(["no_route", "provider:30005"])),
        lambda: engagement(message, dice.choice(["opened", "clicked"]), dice.choice(["human", "scanner"]), at),
        lambda: judgement(dice.randrange(2), message, "clicked", dice.choice(["human", "scanner"]), dice.randrange(1, 3), 0),
        lambda: engagement(message, dice.choice(["unsubscribed", "complained"]), "human", at) if dice.random() < 0.1 else greeting,
        lambda: order(f"o{dice.randrange(20)}", person, at),
        lambda: reply(dice.randrange(10_000_000), person, channel, at, dice.choice(["hello", "hello", "STOP"])),
        lambda: consent(person, channel, "revoked", "flow", at),
    ])  # fmt: skip
    return made()


def applied(tables, *parts) -> Counter:
    """The counts over everything, after these batches."""
    runner, pool = tables

    async def main():
        async with pool.acquire() as connection:
            for part in parts:
                await apply(connection, part)
        return sum((await counted(pool)).values(), Counter())

    return runner.run(main())


def test_a_late_click_takes_the_order_from_an_earlier_one(tables):
    """The order stays one conversion, and the message that was clicked last has it."""
    runner, pool = tables
    sent = [delivery(FIRST, "sent", T0), delivery(OTHER, "sent", T0)]
    early = [engagement(FIRST, "clicked", "human", T0 + timedelta(hours=1)), order("o1", PEOPLE[0], T0 + timedelta(hours=3))]
    late = [engagement(OTHER, "clicked", "human", T0 + timedelta(hours=2))]
    total = applied(tables, sent, early, late)
    owed = runner.run(pool.fetchval("SELECT message_id FROM orders"))

    assert (1, 1, OTHER) == (total["converted"], total["people_converted"], owed)


@pytest.mark.parametrize(
    "after, converted", [(timedelta(0), 1), (timedelta(days=7), 1), (timedelta(days=7, microseconds=1), 0), (-timedelta(seconds=1), 0)]
)
def test_an_order_is_owed_to_a_click_of_the_seven_days_before_it(tables, after, converted):
    """The window is closed on both sides."""
    total = applied(tables, [delivery(FIRST, "sent", T0), engagement(FIRST, "clicked", "human", T0), order("o1", PEOPLE[0], T0 + after)])

    assert converted == total["converted"]


def test_engagement_before_its_delivery_counts_once_the_delivery_is_known(tables):
    """A click whose message is unknown waits, and is then one click of one sent, delivered message."""
    click = [engagement(FIRST, "clicked", "human", T0)]

    assert Counter() == applied(tables, click)
    assert {"sent": 1, "delivered": 1, "clicked": 1}.items() <= applied(tables, [delivery(FIRST, "sent", T0)]).items()


def test_a_repeat_writes_nothing(tables):
    """A replayed batch leaves the rows themselves untouched, so replays cost no space."""
    runner, pool = tables
    batch = [delivery(FIRST, "sent", T0), delivery(FIRST, "delivered", T0), engagement(FIRST, "opened", "human", T0)]
    rows = "SELECT (SELECT array_agg(ctid) FROM messages) || (SELECT array_agg(ctid) FROM people) || (SELECT array_agg(ctid) FROM counters)"
    applied(tables, batch)
    before = runner.run(pool.fetchval(rows))
    applied(tables, batch)

    assert before == runner.run(pool.fetchval(rows))


def test_machines_are_counted_beside_people(tables):
    """A scanner's click is no click, and proves no delivery."""
    total = applied(tables, [delivery(FIRST, "sent", T0), engagement(FIRST, "clicked", "scanner", T0), engagement(FIRST, "opened", "unknown", T0)])

    assert {"sent": 1, "segments": 1, "people_sent": 1, "clicked_machine": 1, "opened_machine": 1} == total


def test_a_person_counts_once_however_many_messages(tables):
    """Two clicked messages of one campaign are two clicks of one person."""
    both = [FIRST, TWIN]
    total = applied(tables, [delivery(one, "sent", T0) for one in both], [engagement(one, "clicked", "human", T0) for one in both])

    assert (2, 2, 1, 1) == (total["sent"], total["clicked"], total["people_sent"], total["people_clicked"])


def test_a_judgement_that_is_corrected_takes_back_what_hung_on_it(tables):
    """The click, the delivery that it proved, the conversion; and what was said before, told again, brings nothing back."""
    runner, pool = tables
    told = [delivery(FIRST, "sent", T0), judgement(0, FIRST, "clicked", "human", 1, 0), order("o1", PEOPLE[0], T0)]
    before = applied(tables, told)
    after = applied(tables, [judgement(0, FIRST, "clicked", "scanner", 2, 0)], told)
    unowed = runner.run(pool.fetchval("SELECT sum(happened) FROM unowed"))

    assert {"delivered": 1, "clicked": 1, "converted": 1, "people_clicked": 1}.items() <= before.items()
    assert ({"sent": 1, "segments": 1, "people_sent": 1, "clicked_machine": 1}, 1) == (after, unowed)


def test_a_refusal_by_a_link_is_one_refusal(tables):
    """The consent that is told with it is not owed to the last message besides."""
    sent = [delivery(FIRST, "sent", T0), delivery(TWIN, "sent", T0 + MINUTE)]
    at = T0 + 2 * MINUTE
    total = applied(tables, sent, [consent(PEOPLE[0], "sms", "revoked", "unsubscribe", at)], [engagement(FIRST, "unsubscribed", "human", at)])

    assert (1, 1) == (total["opted_out"], total["people_opted_out"])
    assert 2 == applied(tables, [consent(PEOPLE[0], "sms", "revoked", "flow", at + MINUTE)])["opted_out"]


def test_an_answer_is_owed_to_the_last_message_that_did_not_fail(tables):
    """Also where its failure is told after the answer."""
    runner, pool = tables
    sent = [delivery(FIRST, "sent", T0), delivery(TWIN, "sent", T0 + MINUTE), reply(1, PEOPLE[0], "sms", T0 + 2 * MINUTE)]
    owed = "SELECT message_id FROM replies"
    applied(tables, sent)
    before = runner.run(pool.fetchval(owed))
    total = applied(tables, [delivery(TWIN, "failed", T0 + 3 * MINUTE)])

    assert (TWIN, FIRST, 1, 1) == (before, runner.run(pool.fetchval(owed)), total["replied"], total["delivered"])


@pytest.mark.parametrize("after, channel, owed", [(72 * 60, "sms", 1), (72 * 60 + 1, "sms", 0), (0, "sms", 1), (-1, "sms", 0), (5, "whatsapp", 0)])
def test_an_answer_comes_within_three_days_on_the_same_channel(tables, after, channel, owed):
    """The window is closed on both sides."""
    total = applied(tables, [delivery(FIRST, "sent", T0), reply(1, PEOPLE[0], channel, T0 + after * MINUTE)])

    assert owed == total["replied"]


@pytest.mark.parametrize("rules, owed", [({}, None), (RULES, TWIN)])
def test_without_a_click_a_conversion_is_owed_to_an_arrival_where_the_rule_says_so(tables, rules, owed):
    """To the last one; else it is nobody's, and stands apart."""
    runner, pool = tables
    log = [delivery(FIRST, "delivered", T0), delivery(TWIN, "delivered", T0 + MINUTE), order("o1", PEOPLE[0], T0 + 2 * MINUTE, 5)]

    async def main():
        async with pool.acquire() as connection:
            await apply(connection, log, rules)
            money = await connection.fetchval("SELECT sum(revenue) FROM money"), await connection.fetchval("SELECT sum(value) FROM unowed")
            return await connection.fetchval("SELECT message_id FROM orders"), money

    assert (owed, (5, None) if owed else (None, 5)) == runner.run(main())
