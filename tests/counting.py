"""Counters without the events behind them, for tests of what is read from them."""

from datetime import datetime, timedelta
from typing import NamedTuple

from hypothesis import strategies as st

from parley_analytics.facts import Cell, cell_id
from parley_analytics.query import DIMENSIONS
from parley_analytics.rates import COUNTS

NAMES = {"campaign": ["", "spring", "Spring sale", "autumn"], "channel": ["sms", "email"], "variant": ["", "a", "b"], "purpose": ["reply", "marketing"],
         "language": ["", "ko"], "flow": ["", "welcome"], "step": ["", "ask"]}  # fmt: skip
FUNNEL = ("sent", "delivered", "opened", "clicked", "converted")


class Counted(NamedTuple):
    """A row of `counters`, with the dimensions of its cell."""

    tenant: str
    names: tuple[str, ...]
    period: datetime
    counts: dict[str, int]


@st.composite
def counters(draw, since: datetime, until: datetime) -> Counted:
    """A row of the time between two moments. What a rate is of is never less than its hits."""
    names = tuple(draw(st.sampled_from(NAMES[one])) for one in DIMENSIONS)
    period = since + timedelta(minutes=15) * draw(st.integers(0, int((until - since) / timedelta(minutes=15)) - 1))
    least = draw(st.integers(0, 3))
    counts = dict.fromkeys(COUNTS, least)
    for step in FUNNEL[: draw(st.integers(0, 3))]:
        counts[step] += 4
        counts["people_" + step] += 4
    return Counted(draw(st.sampled_from(["acme", "acme", "other"])), names, period, counts)


async def written(pool, rows: list[Counted]) -> None:
    """These rows, and no others."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("TRUNCATE cells, counters")
        for row in rows:
            cell = Cell(row.tenant, *row.names)
            columns = ", ".join(Cell._fields)
            values = ", ".join(f"${number + 2}" for number in range(len(cell)))
            await connection.execute(f"INSERT INTO cells (cell_id, {columns}) VALUES ($1, {values}) ON CONFLICT DO NOTHING", cell_id(cell), *cell)
            added = ", ".join(f"{name} = counters.{name} + excluded.{name}" for name in COUNTS)
            await connection.execute(
                f"INSERT INTO counters (cell_id, period, {', '.join(COUNTS)}) VALUES ($1, $2, {', '.join(str(row.counts[name]) for name in COUNTS)})"
                f" ON CONFLICT (cell_id, period) DO UPDATE SET {added}", cell_id(cell), row.period,
            )  # fmt: skip
