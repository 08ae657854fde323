"""Every documented question of the API of figures, and the pages that show them, asked over HTTP at ten million facts: how long 95 of 100 take."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import yaml

from bench import talked
from bench.ground import Ground, environment, ground
from bench.measure import Answers, Finding
from bench.year import TENANT, ZONE, filled
from parley import database
from parley.demo.fleet import Child
from parley.local import free_port
from parley.settings import Settings
from parley_analytics.app import SERVICE

TOKEN = "bench-figures"
TIMES = 20
"""Times that each question is asked, after two that do not count."""
MOST = 0.1
"""Seconds that an answer may take."""
Question = tuple[str, str, dict[str, str]]


def questions(now: datetime) -> list[Question]:
    """What is asked in words, where, and with which parameters. `now`: the end of what was filled."""
    back = {
        name: (now - timedelta(days=days)).isoformat()
        for name, days in (("two", 2), ("week", 7), ("two months", 62), ("hundred", 100), ("year", 365))
    }
    until = {"to": now.isoformat()}
    year, rates, talks = {"from": back["year"], **until}, "/v1/rates", "/v1/conversations/summary"
    return [
        ("30 days by campaign, channel and variant", rates, until),
        ("30 days by flow and step", rates, {"group_by": "flow,step", **until}),
        ("a year by campaign and channel", rates, {"group_by": "campaign,channel", **year}),
        ("a year by campaign and language, by open rate", rates, {"group_by": "campaign,language", "order": "-open", **year}),
        ("a year by flow and step", rates, {"group_by": "flow,step", **year}),
        ("a year by variant and language, of one channel", rates, {"group_by": "variant,language", "channel": "sms", **year}),
        ("a year by campaign, by month", rates, {"group_by": "campaign", "bucket": "month", **year}),
        ("a hundred days by campaign, by week", rates, {"group_by": "campaign", "bucket": "week", "from": back["hundred"], **until}),
        ("two months by campaign, by day", rates, {"group_by": "campaign", "bucket": "day", "from": back["two months"], **until}),
        ("two days by campaign and channel, by hour", rates, {"group_by": "campaign,channel", "bucket": "hour", "from": back["two"], **until}),
        ("a year by channel and language, by week", rates, {"group_by": "channel,language", "bucket": "week", **year}),
        ("a year in all, by day", rates, {"group_by": "none", "bucket": "day", **year}),
        ("a week by channel, by hour", rates, {"group_by": "channel", "bucket": "hour", "from": back["week"], **until}),
        ("a year of one campaign, by channel and variant", rates, {"group_by": "channel,variant", "campaign": "campaign-17", **year}),
        ("campaigns of a year, found by a part of their names", "/v1/campaigns", {"search": "campaign-99", **year}),
        ("campaigns of 30 days", "/v1/campaigns", until),
        ("a campaign, whole", "/v1/campaigns/campaign-17", {}),
        ("what did not arrive in a year, by channel and week", "/v1/deliverability", {"group_by": "channel", "bucket": "week", **year}),
        ("what is owed to no message in a year, by month", "/v1/unattributed", {"bucket": "month", **year}),
        ("conversations of a year by agent", talks, {"group_by": "agent", **year}),
        ("conversations of two months by flow", talks, {"group_by": "flow", "from": back["two months"], **until}),
        ("conversations of 30 days by team, by day", talks, {"group_by": "team", "bucket": "day", **until}),
        ("conversations of a year by agent, by month", talks, {"group_by": "agent", "bucket": "month", **year}),
        ("conversations of a hundred days, by day", talks, {"bucket": "day", "from": back["hundred"], **until}),
        ("conversations of a week, by hour", talks, {"bucket": "hour", "from": back["week"], **until}),
    ]


def pages(now: datetime) -> list[Question]:
    """The same for pages: which, and of which time. `now`: the end of what was filled."""
    year = {"from": f"{now - timedelta(days=365):%Y-%m-%d}", "through": f"{now:%Y-%m-%d}"}
    return [
        ("page: overview of 30 days", "/", {}),
        ("page: overview of a year", "/", year),
        ("page: campaigns of 30 days", "/campaigns", {}),
        ("page: campaigns of a year, found by a part of their names", "/campaigns", {"q": "campaign-99", **year}),
        ("page: a campaign, in a year", "/campaigns/campaign-17", year),
        ("page: channels of a year", "/channels", year),
        ("page: what did not arrive in a year", "/deliverability", year),
        ("page: conversations of 30 days", "/conversations", {}),
    ]


async def run(settings: Settings, rounds: int) -> list[Finding]:
    """One service over filled tables, each question again and again."""
    now = datetime.now(UTC).replace(minute=45, second=0, microsecond=0) - timedelta(hours=1)
    async with ground(settings) as here:
        await _fill(here.settings, now)
        async with serving(here) as client:
            return [await asked(client, *one, rounds) for one in (*questions(now), *pages(now))]


async def _fill(settings: Settings, now: datetime) -> None:
    pool = await database.connect(settings.database.get_secret_value(), SERVICE.name)
    await database.migrate(pool, SERVICE.name, *SERVICE.packages)
    await filled(pool, now)
    await talked.filled(pool, now)
    await pool.close()


@contextlib.asynccontextmanager
async def serving(here: Ground) -> AsyncIterator[aiohttp.ClientSession]:
    """Analytics as a process of its own, and who asks it over HTTP with a key."""
    _keyed(here.settings.config)
    port = free_port()
    child = Child("analytics", port, here.fleet.logs / "reports.log", (), environment(here, port), "/readyz")
    await child.start()
    try:
        jar = aiohttp.CookieJar(unsafe=True)  # of an address, not of a name
        async with aiohttp.ClientSession(child.url, headers={"authorization": f"Bearer {TOKEN}"}, cookie_jar=jar) as client:
            await client.post("/sign-in", data={"key": TOKEN}, allow_redirects=False)
            yield client
    finally:
        await child.stop()


def _keyed(directory: Path) -> None:
    """A key for figures, and the tenant's zone."""
    path = directory / "accounts.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["tenants"][TENANT]["timezone"] = ZONE
    (directory / "bench-figures").write_text(TOKEN, encoding="utf-8")
    document["keys"]["figures"] = {"tenant": TENANT, "scopes": ["rates:read"], "token": "file:bench-figures"}
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), encoding="utf-8")


async def asked(client: aiohttp.ClientSession, words: str, path: str, parameters: dict[str, str], rounds: int) -> Answers:
    """How long the answers to one question take. Raises RuntimeError where there is none."""
    times: list[float] = []
    for number in range(TIMES * rounds + 2):
        begun = time.perf_counter()
        async with client.get(f"{path}?{urlencode(parameters)}", allow_redirects=False) as answer:
            body = await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{path}?{urlencode(parameters)} was answered with {answer.status}: {body[:300].decode()}")
        if number >= 2:
            times.append(time.perf_counter() - begun)
    return Answers(path, words, times, MOST)
