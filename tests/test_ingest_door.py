"""The door of ingest, by real HTTP in front of real Kafka: what is taken, what is refused, and that nothing of the refused goes in."""

import asyncio
import base64
import hmac
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from tests.ingesting import RECEIVED, Ingest, Shared, running, slug, write_accounts

pytestmark = pytest.mark.stack
POSTS = [one for one in RECEIVED if one.about["method"] == "POST"]
GOOD = [one for one in POSTS if isinstance(one.about.get("reads_as"), list)]
OF_EACH = list({one.provider: one for one in reversed(GOOD)}.values())
"""One good request of each provider."""
PLAIN_HEADERS = ("content-type", "user-agent")
SIGNED = [one for one in OF_EACH if any(name.lower() not in PLAIN_HEADERS for name in one.about["headers"])]
"""Those of providers that sign in a header; the others sign inside the body."""


@pytest.fixture(scope="module")
def shared(stack, tmp_path_factory) -> Iterator[Shared]:
    with Shared(stack, tmp_path_factory.mktemp("door")) as one:
        yield one


@pytest.fixture
def ingest(shared) -> Ingest:
    return shared.ingest


def expected(sample) -> set[int]:
    """The statuses that `reads_as` implies; a vector of the signature alone may hold any body."""
    reads = sample.about.get("reads_as")
    if isinstance(reads, dict):
        return {reads.get("reject") or reads["status"]}
    return {200, 202, 204} | (set() if isinstance(reads, list) else {400})


async def taken(ingest: Ingest) -> list[tuple[str, bytes]]:
    """Account and exact body of all that is on parley.raw."""
    return sorted((event.data.account, base64.b64decode(event.data.body)) for event in await ingest.topic("parley.raw"))


def test_every_sample_is_answered_as_it_reads_and_only_the_good_go_in(stack, tmp_path):
    """All samples of all providers; what was answered 2xx to a POST, and is no handshake, is on the bus byte for byte, once; nothing else is."""
    with Shared(stack, tmp_path) as one:
        answers = {sample.name: one.run(one.ingest.send(sample)) for sample in RECEIVED}
        on_the_bus = one.run(taken(one.ingest))
    wrong = {sample.name: answers[sample.name][:2] for sample in RECEIVED if answers[sample.name][0] not in expected(sample)}
    handshakes = [sample for sample in POSTS if "body" in (sample.about.get("reads_as") or ())]
    good = sorted((slug(sample), sample.body) for sample in POSTS if answers[sample.name][0] < 300 and sample not in handshakes)

    assert {} == wrong
    assert good == on_the_bus


def test_a_handshake_is_answered_with_its_challenge(shared, ingest):
    """GET with the right token; a wrong one is refused, and a provider that does not ask has nothing there."""
    meta = next(one for one in RECEIVED if one.name == "meta/verify_subscribe")
    wrong = "/hooks/meta-verify-subscribe?hub.mode=subscribe&hub.challenge=1&hub.verify_token=no"

    assert (200, b"1158201444") == shared.run(ingest.send(meta))[:2]
    assert [403, 404] == [shared.run(ingest.ask("GET", path))[0] for path in (wrong, "/hooks/twilio-sms-text")]


@pytest.mark.parametrize("sample", SIGNED, ids=lambda one: one.provider)
def test_what_is_not_signed_gets_401_and_no_reason(shared, ingest, sample):
    """Missing and wrong signatures: the body says the status and nothing more, and nothing goes in."""
    before = shared.run(taken(ingest))
    bare = {name: value for name, value in sample.about["headers"].items() if name.lower() in PLAIN_HEADERS}
    forged = {**sample.about["headers"], **{name: "x" for name in sample.about["headers"] if name not in bare}}
    answers = [shared.run(ingest.send(sample, headers=headers))[:2] for headers in (bare, forged)]

    assert [(401, {"type": "about:blank", "title": "Not authenticated", "status": 401})] * 2 == [
        (status, orjson.loads(body)) for status, body in answers
    ]
    assert before == shared.run(taken(ingest))


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_signature_of_another_time_gets_401(shared, ingest, seconds):
    """Standard Webhooks: five minutes either way; what was recorded cannot be played again."""
    sample = next(one for one in GOOD if one.provider == "plain")
    signed_at = datetime.fromtimestamp(int(sample.about["headers"]["webhook-timestamp"]), UTC)

    assert 401 == shared.run(ingest.send(sample, now=signed_at + timedelta(seconds=seconds)))[0]


def test_nobody_knows_another_account_from_none(shared, ingest):
    """An account that there is not: 404, whatever is sent."""
    assert [404, 404] == [shared.run(ingest.ask(method, "/hooks/nobody", data=b"x"))[0] for method in ("GET", "POST")]


@pytest.mark.parametrize("sample", OF_EACH, ids=lambda one: one.provider)
def test_a_body_over_the_limit_gets_413(shared, ingest, sample):
    """Told by Content-Length or not: 413 once it is clear, before anything is checked."""
    large = b"x" * (ingest.settings.body_limit + 1)

    async def unannounced():
        yield large

    assert [413, 413] == [shared.run(ingest.send(sample, data=data))[0] for data in (large, unannounced())]


def test_a_body_at_the_limit_goes_in(shared, ingest):
    """Base64 makes a megabyte larger than what Kafka takes by itself."""
    sample = next(one for one in GOOD if one.name == "meta/wa_text")
    secret = sample.about["secret"]["app_secret"]
    body = sample.body.rstrip() + b" " * (ingest.settings.body_limit - len(sample.body.rstrip()))

    assert 200 == shared.run(ingest.send(sample, data=body, headers=signed(body, secret)))[0]
    assert (slug(sample), body) in shared.run(taken(ingest))


def signed(body: bytes, secret: str) -> dict[str, str]:
    return {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={hmac.digest(secret.encode(), body, 'sha256').hex()}"}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"entry": NaN}', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_gets_400(shared, ingest, body):
    """Rightly signed and unreadable: a sentence, and nothing goes in."""
    sample = next(one for one in GOOD if one.name == "meta/wa_text")
    before = shared.run(taken(ingest))
    status, answer, headers = shared.run(ingest.send(sample, data=body, headers=signed(body, sample.about["secret"]["app_secret"])))

    assert (400, "application/problem+json") == (status, headers["content-type"])
    assert "body" in orjson.loads(answer)["detail"]
    assert before == shared.run(taken(ingest))


def test_what_one_customer_writes_has_one_key(shared, ingest):
    """Messages are keyed by account and sender; receipts by the customer they are about, so that an account has more than one partition."""
    for name in ("twilio/sms_text", "twilio/status_delivered", "meta/wa_text"):
        shared.run(ingest.send(next(one for one in GOOD if one.name == name)))
    keys = {event.data.account: event.data.key for event in shared.run(ingest.topic("parley.raw"))}

    assert "twilio-sms-text:+12025550143" == keys["twilio-sms-text"]
    assert "twilio-status-delivered:+12025550143" == keys["twilio-status-delivered"]
    assert "meta-wa-text:+16505551234" == keys["meta-wa-text"]


def test_a_repeat_has_the_id_of_the_first(shared, ingest):
    """The id of a raw event is made of the request, not of its time."""
    sample = next(one for one in GOOD if one.name == "meta/wa_image")
    for late in (0, 60):
        shared.run(ingest.send(sample, now=sample.now + timedelta(seconds=late)))
    ids = [event.id for event in shared.run(ingest.topic("parley.raw")) if event.data.account == "meta-wa-image"]

    assert (2, 1) == (len(ids), len(set(ids)))


def test_secrets_stay_at_the_door(shared, ingest):
    """Signatures do not travel on."""
    shared.run(ingest.send(next(one for one in GOOD if one.name == "twilio/sms_text")))
    names = {name for event in shared.run(ingest.topic("parley.raw")) for name in event.data.headers}

    assert names <= {"content-type", "user-agent", "webhook-id", "webhook-timestamp", "i-twilio-idempotency-token"}


async def half_a_request(ingest: Ingest, head: bytes, within: float = 5) -> bytes:
    """What the server says to a client that sends `head` and then nothing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", ingest.one.port)
    writer.write(head)
    try:
        return await asyncio.wait_for(reader.read(65_536), within)
    except ConnectionResetError:
        return b"reset"
    finally:
        writer.close()


@pytest.mark.parametrize("head, status", [
    (b"GET / HTTP/1.1\r\n" + b"x-long: " + b"a" * 70_000, b"431"),
    (b"GET /" + b"a" * 70_000, b"431"),
    (b"GET /hooks/a HTTP/1.1\r\n" + b"".join(b"x-%d: a\r\n" % n for n in range(9_000)), b"431"),
    (b"GET / HTTP/1.1\r\nhost: a", b"408"),
    (b"", b"408"),
    (b"POST /hooks/twilio-sms-text HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nBody=", b"408"),
    (b"POST /hooks/twilio-sms-text HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nBody=\r\n", b"408"),
    (b"POST /hooks/twilio-sms-text HTTP/1.1\r\nhost: a\r\ncontent-length: 1e3\r\n\r\n", b"400"),
    (b"POST /hooks/twilio-sms-text HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999999\r\n\r\n", b"4"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
], ids=["header", "line", "headers", "head", "silence", "body", "chunks", "length", "lengths", "tls"])  # fmt: skip
def test_slow_and_huge_requests_are_ended(shared, ingest, monkeypatch, head, status):
    """Nobody holds the door open, and nobody fills the memory; afterwards it answers as before."""
    monkeypatch.setattr("parley.web.HEAD_WITHIN", 0.5)
    monkeypatch.setattr("parley.problem.BODY_WITHIN", 0.5)
    said = shared.run(half_a_request(ingest, head))

    assert said.startswith(b"HTTP/1.1 " + status)
    assert 200 == shared.run(ingest.ask("GET", "/healthz"))[0]


def test_a_caller_who_leaves_half_way_does_no_harm(shared, ingest):
    """The connection ends inside the body: no trace of an error, nothing goes in."""

    async def leave():
        _, writer = await asyncio.open_connection("127.0.0.1", ingest.one.port)
        writer.write(b"POST /hooks/twilio-sms-text HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nBody=")
        await writer.drain()
        writer.transport.abort()
        await asyncio.sleep(0.1)
        return (await ingest.ask("GET", "/metrics"))[1]

    assert b'status="5xx"' not in shared.run(leave())


@pytest.mark.parametrize("answers", [False, True], ids=["closed", "silent"])
def test_without_kafka_and_spool_a_webhook_gets_503_in_time(settings, run, tmp_path, monkeypatch, answers):
    """Twilio waits 15 s: whether Kafka's port is closed or only says nothing, the provider hears before, and comes again."""
    monkeypatch.setattr("parley_ingest.door.PUBLISH_WITHIN", 2.0)
    sample = next(one for one in GOOD if one.name == "twilio/sms_text")

    async def main():
        async with running(settings.model_copy(update={"config": write_accounts(tmp_path), "spool_bytes": 0})) as one:
            await kafka_away(one, silent=answers)
            async with asyncio.timeout(10):
                return await one.send(sample)

    status, body, headers = run(main())

    assert (503, "2") == (status, headers["retry-after"])
    assert "again" in orjson.loads(body)["detail"]


async def kafka_away(one: Ingest, *, silent: bool) -> None:
    """From now on the service publishes to a port where nobody listens, or somebody who never answers."""
    bus = one.one.context.bus
    server = await asyncio.start_server(lambda *_: asyncio.sleep(60), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    if not silent:
        server.close()
    bus._settings = bus._settings.model_copy(update={"kafka": f"127.0.0.1:{port}"})
    bus._retire(bus._producer)


def test_pipelined_requests_are_answered_in_order(shared, ingest):
    """Two requests in one packet: two answers."""

    async def both():
        reader, writer = await asyncio.open_connection("127.0.0.1", ingest.one.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\nGET /nothing HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        return await asyncio.wait_for(reader.read(-1), 5)

    said = shared.run(both())

    assert [b"200", b"404"] == [line.split()[1] for line in said.split(b"\n") if line.startswith(b"HTTP/1.1")]
