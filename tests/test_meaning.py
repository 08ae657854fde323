"""Meanings in the running router: learnt beside it, asked for outside of any step, learnt anew when the files change."""

import asyncio
import contextlib
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web

from parley.config import Config, Tenant
from parley.settings import Settings
from parley_router import meaning
from parley_router.caller import Call
from parley_router.catalogue import Meaning
from parley_router.meaning import Meanings
from parley_router.state import Wanted
from tests.conftest import until

HOURS = """intent: hours
tenant: acme
title: {ko: 영업시간, en: Opening hours}
examples:
  ko: ["몇 시까지 해요?", "오늘 문 열어요?", "주말에도 영업하나요?"]
  en: ["When do you open?", "Are you open today?", "How late can I come?"]
answer: {ko: 매일 오전 10시부터 오후 8시까지 열어요., en: "We are open every day, from 10 am to 8 pm."}
"""
RETURNS = """intent: returns
tenant: acme
title: {ko: 반품, en: Returns}
examples:
  ko: [반품하고 싶어요, 이거 돌려보낼래요, 환불 절차 알려 주세요]
  en: ["I want to return this", "Can I send it back?", "How do returns work?"]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(meaning, "EVERY", 0.02)
    (tmp_path / "faq").mkdir()
    (tmp_path / "faq" / "hours.yaml").write_text(HOURS, encoding="utf-8")
    (tmp_path / "faq" / "returns.yaml").write_text(RETURNS, encoding="utf-8")
    return tmp_path


def made(folder, **more) -> Meanings:
    settings = Settings(**{"kafka": "x", "config": folder, "understanding": "on", **more})
    return Meanings(SimpleNamespace(settings=settings, config=Config({"acme": Tenant("acme", ZoneInfo("Asia/Seoul"), ("ko", "en"))}, {})))


def call(text: str, kind: str = "read") -> Call:
    return Call(UUID(int=7), "t", "acme", kind, Wanted(kind=kind, text=text, language="en"), 1, datetime(2026, 11, 25, 12, tzinfo=UTC), False)


def vector(text: str) -> list[float]:
    """How often each letter stands in the text: the same sentence is the same, and others are not."""
    row = [0.0] * 512
    for letter in text.casefold():
        row[ord(letter) % 512] += 1.0
    return row


@contextlib.asynccontextmanager
async def endpoint(says: str = "{}"):
    """A local server that speaks as OpenAI's embeddings and chat completions do; gives its address."""

    async def embeddings(request: web.Request) -> web.Response:
        texts = (await request.json())["input"]
        return web.json_response({"data": [{"index": place, "embedding": vector(text)} for place, text in enumerate(texts)]})

    async def completions(_: web.Request) -> web.Response:
        return web.json_response({"choices": [{"message": {"content": says}}]})

    app = web.Application(client_max_size=10_000_000)
    app.add_routes([web.post("/v1/embeddings", embeddings), web.post("/v1/chat/completions", completions)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/v1"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def running(one: Meanings):
    one.look()
    stopping = asyncio.Event()
    task = asyncio.create_task(one.run(stopping))
    try:
        yield one
    finally:
        stopping.set()
        await task


def test_files_tell_what_may_be_meant(folder):
    """At once, without any learning; a broken file is left out and its kin stay."""
    (folder / "faq" / "broken.yaml").write_text("intent: broken\n")
    one = made(folder)

    assert (True, False) == (one.look(), one.look())
    assert {"acme": frozenset({"hours", "returns"})} == one.names
    assert Meaning({"ko": "반품", "en": "Returns"}) == one.meanings["acme"]["returns"]


def test_nothing_is_read_where_it_is_off(folder):
    """Then flows know of no meaning, and no message waits for one."""
    one = made(folder, understanding="off")

    assert (False, {}) == (one.look(), one.meanings)


def test_a_message_is_read_once_it_is_learnt_and_learnt_anew_when_files_change(folder, run):
    """Also one that was asked for before; the book is told that it is another."""
    told = []

    async def main():
        async with endpoint() as url:
            one = made(folder, embeddings_url=url, embeddings_model="letters")
            one.changed = lambda: told.append(sorted(one.meanings["acme"]))
            async with running(one):
                first = await one.read(call("Are you open today?"))
                (folder / "faq" / "tea.yaml").write_text(
                    RETURNS.replace("returns", "tea")
                    .replace("return this", "buy tea")
                    .replace("반품", "구매")
                    .replace("이거 돌려보낼래요", "차 살래요")
                    .replace("환불 절차 알려 주세요", "차 주세요")
                    .replace("Can I send it back?", "Tea!")
                    .replace("How do returns work", "Any tea")
                )

                async def anew() -> bool:
                    return any("tea" in names for names in told)  # a file that is half written is read, too

                await until(anew, "the new file is learnt")
                return first, await one.read(call("Tea!"))

    first, second = run(main())

    assert ("hours", "tea") == (first.body["candidates"][0]["intent"], second.body["candidates"][0]["intent"])
    assert [["hours", "returns"], ["hours", "returns", "tea"]] == told


def test_without_an_encoder_nobody_waits_for_a_meaning(folder, run):
    """The log says so once; what was asked for meanwhile gets an error, and flows know of no meaning any more."""

    async def main():
        one = made(folder, embeddings_url="http://127.0.0.1:9/v1", embeddings_model="none")
        async with running(one):
            return (await one.read(call("hello"))).error, one.meanings

    assert ("nothing is learnt for this tenant", {}) == run(main())


@pytest.mark.parametrize(("said", "status"), [
    ({"answer": "We are open every day.", "quote": "We are open every day, from 10 am to 8 pm.", "source": "hours"}, 200),
    ({"answer": "We are open at night.", "quote": "open at night, always", "source": "hours"}, 404), ({"answer": None}, 404),
])  # fmt: skip
def test_a_language_model_says_only_what_the_faq_says(folder, run, said, status):
    """What it quotes must stand there, else a person answers."""

    async def main():
        async with endpoint(json.dumps(said)) as url:
            one = made(folder, embeddings_url=url, embeddings_model="letters", model_url=url, model="m")
            async with running(one):
                return await one.answer(call("when are you open", "answer"))

    answer = run(main())

    assert (status, said["answer"] if status == 200 else None) == (answer.status, answer.body["text"] if answer.body else None)


def test_a_language_model_is_off_by_default(folder, run):
    """Nothing is asked of anybody."""
    assert "PARLEY_MODEL_URL is not set" == run(made(folder).answer(call("hi", "answer"))).error
