"""What a page shows, read from the counters: which reports each page asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from parley.config import Tenant
from parley.database import Pool
from parley_analytics import query, reasons, talks_report
from parley_analytics.pages import arriving, talking, views
from parley_analytics.pages.asked import Asked, Unusable
from parley_analytics.pages.parts import Part
from parley_analytics.pages.words import Language
from parley_analytics.query import DIMENSIONS, Query, Unclear
from parley_analytics.reports import Line, Report, asking, report

TOP = 8
"""Campaigns on the first page."""
ROWS = 50
"""Rows of a list on one page."""
GROUPS = 30
"""Rows of a table that is one of several."""


class Missing(LookupError):
    """What the address names is not there: which sentence (a key of the words) says so, and of what."""

    def __init__(self, sentence: str, given: str) -> None:
        super().__init__(sentence)
        self.sentence, self.given = sentence, given[:100]


@dataclass(frozen=True, slots=True)
class Look:
    """Somebody looks: at whose figures, asking what, in which language, when."""

    pool: Pool
    tenant: Tenant
    asked: Asked
    language: Language
    now: datetime

    def query(self, *group_by: str, limit: int = GROUPS, bucket: str | None = None, campaign: str | None = None) -> Query:
        """The question of the address, by these dimensions."""
        asked = self.asked
        where = tuple((name, "" if value == query.NONE else value) for name, value in asked.filters.items() if name in DIMENSIONS)
        where += (("campaign", campaign),) if campaign is not None else ()
        return Query(group_by, asked.since.astimezone(UTC), asked.until.astimezone(UTC), self.tenant.timezone, bucket, where, limit=limit)

    async def report(self, asked: Query) -> Report:
        return await report(self.pool, self.tenant.name, asked)

    async def lines(self, *group_by: str, limit: int = GROUPS, bucket: str | None = None, campaign: str | None = None) -> Sequence[Line]:
        return (await self.report(self.query(*group_by, limit=limit, bucket=bucket, campaign=campaign))).lines

    async def before(self, campaign: str | None = None) -> Line:
        """All together, in the time before."""
        since, until = (one.astimezone(UTC) for one in self.asked.before)
        question = replace(self.query(campaign=campaign), since=since, until=until)
        async with asking(self.pool, self.tenant.name, question) as asked:
            return await asked.total()


async def overview(look: Look) -> list[Part]:
    campaigns = await look.report(look.query("campaign", limit=TOP))
    series = await look.report(look.query(bucket=look.asked.bucket))
    before, owed = await look.before(), await unowed(look)
    return views.overview(series.totals, before, series.lines, campaigns.lines, owed, look.asked, look.language)


async def campaigns(look: Look) -> list[Part]:
    asked = look.asked
    question = replace(look.query("campaign", limit=ROWS), search=asked.told("q"))
    try:
        question = replace(question, order=query.order(asked.told("order", "-sent"), ("campaign",)))
        if after := asked.told("after"):
            since, until = (datetime.fromisoformat(one) for one in query.between(after).values())
            question = query.behind(replace(question, since=since, until=until), after)
    except (Unclear, ValueError) as error:
        raise Unusable("unusable_choice", asked.told("after") or asked.told("order")) from error
    return views.campaigns(await look.report(question), asked, look.language)


async def campaign(look: Look, name: str, path: str) -> list[Part]:
    series = await look.report(look.query(campaign=name, bucket=look.asked.bucket))
    if not series.lines and not await exists(look, name):
        raise Missing("error_campaign", name)
    dimensions = [one for one in ("variant", "channel", "purpose", "language", "step") if one in DIMENSIONS]
    groups: dict[str, Sequence[Line]] = {one: await look.lines(one, campaign=name) for one in dimensions}
    why = arriving.reasons(await reasons.reasons(look.pool, look.tenant.name, look.query(campaign=name)), look.language)
    return views.campaign(name, series.totals, await look.before(name), series.lines, groups, why, look.asked, path, look.language)


async def channels(look: Look) -> list[Part]:
    found = await look.report(look.query("channel"))
    look.asked.among("metric", views.CURVED)
    series = await look.lines("channel", bucket=look.asked.bucket, limit=views.CURVES)
    return views.channels(found.totals, found.lines, series, look.asked, look.language)


async def deliverability(look: Look) -> list[Part]:
    found = await look.report(look.query("channel"))
    series = await look.lines("channel", bucket=look.asked.bucket, limit=views.CURVES)
    why = await reasons.reasons(look.pool, look.tenant.name, look.query())
    return arriving.deliverability(found.totals, await look.before(), found.lines, series, why, look.asked, look.language)


async def unowed(look: Look) -> views.Unowed:
    """What no message is owed for."""
    rows = await reasons.unowed(look.pool, look.tenant.name, look.query())
    value: dict[str, Decimal] = {}
    for row in rows:
        value[row.currency] = value.get(row.currency, Decimal()) + row.value
    return views.Unowed(sum(row.happened for row in rows), value)


async def talks(look: Look) -> list[Part]:
    asked, zone = look.asked, look.tenant.timezone
    only = ("channel", asked.filters["channel"]) if "channel" in asked.filters else None
    whole = talks_report.Asked(asked.since, asked.until, zone, only=only)
    since, until = asked.before
    before = await talks_report.conversations(look.pool, look.tenant.name, replace(whole, since=since, until=until))
    total = await talks_report.conversations(look.pool, look.tenant.name, whole)
    series = await talks_report.conversations(look.pool, look.tenant.name, replace(whole, bucket=asked.bucket))
    # Conversations are counted by one dimension at a time: of one channel there are no teams.
    dimensions = () if only else ("team", "flow", "channel")
    groups = {one: await talks_report.conversations(look.pool, look.tenant.name, replace(whole, group_by=one)) for one in dimensions}
    return talking.conversations(total, before.totals, series, groups, asked, look.language)


async def exists(look: Look, name: str) -> bool:
    """Whether the tenant ever had a campaign of this name."""
    sql = "SELECT EXISTS (SELECT FROM cells WHERE tenant = $1 AND campaign = $2)"
    return bool(await look.pool.fetchval(sql, look.tenant.name, name))
