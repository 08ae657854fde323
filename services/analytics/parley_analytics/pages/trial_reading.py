"""What the pages of experiments show, read as the API of experiments reads it."""

from __future__ import annotations

from datetime import datetime

from parley_analytics.experiments import Unfit, read
from parley_analytics.experiments_counts import sample
from parley_analytics.experiments_query import METRICS, REVENUE, Asked, understood
from parley_analytics.pages import trial
from parley_analytics.pages.asked import Unusable
from parley_analytics.pages.parts import Part
from parley_analytics.pages.reading import Look, Missing
from parley_analytics.query import Unclear

ROWS = 50
"""Experiments of one page of the list."""
PAGES = 10_000

LISTED = """
SELECT campaign, array_agg(DISTINCT variant ORDER BY variant) AS variants, min(since) AS since
FROM (
    SELECT campaign, variant, (SELECT min(period) FROM counters WHERE counters.cell_id = cells.cell_id AND people_sent > 0) AS since
    FROM cells WHERE tenant = $1 AND campaign <> '' AND variant <> ''
    UNION ALL
    SELECT campaign, variant, min(period) FROM designs JOIN arms USING (design_id) WHERE tenant = $1 AND people > 0 GROUP BY campaign, variant
) AS each
WHERE since IS NOT NULL AND strpos(lower(campaign), lower($2)) > 0
GROUP BY campaign HAVING count(DISTINCT variant) > 1
ORDER BY min(since) DESC, campaign LIMIT $3 OFFSET $4
"""
"""Campaigns with at least two variants, the newest first. The first period of a cell is one step in an index."""
DRAWN = """
SELECT date_trunc('day', period, $4) AS day, variant, sum(people)::bigint AS people, sum({counted})::bigint AS hits
FROM arms WHERE design_id = (
    SELECT design_id FROM designs JOIN arms USING (design_id) WHERE tenant = $1 AND campaign = $2 AND experiment = $3 AND people > 0
    GROUP BY design_id ORDER BY max(period) DESC, design_id DESC LIMIT 1
) GROUP BY 1, 2 ORDER BY 1, 2
"""
"""Who was drawn, day by day, by the design that the verdict is of."""
SENT = """
SELECT date_trunc('day', since, $3) AS day, variant, count(*) AS people, sum(hit)::bigint AS hits
FROM (
    SELECT variant, contact_id, min(first_sent_at) AS since, max(({counted} > 0)::integer) AS hit
    FROM people JOIN cells USING (cell_id)
    WHERE tenant = $1 AND campaign = $2 AND variant <> '' AND first_sent_at IS NOT NULL GROUP BY variant, contact_id
) AS each GROUP BY 1, 2 ORDER BY 1, 2
"""
"""To whom something was sent, by the day of their first message."""


async def experiments(look: Look) -> list[Part]:
    """The list, page by page."""
    told = look.asked.told("page", "1")
    if not (told.isascii() and told.isdigit() and len(told) < 6 and 1 <= int(told) <= PAGES):
        raise Unusable("unusable_choice", told)
    page, q, zone = int(told), look.asked.told("q"), look.tenant.timezone
    rows = await look.pool.fetch(LISTED, look.tenant.name, q, ROWS + 1, (page - 1) * ROWS)
    found = [trial.Found(row["campaign"], row["variants"], row["since"].astimezone(zone)) for row in rows]
    return trial.experiments(found[:ROWS], q, page, more=len(found) > ROWS, language=look.language)


async def experiment(look: Look, name: str, path: str) -> list[Part]:
    """One experiment, as it stands now."""
    asked = asked_of(look)
    try:
        people = await sample(look.pool, look.tenant.name, name, asked, look.now)
        if people is None:
            raise Missing("error_variants", name)
        design, arms, per_day = people.design(asked), people.arms(asked), people.per_day(look.now)
        found = read(arms, design, per_day)
    except (Unclear, Unfit) as error:
        raise Unusable("unusable_because", str(error)) from error
    daily = await by_day(look, name, asked.metric, people.experiment)
    seen = trial.Seen(name, asked.metric, people.counted, design, arms, found, per_day, trial.grown(daily))
    return trial.experiment(seen, look.asked, path, look.language)


def asked_of(look: Look) -> Asked:
    """The parameters of the page as the API takes them; the page says points where the API says a share. Raises `Unusable`."""
    told = look.asked.parameters
    given = {name: told[name] for name in ("metric", "weights", "control", "holdout", "split", "people") if name in told}
    if given.get("metric") == REVENUE:
        raise Unusable("unusable_choice", REVENUE)
    try:
        return understood({**given, **({"difference": f"{float(told['points']) / 100:.8f}"} if "points" in told else {})})
    except ValueError as error:
        if isinstance(error, Unclear) and "difference" not in str(error):
            raise Unusable("unusable_because", str(error)) from error
        raise Unusable("unusable_difference", told.get("points", "")) from error


async def by_day(look: Look, name: str, metric: str, split: str | None) -> list[tuple[datetime, str, int, int]]:
    """New people of each day and variant, and how many of them did what is asked for."""
    zone = look.tenant.timezone
    if split is None:
        rows = await look.pool.fetch(SENT.format(counted=METRICS[metric]), look.tenant.name, name, str(zone))
    else:
        rows = await look.pool.fetch(DRAWN.format(counted=METRICS[metric]), look.tenant.name, name, split, str(zone))
    return [(row["day"].astimezone(zone), row["variant"], row["people"], row["hits"]) for row in rows]
