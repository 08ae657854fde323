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
from parley.metrics import Metrics
from parley_analytics import query
from parley_analytics.gauges import CAMPAIGNS, Gauges, recent
from parley_analytics.keeping import REACH, Keeping
from parley_analytics.query import DIMENSIONS, Query
from parley_analytics.rates import COUNTS, RATES
from parley_analytics.reasons import reasons
from parley_analytics.reports import report
from parley_analytics.retention import Rolled
from parley_analytics.rolling import Rolling, align, fold
from tests.conftest import created, examples, until
from tests.counting import QUARTER, Counted, Told, cleared, counted, counters, earned, lost, told

pytestmark = pytest.mark.stack
NEW_YORK, SEOUL = ZoneInfo("America/New_York"), ZoneInfo("Asia/Seoul")
SINCE, UNTIL = datetime(2026, 10, 31, 4, tzinfo=UTC), datetime(2026, 11, 3, 5, tzinfo=UTC)
"""Three days of New York; in the second night the clocks go back, so it has 25 hours."""
EVER = SINCE - timedelta(days=100)
"""Before anything was counted."""
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


def wanted(names: dict[str, str], asked: Query) -> bool:
    """Whether a row of these dimensions is asked for."""
    filtered = all(names[name] == value for name, value in asked.where)
    return filtered and asked.search.lower() in names["campaign"].lower() and (names["campaign"] != "" or not asked.campaigns)


def naive(rows: list[Counted], asked: Query) -> dict[tuple, Counter]:
    """Groups and buckets, row by row."""
    found = defaultdict(Counter)
    for row in rows:
        names = dict(zip(DIMENSIONS, row.names, strict=True))
        if row.tenant == "acme" and asked.since <= row.period < asked.until and wanted(names, asked):
            key = tuple(names[name] or None for name in asked.group_by)
            found[key, asked.bucket and begins(row.period, asked.bucket, asked.zone)].update(row.counts)
    return found


deeds = st.lists(st.sampled_from([*(f"align {zone}" for zone in (NEW_YORK, SEOUL)), "fold", "fold", "count", "count", "retain"]), max_size=6)
"""What becomes of the counters before a report: `count` counts some more rows, also of days long over; `retain` merges the oldest quarters into days."""
KEPT = Keeping(NEW_YORK, timedelta(days=10), REACH)


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
        elif deed == "retain":
            await retained(pool)
        else:
            await align(pool, {"acme": deed.removeprefix("align "), "other": "UTC"})


async def retained(pool) -> None:
    """Rolls up what is over."""
    await pool.execute("DELETE FROM retention")
    await Rolled(pool, "acme", KEPT, asyncio.Event()).up(UNTIL)


async def stored(pool) -> list[Counted]:
    """The rows of the counters as they are."""
    rows = await pool.fetch("SELECT * FROM counters JOIN cells USING (cell_id)")
    return [Counted(row["tenant"], tuple(row[name] for name in DIMENSIONS), row["period"], {name: row[name] for name in COUNTS}) for row in rows]


async def keyed(pool, table: str, key: tuple[str, ...], amount: str) -> list[Told]:
    """The rows of the money or the reasons as they are."""
    rows = await pool.fetch(f"SELECT * FROM {table} JOIN cells USING (cell_id)")
    return [Told(row["tenant"], tuple(row[one] for one in DIMENSIONS), row["period"], tuple(row[one] for one in key), row[amount]) for row in rows]


queries = st.builds(
    Query,
    group_by=st.lists(st.sampled_from(DIMENSIONS), max_size=3, unique=True).map(tuple),
    since=st.sampled_from([SINCE, SINCE + QUARTER, SINCE + timedelta(hours=30), SINCE - timedelta(days=20), SINCE - timedelta(days=40)]),
    until=st.sampled_from([UNTIL, UNTIL - QUARTER, UNTIL - timedelta(hours=20)]),
    zone=st.sampled_from([NEW_YORK, SEOUL]),
    bucket=st.sampled_from([None, "hour", "day", "week", "month"]),
    where=st.sampled_from([(), (("channel", "sms"),), (("campaign", ""),), (("campaign", "spring"), ("variant", "a"))]),
    search=st.sampled_from(["", "", "SPR"]),
    campaigns=st.booleans(),
)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(counters(SINCE - timedelta(days=30), UNTIL + timedelta(hours=2)), max_size=40), queries, deeds)
def test_a_report_is_the_sum_of_its_counters(tables, rows, asked, does):
    """By any dimensions and buckets, in any zone, also in the night in which the clocks change; wherever it is read from."""
    runner, pool = tables

    async def main():
        await lived(pool, rows, does)
        return await stored(pool), await report(pool, "acme", asked)

    there, found = runner.run(main())
    assert naive(rows, whole := replace(asked, group_by=(), bucket=None, since=EVER)) == naive(there, whole)
    lines = {(tuple(one.names.values()), one.bucket): Counter({name: n for name, n in one.counts.items() if n}) for one in found.lines}
    expected = {key: +counts for key, counts in naive(there, asked).items() if +counts}

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
    """Wherever they are read from, late ones into days that are summed up already; money stands with the line of its messages, currencies apart."""
    runner, pool = tables
    counts = dict.fromkeys(COUNTS, 0) | {"sent": 1}

    async def main():
        await lived(pool, [Counted(one.tenant, one.names, one.period, counts) for one in gains], does)
        await lost(pool, losses)
        await earned(pool, gains)
        if "retain" in does:
            await retained(pool)
        if does:
            await fold(pool)
        kept = await keyed(pool, "reasons", ("status", "reason"), "messages"), await keyed(pool, "money", ("currency",), "orders")
        return *kept, await reasons(pool, "acme", asked), await report(pool, "acme", asked)

    losses, gains, why, figures = runner.run(main())
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
        if row.tenant == "acme" and asked.since <= row.period < asked.until and wanted(names, asked):
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
        assert await pool.fetchval("SELECT count(*) FROM counters_cell_days") == 0
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
        days = await pool.fetchval("SELECT sum(sent) FROM counters_cell_days WHERE campaign = 'spring'")
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


@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(counters(UNTIL - timedelta(days=9), UNTIL), max_size=40), deeds)
def test_gauges_are_of_what_was_sent_in_a_week(tables, rows, does):
    """Of all tenants' campaigns those that sent most, part by part: wherever it is read from."""
    runner, pool = tables
    tenants = {name: SimpleNamespace(timezone=zone) for name, zone in (("acme", NEW_YORK), ("other", SEOUL))}

    async def main():
        await lived(pool, rows, does)
        return await recent(pool, tenants, UNTIL)

    expected = Counter()
    for row in rows:
        if row.period >= UNTIL - timedelta(days=7) and row.names[0]:
            expected[row.tenant, *row.names[:3]] += row.counts["sent"]

    assert +expected == {(one.tenant, one.campaign, one.channel, one.variant): one.counts["sent"] for one in runner.run(main())}


def test_gauges_are_of_few_campaigns_and_go_with_them(tables):
    """The largest of all tenants together; a campaign that has sent nothing for a week is not shown any more."""
    runner, pool = tables
    now = [UNTIL]
    tenants = {name: SimpleNamespace(timezone=SEOUL) for name in ("acme", "other")}
    context = SimpleNamespace(pool=pool, config=SimpleNamespace(tenants=tenants), metrics=Metrics(), clock=lambda: now[0])
    sizes = {size: (f"no-{size}", "sms", "", "marketing", "ko", "", "") for size in range(1, CAMPAIGNS + 11)}

    async def main():
        await lived(pool, [Counted(("acme", "other")[size % 2], names, SINCE, dict.fromkeys(COUNTS, size)) for size, names in sizes.items()], [])
        gauges = Gauges(context)
        await gauges.refresh()
        shown = {labels[1] for labels in gauges.shown}
        now[0] += timedelta(days=8)
        await gauges.refresh()
        return shown, gauges.shown

    assert ({f"no-{size}" for size in range(11, CAMPAIGNS + 11)}, set()) == runner.run(main())
