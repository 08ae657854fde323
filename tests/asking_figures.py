"""The routes of analytics over tables with something in each: messages, answers, orders, reasons, conversations, people of an experiment."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests

from parley import config, web
from parley import database as db
from parley.bus import Bus
from parley.local import free_port
from parley.metrics import Metrics
from parley.service import Context
from parley.settings import Settings
from parley_analytics import api, experiments_api, talks_api
from parley_analytics.rolling import align
from tests.ingesting import KEY, OTHER_KEY, write_accounts
from tests.test_analytics_count import FIRST, MESSAGES, OTHER, PEOPLE, T0, apply, delivery, engagement, order
from tests.test_talks import TALKS, step
from tests.test_talks import apply as talk

NOW = T0 + timedelta(hours=30)
SECOND = next(message for message, (_, cell) in MESSAGES.items() if message != OTHER and cell[:3] == ("spring", "whatsapp", "b"))
LOG = [
    *(delivery(one, "delivered", T0, segments=2, price="0.0079") for one in MESSAGES if one not in (OTHER, SECOND)),
    delivery(OTHER, "delivered", T0 + timedelta(hours=20)),
    delivery(SECOND, "failed", T0, "unreachable"),
    engagement(FIRST, "clicked", "human", T0 + timedelta(minutes=5)),
    order("o1", PEOPLE[0], T0 + timedelta(minutes=9), 53000),
    order("o2", PEOPLE[1], T0 + timedelta(minutes=9), 8000),
]


@dataclass
class Asked:
    """A server that answers while the test asks it."""

    base: str
    context: Context

    def get(self, path: str, key: str | None = OTHER_KEY, **headers: str) -> requests.Response:
        given = headers | ({"authorization": f"Bearer {key}"} if key else {})
        return requests.get(self.base + path, headers=given, timeout=30)


@contextmanager
def served(database: str, folder: Path) -> Iterator[Asked]:
    """The routes, served from a thread of their own until the test is over."""
    up, over, found = threading.Event(), threading.Event(), list[Asked]()
    settings = Settings(kafka="127.0.0.1:1", database=database, secret="test")

    async def main() -> None:
        pool = await db.connect(database, "analytics")
        context = Context(settings, config.load(write_accounts(folder)), pool, Bus(settings, client="test"), Metrics(), lambda: NOW)
        await filled(pool)
        routes = [*api.routes(context), *experiments_api.routes(context), *talks_api.routes(context)]
        with web.bound("127.0.0.1", free_port()) as socket:
            socket.listen(100)
            serving = asyncio.create_task(web.serve(web.application(routes, [], context.metrics, 60), socket))
            found.append(Asked(f"http://127.0.0.1:{socket.getsockname()[1]}", context))
            up.set()
            await asyncio.to_thread(over.wait)
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
        await pool.close()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert up.wait(60)
    yield found[0]
    over.set()
    thread.join()


async def filled(pool: db.Pool) -> None:
    async with pool.acquire() as connection:
        await apply(connection, LOG)
        at = datetime(2026, 11, 24, 9, tzinfo=UTC)
        said = [
            step(TALKS[0], change, at + timedelta(minutes=place), team="care")
            for place, change in enumerate(("opened", "escalated", "replied", "resolved"))
        ]
        await talk(connection, [*said, step(TALKS[0], "rated", at + timedelta(hours=1), score=5)])
    await align(pool, {"acme": "UTC", "other": "UTC"})


__all__ = ["KEY", "LOG", "NOW", "OTHER_KEY", "Asked", "served"]
