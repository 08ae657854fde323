"""Dashboards for tests and pictures: made-up figures of a tea shop in the counters, and a server with the pages alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from uuid import UUID, uuid5

import yaml

from parley import config, database, web
from parley.bus import Bus
from parley.contracts import ConversationChanged, Envelope
from parley.database import Pool
from parley.metrics import Metrics
from parley.service import Context
from parley.settings import Settings
from parley.step import Arrived, Place
from parley_analytics.pages.routes import routes
from parley_analytics.rates import COUNTS
from parley_analytics.talks_stage import Talks

NOW = datetime(2026, 11, 24, 5, 31, tzinfo=UTC)
SPACE = UUID("6f0c7f0e-5a70-4d0f-9c58-7a3e3a3b8d11")
KEYS = {"people": ["rates:read"], "shop": ["events:write"]}
CAMPAIGNS = ("first-flush", "autumn-sale", "matcha-week", "welcome", "cart-reminder", "loyal-friends")
CHANNELS = {"sms": (0.970, 0.0, 0.052), "whatsapp": (0.985, 0.71, 0.094), "email": (0.960, 0.31, 0.034), "push": (0.930, 0.12, 0.021)}
"""How many of a channel's messages arrive; of the people who got one, how many open and click."""


REASONS = {
    "failed": {"unreachable": 0.5, "blocked_by_carrier": 0.3, "bad_address": 0.2},
    "suppressed": {"no_consent": 0.6, "capped": 0.3, "quiet_hours": 0.1},
    "unknown": {"no_answer": 1.0},
    "expired": {"too_late": 1.0},
}


@dataclass
class Shown:
    """A server of pages that runs, and its database."""

    port: int
    pool: Pool

    def address(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@contextlib.asynccontextmanager
async def pages(settings: Settings, folder: Path, now: datetime = NOW) -> AsyncIterator[Shown]:
    """The dashboards, and nothing else of analytics, for keys that are called as their tokens."""
    accounts = {
        "tenants": {"acme": {"timezone": "Asia/Seoul", "languages": ["ko", "en"]}},
        "keys": {name: {"tenant": "acme", "scopes": scopes, "token": f"file:{_token(folder, name)}"} for name, scopes in KEYS.items()},
    }
    (folder / "accounts.yaml").write_text(yaml.safe_dump(accounts))
    settings = settings.model_copy(update={"config": folder})
    pool = await database.connect(settings.database.get_secret_value(), "analytics", size=6)
    context = Context(settings, config.load(folder), pool, Bus(settings, client="test"), Metrics(), lambda: now)
    with web.bound("127.0.0.1", 0) as socket:
        socket.listen(64)
        serving = asyncio.create_task(web.serve(web.application(routes(context), [], context.metrics, 60), socket))
        try:
            yield Shown(socket.getsockname()[1], pool)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            await asyncio.wait_for(pool.close(), 5)


def _token(folder: Path, name: str) -> Path:
    path = folder / f"{name}.key"
    path.write_text(name)
    return path


@dataclass(frozen=True)
class Cell:
    """What counts together."""

    campaign: str
    channel: str
    variant: str = ""
    purpose: str = "marketing"
    language: str = "ko"
    flow: str = ""
    step: str = ""

    @property
    def id(self) -> UUID:
        return uuid5(SPACE, repr(self))


Counted = tuple[Cell, datetime, dict[str, int]]


async def fill(pool: Pool, now: datetime = NOW, days: int = 60) -> None:
    """Two months of a tea shop: six campaigns over four channels, one of them an experiment, the same at every run."""
    chance = Random(7)
    counts = [one for cell, size, lift in _shop() for one in _history(cell, size, lift, now, days, chance)]
    await keep(pool, counts)
    money = [
        (cell.id, at, "KRW", found["converted"], Decimal(found["converted"] * chance.randrange(18_000, 42_000)), Decimal(found["sent"]) * 9)
        for cell, at, found in counts if found["sent"]
    ]  # fmt: skip
    await pool.copy_records_to_table("money", records=money, columns=["cell_id", "period", "currency", "orders", "revenue", "cost"])
    await pool.copy_records_to_table("reasons", records=list(_reasons(counts)), columns=["cell_id", "period", "status", "reason", "messages"])
    unowed = [
        ("acme", "order.placed", now.replace(minute=0) - timedelta(days=day), "KRW", 3 + day % 4, Decimal(31_000 * (3 + day % 4)))
        for day in range(days)
    ]
    await pool.copy_records_to_table("unowed", records=unowed, columns=["tenant", "goal", "period", "currency", "happened", "value"])
    await draw(pool, now)


def _reasons(counts: list[Counted]) -> Iterator[tuple[object, ...]]:
    """Why what did not arrive did not."""
    for cell, at, found in counts:
        for status, shares in REASONS.items():
            for reason, share in shares.items():
                if messages := round(found[status] * share):
                    yield cell.id, at, status, reason, messages


async def draw(pool: Pool, now: datetime = NOW, days: int = 21) -> None:
    """An experiment whose people were drawn: two variants and a holdout, for three weeks."""
    design, chance = uuid5(SPACE, "design"), Random(5)
    await pool.execute(
        "INSERT INTO designs (design_id, experiment_id, tenant, campaign, experiment, weights, holdout) VALUES ($1, $2, 'acme', $3, 'offer', $4, 'none')",
        design, uuid5(SPACE, "experiment"), CAMPAIGNS[0], '{"A": 9, "B": 9, "none": 2}',
    )  # fmt: skip
    rows = []
    for day in range(days):
        for variant, people, clicks, buys in (("A", 450, 0.055, 0.018), ("B", 450, 0.074, 0.024), ("none", 100, 0.0, 0.011)):
            came = people + chance.randrange(-12, 12)
            clicked = _of(came, clicks, chance)
            at = (now - timedelta(days=day)).replace(hour=1, minute=0)
            rows.append((design, variant, at, came, _of(came, 0.4 * (clicks > 0), chance), clicked, 0, _of(came, buys, chance)))
    columns = ["design_id", "variant", "period", "people", "opened", "clicked", "replied", "converted"]
    await pool.copy_records_to_table("arms", records=rows, columns=columns)


def _shop() -> Iterator[tuple[Cell, int, float]]:
    for place, campaign in enumerate(CAMPAIGNS):
        for share, channel in enumerate(CHANNELS):
            size = 900 // (1 + place) // (1 + share)
            for language, part in (("ko", 0.7), ("en", 0.3)):
                for variant, lift in (("A", 1.0), ("B", 1.3)) if campaign == "first-flush" else (("", 1.0),):
                    half = 0.5 if variant else 1.0
                    cell = Cell(campaign, channel, variant, language=language, flow=campaign, step="offer")
                    yield cell, int(size * part * half), lift
    yield Cell("", "whatsapp", purpose="reply", flow="faq", step="answer"), 140, 1.0


def _history(cell: Cell, size: int, lift: float, now: datetime, days: int, chance: Random) -> Iterator[Counted]:
    """A few counts a day, more of them before the weekend; today as far as it has come."""
    for day in range(days):
        at = (now - timedelta(days=day)).replace(hour=1, minute=0)
        week = 1 + 0.35 * (at.weekday() in (3, 4)) - 0.5 * (at.weekday() == 6)
        sent = int(size * week * chance.uniform(0.8, 1.2))
        if sent:
            yield cell, at, counted(sent, *CHANNELS[cell.channel], lift, chance)


def counted(sent: int, arrives: float, opens: float, clicks: float, lift: float, chance: Random) -> dict[str, int]:
    """One day of a cell, nested as the real counts are."""
    delivered, opened, clicked = _of(sent, arrives, chance), 0, 0
    opened, clicked = _of(delivered, opens, chance), _of(delivered, clicks * lift, chance)
    converted, failed = _of(clicked, 0.28, chance), sent - delivered
    found = {
        "sent": sent, "delivered": delivered, "opened": opened, "clicked": clicked, "converted": converted, "failed": failed // 2,
        "replied": _of(delivered, 0.012, chance), "opted_out": _of(delivered, 0.002, chance), "complained": _of(delivered, 0.0004, chance),
        "bounced": failed // 3, "unknown": failed // 9, "suppressed": _of(sent, 0.03, chance), "expired": _of(sent, 0.004, chance),
        "opened_machine": _of(opened, 0.2, chance), "clicked_machine": _of(clicked, 0.1, chance), "segments": sent,
    }  # fmt: skip
    people = {f"people_{name}": value for name, value in found.items()}
    return {name: value for name, value in (found | people).items() if name in COUNTS}


def _of(size: int, share: float, chance: Random) -> int:
    """So many of so many, about that share."""
    spread = (size * share * (1 - share)) ** 0.5 if 0 < share < 1 else 0.0
    return min(max(round(chance.gauss(size * share, spread)), 0), size)


async def keep(pool: Pool, counts: list[Counted]) -> None:
    """Puts counts where the stage would."""
    cells = list({cell.id: cell for cell, _, _ in counts}.values())
    names = [one.name for one in fields(Cell)]
    rows = [(cell.id, "acme", *(getattr(cell, name) for name in names)) for cell in cells]
    await pool.copy_records_to_table("cells", records=rows, columns=["cell_id", "tenant", *names])
    records = [(cell.id, at, *(found.get(name, 0) for name in COUNTS)) for cell, at, found in counts]
    await pool.copy_records_to_table("counters", records=records, columns=["cell_id", "period", *COUNTS])


async def talk(pool: Pool, now: datetime = NOW, days: int = 45) -> None:
    """Conversations of the shop, through the stage that counts them."""
    chance, stage = Random(3), Talks.prepared(lambda _: "Asia/Seoul")
    events = [one for day in range(days) for number in range(14 + chance.randrange(12)) for one in _talk(day, number, now, chance)]
    async with pool.acquire() as connection, connection.transaction():
        await stage.apply(connection, [Arrived(one, Place("test", 0), place, None) for place, one in enumerate(events)], now)


def _talk(day: int, number: int, now: datetime, chance: Random) -> Iterator[Envelope]:
    """One conversation: the bot answers; some are handed over, answered by a person, solved, rated."""
    begun = now - timedelta(days=day, minutes=chance.randrange(300))
    told = {"conversation_id": uuid5(SPACE, f"talk {day} {number}"), "contact_id": uuid5(SPACE, f"contact {day} {number}"),
            "channel": chance.choice(["whatsapp", "whatsapp", "webchat", "sms"]), "flow": chance.choice(["faq", "faq", "order-status", "welcome"])}  # fmt: skip
    team, agent = chance.choice([("orders", "mina"), ("orders", "joon"), ("care", "sora")])

    def step(change: str, seconds: float, **more: object) -> Envelope:
        data = ConversationChanged(change=change, at=begun + timedelta(seconds=seconds), **told, **more)
        return Envelope(id=str(uuid5(SPACE, f"{told['conversation_id']} {change}")), source="test", time=data.at, tenant="acme", data=data)

    yield step("opened", 0)
    yield step("answered", chance.uniform(0.4, 3), by="bot")
    if chance.random() < 0.34:
        wait = chance.lognormvariate(5.4, 0.9)
        yield step("escalated", 40, team=team, by="bot")
        yield step("replied", 40 + wait, team=team, agent=agent, by="person")
        if wait > 600:
            yield step("overdue", 640, team=team)
        yield step("resolved", 60 + wait * chance.uniform(2, 6), team=team, agent=agent, by="person")
    if chance.random() < 0.3:
        yield step("rated", 9000, score=chance.choice([5, 5, 5, 4, 4, 3, 1]))


async def many(pool: Pool, campaigns: int, now: datetime = NOW) -> None:
    """So many campaigns, each of one day."""
    chance = Random(11)
    await keep(pool, [(Cell(f"campaign-{number:05}", "sms"), now - timedelta(days=number % 20), counted(50 + number, 0.95, 0.3, 0.05, 1.0, chance))
                      for number in range(campaigns)])  # fmt: skip
