"""Rolling facts up on real PostgreSQL: rows go, no figure of a day changes, and what comes late about them is known as late."""

import asyncio
import random
from datetime import datetime, timedelta
from types import SimpleNamespace
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from parley import config
from parley import database as db
from parley.contracts import ContactErased, ConversationChanged, Data, DeliveryChanged, EngagementRecorded, Envelope
from parley.metrics import Metrics
from parley.yamlfile import ConfigError
from parley_analytics import retention
from parley_analytics.drawn import Drawn
from parley_analytics.keeping import REACH, Keeping, keeping, late
from parley_analytics.stage import Count
from parley_analytics.talks_stage import Talks
from parley_analytics.timely import Timely
from tests.test_again import PEOPLE, T0, story

SEOUL = ZoneInfo("Asia/Seoul")
KEPT = Keeping(SEOUL, timedelta(days=60), REACH)
END = T0 + timedelta(days=14)
"""When the last story has ended."""
ROWS = ("messages", "hits", "replies", "opt_outs", "orders", "drawn", "talks", "people", "spenders")


class Tables:
    """The stages over a schema, and its tables."""

    def __init__(self, pool):
        self.pool, self.metrics, self.stopping = pool, Metrics(), asyncio.Event()
        stages = (Count.prepared(b"key"), Drawn.prepared(b"key"), Talks.prepared(lambda _: "Asia/Seoul"))
        self.stages = [Timely(one, {"acme": KEPT}, self.metrics.late) for one in stages]

    async def told(self, events: list[Data], came: datetime) -> None:
        """All of these came onto the bus at that time."""
        record = SimpleNamespace(timestamp=came.timestamp() * 1000)
        batch = [SimpleNamespace(event=Envelope(id="e", source="t", time=came, tenant="acme", data=one), record=record) for one in events]
        for stage in self.stages:
            wanted = [one for one in batch if one.event.data.topic in stage.topics]
            for start in range(0, len(wanted), 100):
                async with self.pool.acquire() as connection, connection.transaction():
                    await stage.apply(connection, wanted[start : start + 100], came)

    async def rolled_up(self, now: datetime) -> int:
        return await retention.Rolled(self.pool, "acme", KEPT, self.stopping).up(now)

    async def days(self) -> dict[str, list[str]]:
        """All counters, by the days of the tenant, and those that know no time."""
        found = {}
        async with self.pool.acquire() as connection:
            for table in retention.COUNTED:
                keys, sums = await retention.shape(connection, table)
                by, added = ", ".join([*keys, "date_trunc('day', period, 'Asia/Seoul')"]), ", ".join(f"sum({one})" for one in sums)
                nothing = " AND ".join(f"sum({one}) = 0" for one in sums)
                rows = await connection.fetch(f"SELECT {by}, {added} FROM {table} GROUP BY {by} HAVING NOT ({nothing})")
                found[table] = sorted(str(tuple(row)) for row in rows)
            for table in ("worth", "spending"):
                found[table] = sorted(str(tuple(row)) for row in await connection.fetch(f"SELECT * FROM {table}"))
        return found

    async def count(self, table: str) -> int:
        return await self.pool.fetchval(f"SELECT count(*) FROM {table}")

    async def late(self, stage: str | None = None) -> float:
        samples = self.metrics.late.collect()[0].samples
        return sum(one.value for one in samples if one.name == "parley_late_total" and stage in (None, one.labels["stage"]))


@pytest.fixture
def two(database):
    """Two sets of tables, and the loop they live in."""
    with asyncio.Runner() as runner:
        pools = [runner.run(db.connect(database, name, size=4)) for name in ("analytics", "beside")]
        for pool, name in zip(pools, ("analytics", "beside"), strict=True):
            runner.run(db.migrate(pool, name, "parley", "parley_analytics"))
        yield runner, *(Tables(pool) for pool in pools)
        for pool in pools:
            runner.run(pool.close())


def stories(count: int, seed: int = 1) -> list[Data]:
    chance = random.Random(seed)
    return [one for number in range(count) for one in story(number + seed * 100_000, chance) if not isinstance(one, ContactErased)]


@pytest.mark.stack
def test_rows_go_and_no_figure_of_a_day_changes(two):
    """Everything is over: no row leads to a person any more, and of each counter there is one row a day."""
    runner, ours, _ = two

    async def main():
        await ours.told(stories(300), END)
        before, quarters, rows = await ours.days(), await ours.count("counters"), [await ours.count(one) for one in ROWS]
        went = await ours.rolled_up(END + timedelta(days=120))
        again = await ours.rolled_up(END + timedelta(days=120))
        return before, await ours.days(), rows, [await ours.count(one) for one in ROWS], quarters, await ours.count("counters"), went, again

    before, after, rows, left, quarters, days, went, again = runner.run(main())

    assert before == after
    assert all(rows)
    assert [0] * len(ROWS) == left
    assert days < quarters
    assert (True, 0) == (went > sum(rows), again)


@pytest.mark.stack
@pytest.mark.parametrize("age", [60, 64, 67, 70, 74, 91, 95, 99])
def test_what_comes_afterwards_counts_as_if_nothing_had_been_rolled_up(two, age):
    """All of it told again, and as much that is new about the same people: the figures are those of tables that keep every row."""
    runner, ours, theirs = two
    now = T0 + timedelta(days=age)

    async def main():
        first = stories(200)
        for one in (ours, theirs):
            await one.told(first, END)
        went = await ours.rolled_up(now)
        new = moved(stories(100, seed=2), now - T0)
        for one in (ours, theirs):
            await one.told(first, now)
            await one.told(new, now + timedelta(days=14))
            await one.told([*new, *first], now + timedelta(days=15))
        await ours.rolled_up(now + timedelta(days=16))
        return went, await ours.days(), await theirs.days()

    went, rolled, whole = runner.run(main())

    assert went > 0 or age == 60
    assert whole == rolled


def moved(events: list[Data], by: timedelta) -> list[Data]:
    """The same, later."""
    times = ("at", "occurred_at", "received_at")
    return [one.model_copy(update={name: getattr(one, name) + by for name in times if hasattr(one, name)}) for one in events]


@pytest.mark.stack
def test_a_receipt_for_a_message_that_was_rolled_up_is_late(two):
    """Read after half a year: it is no new message. It is counted as late, and so is a click; a new message of the same campaign counts."""
    runner, ours, _ = two
    now = END + timedelta(days=120)

    async def main():
        events = stories(100)
        await ours.told(events, END)
        await ours.rolled_up(now)
        before = await ours.days()
        sent = next(one for one in events if isinstance(one, DeliveryChanged))
        read = sent.model_copy(update={"status": "read", "at": now})
        click = EngagementRecorded(message_id=sent.message_id, contact_id=sent.contact_id, kind="clicked", by="human", at=now)
        await ours.told([read, click], now)
        same, dropped = before == await ours.days(), await ours.late()
        await ours.told([read.model_copy(update={"message_id": UUID(int=7)})], now)
        return same, dropped, before == await ours.days(), await ours.count("messages")

    assert (True, 2, False, 1) == runner.run(main())


@pytest.mark.stack
def test_a_conversation_that_goes_on_after_it_was_rolled_up_is_late(two):
    """It is no new conversation; one that was never told of is. Counts of days are what they were."""
    runner, ours, _ = two
    now = END + timedelta(days=120)

    async def main():
        events = stories(100)
        await ours.told(events, END)
        rows = await ours.count("talks")
        await ours.rolled_up(now)
        before, left = await ours.days(), await ours.count("talks")
        known = next(one for one in events if isinstance(one, ConversationChanged))
        resolved = known.model_copy(update={"change": "resolved", "agent": "kim", "at": now})
        await ours.told([resolved], now)
        same, dropped = before == await ours.days(), await ours.late("talks")
        await ours.told([resolved.model_copy(update={"conversation_id": UUID(int=7)})], now)
        return rows > 0, left, same, dropped, before == await ours.days(), await ours.count("talks")

    assert (True, 0, True, 1, False, 1) == runner.run(main())


@pytest.mark.stack
def test_a_message_that_is_still_clicked_keeps_its_row(two):
    """An order may be owed to the click; and the people of its cell keep theirs, so that each counts once there."""
    runner, ours, _ = two
    now = END + timedelta(days=120)

    async def main():
        events = stories(100)
        await ours.told(events, END)
        sent = next(one for one in events if isinstance(one, DeliveryChanged) and one.status == "delivered")
        await ours.told([EngagementRecorded(message_id=sent.message_id, contact_id=sent.contact_id, kind="clicked", by="human", at=now)], now)
        await ours.rolled_up(now)
        kept = [row["message_id"] for row in await ours.pool.fetch("SELECT message_id FROM messages")]
        return kept == [sent.message_id], await ours.pool.fetchval("SELECT count(DISTINCT cell_id) FROM people")

    assert (True, 1) == runner.run(main())


def test_what_is_late_is_judged_by_when_it_came():
    """Not by when it is read: a replay judges the same. Who is to be forgotten is never late."""
    click = EngagementRecorded(message_id=UUID(int=1), contact_id=PEOPLE[0], kind="clicked", at=T0)

    assert not late(click, T0 + timedelta(days=60), KEPT)
    assert late(click, T0 + timedelta(days=60, microseconds=1), KEPT)
    assert not late(ContactErased(contact_id=PEOPLE[0], at=T0), T0 + timedelta(days=600), KEPT)


def test_what_is_over_ends_at_a_midnight_of_the_tenant():
    """So no day is half rolled up."""
    assert datetime(2026, 11, 24, tzinfo=SEOUL) == KEPT.until(datetime(2027, 1, 23, 9, 0, tzinfo=SEOUL)).astimezone(SEOUL)


@pytest.mark.parametrize("text, kept", [("{}", {}), ("{facts: 400d}", {"acme": Keeping(ZoneInfo("UTC"), timedelta(days=400), REACH)}), (
    "{facts: 60d, attribution: {window: 90d}}", {"acme": Keeping(ZoneInfo("UTC"), timedelta(days=60), timedelta(days=90))},
)])  # fmt: skip
def test_tenants_say_how_long(tmp_path, text, kept):
    """For ever, where they say nothing; what orders may be owed to stays as long as they may be."""
    (tmp_path / "accounts.yaml").write_text(f"tenants: {{acme: {text}}}")

    assert kept == keeping(config.load(tmp_path).tenants)


@pytest.mark.parametrize("text", ["10d", "400", "1y", "99999d"])
def test_a_time_that_makes_no_sense_is_refused(tmp_path, text):
    """With what is meant."""
    (tmp_path / "accounts.yaml").write_text(f"tenants: {{acme: {{facts: {text}}}}}")

    with pytest.raises(ConfigError, match="facts are kept for a number of days, of 60 to 3660, as in 400d"):
        config.load(tmp_path)
