"""Web chat on the real services: what a visitor says is answered by the flows, through the same bus, lanes and receipts as on any channel."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import aiohttp
import orjson
import pytest

from parley.local import free_port
from parley_ingest.chat import history
from parley_ingest.chat.frames import Said
from parley_ingest.chat.history import Chat
from tests.chatting import DESK, SECRET, SHOP, Shared, Visitor, customer_token, open_shop, visitor
from tests.conftest import until

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def chat(stack, tmp_path_factory):
    with Shared(stack, tmp_path_factory.mktemp("chat")) as one:
        yield one


def test_a_message_is_answered_and_marked(chat):
    """It becomes `sent`, then `read` with the answer; the answer's marks reach sender as receipts."""

    async def main(shop):
        async with visitor(shop.base) as one:
            await one.connect()
            said = await one.say("hello")
            await one.until(lambda one: one.texts("brand") and one.heard[said]["status"] == "read")
            answer = next(line for line in one.heard.values() if line["from"] == "brand")
            await one.tell(type="marks", status="delivered", up_to=answer["seq"])
            await one.tell(type="marks", status="read", up_to=answer["seq"])
            await one.until(lambda one: one.heard[answer["id"]]["status"] == "read")
            told = await shop.events("parley.deliveries", "parley.delivery.changed", 4, message_id=answer["id"])
            return said, answer, [line["status"] for line in told], one

    said, answer, statuses, one = chat.run(main(chat.shop))

    assert ["queued", "sent", "delivered", "read"] == statuses
    assert ["yes", "no"] == [choice["id"] for choice in answer["choices"]]
    assert one.heard[said]["seq"] < answer["seq"]


def test_said_twice_is_one_message(chat):
    """The browser's id makes it one: in the conversation and on the bus, over the socket and over plain requests."""

    async def main(shop):
        async with visitor(shop.base) as one:
            await one.connect()
            name = await one.say("hello")
            await one.say("hello", name)
            body = {"type": "message", "id": name, "text": "hello"}
            async with one.http.post(f"{shop.base}/messages", json=body, headers={"authorization": f"Bearer {one.token}"}) as answer:
                status = answer.status
            await one.until(lambda one: one.texts("brand"))
            await one.say("no")
            return status, await shop.events("parley.inbound", "parley.message.received", 2, address=one.name), one.texts("visitor")

    status, received, texts = chat.run(main(chat.shop))

    assert (202, ["hello", "no"]) == (status, [data["text"] for data in received])
    assert 1 == texts.count("hello")


def test_what_came_while_away_is_told_once(chat):
    """A socket that begins at a number hears what is above it, marks of older messages too, and nothing else."""

    async def main(shop):
        async with visitor(shop.base) as one:
            await one.connect()
            said = await one.say("hello")
            await one.until(lambda one: one.texts("brand") and one.heard[said]["status"] == "read")
            await one.socket.close()
            before = set(one.heard)
            await shop.deliver(one.name, "while away")
            await one.connect()
            return before, [line["text"] for line in one.frames[-1]["messages"] if line["from"] == "brand"]

    _, told = chat.run(main(chat.shop))

    assert ["while away"] == told


def test_whichever_replica_takes_it_tells_it(settings, tmp_path, run):
    """A message is delivered to one ingest and pushed by the other, which holds the socket."""

    async def main():
        async with open_shop(settings, tmp_path) as shop, visitor(shop.base) as one:
            port = free_port()
            async with shop.replica(port):
                await one.connect()
                await one.say("hello")
                await one.until(lambda one: one.texts("brand"))
                await one.socket.close()
                await one.connect(f"http://127.0.0.1:{port}/chat/shop")
                name = str(uuid4())
                taken = [await shop.deliver(one.name, "from the other side", name) for _ in range(3)]
                await one.until(lambda one: name in one.heard)
                await shop.signed("typing", {"to": one.name})
                await one.hear(lambda frame: frame["type"] == "typing")
                return taken, one

    taken, one = run(main())

    assert [200, 200, 200] == taken
    assert 1 == sum(line["text"] == "from the other side" for frame in one.frames for line in frame.get("messages", ()))


def test_a_restart_loses_nothing(settings, tmp_path, run):
    """The socket is closed with a word; what was delivered later is there when the browser comes back."""

    async def main():
        async with open_shop(settings, tmp_path) as shop, visitor(shop.base) as one:
            await one.connect()
            await one.say("hello")
            await one.until(lambda one: one.texts("brand"))
            stopping = asyncio.create_task(shop.stop())
            closed = (await one.socket.receive()).type
            code = one.socket.close_code
            await stopping
            await shop.start()
            await shop.deliver(one.name, "after the restart")
            await one.connect()
            return closed, code, one.texts("brand")

    closed, code, texts = run(main())

    assert (aiohttp.WSMsgType.CLOSE, 1012) == (closed, code)
    assert ["after the restart"] == texts[-1:]


def test_without_a_socket_the_same_is_had(chat):
    """Plain requests: a message posted, its answer by a long poll that ends as soon as there is one."""

    async def main(shop):
        async with visitor(shop.base) as one:
            headers = {"authorization": f"Bearer {one.token}", "origin": SHOP}
            name = str(uuid4())
            async with one.http.post(f"{shop.base}/messages", json={"type": "message", "id": name, "text": "hello"}, headers=headers) as answer:
                first = (answer.status, answer.headers["access-control-allow-origin"], (await answer.json())["messages"][0]["status"])
            while not one.texts("brand"):
                async with one.http.get(f"{shop.base}/messages?after={one.cursor}&wait=20", headers=headers) as answer:
                    one.note(await answer.json())
            return first, one

    first, one = chat.run(main(chat.shop))

    assert (202, SHOP, "sent") == first
    assert ["hello"] == one.texts("visitor")


def test_context_and_customer_travel_along(chat):
    """What the page tells comes as an event just before the message; the customer of the shop's token is the same contact."""

    async def main(shop):
        async with visitor(shop.base) as one:
            await one.session(customer=customer_token("c-1001"))
            await one.connect()
            await one.say("hello", context={"page": "https://shop.example/tea/42", "cart": "c-17", "deep": {"left": "out"}})
            await one.until(lambda one: one.texts("brand"))
            received = await shop.events("parley.inbound", "parley.message.received", 1, address=one.name)
            return [data for data in await shop.topic("parley.inbound", "parley.customer.event") if one.name in data["addresses"].values()], received

    acted, received = chat.run(main(chat.shop))
    context = next(data for data in acted if data["name"] == "webchat.context")

    assert {"page": "https://shop.example/tea/42", "cart": "c-17"} == context["properties"]
    assert {data["contact_id"] for data in acted} == {data["contact_id"] for data in received}
    assert "c-1001" in [data["customer"].get("id") for data in acted]


def test_a_customer_has_one_conversation_on_all_devices(chat):
    """Signed in elsewhere, it is there; signed out, it is not; an expired token suffices only for the browser that showed it before."""

    async def main(shop):
        async with visitor(shop.base) as phone, visitor(shop.base) as laptop:
            anonymous, other = phone.name, laptop.name
            shown = customer_token("c-7")
            await phone.session(customer=shown)
            await laptop.session(customer=shown)
            names = phone.name, laptop.name
            again = (await laptop.session(customer=customer_token("c-7", minutes=-60))).name
            async with phone.http.post(f"{shop.base}/session", json={"customer": customer_token("c-7", minutes=-60)}) as answer:
                expired = answer.status
            return anonymous, other, names, again, expired, (await laptop.session()).name

    anonymous, other, names, again, expired, out = chat.run(main(chat.shop))

    assert (anonymous, anonymous) == names
    assert (anonymous, 401) == (again, expired)
    assert out not in (anonymous, other)


def test_a_person_answers(chat):
    """A reply from the console goes the same way as a bot's."""

    async def main(shop):
        async with visitor(shop.base) as one:
            await one.connect()
            await one.say("상담원")
            (asked,) = await shop.events("parley.inbound", "parley.message.received", 1, address=one.name)
            desk = f"http://127.0.0.1:{shop.router.port}/v1/conversations"
            changes = await shop.events("parley.conversations", "parley.conversation.changed", 1, contact_id=asked["contact_id"], change="escalated")
            reply = {"agent": "Kim", "text": "안녕하세요"}

            async def taken() -> bool:
                async with one.http.post(f"{desk}/{changes[0]['conversation_id']}/reply", json=reply, headers=DESK) as answer:
                    return answer.status < 300

            await until(taken, "the reply is taken")
            await one.until(lambda one: "안녕하세요" in one.texts("brand"))
            return one.texts("brand")

    assert "안녕하세요" == chat.run(main(chat.shop))[-1]


def test_who_may_not_is_told_so(chat):
    """Each refusal by its status; a socket is refused before it opens."""

    async def main(shop):
        async with visitor(shop.base) as one:
            forged = f"{one.token[:-1]}{'0' if one.token[-1] != '0' else '1'}"

            async def status(method: str, path: str, base: str = shop.base, **options) -> int:
                async with one.http.request(method, f"{base}{path}", **options) as answer:
                    return answer.status

            async def socket(token: str, base: str = shop.base, **headers: str) -> int:
                stranger = Visitor(base, one.http)
                stranger.token = token
                try:
                    await one.http.ws_connect(f"{base.replace('http', 'ws')}/socket", protocols=["parley.chat.1", token], headers=headers)
                except aiohttp.WSServerHandshakeError as error:
                    return error.status
                return 101

            wrong = {"id": str(uuid4()), "to": one.name, "text": "x"}
            return {
                "no account": [await status("GET", path, shop.base.replace("/shop", f"/{name}")) for name in ("none", "app") for path in ("", "/widget.js")],
                "forged": [await status("GET", "/messages", headers={"authorization": f"Bearer {forged}"}), await socket(forged), await socket("")],
                "forged customer": await status("POST", "/session", json={"customer": customer_token("c", "another secret, which is long enough")}),
                "other page": [await socket(one.token, Origin="https://evil.example"),
                               await status("POST", "/session", json={}, headers={"origin": "https://evil.example"})],
                "own page": await socket(one.token, Origin=SHOP),
                "too large": await status("POST", "/session", data=b"x" * 40_000),
                "unsigned": [await status("POST", "/deliver", json=wrong), await shop.signed("deliver", wrong, **{"webhook-id": "msg_2"})],
                "stranger": [await shop.deliver(str(uuid4()), "x"), await shop.deliver("somebody", "x")],
            }  # fmt: skip

    assert {
        "no account": [404] * 4, "forged": [401] * 3, "forged customer": 401, "other page": [403, 403], "own page": 101, "too large": 413,
        "unsigned": [401, 401], "stranger": [404, 404],
    } == chat.run(main(chat.shop))  # fmt: skip


def test_a_message_with_a_time_that_cannot_be_is_of_now(chat):
    """In the future, before all time, or no time at all: the message is delivered nevertheless."""

    async def main(shop):
        async with visitor(shop.base) as one:
            await one.connect()
            await one.say("hello")
            await one.until(lambda one: one.texts("visitor"))
            times = ["0001-01-01T00:00:00+09:00", "9999-12-31T23:59:59-09:00", "2026-11-24T09:00:00", "x", 7]
            statuses = [await shop.deliver(one.name, f"at {place}", at=at) for place, at in enumerate(times)]
            since = datetime.now(UTC) - timedelta(minutes=5)
            pool = shop.ingest.context.pool
            return statuses, await pool.fetchval("SELECT count(*) FROM chat_messages WHERE visitor = $1 AND at < $2", UUID(one.name), since)

    assert ([200] * 5, 0) == chat.run(main(chat.shop))


def test_a_message_whose_writer_is_erased_meanwhile_is_taken_and_kept_nowhere(chat):
    """Begun, accepted by the door, and gone before it is noted as sent."""

    async def main(shop):
        pool, there = shop.ingest.context.pool, Chat("shop", uuid4())
        said = Said(uuid4(), "hello")
        begun = await history.begin(pool, there, said, datetime.now(UTC))
        await pool.execute("DELETE FROM chat_messages WHERE visitor = $1", there.visitor)
        return begun.status, await history.sent(pool, there, said.id)

    assert ("pending", None) == chat.run(main(chat.shop))


def test_a_visitor_has_a_pace(chat):
    """More at once is refused with the time to wait, by its id; what is wrong is refused by its code, and the socket stays."""

    async def main(shop):
        async with visitor(shop.base) as one:
            await one.connect()
            names = [await one.say(f"message {number}") for number in range(40)]
            fast = await one.hear(lambda frame: frame["type"] == "refused")
            await one.say("x" * 4001)
            await one.tell(type="message", id="1", text="hello")
            await one.tell(type="dancing")
            await one.tell(type="ping")
            await one.hear(lambda frame: frame["type"] == "pong")
            return names, fast, [frame["code"] for frame in one.frames if frame["type"] == "refused"]

    names, fast, codes = chat.run(main(chat.shop))

    assert ("too_fast", 1) == (fast["code"], fast["retry_after"]) and fast["id"] in names[10:]
    assert ["too_long", "unreadable", "unreadable"] == codes[-3:]


def test_the_widget_is_small_and_kept(chat):
    """One script of at most 15 kB compressed; a browser that has it hears 304."""

    async def main(shop):
        async with aiohttp.ClientSession(auto_decompress=False) as http:
            async with http.get(f"{shop.base}/widget.js", headers={"accept-encoding": "gzip"}) as answer:
                size, tag, encoding = len(await answer.read()), answer.headers["etag"], answer.headers["content-encoding"]
            async with http.get(f"{shop.base}/widget.js", headers={"if-none-match": tag}) as answer:
                again = answer.status
            async with http.get(f"{shop.base}?lang=ko&theme=dark") as answer:
                page = (await answer.read()).decode()
            return size, encoding, again, page

    size, encoding, again, page = chat.run(main(chat.shop))

    assert 1_000 < size <= 15_000
    assert ("gzip", 304) == (encoding, again)
    assert '<script src="shop/widget.js" data-lang="ko" data-theme="dark" async></script>' in page


def test_a_secret_is_changed_without_an_interruption(settings, tmp_path, run):
    """With the new secret before the old one, tokens of both are good."""

    async def main():
        async with open_shop(settings, tmp_path) as shop, visitor(shop.base) as one:
            old = one.token
            document = (tmp_path / "accounts.yaml").read_text().replace("symmetric: file:secret", "symmetric: [file:new, file:secret]")
            (tmp_path / "accounts.yaml").write_text(document)
            (tmp_path / "new").write_text("whsec_" + SECRET[::-1][:32])
            await shop.stop()
            await shop.start()
            kept = (await one.session()).name
            async with one.http.get(f"{shop.base}/messages", headers={"authorization": f"Bearer {old}"}) as answer:
                return kept, one.token != old, answer.status, orjson.loads(await answer.read())["messages"]

    kept, fresh, status, messages = run(main())

    assert kept and fresh and (200, []) == (status, messages)


def test_a_lost_listener_loses_nothing(chat):
    """What is written while the connection for notifications is down is pushed once there is another."""

    async def main(shop):
        async with visitor(shop.base) as one:
            await one.connect()
            await one.say("hello")
            await one.until(lambda one: one.texts("brand"))
            ended = await shop.ingest.context.pool.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'parley-ingest' AND query ~ '^(LISTEN|SELECT 1$)'"
            )
            await shop.deliver(one.name, "into the gap")
            await one.until(lambda one: "into the gap" in one.texts("brand"))
            return len(ended), one.texts("brand").count("into the gap")

    assert (1, 1) == chat.run(main(chat.shop))


def test_old_conversations_are_forgotten(chat):
    """Messages by their age, visitors by their last visit; the rest stays."""

    async def main(shop):
        async with visitor(shop.base) as old, visitor(shop.base) as young:
            pool = shop.ingest.context.pool
            for one in (old, young):
                await one.connect()
                await one.say("hello")
                await one.until(lambda one: one.texts("brand"))
            before = datetime.now(UTC) - history.KEPT
            await pool.execute("UPDATE chat_messages SET at = $1 WHERE visitor = $2", before - timedelta(days=1), UUID(old.name))
            await pool.execute("UPDATE chat_visitors SET seen_at = $1 WHERE visitor = $2", before - timedelta(days=1), UUID(old.name))
            gone = await history.forget(pool, before, 100)
            left = [await pool.fetchval("SELECT count(*) FROM chat_messages WHERE visitor = $1", UUID(one.name)) for one in (old, young)]
            return gone, left, await shop.deliver(old.name, "too late")

    assert (3, [0, 2], 404) == chat.run(main(chat.shop))
