"""What an event costs analytics beside ten million facts, against the same from empty tables."""

from __future__ import annotations

import sys

from bench.ground import fill, ground
from bench.measure import Comparison, Finding, Series
from bench.stages import following
from bench.traffic import fates
from parley import database
from parley.database import Pool
from parley.settings import Settings
from parley_analytics.app import SERVICE

MESSAGES, PEOPLE = 5_000, 3_000
OLD, OLD_PEOPLE = 3_000_000, 500_000
"""Messages of which something is known, and to how many people: each left and arrived, every other was opened, every fifth answered, every eighth clicked,
every tenth brought an order; together 8.8 million facts, and with what is known of their people more than ten."""
CHUNK = 250_000
WORTH = 1 / 1.3

CELLS = """
INSERT INTO cells (cell_id, tenant, campaign, channel, variant, purpose, language, flow, step)
SELECT md5('old cell ' || n)::uuid, 'acme', 'old-' || n, 'sms', 'a', 'marketing', 'en', '', '' FROM generate_series(0, 47) AS n"""
OLD_MESSAGES = """
WITH old AS (
    SELECT n, md5('old message ' || n)::uuid AS message_id, md5('old person ' || n % $3)::uuid AS contact_id, md5('old cell ' || n % 48)::uuid AS cell_id,
        timestamptz '2026-11-01' - n * interval '2 s' AS at
    FROM generate_series($1::bigint, $2::bigint - 1) AS n
), sent AS (
    INSERT INTO messages (message_id, contact_id, cell_id, sent_at, delivered_at, opened_at, clicked_at, segments, replies, orders)
    SELECT message_id, contact_id, cell_id, at, at + interval '3 s', CASE WHEN n % 2 = 0 THEN at + interval '1 h' END,
        CASE WHEN n % 8 = 0 THEN at + interval '1 h' END, 1, (n % 5 = 0)::integer, (n % 10 = 0)::integer FROM old
), hit AS (
    INSERT INTO hits (contact_id, at, hit, message_id, kind, rules, revision, person)
    SELECT contact_id, at + interval '1 h', message_id, message_id, 'clicked', 1, 0, true FROM old WHERE n % 8 = 0
), wrote AS (
    INSERT INTO replies (contact_id, at, reply_id, channel, message_id)
    SELECT contact_id, at + interval '2 h', message_id, 'sms', message_id FROM old WHERE n % 5 = 0
)
INSERT INTO orders (tenant, goal, order_id, contact_id, at, value, currency, message_id, cell_id, period)
SELECT 'acme', 'order.placed', 'old-' || n, contact_id, at + interval '3 h', 42000, 'KRW', message_id, cell_id,
    date_bin('15 minutes', at, '2000-01-01 00:00:00+00')
FROM old WHERE n % 10 = 0"""
OLD_PERSONS = """
INSERT INTO people (cell_id, contact_id, first_sent_at, delivered, opened, clicked, replied, converted, opted_out)
SELECT cell_id, contact_id, min(left_at), sum(delivered), sum(opened), sum(clicked), sum(replied), sum(converted), 0 FROM messages
GROUP BY cell_id, contact_id"""
KNOWN = """
SELECT (SELECT count(*) + count(delivered_at) + count(opened_at) + sum(replies) + sum(orders) FROM messages),
    (SELECT count(*) FROM hits), (SELECT count(*) FROM people)"""


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
            _say(f"round {number} {'beside the old ones' if old else 'alone'}: {rates[-1]:,.0f} events/s")
    return Series(tuple(rates[1:]))


async def _remembered(pool: Pool) -> None:
    """Writes down what is known of the old messages.

    The last of them after a checkpoint: the first change of a page after it is written whole, and of a service at this rate that is over after seconds of
    each quarter of an hour. Right behind a checkpoint every new message would pay for pages of its own.
    """
    await pool.execute(CELLS)
    for first in range(0, OLD, CHUNK):
        if first + CHUNK >= OLD:
            await pool.execute("VACUUM ANALYZE", timeout=600)
            await pool.execute("CHECKPOINT", timeout=600)
        await pool.execute(OLD_MESSAGES, first, min(OLD, first + CHUNK), OLD_PEOPLE, timeout=600)
        _say(f"{min(OLD, first + CHUNK):,} of {OLD:,} old messages are written down")
    await pool.execute(OLD_PERSONS, timeout=600)
    await pool.execute("ANALYZE", timeout=600)
    known = await pool.fetchrow(KNOWN, timeout=600)
    assert known is not None
    messages, hits, people = known
    _say(f"{messages + hits + people:,} facts: {messages:,} of messages, {hits:,} clicks, {people:,} people in their cells")


def _say(sentence: str) -> None:
    sys.stderr.write(f"bench: {sentence}\n")
    sys.stderr.flush()
