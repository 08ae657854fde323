"""Noise at the door: whatever comes, no request makes a 500, and what is taken can be read behind it."""

import asyncio
import copy
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from parley import crypto, wire
from parley.channels.shape import Account, Request
from parley.config import Config, Tenant
from parley.contracts import Channel, Data, Record
from parley.cursor import Place
from parley.problem import Problem
from parley.step import Arrived
from parley_ingest.normalise import Normalise, meaning
from parley_ingest.taking import taken
from tests.ingesting import NOW, RECEIVED, Ingest, Shared, slug

URL = "https://hooks.example.com/hooks/a"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CHANNELS = {"twilio": Channel.SMS, "meta": Channel.WHATSAPP, "plain": Channel.INAPP}
JSON = [one for one in RECEIVED if one.provider in ("meta", "plain") and one.about["method"] == "POST" and one.body.lstrip()[:1] == b"{"]
FORMS = [one for one in RECEIVED if one.provider == "twilio" and b"=" in one.body]
texts = st.text(max_size=20) | st.sampled_from(["", "0", "-1", "1e400", "\0", "STOP", "+8210", "wamid.X", "9" * 400, "text", "\ud800"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "text", "from", "type", "body"]) | texts, inner, max_size=3),
    max_leaves=6,
)
quick = settings(
    max_examples=max(300, settings.default.max_examples),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Every place in a JSON value."""
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


def changed(value: Any, path: tuple, other: Any) -> Any:
    if not path:
        return other
    value = copy.copy(value)
    value[path[0]] = changed(value[path[0]], path[1:], other)
    return value


@st.composite
def bodies(draw) -> tuple[str, bytes]:
    """A real body with one or two places put out of order, and whose it is."""
    if draw(st.booleans()):
        sample = draw(st.sampled_from(FORMS))
        pairs = dict(pair.partition("=")[::2] for pair in sample.body.decode().split("&"))
        for _ in range(draw(st.integers(1, 2))):
            pairs[draw(st.sampled_from(sorted(pairs)))] = draw(texts)
        return "twilio", urlencode(pairs, errors="replace").encode()
    sample = draw(st.sampled_from(JSON))
    document = orjson.loads(sample.body)
    for _ in range(draw(st.integers(1, 2))):
        document = changed(document, draw(st.sampled_from(list(places(document)))), draw(values))
    return sample.provider, json.dumps(document).encode()


def signed(provider: str, body: bytes) -> tuple[Request, Account]:
    """The request as its provider would send it."""
    account = Account("a", "acme", provider, CHANNELS[provider], "s", {"auth_token": ("t",), "app_secret": ("s",), "symmetric": (SECRET,)}, URL)
    headers = {"content-type": "application/x-www-form-urlencoded" if provider == "twilio" else "application/json"}
    if provider == "plain":
        headers |= crypto.webhook_sign(SECRET, "msg_1", NOW, body)
    elif provider == "meta":
        headers["x-hub-signature-256"] = f"sha256={crypto.hmac_hex('sha256', b's', body)}"
    else:
        headers["x-twilio-signature"] = RequestValidator("t").compute_signature(URL, dict(parse_qsl(body.decode(), keep_blank_values=True)))
    return Request("POST", URL, headers, body), account


@quick
@given(bodies())
def test_what_the_door_takes_can_be_read_behind_it(found):
    """However a signed body is spoiled: 400 to the provider, or every event that follows from it is one of the contract."""
    request, account = signed(*found)
    try:
        taking = taken(request, account, NOW)
    except Problem as problem:
        outcome, made = problem.status_code, []
    else:
        outcome, made = taking.answer.status, list(read_again(taking.record, account))

    assert outcome in (200, 204, 400)
    assert [type(data) for data, _ in made] == [type(wire.decode(topic, headers, value).data) for _, (topic, _, headers, value) in made]


def read_again(record: Record, account: Account) -> Iterator[tuple[Data, Record]]:
    """What the normaliser makes of a record of the door, and how that goes on the bus."""
    topic, _, headers, value = record
    arrived = Arrived(wire.decode(topic, headers, value), Place(topic, 0), 0, None)
    stage = Normalise(Config({"acme": Tenant("acme", None, ("en",))}, {"a": account}))
    for one in stage.read(arrived):
        for data in meaning(one, UUID(int=1), {}):
            yield data, wire.encode(arrived.event.model_copy(update={"data": data}))


names = st.sampled_from(["content-type", "content-length", "transfer-encoding", "expect", "x-twilio-signature", "x-hub-signature-256",
                         "webhook-timestamp", "authorization", "traceparent", "host", "ce-type", "ce-id", "cookie", "connection", "upgrade"])  # fmt: skip
lines = st.tuples(
    names, st.binary(max_size=30) | st.sampled_from([b"application/json", b"-1", b"chunked", b"100-continue", b"\xb2", b"9" * 30, b"websocket"])
)
paths = st.sampled_from(["/hooks/{}", "/hooks/{}/", "/hooks//{}", "/hooks/%00", "/hooks/%ff%fe", "/hooks/..%2f", "/events", "/l/{}", "/l/%0d%0aX:1", "/l/abcdef",
                         "/o/{}.gif", "/o/%00.gif", "/o/.gif", "//x", "/hooks/{}?%ff=%00&a", "http://x/l/a", "*", "/healthz", "/readyz"])  # fmt: skip
methods = st.sampled_from(["GET", "POST", "HEAD", "PUT", "OPTIONS", "DELETE", "PATCH", "CONNECT", "TRACE", "FOO"])


@pytest.fixture(scope="module")
def shared(stack, tmp_path_factory) -> Iterator[Shared]:
    with Shared(stack, tmp_path_factory.mktemp("noise")) as one:
        yield one


async def said(ingest: Ingest, request: bytes) -> bytes:
    """What the server answers to these bytes; nothing when it ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", ingest.one.port)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(4096), 10)
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.stack
@quick
@given(
    sample=st.sampled_from(RECEIVED), method=methods, path=paths, more=st.lists(lines, max_size=3), body=st.none() | st.binary(max_size=200),
    cut=st.none() | st.integers(0, 300), real=st.booleans(),
)  # fmt: skip
def test_no_request_makes_a_500(shared, monkeypatch, sample, method, path, more, body, cut, real):
    """Bodies, headers, paths and methods of real requests put out of order, as bytes on a socket; what stands still is ended."""
    monkeypatch.setattr("parley.web.HEAD_WITHIN", 0.2)
    monkeypatch.setattr("parley.problem.BODY_WITHIN", 0.2)
    monkeypatch.setattr("parley_ingest.tracking.WAIT", 0.01)
    data = sample.body if body is None else body
    headers = [(name.encode(), value.encode()) for name, value in sample.about["headers"].items()] if real else []
    headers += [(b"host", b"a"), (b"content-length", b"%d" % len(data)), *((name.encode(), raw) for name, raw in more)]
    head = f"{method} {path.format(slug(sample))} HTTP/1.1\r\n".encode() + b"".join(b"%s: %s\r\n" % one for one in headers) + b"\r\n"
    request = head + data
    answer = shared.run(said(shared.ingest, request if cut is None else request[:cut] + request[cut + 1 :]))

    assert b"HTTP/1.1 5" != answer[:10]
    assert b"\nlocation:" not in answer.lower()


@pytest.mark.stack
def test_nothing_of_the_noise_was_an_error_within(shared):
    """No answer of the whole module was a 500, and the service is well."""
    status, body, _ = shared.run(shared.ingest.ask("GET", "/metrics"))

    assert 200 == status
    assert b'status="5xx"' not in body
