"""`POST /v1/messages` on real Kafka and PostgreSQL, over the twin: asked once or often, in parallel, with kills between the steps: a message arrives once."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import orjson
import pytest
from aiokafka import AIOKafkaConsumer

from parley import cursor, web, wire
from parley.bus import Bus
from parley.contracts import DeliveryChanged
from parley.local import free_port
from parley.service import Context, Running
from parley.twin.behaviour import Behaviour
from parley_sender import cancelling, departures, idempotency
from parley_sender.law import Law
from parley_sender.messages_api import Messages
from parley_sender.outbox import Outbox
from tests.conftest import until
from tests.messaging import BODY, Office, office

pytestmark = pytest.mark.stack
BATCH = "/v1/messages/batch"


def text(words: str, **more: object) -> dict[str, object]:
    return {**BODY, "content": {"text": words}, **more}


async def arrived(one: Office, count: int, address: str = "u1") -> None:
    async def there() -> bool:
        return len(one.texts(address)) >= count

    await until(there, f"{count} messages at {address}")


async def sent(one: Office, count: int) -> None:
    async def there() -> bool:
        return count == await one.replicas[0].context.pool.fetchval("SELECT count(*) FROM deliveries WHERE status = 'sent'")

    await until(there, f"{count} messages are sent")


async def told(one: Office, status: str) -> list[DeliveryChanged]:
    """What the bus was told of deliveries with that status, so far."""
    topic = one.settings.prefix + DeliveryChanged.topic
    async with AIOKafkaConsumer(topic, bootstrap_servers=one.settings.kafka, auto_offset_reset="earliest", group_id=None) as consumer:
        ends, found = await consumer.end_offsets(consumer.assignment()), []
        for place, end in ends.items():
            while await consumer.position(place) < end:
                found += (await consumer.getmany(place, timeout_ms=200)).get(place, ())
    said = [wire.decode(DeliveryChanged.topic, one.headers, one.value).data for one in found]
    return [data for data in said if isinstance(data, DeliveryChanged) and data.status == status]


def law(context: Context) -> Law:
    return Law.load(context.config, context.settings)


def away(one: Running) -> tuple[httpx.AsyncClient, Bus, Outbox]:
    """The API of a process that shares the database, and whose Kafka does not answer; its bus, to be stopped, and its outbox, which nobody empties."""
    bus = Bus(one.context.settings.model_copy(update={"kafka": f"127.0.0.1:{free_port()}"}), client="away")
    context = replace(one.context, bus=bus)
    box = Outbox(context)
    application = web.application(Messages(context, law(context), box).routes, [], context.metrics, 60)
    headers = {"authorization": "Bearer shop"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://away", headers=headers), bus, box


async def grown_old(one: Running) -> None:
    """As if the entries' processes were dead for long enough."""
    await one.context.pool.execute("UPDATE outbox SET at = at - interval '1 minute'")


async def emptied(one: Running) -> None:
    async def empty() -> bool:
        return not await one.context.pool.fetchval("SELECT count(*) FROM outbox")

    await until(empty, "the outbox is empty")


def test_a_message_is_asked_for_and_arrives(settings, tmp_path, run):
    """202 with its id and place; there it says what became of it."""

    async def main():
        async with office(settings, tmp_path) as one:
            answer = await one.post(text("Hello {{ name }}", data={"name": "Minji"}))
            story = await one.stands(answer.body["message_id"], "sent")
            return answer, story, one.texts()

    answer, story, texts = run(main())

    assert (202, "accepted", f"/v1/messages/{answer.body['message_id']}") == (answer.status, answer.body["status"], answer.location)
    assert (answer.body["contact_id"], ["Hello Minji"]) == (story["contact_id"], texts)


def test_a_repeat_gets_the_same_answer(settings, tmp_path, run):
    """Byte for byte, however its body is written, and the message is sent once; another body under the key is refused and leaves nothing."""

    async def main():
        async with office(settings, tmp_path) as one:
            turned = orjson.dumps(dict(reversed(text("once").items())), option=orjson.OPT_INDENT_2)
            answers = [await one.post(body, key) for body, key in ((text("once"), "k"), (text("once"), '"k"'), (turned, "k"))]
            refused = [await one.post(text("other"), "k"), await one.post({"messages": [text("once")]}, "k", BATCH)]
            elsewhere = await one.post(text("theirs"), "k", who="spy")
            await one.post(text("last"))
            await arrived(one, 2)
            return answers, refused, elsewhere, one.texts()

    answers, refused, elsewhere, texts = run(main())

    assert 1 == len({(one.status, one.raw, one.location) for one in answers})
    assert [422, 422] == [one.status for one in refused]
    assert (202, ["once", "last"]) == (elsewhere.status, texts)


def test_of_many_at_once_with_one_key_one_counts(settings, tmp_path, run):
    """Two replicas, two bodies, twenty callers: those with the body that was first get one answer, the others 422, and that body alone arrives."""

    async def main():
        async with office(settings, tmp_path, replicas=2) as one:
            asked = [one.post(text(f"body {n % 2}"), "k", replica=n // 2 % 2) for n in range(20)]
            answers = await asyncio.gather(*asked)
            await one.post(text("last"))
            await arrived(one, 2)
            return answers, one.texts()

    answers, texts = run(main())
    taken = {n % 2 for n, one in enumerate(answers) if one.status == 202}

    assert (1, [422] * 10) == (len(taken), [one.status for one in answers if one.status != 202])
    assert 1 == len({one.raw for one in answers if one.status == 202})
    assert [f"body {taken.pop()}", "last"] == texts


def test_what_is_claimed_leaves_whoever_dies(settings, tmp_path, run):
    """A process that dies behind its claim, before a byte is on the bus: another one says it, and the repeat has the answer that was noted."""

    async def main():
        async with office(settings, tmp_path) as one:
            http, bus, _ = away(one.replicas[0])
            first = await http.post("/v1/messages", json=text("kept"), headers={"idempotency-key": "k"})
            waiting = await one.replicas[0].context.pool.fetchval("SELECT count(*) FROM outbox")
            await bus.stop()
            await grown_old(one.replicas[0])
            await arrived(one, 1)
            again = await one.post(text("kept"), "k")
            await one.post(text("last"))
            await arrived(one, 2)
            return first, waiting, again, one.texts()

    first, waiting, again, texts = run(main())

    assert (202, 1) == (first.status_code, waiting)
    assert (first.content, first.headers["location"]) == (again.raw, again.location)
    assert ["kept", "last"] == texts


def test_what_is_said_twice_arrives_once(settings, tmp_path, run):
    """A process that dies when the bus has the message, and before that is noted."""

    async def main():
        async with office(settings, tmp_path) as one:
            http, bus, _ = away(one.replicas[0])
            await http.post("/v1/messages", json=text("once"), headers={"idempotency-key": "k"})
            await bus.stop()
            context = one.replicas[0].context
            await context.bus.publish(cursor.unpack(await context.pool.fetchval("SELECT records FROM outbox")))
            await arrived(one, 1)
            await grown_old(one.replicas[0])
            await emptied(one.replicas[0])
            await one.post(text("last"))
            await arrived(one, 2)
            return one.texts()

    assert ["once", "last"] == run(main())


def test_while_the_bus_is_away_requests_keep_their_order(settings, tmp_path, run):
    """The first waits in vain; those behind it do not, and all leave in the order of their answers."""

    async def main():
        async with office(settings, tmp_path) as one:
            http, bus, _ = away(one.replicas[0])
            for n in range(5):
                await http.post("/v1/messages", json=text(str(n)), headers={"idempotency-key": str(n)})
            await bus.stop()
            await grown_old(one.replicas[0])
            await arrived(one, 5)
            return one.texts()

    assert list("01234") == run(main())


@pytest.mark.parametrize("limit", ["MOST", "MOST_BYTES"])
def test_a_full_outbox_takes_nothing_new(settings, tmp_path, run, monkeypatch, limit):
    """503 before anything is noted, with the time to come again; a repeat of what was taken is answered all the same."""
    monkeypatch.setattr(f"parley_sender.outbox.{limit}", 1)

    async def main():
        async with office(settings, tmp_path) as one:
            http, bus, box = away(one.replicas[0])
            stopping = asyncio.Event()
            worker = asyncio.create_task(box.run(stopping))
            first = await http.post("/v1/messages", json=BODY, headers={"idempotency-key": "k"})

            async def full() -> bool:
                return box.full

            await until(full, "the outbox is full")
            others = [await http.post("/v1/messages", json=BODY, headers={"idempotency-key": key}) for key in ("k", "l")]
            stopping.set()
            await worker
            await bus.stop()
            noted = await one.replicas[0].context.pool.fetchval("SELECT count(*) FROM requests")
            return first, others, noted

    first, others, noted = run(main())

    assert ([202, 202, 503], "5", 1) == ([one.status_code for one in (first, *others)], others[1].headers["retry-after"], noted)


def test_large_entries_are_said_one_after_the_other(settings, tmp_path, run, monkeypatch):
    """Not all that waits is in memory at once; the order stays."""
    monkeypatch.setattr("parley_sender.outbox.SOME_BYTES", 1)

    async def main():
        async with office(settings, tmp_path) as one:
            http, bus, _ = away(one.replicas[0])
            for n in range(4):
                await http.post("/v1/messages", json=text(str(n)), headers={"idempotency-key": str(n)})
            await bus.stop()
            await grown_old(one.replicas[0])
            await arrived(one, 4)
            return one.texts(), await one.replicas[0].context.pool.fetchval("SELECT count(*) FROM outbox")

    assert (list("0123"), 0) == run(main())


def test_each_of_a_batch_is_answered_in_its_place(settings, tmp_path, run):
    """A thousand at once; the wrong ones are refused with their places, the others arrive, once, also when the batch is repeated."""

    async def main():
        async with office(settings, tmp_path) as one:
            messages: list[object] = [{"to": {"addresses": {"inapp": f"u{n}"}}, "content": {"text": str(n)}} for n in range(1000)]
            messages[10], messages[20] = {"to": {"addresses": {"inapp": "u10"}}, "content": {"txt": "x"}}, "x"
            body = {"common": {"purpose": "transactional", "channels": ["inapp"]}, "messages": messages}
            answers = [await one.post(body, "k", BATCH) for _ in range(2)]
            await sent(one, 998)
            return answers, [one.texts(f"u{n}") for n in range(1000)]

    answers, texts = run(main())
    body = answers[0].body

    assert (207, answers[0].raw, 998, 2) == (answers[0].status, answers[1].raw, body["accepted"], body["refused"])
    assert {10: "/messages/10/content/txt", 20: "/messages/20"} == {
        n: one["errors"][0]["pointer"] for n, one in enumerate(body["messages"]) if one["status"] == "refused"
    }  # fmt: skip
    assert 998 == len({one["message_id"] for one in body["messages"] if one["status"] == "accepted"})
    assert [[] if n in (10, 20) else [str(n)] for n in range(1000)] == texts


def test_a_batch_without_a_good_one_is_refused(settings, tmp_path, run):
    """With every reason; the key stays free for the batch that is mended."""

    async def main():
        async with office(settings, tmp_path) as one:
            return await one.post({"messages": [{}, text("")]}, "k", BATCH), await one.post({"messages": [text("good")]}, "k", BATCH)

    refused, taken = run(main())

    assert (422, 202) == (refused.status, taken.status)
    assert ["/messages/0/to", "/messages/1/content"] == [one["errors"][0]["pointer"] for one in refused.body["messages"]]


def test_a_contact_is_enough_where_they_were_written_to(settings, tmp_path, run):
    """The address that sender used last; of other tenants' contacts nothing is known."""

    async def main():
        async with office(settings, tmp_path) as one:
            first = (await one.post(text("first"))).body
            await one.stands(first["message_id"], "sent")
            to = {"contact_id": first["contact_id"]}
            answers = [await one.post(text("second", to=to), who=who) for who in ("shop", "spy")]
            await arrived(one, 2)
            return answers, one.texts()

    answers, texts = run(main())

    assert ([202, 422], "/to") == ([one.status for one in answers], answers[1].body["errors"][0]["pointer"])
    assert ["first", "second"] == texts


WRONG = [
    (BODY, None, "shop", 400),
    (BODY, "k", "nobody", 401),
    (BODY, "k", "reader", 403),
    (b"{", "k", "shop", 400),
    (b"[" * 900 + b"]" * 900, "k", "shop", 422),
    ({**BODY, "content": {"text": "\0"}}, "k", "shop", 422),
    (b" " * 1_048_577, "k", "shop", 413),
]
"""No key, nobody, a key without the scope, no JSON, too deep, NUL, too large."""


def test_what_cannot_be_taken_is_a_problem_document(settings, tmp_path, run):
    """What is wrong, where, and what to do; and nothing is noted."""

    async def main():
        async with office(settings, tmp_path) as one:
            answers = [await one.post(body, key, who=who) for body, key, who, _ in WRONG]
            return answers, await one.replicas[0].context.pool.fetchval("SELECT count(*) FROM requests")

    answers, noted = run(main())

    assert ([status for *_, status in WRONG], 0) == ([one.status for one in answers], noted)
    assert all(one.body["status"] == one.status and one.body["detail"] for one in answers)


def test_a_key_may_not_ask_too_often(settings, tmp_path, run):
    """429 with the time to come again; another tenant's key is not touched."""

    async def main():
        async with office(settings.model_copy(update={"account_requests": 1.0}), tmp_path) as one:
            return [await one.post(BODY, who=who) for who in ("shop", "shop", "shop", "spy")]

    assert [202, 202, 429, 202] == [one.status for one in run(main())]


def test_old_keys_are_dropped_a_few_at_a_time(settings, tmp_path, run):
    """And a repeat that comes even later makes the same id, which the queue knows: it is not sent again."""

    async def main():
        async with office(settings, tmp_path) as one:
            pool, now = one.replicas[0].context.pool, datetime.now(UTC)
            answers = [await one.post(text("once"), "k"), await one.post(text("twice"), "l"), await one.post(text("new"), "m")]
            await pool.execute("UPDATE requests SET asked_at = asked_at - interval '4 days' WHERE key <> 'm'")
            dropped = [await idempotency.forget(pool, now - idempotency.KEPT, 1) for _ in range(3)]
            late = [await one.post(text("once"), "k"), await one.post(text("another"), "l")]
            await one.post(text("last"))
            await arrived(one, 5)
            return answers, dropped, late, one.texts()

    answers, dropped, late, texts = run(main())

    assert [1, 1, 0] == dropped
    assert (answers[0].raw, True) == (late[0].raw, late[1].raw != answers[1].raw)
    assert ["once", "twice", "new", "another", "last"] == texts


def test_a_scheduled_message_waits_and_can_be_called_back(settings, tmp_path, run):
    """It never leaves; the bus is told once, and who asks again hears the same. Another tenant finds nothing to cancel."""

    async def main():
        async with office(settings, tmp_path) as one:
            tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
            number = (await one.post(text("later", send_at=tomorrow))).body["message_id"]
            await one.stands(number, "queued")
            path = f"/v1/messages/{number}/cancel"
            answers = [await one.post({}, path=path, who="spy"), await one.post({}, path=path), await one.post({}, path=path)]
            await emptied(one.replicas[0])
            return answers, await one.stands(number, "suppressed"), await told(one, "suppressed"), one.texts()

    answers, story, said, texts = run(main())

    assert [404, 200, 200] == [one.status for one in answers]
    assert (answers[1].raw, "cancelled", []) == (answers[2].raw, story["reason"], texts)
    assert [(story["message_id"], "cancelled")] == [(str(one.message_id), one.reason) for one in said]


def test_what_has_left_is_not_called_back(settings, tmp_path, run):
    """409 with what became of it; what is no id and what nobody knows are said too."""

    async def main():
        async with office(settings, tmp_path) as one:
            number = (await one.post(text("gone"))).body["message_id"]
            await one.stands(number, "sent")
            return [await one.post({}, path=f"/v1/messages/{name}/cancel") for name in (number, "x", UUID(int=0))]

    late, wrong, unknown = run(main())

    assert ([409, 400, 404], "sent") == ([late.status, wrong.status, unknown.status], late.body["message"]["status"])


def test_what_is_claimed_and_has_not_left_is_called_back(settings, tmp_path, run, monkeypatch):
    """It has the gate's leave and waits for its moment: it goes back to the gate, and the caller hears that it never leaves."""
    monkeypatch.setattr(departures, "HORIZON", 10.0)

    async def main():
        async with office(settings, tmp_path, rate="20/min", burst=1) as one:
            pool = one.replicas[0].context.pool
            await one.post({**text("tea"), "to": {"addresses": {"inapp": "u0"}}})
            await sent(one, 1)
            number = (await one.post(text("tea"))).body["message_id"]
            claimed = "SELECT EXISTS (SELECT FROM queue WHERE message_id = $1 AND state = 'calling')"
            await until(lambda: pool.fetchval(claimed, UUID(number)), "the second is claimed")
            answer = await one.post({}, path=f"/v1/messages/{number}/cancel")
            await emptied(one.replicas[0])
            return answer, (await one.get(f"/v1/messages/{number}")).body, await told(one, "suppressed"), one.texts("u1")

    answer, story, said, texts = run(main())

    assert (200, "suppressed", "cancelled") == (answer.status, answer.body["status"], answer.body.get("reason"))
    assert ("cancelled", [(story["message_id"], "cancelled")], []) == (story["reason"], [(str(one.message_id), one.reason) for one in said], texts)


@pytest.mark.parametrize("fails, end", [(0, ("sent", None)), (1, ("suppressed", "cancelled"))], ids=["taken", "refused for now"])
def test_a_call_that_is_under_way_is_the_last(settings, tmp_path, run, monkeypatch, fails, end):
    """Who calls the message back meanwhile hears so; if the call delivers it, it is sent, else it ends, and is not tried again."""
    monkeypatch.setattr(cancelling, "PAUSES", (0.05,))

    async def main():
        async with office(settings, tmp_path) as one:
            one.twin.behave({"*": Behaviour(receipts=False, latency_ms=3000, fail_rate=fails)})
            number = (await one.post(text("tea"))).body["message_id"]
            await until(lambda: there(one.twin.ledger.book.entries), "the call at the twin")
            answer = await one.post({}, path=f"/v1/messages/{number}/cancel")
            story = await one.stands(number, "sent", "suppressed", "failed")
            again = await one.post({}, path=f"/v1/messages/{number}/cancel")
            return (
                answer,
                (story["status"], story["reason"]),
                again.status,
                await one.replicas[0].context.pool.fetchval("SELECT count(*) FROM attempts"),
            )

    async def there(entries) -> bool:
        return bool(entries)

    answer, found, again, attempts = run(main())

    assert (409, ("queued", "calling")) == (answer.status, (answer.body["message"]["status"], answer.body["message"]["reason"]))
    assert (end, 409 if end[0] == "sent" else 200, 1) == (found, again, attempts)


def test_of_cancel_and_lane_one_comes_first(settings, tmp_path, run):
    """A message is either called back and never arrives, or the caller hears that it is too late, and it arrives."""

    async def main():
        async with office(settings, tmp_path, rate="10/s", burst=1) as one:
            body = {"common": {**BODY}, "messages": [{"to": {"addresses": {"inapp": f"u{n}"}}, "content": {"text": str(n)}} for n in range(60)]}
            ids = [each["message_id"] for each in (await one.post(body, path=BATCH)).body["messages"]]

            await one.stands(ids[0], "sent")
            answers = [await one.post({}, path=f"/v1/messages/{number}/cancel") for number in reversed(ids)]
            for number in ids:
                await one.stands(number, "sent", "suppressed")
            return [answer.status for answer in reversed(answers)], [bool(one.texts(f"u{n}")) for n in range(60)], len(await told(one, "suppressed"))

    statuses, there, said = run(main())

    assert {200, 409} == set(statuses)
    assert [status == 409 for status in statuses] == there
    assert statuses.count(200) == said
