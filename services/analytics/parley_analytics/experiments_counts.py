"""The people of an experiment and what they did, from the counters: those who were drawn, or else those to whom a variant of the campaign was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from asyncpg import Record

from parley.database import Pool
from parley_analytics.experiments_query import MANY, REVENUE, Asked
from parley_analytics.query import Unclear
from parley_analytics.samples import LATELY, Group, Row, Sample, Spent, chosen, sampled

DRAWN = """
SELECT design_id, experiment, weights::text AS weights, holdout, variant, sum(people)::bigint AS people, sum(opened)::bigint AS opened,
    sum(clicked)::bigint AS clicked, sum(replied)::bigint AS replied, sum(converted)::bigint AS converted,
    COALESCE(sum(people) FILTER (WHERE period >= $3), 0)::bigint AS lately,
    min(period) FILTER (WHERE people > 0) AS since, max(period) FILTER (WHERE people > 0) AS latest
FROM designs JOIN arms USING (design_id)
WHERE tenant = $1 AND campaign = $2
GROUP BY design_id, variant HAVING sum(people) > 0 ORDER BY design_id, variant
"""
"""Who was drawn for the experiments of a campaign, by weights and variant."""
SPENT = "SELECT variant, currency, total, squares FROM spending WHERE design_id = $1 AND people > 0"
"""What those of one design spent."""
SENT = """
SELECT variant, count(DISTINCT cell_id) AS cells, sum(people_sent)::bigint AS people, sum(people_opened)::bigint AS opened,
    sum(people_clicked)::bigint AS clicked, sum(people_replied)::bigint AS replied, sum(people_converted)::bigint AS converted,
    COALESCE(sum(people_sent) FILTER (WHERE period >= $3), 0)::bigint AS lately, min(period) AS since
FROM counters JOIN cells USING (cell_id)
WHERE tenant = $1 AND campaign = $2 AND variant <> '' AND people_sent > 0
GROUP BY variant ORDER BY variant LIMIT 11
"""
"""The variants of a campaign from the counters, which count a person once for each channel, purpose, language and step."""
ONE_BY_ONE = """
SELECT variant, 1 AS cells, count(*) AS people, sum(opened) AS opened, sum(clicked) AS clicked, sum(replied) AS replied, sum(converted) AS converted,
    count(*) FILTER (WHERE since >= $3) AS lately, min(since) AS since
FROM (
    SELECT variant, contact_id, max((opened > 0)::integer) AS opened, max((clicked > 0)::integer) AS clicked, max((replied > 0)::integer) AS replied,
        max((converted > 0)::integer) AS converted, min(first_sent_at) AS since
    FROM people JOIN cells USING (cell_id)
    WHERE tenant = $1 AND campaign = $2 AND variant <> '' AND first_sent_at IS NOT NULL GROUP BY variant, contact_id
) AS each
GROUP BY variant ORDER BY variant LIMIT 11
"""
"""The same from people, for a variant of several cells: twice the same person would look like two that agree."""
OWED = """
SELECT variant, currency, sum(total) AS total, sum(total * total) AS squares
FROM (
    SELECT variant, currency, contact_id, sum(total) AS total FROM spenders JOIN cells USING (cell_id)
    WHERE tenant = $1 AND campaign = $2 AND variant <> '' GROUP BY variant, currency, contact_id
) AS each
GROUP BY variant, currency
"""
"""What is owed to the messages of each variant, by the squares of what each person spent."""


async def sample(pool: Pool, tenant: str, campaign: str, asked: Asked, now: datetime) -> Sample | None:
    """The people of a campaign's experiment; None where there are none. Raises `Unclear` where the campaign has several experiments, or too many variants."""
    found = await _drawn(pool, tenant, campaign, asked, now) if asked.people != "sent" else None
    if found is None and asked.people != "drawn" and asked.split is None:
        found = await _sent(pool, tenant, campaign, asked, now)
    if found is not None and len(found.groups) > MANY:
        raise Unclear(f"Campaign {campaign[:100]!r} has more than {MANY} variants; an experiment has at most so many.")
    return found


async def _drawn(pool: Pool, tenant: str, campaign: str, asked: Asked, now: datetime) -> Sample | None:
    rows = chosen([_row(dict(one)) for one in await pool.fetch(DRAWN, tenant, campaign, now - LATELY)], asked.split)
    if not rows:
        return None
    return sampled(rows, _spent(await pool.fetch(SPENT, rows[0].design_id)) if asked.metric == REVENUE else {})


async def _sent(pool: Pool, tenant: str, campaign: str, asked: Asked, now: datetime) -> Sample | None:
    """From the counters where that is exact, else person by person."""
    rows = await pool.fetch(SENT, tenant, campaign, now - LATELY)
    if any(row["cells"] > 1 for row in rows):
        rows = await pool.fetch(ONE_BY_ONE, tenant, campaign, now - LATELY)
    if not rows:
        return None
    return Sample("sent", [_group(dict(row)) for row in rows], _spent(await pool.fetch(OWED, tenant, campaign)) if asked.metric == REVENUE else {})


def _group(row: Mapping[str, Any]) -> Group:
    return Group(**{name: row[name] for name in Group._fields})


def _row(row: Mapping[str, Any]) -> Row:
    return Row(row["design_id"], row["experiment"], orjson.loads(row["weights"]), row["holdout"] or None, row["latest"], _group(row))


def _spent(rows: Sequence[Record]) -> dict[str, dict[str, Spent]]:
    """By currency and variant."""
    found: dict[str, dict[str, Spent]] = {}
    for row in rows:
        found.setdefault(row["currency"], {})[row["variant"]] = Spent(float(row["total"]), float(row["squares"]))
    return found
