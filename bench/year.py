"""A year of figures as ten million facts leave it, written as counters: 10,000 campaigns of two channels and two variants, and flows that always run.

A message has about three facts (sent, delivered, and every other time something a person or a machine did), so these are 3.4 million messages, in 1.7
million quarters of an hour of 40,240 cells.
"""

from __future__ import annotations

from datetime import datetime

from parley.database import Pool
from parley_analytics.rates import COUNTS
from parley_analytics.rolling import align

TENANT, ZONE = "acme", "Asia/Seoul"
DAYS, CAMPAIGNS, STEPS = 365, 10_000, 60
FACTS = 10_000_000

CELLS = """
INSERT INTO cells (cell_id, tenant, campaign, channel, variant, purpose, language, flow, step)
SELECT md5('campaign' || n || '.' || k)::uuid, $1, 'campaign-' || n, (array['sms', 'whatsapp'])[1 + k % 2], (array['a', 'b'])[1 + k / 2], 'marketing',
    (array['ko', 'en'])[1 + n % 2], 'offer-' || n % 40, 'say'
FROM generate_series(1, $2::integer) AS n, generate_series(0, 3) AS k
UNION ALL
SELECT md5('flow' || n || '.' || k)::uuid, $1, '', (array['sms', 'whatsapp'])[1 + k % 2], '', (array['transactional', 'reply'])[1 + n % 2],
    (array['ko', 'en'])[1 + k / 2], 'flow-' || n % 10, 'step-' || n / 10
FROM generate_series(0, $3::integer - 1) AS n, generate_series(0, 3) AS k
"""
TIMES = """
CREATE TABLE scratch AS
SELECT md5('campaign' || n || '.' || k)::uuid AS cell_id, $1::timestamptz - ((n % {days} + 1) * interval '1 day') + d * interval '20 hours'
    + q * interval '15 minutes' AS period, 2 AS sent
FROM generate_series(1, {campaigns}) AS n, generate_series(0, 3) AS k, generate_series(0, 1) AS d, generate_series(0, 7) AS q
UNION ALL
SELECT md5('flow' || n || '.' || k)::uuid, $1::timestamptz - (d * interval '1 day') - (q * interval '2 hours'), 2
FROM generate_series(0, {steps} - 1) AS n, generate_series(0, 3) AS k, generate_series(1, {days}) AS d, generate_series(0, 11) AS q
"""
SHARES = {
    "sent": "sent", "delivered": "sent - (n % 25 = 0)::integer", "opened": "(n % 2)", "clicked": "(n % 5 = 1)::integer", "replied": "(n % 9 = 1)::integer",
    "converted": "(n % 15 = 1)::integer", "opened_machine": "(n % 3 = 0)::integer", "failed": "(n % 25 = 0)::integer", "segments": "sent",
}  # fmt: skip
"""What the counts of a quarter are made of: `n` is its number."""


async def filled(pool: Pool, now: datetime) -> int:
    """Fills the tables until just before `now`, sums included, and gives how many quarters of cells there are."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("TRUNCATE cells, counters, money, reasons, unowed")
        for table in ("counters", "money", "reasons"):
            await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER rolled_insert")
        await connection.execute(CELLS, TENANT, CAMPAIGNS, STEPS)
        times = TIMES.format(days=DAYS, campaigns=CAMPAIGNS, steps=STEPS).replace("$1", f"'{now.isoformat()}'")
        await connection.execute(times, timeout=600)
        people = {f"people_{name}": value for name, value in SHARES.items() if f"people_{name}" in COUNTS}
        counts = {name: value for name, value in (SHARES | people).items() if name in COUNTS}
        await connection.execute(
            f"INSERT INTO counters (cell_id, period, {', '.join(counts)}) SELECT cell_id, period, {', '.join(counts.values())} FROM"
            " (SELECT *, row_number() OVER () AS n FROM scratch) AS numbered", timeout=600,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO money (cell_id, period, currency, orders, revenue, cost) SELECT cell_id, period, 'USD', 0, 0, 0.0079 * sent FROM counters"
            " UNION ALL SELECT cell_id, period, 'KRW', 1, 12000, 0 FROM counters WHERE converted > 0", timeout=600,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO reasons (cell_id, period, status, reason, messages) SELECT cell_id, period, 'failed',"
            " (array['unreachable', 'blocked', 'invalid_address', 'expired'])[1 + extract(minute FROM period)::integer / 15], failed"
            " FROM counters WHERE failed > 0", timeout=600,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO unowed SELECT $1, goal, $2::timestamptz - n * interval '15 minutes', 'KRW', 1, 9000"
            " FROM generate_series(1, 35040) AS n, (VALUES ('order.placed'), ('signed.up')) AS goals (goal)", TENANT, now,
        )  # fmt: skip
        await connection.execute("DROP TABLE scratch")
        for table in ("counters", "money", "reasons"):
            await connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER rolled_insert")
    await align(pool, {TENANT: ZONE})
    await pool.execute("VACUUM ANALYZE", timeout=600)
    found: int = await pool.fetchval("SELECT count(*) FROM counters")
    return found
