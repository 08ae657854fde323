"""What an event costs analytics beside ten million facts, against the same from empty tables."""

from __future__ import annotations

from bench.ground import fill, ground
from bench.measure import Comparison, Finding, Series
from bench.stages import following
from bench.traffic import fates
from parley import database
from parley.database import Pool
from parley.settings import Settings
from parley_analytics.app import SERVICE

MESSAGES, PEOPLE = 5_000, 3_000
OLD, OLD_PEOPLE = 3_400_000, 500_000
"""Messages of which something is known, and to how many people: each left, arrived, and every other was opened, so they are 8.5 million facts, and with what is known
of their people more than ten."""
CHUNK = 200_000
WORTH = 1 / 1.3

CELLS = """
INSERT INTO cells (cell_id, tenant, campaign, channel, variant, purpose, language, flow, step)
SELECT md5('old cell ' || n)::uuid, 'acme', 'old-' || n, 'sms', 'a', 'marketing', 'en', '', '' FROM generate_series(0, 47) AS n"""
OLD_MESSAGES = """
INSERT INTO messages (message_id, contact_id, cell_id, sent_at, delivered_at, opened_at, segments)
SELECT md5('old message ' || n)::uuid, md5('old person ' || n % $3)::uuid, md5('old cell ' || n % 48)::uuid, at, at + interval '3 s',
    CASE WHEN n % 2 = 0 THEN at + interval '1 h' END, 1
FROM (SELECT n, timestamptz '2026-11-01' - n * interval '2 s' AS at FROM generate_series($1::bigint, $2::bigint - 1) AS n) AS old"""
OLD_PERSONS = """
INSERT INTO people (cell_id, contact_id, first_sent_at, delivered, opened, clicked, replied, converted, opted_out)
SELECT cell_id, contact_id, min(sent_at), count(*), count(opened_at), 0, 0, 0, 0 FROM messages WHERE contact_id IN (
    SELECT md5('old person ' || n)::uuid FROM generate_series($1::bigint, $2::bigint - 1) AS n) GROUP BY cell_id, contact_id"""


async def run(settings: Settings, rounds: int) -> list[Finding]:
    """New messages of new people each round: in tables that know little else, then beside the old ones. The first round of each only warms."""
    few, many = await _rounds(settings, rounds, old=False), await _rounds(settings, rounds, old=True)
    what = "analytics: facts and counters, beside ten million facts"
    return [Comparison("analytics_by_facts", what, "events/s", many, few, "the same in tables with some thousands", WORTH)]


async def _rounds(settings: Settings, rounds: int, *, old: bool) -> Series:
    async with ground(settings) as here:
        pool = await database.connect(here.settings.database.get_secret_value(), SERVICE.name)
        await database.migrate(pool, SERVICE.name, *SERVICE.packages)
        if old:
            await _remembered(pool)
        await pool.close()
        rates, total = [], 0
        for number in range(rounds + 1):
            records = fates(MESSAGES, PEOPLE, seed=number + 1, first=number * MESSAGES)
            await fill(here.settings, records)
            total += len(records)
            rates.append(await following(here, SERVICE, len(records), total))
    return Series(tuple(rates[1:]))


async def _remembered(pool: Pool) -> None:
    """Writes down what is known of the old messages."""
    await pool.execute(CELLS)
    for first in range(0, OLD, CHUNK):
        await pool.execute(OLD_MESSAGES, first, min(OLD, first + CHUNK), OLD_PEOPLE, timeout=600)
    for first in range(0, OLD_PEOPLE, CHUNK):
        await pool.execute(OLD_PERSONS, first, min(OLD_PEOPLE, first + CHUNK), timeout=600)
    await pool.execute("VACUUM ANALYZE", timeout=600)
    await pool.execute("CHECKPOINT", timeout=600)
