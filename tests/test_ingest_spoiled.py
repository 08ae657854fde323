"""Real requests of every channel, spoiled: nobody is believed who should not be, no request makes a 5xx, none hangs. `make fuzz` tries ten thousand."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode

import orjson
import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import settings as options
from hypothesis import strategies as st

from parley.channels import PROVIDERS
from parley.channels.shape import Account, Item, Request, Unkeyed
from parley.problem import Problem
from parley_ingest.taking import Taken, taken
from tests.conftest import SAMPLES
from tests.ingesting import NOW, RECEIVED, Shared, slug
from tests.test_ingest_noise import changed, places, texts, values
from tests.test_samples import Sample, found

SIGNS_NO_BODY = frozenset({"infobip", "telegram", "mailgun"})
"""These prove who they are by a shared secret, or sign only a token beside the body: what stands in the body nobody can check."""
GOOD = [
    one for one in found(SAMPLES) if "http_status" not in one.about and one.about["method"] == "POST" and isinstance(one.about.get("reads_as"), list)
]
MANY = options(
    max_examples=max(300, options.default.max_examples), deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)  # fmt: skip

wire = texts.map(lambda text: text.encode("utf-8", "replace").decode("latin-1"))
"""Text as a query brings it."""
What = Literal["body", "credential", "head"]


@dataclass(frozen=True)
class Spoiled:
    """A sample with something put out of order: its body alone, what proves who sends it, or anything else of its head."""

    sample: Sample
    what: What
    request: Request
    late: timedelta = timedelta()


def account(sample: Sample) -> Account:
    return replace(sample.account, public_url=sample.about["url"].partition("?")[0])


def outcome(one: Spoiled) -> Taken | int:
    """What the door makes of it: the request taken, or the status of the refusal."""
    try:
        return taken(one.request, account(one.sample), one.sample.now + one.late)
    except Problem as problem:
        return problem.status_code
    except Unkeyed:
        return 503  # the address of another key: who fetches it fetches from the provider alone


def items(sample: Sample, request: Request) -> list[Item]:
    return list(PROVIDERS[sample.provider].parse(request, account(sample)))


def credentials(sample: Sample) -> list[str]:
    """The headers without which it is nobody's."""
    heads = sample.request.headers
    bare = {name: replace(sample.request, headers={other: text for other, text in heads.items() if other != name}) for name in heads}
    return [name for name, request in bare.items() if outcome(Spoiled(sample, "credential", request)) == 401]


PROOF = {one.name: credentials(one) for one in GOOD}


@st.composite
def bodies(draw, sample: Sample) -> bytes:
    """The body, spoiled by bytes, by a place of its JSON, or by a field of its form."""
    body = sample.body
    way = draw(st.sampled_from(["bytes", "cut", "more", "place"]))
    place = draw(st.integers(0, max(0, len(body) - 1)))
    if way == "bytes":
        return body[:place] + draw(st.binary(max_size=8)) + body[place + draw(st.integers(0, 8)) :]
    if way == "cut":
        return body[:place]
    if way == "more":
        return body + draw(st.sampled_from([body, b"\0", b"}", b"&a=b", b"\xff", b" "]))
    if body.lstrip()[:1] in (b"{", b"["):
        document = orjson.loads(body)
        for _ in range(draw(st.integers(1, 3))):
            document = changed(document, draw(st.sampled_from(list(places(document)))), draw(values))
        return json.dumps(document).encode()
    pairs = parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
    assume(pairs)
    at = draw(st.integers(0, len(pairs) - 1))
    pairs[at] = draw(st.tuples(st.just(pairs[at][0]), texts) | st.tuples(texts, st.just(pairs[at][1])))
    return urlencode(pairs, errors="replace").encode()


@st.composite
def spoiled(draw) -> Spoiled:
    """Any sample of any provider, with one thing wrong."""
    provider = draw(st.sampled_from(sorted({one.provider for one in GOOD})))
    sample = draw(st.sampled_from([one for one in GOOD if one.provider == provider]))
    request, headers = sample.request, dict(sample.request.headers)
    what: Any = draw(st.sampled_from(["body", "body", "credential", "head"]))
    if what == "credential":
        assume(PROOF[sample.name])
        name = draw(st.sampled_from(PROOF[sample.name]))
        headers[name] = draw(
            st.sampled_from(["", "x", "x" * 5000, ("0" if headers[name][:1] in "xX" else "x") + headers[name][1:], "é", ",", "v1,", "Bearer a.b.c"])
        )
        return Spoiled(sample, what, replace(request, headers=headers))
    if what == "body":
        return Spoiled(sample, what, replace(request, body=draw(bodies(sample))))
    way = draw(st.sampled_from(["header", "query", "method", "late"]))
    if way == "header":
        headers[draw(st.sampled_from(sorted(headers)))] = draw(st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40))
        return Spoiled(sample, what, replace(request, headers=headers))
    if way == "query":
        return Spoiled(sample, what, replace(request, url=f"{request.url}{draw(st.sampled_from('?&'))}{draw(wire)}={draw(wire)}"))
    if way == "method":
        return Spoiled(sample, what, replace(request, method=draw(st.sampled_from(["PUT", "HEAD", "post", ""]))))
    return Spoiled(sample, what, request, timedelta(seconds=draw(st.integers(-(10**9), 10**9))))


@MANY
@given(spoiled())
def test_nobody_is_believed_who_should_not_be(one):
    """A request that says anything else than the one that was signed is refused; so is one whose proof is spoiled; nothing else comes of any."""
    made = outcome(one)

    assert isinstance(made, Taken) or made in (400, 401, 413, 503)
    if one.what == "credential":
        assert 401 == made
    if one.what == "body" and one.sample.provider not in SIGNS_NO_BODY and isinstance(made, Taken):
        assert items(one.sample, one.sample.request) == items(one.sample, one.request)


def test_every_provider_that_posts_is_spoiled():
    """A channel without requests here would go untried; push services post nothing."""
    assert set(PROVIDERS) - {"fcm", "apns", "webpush", "smpp"} == {one.provider for one in GOOD}
    assert {"mailgun", "ses", "vonage"} >= {one.provider for one in GOOD if not PROOF[one.name]}


@pytest.fixture(scope="module")
def shared(stack, tmp_path_factory) -> Iterator[Shared]:
    with Shared(stack, tmp_path_factory.mktemp("spoiled")) as one:
        yield one


SENT: list[int] = []
"""The statuses that the door gave."""


@pytest.mark.stack
@MANY
@given(spoiled())
def test_the_door_answers_as_the_rules_say(shared, one):
    """By real HTTP, each within ten seconds: never a 5xx, and a 2xx only where the rules take it."""
    assume(one.sample in RECEIVED)
    ingest = shared.ingest
    ingest.clock[0] = max(NOW.replace(year=1990), min(NOW.replace(year=2090), one.sample.now + one.late))
    query = one.request.url.partition("?")[2].encode("utf-8", "replace")
    path = f"/hooks/{slug(one.sample)}".encode() + (b"?" + bytes(b if 33 <= b < 127 and b != 35 else 95 for b in query) if query else b"")
    status = shared.run(asyncio.wait_for(sent(ingest.one.port, one.request, path), 10))
    SENT.append(status)

    assert status < 500
    if one.what == "credential":
        assert 401 == status


async def sent(port: int, request: Request, path: bytes) -> int:
    """The status of the answer to these bytes, whatever they are."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        lines = [
            f"{name}: {text}".encode("latin-1", "replace") for name, text in request.headers.items() if name not in ("content-length", "connection")
        ]
        lines += [b"host: a", b"connection: close", b"content-length: %d" % len(request.body)]
        writer.write(b"%s %s HTTP/1.1\r\n%s\r\n\r\n" % ((request.method or "POST").encode(), path, b"\r\n".join(lines)) + request.body)
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()


@pytest.mark.stack
def test_what_went_in_is_what_was_answered_with_2xx(shared):
    """As many requests on the bus as the door said yes to, and the service is well."""
    on_the_bus = len(shared.run(shared.ingest.topic("parley.raw")))
    _, body, _ = shared.run(shared.ingest.ask("GET", "/metrics"))

    assert sum(200 <= status < 300 for status in SENT) == on_the_bus
    assert b'status="5xx"' not in body
