"""Reports on real PostgreSQL: whatever is asked, the answer is what adding up the counters one by one gives."""

import asyncio
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parley import database as db
from parley_analytics import query
from parley_analytics.query import DIMENSIONS, Query
from parley_analytics.rates import COUNTS, RATES
from parley_analytics.reasons import reasons
from parley_analytics.reports import report
from parley_analytics.rolling import Rolling, align, fold
from tests.conftest import created, examples, until
from tests.counting import QUARTER, Counted, Told, cleared, counted, counters, earned, lost, told

pytestmark = pytest.mark.stack
NEW_YORK, SEOUL = ZoneInfo("America/New_York"), ZoneInfo("Asia/Seoul")
SINCE, UNTIL = datetime(2026, 10, 31, 4, tzinfo=UTC), datetime(2026, 11, 3, 5, tzinfo=UTC)
"""Three days of New York; in the second night the clocks go back, so it has 25 hours."""
KEYS = {
    "hour": lambda at: (at.date(), at.hour, at.utcoffset()),
    "day": lambda at: at.date(),
    "week": lambda at: at.isocalendar()[:2],
    "month": lambda at: (at.year, at.month),
}


@pytest.fixture(scope="module")
def tables(stack):
    """A pool on the service's schema, and the loop it lives in."""
    with created(stack.database, stack.migrated) as address, asyncio.Runner() as runner:
        pool = runner.run(db.connect(address, "analytics"))
        yield runner, pool
        runner.run(pool.close())


def begins(at: datetime, bucket: str, zone: ZoneInfo) -> datetime:
    """When the bucket of a moment begins: a quarter of an hour earlier it is another one."""
    key = KEYS[bucket]
    while key((at - QUARTER).astimezone(zone)) == key(at.astimezone(zone)):
        at -= QUARTER
    return at


def naive(rows: list[Counted], asked: Query) -> dict[tuple, Counter]:
    """Groups and buckets, row by row."""
    found = defaultdict(Counter)
    for row in rows:
        names = dict(zip(DIMENSIONS, row.names, strict=True))
        wanted = all(names[name] == value for name, value in asked.where) and asked.search.lower() in names["campaign"].lower()
        if row.tenant == "acme" and asked.since <= row.period < asked.until and wanted:
            key = tuple(names[name] or None for name in asked.group_by)
            found[key, asked.bucket and begins(row.period, asked.bucket, asked.zone)].update(row.counts)
    return found


deeds = st.lists(st.sampled_from([*(f"align {zone}" for zone in (NEW_YORK, SEOUL)), "fold", "fold", "count", "count"]), max_size=6)
"""What becomes of the counters before a report: `count` counts some more rows."""


async def lived(pool, rows: list[Counted], does: list[str]) -> None:
    """Counts these rows, while their sums are made and followed, or not."""
    await cleared(pool)
    shares = 1 + does.count("count")
    await counted(pool, rows[::shares])
    for number, deed in enumerate(does):
        if deed == "count":
            await counted(pool, rows[1 + does[:number].count("count") :: shares])
        elif deed == "fold":
            await fold(pool)
        else:
            await align(pool, {"acme": deed.removeprefix("align "), "other": "UTC"})


queries = st.builds(
    Query,
    group_by=st.lists(st.sampled_from(DIMENSIONS), max_size=3, unique=True).map(tuple),
    since=st.sampled_from([SINCE, SINCE + QUARTER, SINCE + timedelta(hours=30), SINCE - timedelta(days=20), SINCE - timedelta(days=40)]),
    until=st.sampled_from([UNTIL, UNTIL - QUARTER, UNTIL - timedelta(hours=20)]),
    zone=st.sampled_from([NEW_YORK, SEOUL]),
    bucket=st.sampled_from([None, "hour", "day", "week", "month"]),
    where=st.sampled_from([(), (("channel", "sms"),), (("campaign", ""),), (("campaign", "spring"), ("variant", "a"))]),
    search=st.sampled_from(["", "", "SPR"]),
)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(counters(SINCE - timedelta(days=30), UNTIL + timedelta(hours=2)), max_size=40), queries, deeds)
def test_a_report_is_the_sum_of_its_counters(tables, rows, asked, does):
    """By any dimensions and buckets, in any zone, also in the night in which the clocks change; wherever it is read from."""
    runner, pool = tables

    async def main():
        await lived(pool, rows, does)
        return await report(pool, "acme", asked)

    found = runner.run(main())
    lines = {(tuple(one.names.values()), one.bucket): Counter({name: n for name, n in one.counts.items() if n}) for one in found.lines}
    expected = {key: +counts for key, counts in naive(rows, asked).items() if +counts}

    assert expected == lines
    assert sum(expected.values(), Counter()) == Counter({name: n for name, n in found.totals.counts.items() if n})


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(counters(SINCE, UNTIL), max_size=30),
    st.sampled_from(["campaign", "-variant", *("-" + name for name in (*COUNTS, *RATES)), *COUNTS, *RATES]),
    st.integers(1, 4), st.sampled_from([None, "day"]), deeds,
)  # fmt: skip
def test_pages_are_the_whole_list_cut(tables, rows, order, size, bucket, does):
    """Page behind page gives every group once, in the order of the list that has them all, whatever it is ordered by."""
    runner, pool = tables
    asked = Query(("campaign", "variant"), SINCE, UNTIL, NEW_YORK, bucket, order=order, limit=1000)

    async def main():
        await lived(pool, rows, does)
        whole, found, small = await report(pool, "acme", asked), [], replace(asked, limit=size)
        while small:
            page = await report(pool, "acme", small)
            assert len({tuple(line.names.items()) for line in page.lines}) <= size
            found += page.lines
            small = page.next and query.behind(replace(asked, limit=size), page.next)
        return whole.lines, found

    whole, found = runner.run(main())

    assert whole == found


WAYS = [("failed", "unreachable"), ("failed", ""), ("held", "quiet_hours")]


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(told(WAYS, SINCE - timedelta(days=30), UNTIL), max_size=20), st.lists(told([("KRW",), ("",)], SINCE - timedelta(days=30), UNTIL), max_size=20),
    queries, deeds,
)  # fmt: skip
def test_reasons_and_money_are_the_sum_of_their_rows(tables, losses, gains, asked, does):
    """Wherever they are read from; money stands with the line of its messages, currencies apart."""
    runner, pool = tables
    counts = dict.fromkeys(COUNTS, 0) | {"sent": 1}

    async def main():
        await lived(pool, [Counted(one.tenant, one.names, one.period, counts) for one in gains], does)
        await lost(pool, losses)
        await earned(pool, gains)
        if does:
            await fold(pool)
        return await reasons(pool, "acme", asked), await report(pool, "acme", asked)

    why, figures = runner.run(main())
    money = {
        (tuple(line.names.values()), line.bucket, currency): (found.orders, found.revenue, found.cost)
        for line in figures.lines for currency, found in line.money.items()
    }  # fmt: skip

    assert summed(losses, asked) == {(tuple(one.names.values()), one.bucket, one.status, one.reason): one.messages for one in why}
    assert {key: (n, Decimal(2 * n), Decimal(n) / 100) for key, n in summed(gains, asked).items()} == money


def summed(rows: list[Told], asked: Query) -> dict[tuple, int]:
    """Amounts by group, bucket and key, row by row."""
    found = Counter()
    for row in rows:
        names = dict(zip(DIMENSIONS, row.names, strict=True))
        wanted = all(names[name] == value for name, value in asked.where) and asked.search.lower() in names["campaign"].lower()
        if row.tenant == "acme" and asked.since <= row.period < asked.until and wanted:
            group = tuple(names[name] or None for name in asked.group_by)
            found[group, asked.bucket and begins(row.period, asked.bucket, asked.zone), *row.key] += row.amount
    return dict(found)


def test_emptied_counters_leave_no_sums(tables):
    """Who empties the tables at once tells nobody row by row: then the counters themselves are read, until sums are made anew."""
    runner, pool = tables
    row = Counted("acme", ("spring", "sms", "a", "marketing", "ko", "", ""), SINCE, dict.fromkeys(COUNTS, 1))
    asked = Query(("channel",), SINCE, UNTIL, NEW_YORK)

    async def main():
        await lived(pool, [row], [f"align {NEW_YORK}", "fold"])
        await cleared(pool)
        emptied = await report(pool, "acme", asked)
        assert await pool.fetchval("SELECT count(*) FROM counters_days") == 0
        await counted(pool, [row])
        await align(pool, {"acme": str(NEW_YORK)})
        return emptied.lines, await report(pool, "acme", asked)

    emptied, again = runner.run(main())

    assert ([], [1]) == (emptied, [line.counts["sent"] for line in again.lines])


def test_the_worker_keeps_the_sums(tables):
    """Of a tenant that has none they are made; what comes then is folded into them."""
    runner, pool = tables
    row = Counted("acme", ("spring", "sms", "a", "marketing", "ko", "", ""), SINCE, dict.fromkeys(COUNTS, 1))
    context = SimpleNamespace(pool=pool, config=SimpleNamespace(tenants={"acme": SimpleNamespace(timezone=NEW_YORK)}))
    stopping = asyncio.Event()

    async def summed() -> bool:
        days = await pool.fetchval("SELECT sum(sent) FROM counters_days WHERE cell_id = $1", row.cell)
        return days == 2 and await pool.fetchval("SELECT count(*) FROM counters_deltas") == 0

    async def main():
        await cleared(pool)
        await counted(pool, [row])
        worker = asyncio.create_task(Rolling(context).run(stopping))
        await until(lambda: pool.fetchval("SELECT count(*) > 0 FROM rolled_zones WHERE tenant = 'acme'"), "sums are made")
        await counted(pool, [row])
        await until(summed, "what came is folded")
        stopping.set()
        await worker
        return await pool.fetchval("SELECT zone FROM rolled_zones WHERE tenant = 'acme'")

    assert str(NEW_YORK) == runner.run(main())
