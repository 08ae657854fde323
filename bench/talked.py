"""A year of conversations as ten million facts leave them, written as counters: four channels, thirty flows, ten teams, sixty agents.

A conversation has three facts on the average (it began, it was answered, and a third of them went on with people), so these are 3.3 million of them. Their
durations lie on two decades: the counters of a week hold every step of those, the finer ones some.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from bench.year import TENANT, ZONE
from parley.database import Pool

DAYS, HOURLY = 366, 8
"""Days that are told by the day, and of those by the quarter of an hour, too: what questions may read."""
GRAINS = {"month": ("month", "1 month", 1.0), "week": ("week", "7 days", 1.0), "day": ("day", "1 day", 0.7), "quarter": ("day", "15 minutes", 0.12)}
"""By grain: where the first one begins, how far apart they are, and the share of the steps of a duration that each holds."""
FILL = """
INSERT INTO talk_counts (tenant, dimension, grain, period, value, what, place, n)
SELECT $1, dimension, $2, period, value, what, place, counted
FROM generate_series(date_trunc($3, $4::timestamptz, $5), $6::timestamptz, $7::text::interval, $5) AS period,
    (VALUES ('', 1), ('channel', 4), ('flow', 30), ('team', 10), ('agent', 60)) AS each (dimension, values),
    LATERAL (SELECT CASE WHEN dimension = '' THEN '' ELSE dimension || '-' || number END AS value FROM generate_series(1, values) AS number) AS named,
    (VALUES ('opened', 0, 0, 900), ('automated', 0, 0, 500), ('escalated', 0, 0, 300), ('overdue', 0, 0, 20), ('rated', 1, 5, 20),
        ('answered', 14, 38, 8), ('replied', 44, 68, 4), ('resolved', 56, 80, 3)) AS mark (what, least, most, counted),
    generate_series(least, most) AS place
WHERE least = most OR (hashtext(period::text || value || what || place) & 1023) < $8::double precision * 1024
ORDER BY period, dimension, value, what, place
"""


async def filled(pool: Pool, now: datetime) -> int:
    """Fills the tables until just before `now`, and gives how many counters there are."""
    await pool.execute("TRUNCATE talks, talk_counts, talk_zones")
    await pool.execute("INSERT INTO talk_zones (tenant, zone) VALUES ($1, $2)", TENANT, ZONE)
    for grain, (begins, apart, share) in GRAINS.items():
        since = now - timedelta(days=HOURLY if grain == "quarter" else DAYS)
        await pool.execute(FILL, TENANT, grain, begins, since, ZONE, now, apart, share, timeout=600)
    await pool.execute("VACUUM ANALYZE talk_counts", timeout=600)
    found: int = await pool.fetchval("SELECT count(*) FROM talk_counts")
    return found
