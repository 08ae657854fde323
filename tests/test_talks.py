"""Conversations on real PostgreSQL: their counters are what a naive reading of the log says, and the figures follow from them."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from statistics import mean
from types import SimpleNamespace
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.contracts import ConversationChanged, Envelope
from parley_analytics.talks_kpis import Part, parts, seconds
from parley_analytics.talks_report import Asked, conversations
from parley_analytics.talks_stage import Talks, rezone
from tests import arriving
from tests import talks_oracle as oracle
from tests.arriving import tables

__all__ = ["tables"]
BERLIN, KATHMANDU, SEOUL = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kathmandu"), ZoneInfo("Asia/Seoul")
ZONES = {"acme": BERLIN, "everest": KATHMANDU}
T0 = datetime(2026, 10, 24, 20, 0, tzinfo=UTC)
"""In Berlin the clock is put back that night."""
TALKS = [UUID(int=number) for number in range(1, 6)]
PERSON = UUID(int=77)
MARKS = ("opened", "answered", "escalated", "assigned", "replied", "resolved", "rated", "overdue")


def step(conversation, change, at, **more) -> Envelope:
    tenant = "everest" if conversation == TALKS[-1] else "acme"
    data = ConversationChanged(contact_id=PERSON, conversation_id=conversation, change=change, at=at, **more)
    return Envelope(id="e", source="test", time=at, tenant=tenant, data=data)


moments = st.builds(
    lambda days, seconds: T0 + timedelta(days=days, seconds=seconds),
    st.sampled_from([0, 0, 0, 1, 8]),
    st.sampled_from([0, 0.005, 0.01, 0.2, 1, 10, 59, 60, 899, 900, 3600, 4 * 3600, 9 * 3600]),
)
steps = st.builds(
    step, st.sampled_from(TALKS), st.sampled_from(MARKS), moments, team=st.sampled_from([None, "care", "sales"]), agent=st.sampled_from([None, None, "kim"]),
    flow=st.sampled_from([None, "faq", "order"]), channel=st.sampled_from([None, "sms", "webchat"]), by=st.sampled_from([None, "bot", "person", "system"]),
    score=st.sampled_from([None, 0, 1, 3, 4, 5, 6]),
)  # fmt: skip


@st.composite
def arrivals(draw) -> tuple[list[Envelope], list[list[Envelope]]]:
    """A log of a few conversations, and batches in which it may come."""
    log = draw(st.lists(steps, min_size=5, max_size=40))
    return log, arriving.arrivals(draw, log)


def zone(tenant: str) -> str:
    return str(ZONES.get(tenant, SEOUL))


async def apply(connection, batch) -> None:
    async with connection.transaction():
        await Talks.prepared(zone).apply(connection, [SimpleNamespace(event=one) for one in batch], T0)


async def counted(connection) -> Counter:
    rows = await connection.fetch("SELECT tenant, dimension, grain, period, value, what, place, n FROM talk_counts")
    return Counter({tuple(row)[:-1]: row["n"] for row in rows})


def told(tables, *events) -> None:
    """These steps, a batch each."""
    runner, pool = tables

    async def main():
        async with pool.acquire() as connection:
            for one in events:
                await apply(connection, [one])

    runner.run(main())


def summary(tables, since=T0 - timedelta(days=30), until=T0 + timedelta(days=30), zone=BERLIN, tenant="acme", **asked):
    runner, pool = tables
    return runner.run(conversations(pool, tenant, Asked(since, until, zone, **asked)))


@pytest.mark.stack
@arriving.thorough(200)
@given(arrivals())
def test_any_order_repetition_and_cutting_gives_the_counts_of_the_sorted_log(tables, arrived):
    """Whatever comes first, later, twice or together: the digits are those of the oracle, and no counter stays that is nothing."""
    log, batches = arrived
    runner, pool = tables

    assert oracle.counters(log, ZONES) == runner.run(arriving.tried(pool, batches, apply, counted))


@pytest.mark.stack
def test_two_replicas_at_once_count_as_one(tables):
    """A moment in which two replicas hold steps of the same conversations leaves no wrong digit behind."""
    runner, pool = tables
    dice = random.Random(7)
    log = [dealt(dice) for _ in range(300)]
    runner.run(arriving.at_once(pool, arriving.tens(log), apply))

    assert oracle.counters(log, ZONES) == runner.run(counted(pool))


def dealt(dice: random.Random) -> Envelope:
    at = T0 + timedelta(seconds=dice.randrange(0, 9 * 86400, 333))
    return step(
        dice.choice(TALKS), dice.choice(MARKS), at, team=dice.choice([None, "care", "sales"]), agent=dice.choice([None, "kim", "lee"]),
        flow=dice.choice([None, "faq"]), channel=dice.choice(["sms", "webchat"]), score=dice.choice([1, 5]),
    )  # fmt: skip


@pytest.mark.stack
def test_a_repeat_writes_nothing(tables):
    """A replayed batch leaves the rows themselves untouched, so replays cost no space."""
    runner, pool = tables
    batch = [step(TALKS[0], "opened", T0, channel="sms"), step(TALKS[0], "escalated", T0, team="care")]
    rows = "SELECT (SELECT array_agg(ctid) FROM talks) || (SELECT array_agg(ctid) FROM talk_counts)"
    told(tables, *batch)
    before = runner.run(pool.fetchval(rows))
    told(tables, *batch)

    assert before == runner.run(pool.fetchval(rows))


@pytest.mark.stack
def test_the_bot_alone_is_automated_until_a_person_is_asked(tables):
    """A late escalation takes it back."""
    told(tables, step(TALKS[0], "opened", T0), step(TALKS[0], "answered", T0), step(TALKS[1], "answered", T0))
    before = summary(tables).totals.rates["automated"]
    told(tables, step(TALKS[1], "escalated", T0 + timedelta(days=2)))
    after = summary(tables).totals.rates

    assert (1.0, 0.5, 0.5) == (before.value, after["automated"].value, after["escalated"].value)


@pytest.mark.stack
def test_what_ended_because_the_contact_is_gone_was_not_resolved(tables):
    """Neither by people nor in any time; what a person resolved before `by` was told still counts."""
    told(
        tables, step(TALKS[0], "escalated", T0), step(TALKS[0], "resolved", T0, by="system"), step(TALKS[1], "resolved", T0),
        step(TALKS[2], "resolved", T0 + timedelta(minutes=1), agent="kim"), step(TALKS[2], "resolved", T0 + timedelta(minutes=2), by="system"),
    )  # fmt: skip
    found = summary(tables).totals

    assert (3, 1, 2, 2) == tuple(found.counts[name] for name in ("opened", "resolved", "closed", "escalated"))


@pytest.mark.stack
def test_the_last_rating_counts(tables):
    """Whichever comes last; a score that is none is no rating."""
    told(tables, step(TALKS[0], "rated", T0 + timedelta(1), score=5), step(TALKS[0], "rated", T0, score=1))
    told(tables, step(TALKS[1], "opened", T0), step(TALKS[1], "rated", T0, score=9))
    found = summary(tables).totals

    assert (1, 5.0, 1.0, 0.5) == (found.rating.people, found.rating.mean, found.rates["satisfied"].value, found.rates["responded"].value)


@pytest.mark.stack
@arriving.thorough(30)
@given(st.lists(st.floats(0.02, 3e6), min_size=1, max_size=40))
def test_medians_and_p90_are_within_a_tenth(tables, waits):
    """Against the durations themselves, at the nearest rank."""
    runner, pool = tables
    runner.run(pool.execute("TRUNCATE talks, talk_counts"))
    for number, wait in enumerate(waits):
        told(tables, step(UUID(int=100 + number), "opened", T0), step(UUID(int=100 + number), "answered", T0 + timedelta(seconds=wait)))
    found, ranked = summary(tables).totals.times["first_answer"], sorted(waits)
    exact = [ranked[-(-len(waits) * share // 10) - 1] for share in (5, 9)]

    assert pytest.approx(exact, rel=0.102) == list(found)


@pytest.mark.stack
def test_days_are_the_tenants_also_where_one_has_25_hours(tables):
    """In Berlin the 25th of October, 2026 has one hour twice: two buckets of an hour, one day."""
    told(tables, *(step(UUID(int=100 + number), "opened", T0 + timedelta(hours=number)) for number in range(30)))
    found = {
        bucket: [(row.at.astimezone(BERLIN).strftime("%d %H%z"), row.kpis.counts["opened"]) for row in summary(tables, bucket=bucket).rows]
        for bucket in ("day", "month")
    }
    hours = summary(tables, datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 10, 25, 2, tzinfo=UTC), bucket="hour").rows

    assert {"day": [("24 00+0200", 2), ("25 00+0200", 25), ("26 00+0100", 3)], "month": [("01 00+0200", 30)]} == found
    assert ["02+0200", "02+0100"] == [row.at.astimezone(BERLIN).strftime("%H%z") for row in hours]


@pytest.mark.stack
@arriving.thorough(60)
@given(st.integers(-6000, 6000), st.integers(1, 6000), st.sampled_from([None, "team", "agent"]), st.sampled_from([None, "day", "week", "month"]))
def test_months_and_days_say_what_their_quarters_say(tables, start, length, group_by, bucket):
    """Whatever the time asked for: in a zone by whose days nothing is counted the same is read from quarters alone."""
    runner, pool = tables
    if not runner.run(pool.fetchval("SELECT count(*) FROM talks")):
        dice = random.Random(3)
        told(
            tables,
            *(step(UUID(int=100 + n), dice.choice(MARKS), at, team="care", agent=dice.choice("kl"), score=4) for n, at in enumerate(spread(dice))),
        )
    since = T0 + timedelta(minutes=15 * start)
    asked = {"since": since, "until": since + timedelta(minutes=15 * length), "group_by": group_by, "bucket": bucket}
    coarse = summary(tables, **asked)
    runner.run(pool.execute("UPDATE talk_zones SET zone = 'elsewhere'"))
    fine = summary(tables, **asked)
    runner.run(pool.execute("UPDATE talk_zones SET zone = 'Europe/Berlin'"))

    assert fine == coarse


def spread(dice: random.Random) -> list[datetime]:
    return [T0 + timedelta(minutes=dice.randrange(-90_000, 90_000)) for _ in range(150)]


@pytest.mark.stack
def test_a_tenant_who_moves_is_counted_by_the_days_of_the_new_zone(tables):
    """All of them, also those before the move."""
    runner, pool = tables
    log = [dealt(random.Random(seed)) for seed in range(40)]
    told(tables, *log)
    moved = ZONES | {"acme": SEOUL}
    names = runner.run(rezone(pool, lambda tenant: str(moved[tenant])))

    assert (["acme"], oracle.counters(log, moved)) == (names, runner.run(counted(pool)))


@pytest.mark.stack
def test_rows_are_those_with_the_most_conversations_first(tables):
    """A value that nothing was told of is ''; a filter leaves one of them."""
    for number, team in enumerate(["care", "care", "sales", None, None, None]):
        told(tables, step(UUID(int=100 + number), "escalated", T0, team=team))
    found = [(row.value, row.kpis.counts["escalated"]) for row in summary(tables, group_by="team").rows]
    care = summary(tables, only=("team", "care")).totals.counts["opened"]
    nobody = summary(tables, only=("team", ""), group_by="team")

    assert ([("", 3), ("care", 2), ("sales", 1)], 2, [("", 3)]) == (found, care, [(row.value, row.kpis.counts["opened"]) for row in nobody.rows])


@pytest.mark.stack
def test_over_time_the_ten_largest_values_are_told(tables):
    """Nobody reads more curves; without buckets all are told."""
    for number in range(24):
        told(tables, step(UUID(int=100 + number), "escalated", T0, team=f"team-{min(number, 11):02}"))
    days, whole = summary(tables, group_by="team", bucket="day"), summary(tables, group_by="team")

    assert (["team-11", *(f"team-{number:02}" for number in range(9))], True) == ([row.value for row in days.rows], days.truncated)
    assert (12, False, 24) == (len(whole.rows), whole.truncated, days.totals.counts["opened"])


@pytest.mark.stack
def test_nothing_counted_is_no_rate_and_no_time(tables):
    """Of a tenant of whom nothing was ever told."""
    found = summary(tables, tenant="nobody")

    assert (set(), set(), None, 0) == (set(found.totals.rates.values()) - {None}, set(found.totals.times.values()) - {None}, found.totals.rating,
                                       found.totals.counts["opened"])  # fmt: skip


@given(st.integers(0, 200_000), st.integers(1, 200_000), st.sampled_from([BERLIN, KATHMANDU, SEOUL, ZoneInfo("America/Havana")]),
       st.sampled_from([None, "hour", "day", "week", "month"]))  # fmt: skip
def test_parts_are_the_time_asked_for_without_gap_or_overlap(start, length, zone, bucket):
    """Also over the changes of the clock; days and months begin at the tenant's midnight, as far as there is one."""
    since = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * start)
    until = since + timedelta(minutes=15 * length)
    found = sorted(parts(since, until, zone, bucket), key=lambda part: part.since)
    whole = [moment.astimezone(zone).strftime("%H:%M") for part in found if part.grain != "quarter" for moment in (part.since, part.until)]

    assert [since, *(part.until for part in found)] == [*(part.since for part in found), until]
    assert set(whole) <= ({"00:00", "01:00"} if str(zone) == "America/Havana" else {"00:00"})


def test_a_year_is_read_from_months_and_ten_days_from_a_week():
    """As coarse as can be."""
    new_year, next_year = datetime(2025, 12, 31, 15, tzinfo=UTC), datetime(2026, 12, 31, 15, tzinfo=UTC)
    monday = datetime(2026, 11, 22, 15, tzinfo=UTC)
    next_monday, end = monday + timedelta(days=7), monday + timedelta(days=10)
    ten_days = [Part("week", monday, next_monday, monday), Part("day", next_monday, end, next_monday)]

    assert [Part("month", new_year, next_year)] == parts(new_year, next_year, SEOUL, None)
    assert ten_days == parts(monday, end, SEOUL, "week")


def test_a_step_is_wrong_by_a_tenth_at_most():
    """On both of its ends."""
    ends = [(bound, oracle.BOUNDS[place + 1], seconds(place + 1)) for place, bound in enumerate(oracle.BOUNDS[:-1])]

    assert max(max(told / low, high / told) for low, high, told in ends) < 1.102 and mean(told / low for low, _, told in ends) > 1.09
