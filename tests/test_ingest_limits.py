"""What one request, one account and one address may ask of the door; and that what is too much costs little."""

import base64
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.channels import PROVIDERS
from parley.channels.shape import Account, Forged, Happened, Malformed, Request, Unkeyed
from parley.contracts import Channel
from parley.limits import SECONDS, Buckets, caller
from parley.problem import Problem
from parley_ingest import taking
from parley_ingest.normalise import customer_event
from parley_ingest.taking import kept
from tests.ingesting import KEY, NOW, RECEIVED, Shared, running, write_accounts

GOOD = [one for one in RECEIVED if one.about["method"] == "POST" and isinstance(one.about.get("reads_as"), list)]
SAMPLE = next(one for one in GOOD if one.name == "twilio/sms_text")


@given(st.floats(0.1, 1000), st.lists(st.floats(0, 10), max_size=60))
def test_a_bucket_never_gives_more_than_it_holds(rate, pauses):
    """In no stretch of time are there more tokens than a full bucket and what flowed in; and who comes after the time told gets one."""
    buckets, now, given_at = Buckets(rate), 0.0, []
    for pause in pauses:
        now += pause
        wait = buckets.take("a", now)
        if wait:
            now += wait * (1 + 1e-9) + 1e-9
            assert buckets.take("a", now) == 0.0
        given_at.append(now)

    size = max(1.0, rate * SECONDS)
    assert all(
        place - start + 1 <= size + (given_at[place] - given_at[start]) * rate + 1e-3
        for start in range(len(given_at))
        for place in range(start, len(given_at))
    )


def test_one_bucket_a_key_and_not_more_than_are_kept():
    """Nobody draws on another's; the table does not grow; a rate of one's own goes before."""
    buckets = Buckets(1.0, size=1.0, known=3)
    first = [buckets.take(key, 0.0) for key in "aabbc"]
    for number in range(100):
        buckets.take(str(number), 0.0)

    assert [0.0, 1.0, 0.0, 1.0, 0.0] == first
    assert 3 == len(buckets._levels)
    assert [0.0, 0.1] == [buckets.take("own", 0.0, rate=10.0) for _ in range(2)]


@pytest.mark.parametrize("host, whose", [
    ("192.0.2.1", "192.0.2.1"), ("2001:db8:0:1:2:3:4:5", "2001:0db8:0000:0001"), ("2001:db8:0:1::9", "2001:0db8:0000:0001"),
    ("::ffff:192.0.2.1", "192.0.2.1"), ("", ""), ("no:address", "no:address"),
])  # fmt: skip
def test_a_caller_has_a_whole_network_in_ipv6(host, whose):
    """A /64 is one caller's; an IPv4 address is itself, however it is written."""
    assert whose == caller(host)


@pytest.mark.parametrize("query, provider, left", [
    ("m=1&bodySHA256=aa&token=s", "twilio", "m=1"), ("token=secret&a=b", "infobip", ""), ("hub.verify_token=secret", "meta", ""), ("", "twilio", ""),
    ("m=a%26b&m=c", "twilio", "m=a%26b&m=c"), ("%ff=%00&m=%ff", "twilio", "m=%EF%BF%BD"),
])  # fmt: skip
def test_only_what_the_adapter_reads_stays_of_a_query(query, provider, left):
    """A token that a provider puts there does not travel on."""
    assert left == kept(query, provider)


@pytest.fixture(scope="module")
def shared(stack, tmp_path_factory) -> Iterator[Shared]:
    with Shared(stack, tmp_path_factory.mktemp("limits")) as one:
        yield one


def test_no_secret_of_a_query_goes_on_the_bus():
    """Infobip's token in the address: by it the request is taken, and it stays at the door."""
    sample = next(one for one in GOOD if one.name == "infobip/inbound_sms")
    account = Account("a", "t", "infobip", Channel.SMS, "s", {"token": ("so-secret",)}, "https://h.example/hooks/a")
    record = taking.taken(Request("POST", "https://h.example/hooks/a?token=so-secret", {}, sample.body), account, NOW).record

    assert b"so-secret" not in record[3] + b"".join(raw for _, raw in record[2])


async def until_limited(ask: Callable[[], Awaitable[tuple]]) -> list[tuple]:
    """The answers up to the first 429. On a slow machine more are let in meanwhile than the burst."""
    answers = [await ask()]
    while answers[-1][0] != 429 and len(answers) < 100:
        answers.append(await ask())
    assert 429 == answers[-1][0]
    return answers


@pytest.mark.stack
@pytest.mark.parametrize("limit, other", [("account_requests", 401), ("address_requests", 429)])
def test_over_a_limit_429_says_when_before_any_signature_is_checked(settings, tmp_path, run, limit, other):
    """Of an account: others go on. Of an address: nobody from there does. A wrong signature would be 401."""
    settings = settings.model_copy(update={"config": write_accounts(tmp_path), limit: 2.0})

    async def main():
        async with running(settings) as one:
            answers = await until_limited(lambda: one.ask("POST", "/hooks/sms", data=b"x"))
            elsewhere = (await one.ask("POST", "/hooks/app", data=b"x"))[0]
            return answers, elsewhere, (await one.ask("GET", "/metrics"))[1].decode()

    answers, elsewhere, found = run(main())

    assert [401] * 4 == [status for status, _, _ in answers[:4]]
    assert "1" == answers[-1][2]["retry-after"]
    assert other == elsewhere
    assert f'parley_limited_total{{limit="{limit.partition("_")[0]}"}}' in found


@pytest.mark.stack
def test_an_account_may_have_a_rate_of_its_own_and_a_key_has_one_too(settings, tmp_path, run):
    """`requests: 60/min` in accounts.yaml; events of a key are counted as an account's are."""
    path = write_accounts(tmp_path) / "accounts.yaml"
    path.write_text(path.read_text().replace("  sms:\n", "  sms:\n    requests: 60/min\n"))
    settings = settings.model_copy(update={"config": tmp_path, "account_requests": 3.0})

    async def main():
        async with running(settings) as one:
            hooks = await until_limited(lambda: one.ask("POST", "/hooks/sms", data=b"x"))
            headers = {"authorization": f"Bearer {KEY}", "content-type": "text/plain"}
            return hooks, await until_limited(lambda: one.ask("POST", "/events", data=b"", headers=headers))

    hooks, events = run(main())

    assert [401, 401] == [status for status, _, _ in hooks[:2]] and len(hooks) < 5
    assert [415] * 6 == [status for status, _, _ in events[:6]]


def nested(depth: int, escape: bytes = b"") -> bytes:
    return b'{"a":"x' + escape + b'","results":' + b'{"a":' * depth + b"1" + b"}" * (depth + 1)


DEEP = [
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
    *(nested(depth, escape) for depth in (250, 900, 100_000) for escape in (b"", b"\\u0041")),
]


@pytest.mark.parametrize("name", PROVIDERS)
def test_no_adapter_is_hurt_by_depth(name):
    """A hundred thousand levels, with escapes and without, as JSON and as a form: forged, malformed, or nothing to see."""
    every = ("topic_arn", "auth_token", "app_secret", "basic", "token", "signature_secret", "secret_token", "channel_secret", "api_token", "secret")
    account = Account("a", "t", name, Channel.SMS, "s", dict.fromkeys(every, ("c",)))
    for body in DEEP:
        for kind in ("application/json", "application/x-www-form-urlencoded"):
            request = Request("POST", "https://h.example/hooks/a", {"content-type": kind}, body)
            for ask in (PROVIDERS[name].handshake, PROVIDERS[name].parse, lambda request, account: PROVIDERS[name].verify(request, account, NOW)):
                with contextlib.suppress(Forged, Malformed, Unkeyed):
                    ask(request, account)


@pytest.mark.stack
@pytest.mark.parametrize("depth", [100, 199, 200, 253, 254, 900, 100_000])
def test_no_event_is_too_deep_for_those_behind(shared, depth):
    """What others could not read any more is refused, and nothing is a 500."""
    properties = b'{"a":' * depth + b"1" + b"}" * depth
    body = b'{"specversion":"1.0","id":"deep","source":"s","type":"parley.customer.event","data":{"customer":{"id":"c"},"name":"a.b",'
    body += b'"occurred_at":"2026-11-24T09:00:00Z","properties":' + properties + b"}}"
    headers = {"content-type": "application/cloudevents+json", "authorization": f"Bearer {KEY}"}
    answer = shared.run(shared.ingest.ask("POST", "/events", data=body, headers=headers))[0]

    assert (202 if depth == 100 else answer) == answer
    assert answer in (202, 400, 422)
    assert all(event.data.name for event in shared.run(shared.ingest.topic("parley.customers")))


@pytest.mark.parametrize("depth, there", [(100, True), (210, False), (900, False)])
def test_a_sources_event_too_deep_for_those_behind_concerns_nobody(depth, there):
    """The bus reads some two hundred levels."""
    properties = orjson.loads(b'{"a":' * depth + b"1" + b"}" * depth)
    item = Happened("a.b", "1", {"customer": {"id": "c"}, "properties": properties}, datetime(2026, 11, 24, tzinfo=UTC))

    assert there == (customer_event(item, NOW) is not None)


def test_a_request_holds_so_many_items_and_no_more(monkeypatch):
    """413 says how many there were."""
    monkeypatch.setattr("parley_ingest.taking.ITEMS", 0)
    with pytest.raises(Problem) as told:
        taking.taken(SAMPLE.request, SAMPLE.account, SAMPLE.now)

    assert (413, "The request holds 1 items, and at most 0 are taken.") == (told.value.status_code, told.value.detail)


def test_what_is_taken_is_the_body_itself():
    """Whatever the limits leave of head and query."""
    record = taking.taken(SAMPLE.request, SAMPLE.account, SAMPLE.now).record

    assert SAMPLE.body == base64.b64decode(orjson.loads(record[3])["body"])
