"""Counters without the events behind them, for tests of what is read from them."""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import NAMESPACE_OID, UUID, uuid5

from hypothesis import strategies as st

from parley_analytics.query import DIMENSIONS
from parley_analytics.rates import COUNTS

NAMES = {"campaign": ["", "spring", "Spring sale", "autumn"], "channel": ["sms", "email"], "variant": ["", "a", "b"], "purpose": ["reply", "marketing"],
         "language": ["", "ko"], "flow": ["", "welcome"], "step": ["", "ask"]}  # fmt: skip
FUNNEL = ("sent", "delivered", "opened", "clicked", "converted")
QUARTER = timedelta(minutes=15)


class Counted(NamedTuple):
    """A row of `counters`, with the dimensions of its cell."""

    tenant: str
    names: tuple[str, ...]
    period: datetime
    counts: dict[str, int]

    @property
    def cell(self) -> UUID:
        return uuid5(NAMESPACE_OID, repr((self.tenant, self.names)))


@st.composite
def counters(draw, since: datetime, until: datetime) -> Counted:
    """A row of the time between two moments. What a rate is of is never less than its hits."""
    names = tuple(draw(st.sampled_from(NAMES[one])) for one in DIMENSIONS)
    period = since + QUARTER * draw(st.integers(0, int((until - since) / QUARTER) - 1))
    counts = dict.fromkeys(COUNTS, draw(st.integers(0, 3)))
    for step in FUNNEL[: draw(st.integers(0, 3))]:
        counts[step] += 4
        counts["people_" + step] += 4
    return Counted(draw(st.sampled_from(["acme", "acme", "other"])), names, period, counts)


async def cleared(pool) -> None:
    await pool.execute("TRUNCATE cells, counters, money, reasons, unowed")


async def counted(pool, rows: list[Counted]) -> None:
    """Adds these rows to the counters, one by one."""
    added = ", ".join(f"{name} = counters.{name} + excluded.{name}" for name in COUNTS)
    async with pool.acquire() as connection, connection.transaction():
        for row in rows:
            await named(connection, row)
            counts = ", ".join(str(row.counts[name]) for name in COUNTS)
            await connection.execute(
                f"INSERT INTO counters (cell_id, period, {', '.join(COUNTS)}) VALUES ($1, $2, {counts}) ON CONFLICT (cell_id, period) DO UPDATE SET {added}",
                row.cell, row.period,
            )  # fmt: skip


async def named(connection, row) -> None:
    """The cell of a row."""
    columns, places = ", ".join(DIMENSIONS), ", ".join(f"${number + 3}" for number in range(len(DIMENSIONS)))
    await connection.execute(
        f"INSERT INTO cells (cell_id, tenant, {columns}) VALUES ($1, $2, {places}) ON CONFLICT DO NOTHING", row.cell, row.tenant, *row.names
    )


class Told(NamedTuple):
    """A row of `money` or `reasons`, with the dimensions of its cell: what tells it apart beside cell and period, and what is summed."""

    tenant: str
    names: tuple[str, ...]
    period: datetime
    key: tuple[str, ...]
    amount: int

    @property
    def cell(self) -> UUID:
        return uuid5(NAMESPACE_OID, repr((self.tenant, self.names)))


def told(keys, since: datetime, until: datetime):
    """Rows with such keys, of the time between two moments."""
    names = st.tuples(*(st.sampled_from(NAMES[one]) for one in DIMENSIONS))
    periods = st.integers(0, int((until - since) / QUARTER) - 1).map(lambda number: since + QUARTER * number)
    return st.builds(Told, st.sampled_from(["acme", "acme", "other"]), names, periods, st.sampled_from(keys), st.integers(1, 9))


async def earned(pool, rows: list[Told]) -> None:
    """Adds these rows to the money: orders, a revenue of twice their number, a cost of a hundredth."""
    async with pool.acquire() as connection, connection.transaction():
        for row in rows:
            await named(connection, row)
            await connection.execute(
                "INSERT INTO money AS m VALUES ($1, $2, $3, $4::bigint, $4::bigint * 2, $4::bigint * 0.01) ON CONFLICT (cell_id, period, currency) DO UPDATE SET"
                " orders = m.orders + excluded.orders, revenue = m.revenue + excluded.revenue, cost = m.cost + excluded.cost",
                row.cell, row.period, *row.key, row.amount,
            )  # fmt: skip


async def lost(pool, rows: list[Told]) -> None:
    """Adds these rows to the reasons."""
    async with pool.acquire() as connection, connection.transaction():
        for row in rows:
            await named(connection, row)
            await connection.execute(
                "INSERT INTO reasons AS r VALUES ($1, $2, $3, $4, $5) ON CONFLICT (cell_id, period, status, reason) DO UPDATE"
                " SET messages = r.messages + excluded.messages", row.cell, row.period, *row.key, row.amount,
            )  # fmt: skip
