"""Calls that flows wait for: asked at once, tried again where that is harmless, bounded, and never lost with whoever made them."""

import asyncio
import contextlib
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from parley.bus import BusUnavailable
from parley.contracts import CallReturned
from parley.keyed import Changed
from parley_router import caller, waiting
from parley_router.asking import LIMIT, Answer, address
from parley_router.caller import EACH, Caller
from parley_router.services import Asked
from parley_router.state import ContactState, Position, Wanted
from tests.conftest import until
from tests.routing import NOW, Router, routing
from tests.test_start_stop import environment

stack = pytest.mark.stack
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass
class Service:
    """A service of the tenant: what it was asked, and how many asked it at the same time."""

    base: str = ""
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    now: int = 0
    most: int = 0

    def known(self, **more: Any) -> dict[str, Asked]:
        plain = {"name": "shop", "tenant": "acme", "base_url": self.base, "headers": {}, "timeout": 5.0, "tries": 3}
        return {"acme/shop": Asked(**{**plain, **more})}


@contextlib.asynccontextmanager
async def service(answer: Handler) -> AsyncIterator[Service]:
    found = Service()

    async def counted(request: web.BaseRequest) -> web.StreamResponse:
        found.requests.append((request.method, request.raw_path, {k.lower(): v for k, v in request.headers.items()}, await request.read()))
        found.now += 1
        found.most = max(found.most, found.now)
        try:
            return await answer(request)
        finally:
            found.now -= 1

    runner = web.ServerRunner(web.Server(counted, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.base = f"http://127.0.0.1:{runner.addresses[0][1]}/api"
    try:
        yield found
    finally:
        await runner.cleanup()


def answering(*answers: web.Response | int, hang: asyncio.Event | None = None) -> Handler:
    """One answer after the other, the last one for ever; a number stands for a status."""
    left = list(answers)

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        if hang is not None:
            await hang.wait()
        one = left.pop(0) if len(left) > 1 else left[0]
        return web.Response(status=one) if isinstance(one, int) else web.Response(status=one.status, body=one.body, headers=one.headers)

    return answer


def said(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")


async def want(router: Router, *wanted: Wanted) -> None:
    """A contact for each call whose flow waits for it."""
    states = [ContactState(runs=(Position(flow="f", version=1, step=0, token=f"t{n}", call=one),)) for n, one in enumerate(wanted)]
    async with router.context.pool.acquire() as connection, connection.transaction():
        await waiting.follow(connection, [Changed(UUID(int=n), "acme", None, one) for n, one in enumerate(states)], router.clock[0])


def get(path: str = "/orders/7", **more: Any) -> Wanted:
    return Wanted(**{"kind": "http", "service": "shop", "path": path, **more})


async def returned(router: Router, count: int = 1) -> list[CallReturned]:
    """All answers, once no row is left."""

    async def none_left() -> bool:
        return not await router.context.pool.fetchval("SELECT count(*) FROM calls")

    await until(none_left, "every call to be answered")
    found = [one.data for one in await router.events(CallReturned)]
    assert count == len(found)
    return found


@pytest.fixture
def hasty(monkeypatch):
    """Tries follow each other at once."""
    monkeypatch.setattr(caller, "PAUSES", (0.0,))
    monkeypatch.setattr(caller, "LOOK", 0.02)


@pytest.fixture
def made(settings, run, hasty):
    """What comes of one call to a service that answers so; and how often it was asked."""

    def made(answer: Handler, wanted: Wanted | None = None, **known: Any) -> tuple[CallReturned, int]:
        async def main():
            async with routing(settings) as router, service(answer) as shop, router.working(Caller(router.context, shop.known(**known))):
                await want(router, wanted or get())
                return (await returned(router))[0], len(shop.requests)

        return run(main())

    return made


# --- answers ---------------------------------------------------------------------------------------------------------------------------


@stack
def test_a_call_is_made_when_its_batch_is_committed(settings, run, monkeypatch):
    """Woken by the commit, not by the clock; the service gets the operator's headers, the body as JSON, and the call's own key."""
    monkeypatch.setattr(caller, "LOOK", 60.0)

    async def main():
        async with routing(settings) as router, service(answering(said({"id": "s1"}, 201))) as shop:
            worker = Caller(router.context, shop.known(headers={"Authorization": "Bearer secret"}))
            async with router.working(worker):
                listens = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%DISTINCT service%' AND datname = current_database()"
                await until(lambda: _true(router, listens), "the worker to listen")
                await want(router, get("/bookings", method="POST", body={"slot": "s1"}))
                return await returned(router), await router.events(CallReturned), shop.requests

    (answer,), (event,), ((method, path, headers, body),) = run(main())

    assert CallReturned(contact_id=UUID(int=0), call="shop", token="t0", status=201, body={"id": "s1"}) == answer
    assert ("POST", "/api/bookings", b'{"slot":"s1"}') == (method, path, body)
    assert ("Bearer secret", "t0", "application/json") == tuple(headers[name] for name in ("authorization", "idempotency-key", "content-type"))
    assert ("acme", NOW, NOW) == (event.tenant, event.time, event.started_at)


async def _true(router: Router, statement: str) -> bool:
    return bool(await router.context.pool.fetchval(statement))


@stack
@pytest.mark.parametrize(
    "answer, status, body, error",
    [
        (said([1, "two"]), 200, [1, "two"], None),
        (web.Response(status=204), 204, None, None),
        (said({"why": "no such order"}, 404), 404, {"why": "no such order"}, "status 404"),
        (said({"why": "taken"}, 409), 409, {"why": "taken"}, "status 409"),
        (web.Response(status=400, body=b"<html>"), 400, None, "status 400"),
        (web.Response(status=302, headers={"location": "http://127.0.0.1:1/secret"}), 302, None, "status 302"),
        (web.Response(body=b"<html>"), 200, None, "the answer is not JSON"),
        (web.Response(body=b"[" * 900 + b"]" * 900), 200, None, "the answer is not JSON"),
        (web.Response(body=b'"' + b"a" * LIMIT + b'"'), 200, None, "the answer has more than 65536 bytes"),
        (web.Response(body=b"{}", headers={"content-encoding": "gzip"}), 200, None, "the answer is compressed, which nobody asked for"),
    ],
)
def test_what_a_service_says_is_told_as_it_is_or_in_words(made, answer, status, body, error):
    """The first answer that is one is the answer: none of these is asked for a second time, and nothing is followed."""
    found, asked = made(answering(answer))

    assert (status, body, error, 1) == (found.status, found.body, found.error, asked)


@stack
@pytest.mark.parametrize("passing", [500, 502, 503, 504, 429, 408])
def test_a_passing_failure_is_tried_again(made, passing):
    """The answer is that of the try that had one."""
    found, asked = made(answering(passing, passing, said("ok")))

    assert (200, "ok", None, 3) == (found.status, found.body, found.error, asked)


@stack
def test_the_last_try_says_how_it_failed(made):
    """As many tries as services.yaml says."""
    found, asked = made(answering(500), tries=2)

    assert (500, "status 500", 2) == (found.status, found.error, asked)


@stack
@pytest.mark.parametrize(
    "method, known, tries",
    [("GET", {}, 3), ("PUT", {}, 3), ("POST", {}, 1), ("PATCH", {}, 1), ("POST", {"honours_keys": True}, 3)],
)
def test_without_an_answer_only_what_is_harmless_is_made_again(made, method, known, tries):
    """A POST may have arrived: it is made again only where the service knows it by its key."""
    found, asked = made(answering(200, hang=asyncio.Event()), get(method=method), timeout=0.2, **known)

    assert (None, "timeout", tries) == (found.status, found.error, asked)


@stack
def test_a_service_that_is_not_there_is_said_to_be(made):
    """Nothing left, so also a POST is tried again; then the failure has its word."""
    found, _ = made(answering(200), get(method="POST"), base_url="http://127.0.0.1:1")

    assert (None, "unreachable") == (found.status, found.error)


@stack
@pytest.mark.parametrize(
    "wanted, error",
    [
        (get(service="gone"), "services.yaml has no such service"),
        (get("/../admin"), "the path leads elsewhere"),
        (Wanted(kind="answer", text="hm"), "nobody here answers that"),
        (Wanted(kind="read", text="hm"), "fault: ZeroDivisionError"),
    ],
)
def test_whatever_cannot_be_asked_ends_with_a_word(settings, run, wanted, error):
    """A flow that waits is never left waiting."""

    async def broken(_):
        raise ZeroDivisionError

    async def main():
        async with (
            routing(settings) as router,
            service(answering(200)) as shop,
            router.working(Caller(router.context, shop.known(), {"read": broken})),
        ):
            await want(router, wanted)
            return (await returned(router))[0].error, shop.requests

    assert (error, []) == run(main())


@stack
def test_who_answers_inside_is_asked_as_a_service_is(settings, run):
    """The understanding of a message is such a question."""

    async def read(call):
        return Answer(200, {"intent": call.wanted.text})

    async def main():
        async with routing(settings) as router, router.working(Caller(router.context, {}, {"read": read})):
            await want(router, Wanted(kind="read", text="hm"))
            return (await returned(router))[0]

    assert CallReturned(contact_id=UUID(int=0), call="read", token="t0", status=200, body={"intent": "hm"}) == run(main())


# --- where a path leads ----------------------------------------------------------------------------------------------------------------

SHOP = Asked("shop", "acme", "https://orders.example/api", {}, 3.0, 3)


@given(
    st.text(max_size=30) | st.lists(st.sampled_from(["..", ".", "%2e", "/", "\\", "@", "#", "?", "evil.example", ":", "%2f", "a", " "])).map("".join)
)
def test_no_path_leads_away_from_the_service(rest):
    """Whatever customers write into it: the host is the operator's, and so is the beginning of the path."""
    found = address(SHOP, "/" + rest)

    assert found is None or (found.origin(), found.path.startswith("/api/")) == (URL("https://orders.example"), True)


@pytest.mark.parametrize(
    "path, there",
    [("/orders/A-17", "/api/orders/A-17"), ("/orders?number=A 17", "/api/orders?number=A+17"), ("/orders/주문", "/api/orders/%EC%A3%BC%EB%AC%B8")],
)
def test_a_usual_path_leads_where_it_says(path, there):
    """Below the address, with what it asks for."""
    assert f"https://orders.example{there}" == str(address(SHOP, path))


@pytest.mark.parametrize("path", ["orders", "/a/../b", "/a/%2e%2e/b", "/a/./b", "/a\\..\\b", "/a#b", "/a\nb", "/a%0Ab"])
def test_a_path_that_would_lead_elsewhere_leads_nowhere(path):
    """Also where it is hidden in escapes."""
    assert address(SHOP, path) is None


# --- many at once, and kills -----------------------------------------------------------------------------------------------------------


@stack
def test_a_slow_service_holds_nobody_else_up_and_is_not_crowded(settings, run):
    """Forty calls hang at one service: another is asked meanwhile, and no more than sixteen are at the first at a time."""

    async def main():
        gate = asyncio.Event()
        async with routing(settings) as router, service(answering(said(1), hang=gate)) as slow, service(answering(said(2))) as quick:
            known = slow.known() | {"acme/quick": Asked("quick", "acme", quick.base, {}, 5.0, 3)}
            async with router.working(Caller(router.context, known)):
                await want(router, *[get()] * 40, get(service="quick"))

                async def quick_is_done() -> bool:
                    return len(await router.events(CallReturned)) == 1 and slow.now == EACH

                await until(quick_is_done, "the quick service to be asked")
                gate.set()
                found = await returned(router, 41)
            return slow.most, len(slow.requests), Counter(one.body for one in found)

    assert (EACH, 40, Counter({1: 40, 2: 1})) == run(main())


@stack
def test_an_answer_waits_for_the_bus(settings, run, hasty):
    """It is not asked for again meanwhile."""

    async def main():
        async with routing(settings) as router, service(answering(said("ok"))) as shop:
            publish, tries = router.context.bus.publish, []

            async def away(*given):
                tries.append(given)
                if len(tries) < 3:
                    raise BusUnavailable("away")
                await publish(*given)

            router.context.bus.publish = away
            async with router.working(Caller(router.context, shop.known())):
                await want(router, get())
                return (await returned(router))[0].body, len(shop.requests), len(tries)

    assert ("ok", 1, 3) == run(main())


@stack
def test_a_lost_connection_is_made_anew(settings, run, hasty):
    """What is wanted while nobody listens is found afterwards."""

    async def main():
        async with routing(settings) as router, service(answering(said("ok"))) as shop, router.working(Caller(router.context, shop.known())):
            await want(router, get())
            await returned(router)
            await router.context.pool.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
            await want(router, get("/orders/8"))
            return sorted(one.body for one in await returned(router, 2))

    assert ["ok", "ok"] == run(main())


KILLED = """
import asyncio
from parley.settings import Settings
from parley_router.caller import Caller
from parley_router.services import Asked
from tests.routing import routing

async def main():
    async with routing(Settings()) as router:
        await Caller(router.context, {{"acme/shop": Asked("shop", "acme", {base!r}, {{}}, 5.0, 3)}}).run(asyncio.Event())

asyncio.run(main())
"""


@stack
@pytest.mark.parametrize("method, told, requests", [("GET", ("ok", None), 2), ("POST", (None, "unknown"), 1)])
def test_a_call_outlives_whoever_made_it(settings, run, hasty, method, told, requests):
    """Killed in the middle of it: the next one asks again, but for a POST, which may have done its work: of that it says that nobody knows."""

    async def main():
        gate = asyncio.Event()
        async with routing(settings) as router, service(answering(said("ok"), hang=gate)) as shop:
            await want(router, get(method=method))
            one = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED.format(base=shop.base), env=environment(settings))

            async def is_asked() -> bool:
                return len(shop.requests) == 1

            await until(is_asked, "the call to be made", 60)
            one.send_signal(signal.SIGKILL)
            await one.wait()
            gate.set()
            async with router.working(Caller(router.context, shop.known())):
                early = len(await router.events(CallReturned))
                router.clock[0] += timedelta(seconds=16)
                (answer,) = await returned(router)
            return early, (answer.body, answer.error), len(shop.requests)

    assert (0, told, requests) == run(main())
