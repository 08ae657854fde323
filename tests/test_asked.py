"""A provider is asked for a message whose call ended without an answer: the question, what it may answer, and when that proves anything."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit
from uuid import UUID

import aiohttp
import infobip_api_client
import orjson
import pytest
import requests
import urllib3
from hypothesis import given
from hypothesis import strategies as st
from infobip_api_client.models import SmsLogsResponse
from standardwebhooks import Webhook
from twilio.rest import Client as Twilio

from parley.channels import PROVIDERS
from parley.channels.shape import Account, HttpRequest, Outgoing, Queryable, Receipt, Response
from parley.contracts import Channel, Content, Media, ReceiptStatus, Template
from parley.twin import Account as TwinAccount
from parley.twin import Behaviour, TwinOptions, running_twin
from tests.test_published import Caught

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
NOW = AT + timedelta(minutes=2)
OURS, TO, FROM = UUID(int=7), "+12025550143", "+12025550100"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRETS = {
    "account_sid": "AC0123456789abcdef0123456789abcdef",
    "auth_token": "t",
    "api_key": "k",
    "api_token": "t",
    "app_id": "app",
    "symmetric": SECRET,
}
CHANNELS = {"mailgun": Channel.EMAIL, "sendbird": Channel.INAPP}
SENDERS = {"mailgun": "Acme Tea <hello@mg.example.com>", "sendbird": "agent_001"}
ASKED = [name for name, one in PROVIDERS.items() if isinstance(one, Queryable)]


def account(provider: str, **changed: Any) -> Account:
    secrets = {name: (value,) for name, value in SECRETS.items()}
    base = "http://127.0.0.1:9100" if provider == "plain" else None
    one = Account("a", "t", provider, CHANNELS.get(provider, Channel.SMS), SENDERS.get(provider, FROM), secrets, base_url=base)
    return replace(one, **changed)


def outgoing(provider: str, text: str = "hi", **content: Any) -> Outgoing:
    to = {"mailgun": "kim@example.com", "sendbird": "channel_1"}.get(provider, TO)
    return Outgoing(OURS, to, Content(text=text, **content), AT)


def question(provider: str, part: int = 0, now: datetime = NOW, message: Outgoing | None = None, **changed: Any) -> HttpRequest | None:
    return PROVIDERS[provider].query(message or outgoing(provider), part, account(provider, **changed), now)


def answer(provider: str, body: Any, status: int = 200, part: int = 0, message: Outgoing | None = None) -> Receipt | str | None:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return PROVIDERS[provider].query_answer(Response(status, {}, raw), message or outgoing(provider), part, account(provider))


def listed(**changed: Any) -> dict[str, Any]:
    """A message as Twilio lists it."""
    at = format_datetime(AT + timedelta(seconds=1))
    return {"sid": "SM1", "to": TO, "from": FROM, "body": "hi", "status": "delivered", "direction": "outbound-api", "date_created": at,
            "date_updated": at, "num_segments": "1", "num_media": "0", "price": "-0.0079", "price_unit": "USD", "error_code": None, **changed}  # fmt: skip


LOG = {"messageId": str(OURS), "destination": "12025550143", "sentAt": "2026-11-24T09:30:01.000+0000", "doneAt": "2026-11-24T09:30:02.000+0000",
       "messageCount": 2, "price": {"pricePerMessage": 0.01, "currency": "EUR"}, "status": {"groupId": 3, "groupName": "DELIVERED", "id": 5}}  # fmt: skip
EVENT = {"event": "accepted", "id": "e1", "timestamp": AT.timestamp(), "recipient": "kim@example.com",
         "message": {"headers": {"message-id": "m1@mg.example.com"}}, "user-variables": {"platform_ref": str(OURS)}}  # fmt: skip
CHAT = {"message_id": 77, "data": orjson.dumps({"message_id": str(OURS)}).decode(), "created_at": int(AT.timestamp() * 1000), "message": "hi"}
HAVE = {
    "twilio": ({"messages": [listed()], "next_page_uri": None}, ReceiptStatus.DELIVERED, "SM1"),
    "infobip": ({"results": [LOG]}, ReceiptStatus.DELIVERED, str(OURS)),
    "plain": ({"id": "pm_1", "reference": str(OURS), "status": "delivered"}, ReceiptStatus.DELIVERED, "pm_1"),
    "mailgun": ({"items": [EVENT, {**EVENT, "event": "delivered", "id": "e2"}]}, ReceiptStatus.DELIVERED, "m1@mg.example.com"),
    "sendbird": ({"messages": [CHAT]}, ReceiptStatus.SENT, "77"),
}
"""What the provider answers when it has the message."""
NOTHING = {
    "twilio": {"messages": []},
    "infobip": {"results": []},
    "plain": {"code": "unknown_message"},
    "mailgun": {"items": []},
    "sendbird": {"messages": []},
}


@pytest.mark.parametrize("provider", ASKED)
def test_a_message_that_the_provider_has_is_a_receipt_of_ours(provider):
    body, status, identifier = HAVE[provider]
    got = answer(provider, body)

    assert (OURS, status, identifier) == (got.message_id, got.status, got.provider_id)


@pytest.mark.parametrize("provider", ASKED)
def test_what_the_provider_does_not_know_proves_nothing_unless_it_says_so(provider):
    """A list without it may not be whole yet; only the plain provider promises that it never had it, and only by its own word."""
    expected = "never" if provider == "plain" else None

    assert [expected, None] == [
        answer(provider, NOTHING[provider], 404 if provider == "plain" else 200),
        answer(provider, b"<html>Not Found</html>", 404),
    ]


@pytest.mark.parametrize("provider", ASKED)
@pytest.mark.parametrize("status", [302, 401, 403, 404, 429, 500, 503])
def test_a_refused_question_is_no_answer(provider, status):
    """Whatever stands in it."""
    assert [None, None, None] == [answer(provider, body, status) for body in (b"", b"{}", HAVE[provider][0])]


@pytest.mark.parametrize("provider", ASKED)
def test_a_message_that_still_waits_at_the_provider_has_left_us(provider):
    """It is sent, whichever word the provider has for it."""
    waiting = {
        "twilio": {"messages": [listed(status="queued")]}, "infobip": {"results": [{**LOG, "status": {"groupId": 1}}]},
        "plain": {"id": "pm_1", "status": "queued"}, "mailgun": {"items": [EVENT]}, "sendbird": {"messages": [CHAT]},
    }  # fmt: skip

    assert ReceiptStatus.SENT == answer(provider, waiting[provider]).status


json_values = st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=8),
                           lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=8)  # fmt: skip
names = st.sampled_from(["messages", "results", "items", "id", "status", "sid", "to", "body", "data", "date_created", "messageId", "event", "code"])
odd = st.dictionaries(names, json_values | st.lists(st.dictionaries(names, json_values, max_size=5), max_size=3), max_size=4)


@given(st.sampled_from(ASKED), odd.map(orjson.dumps) | json_values.map(orjson.dumps) | st.binary(max_size=20), st.sampled_from([200, 404]))
def test_no_answer_breaks_the_reading_or_makes_a_message_of_another(provider, body, status):
    """None of these has our id or our text; `never` is said by nothing but its own word."""
    got = answer(provider, body, status)

    assert got is None or (provider == "plain" and (got != "never" or b"unknown_message" in body))


# --- Twilio ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "others",
    [[listed(sid="SM2")], [listed(body="ho")], [listed(to="+12025550199")], [listed(direction="inbound")], [listed(num_media="1")],
     [listed(date_created=format_datetime(AT - timedelta(seconds=6)))], [listed(date_created=format_datetime(AT + timedelta(minutes=11)))],
     [listed(date_created="yesterday")]],
)  # fmt: skip
def test_twilios_list_names_one_message_or_none(others):
    """Two that fit are told apart by nobody; what says or is something else, or was made before or long after the call, is not it."""
    alone, beside = answer("twilio", {"messages": others}), answer("twilio", {"messages": [listed(), *others]})
    fits = others[0] == listed(sid="SM2")

    assert (("SM2", None) if fits else (None, "SM1")) == (alone and alone.provider_id, beside and beside.provider_id)


def test_twilio_tells_price_segments_and_why_it_failed():
    got = answer("twilio", {"messages": [listed(status="undelivered", error_code=30003, num_segments="2")]})

    assert ("30003", "transient", Decimal("0.0079"), "USD", 2) == (got.code, got.failure, got.price, got.currency, got.segments)


@pytest.mark.parametrize("channel, sender", [(Channel.SMS, FROM), (Channel.SMS, "MG0123456789abcdef0123456789abcdef"), (Channel.WHATSAPP, FROM)])
def test_twilio_is_asked_as_its_own_kit_asks(channel, sender):
    """With To and From; where a service chooses the number, with To alone."""
    prefix, caught = "whatsapp:" if channel is Channel.WHATSAPP else "", Asking()
    named = {} if sender.startswith("MG") else {"from_": prefix + sender}
    list(Twilio(SECRETS["account_sid"], SECRETS["auth_token"], http_client=caught).messages.list(to=prefix + TO, page_size=200, **named))
    got = question("twilio", channel=channel, sender=sender)

    assert (caught.url.partition("?")[0], sorted(parse_qsl(urlsplit(caught.url).query)), caught.authorization) == (
        got.url.partition("?")[0], sorted(parse_qsl(urlsplit(got.url).query)), got.headers["authorization"],
    )  # fmt: skip


class Asking(Caught):
    """Keeps the address that Twilio's kit asks."""

    def request(self, method: str, url: str, params: Any = None, data: Any = None, headers: Any = None, auth: Any = None, **more: Any) -> Any:
        given = {name: value for name, value in params.items() if isinstance(value, str | int)}  # what is not set is an object of the kit's own
        prepared = requests.Request(method, url, params=given, auth=auth).prepare()
        self.url, self.authorization = str(prepared.url), prepared.headers["Authorization"]
        return _Page()


class _Page:
    status_code, text = 200, '{"messages": [], "next_page_uri": null}'
    ok, headers, content = True, {}, b""


def test_a_template_is_not_asked_for():
    """Its text is Twilio's, so it could not be told from another."""
    assert question("twilio", message=outgoing("twilio", "", template=Template(name="HX1", language="ko"))) is None


def test_the_part_that_is_in_doubt_is_asked_for():
    """Of a text in two messages the second says what the first does not; Infobip's has a number behind our id."""
    long = outgoing("twilio", "a" * 1600 + "b" * 10)
    second = answer("twilio", {"messages": [listed(body="a" * 1600), listed(body="b" * 10, sid="SM2")]}, part=1, message=long)
    asked = question("infobip", part=1, message=outgoing("infobip", "a" * 900))

    assert ("SM2", [f"{OURS}-1"]) == (second.provider_id, parse_qs(urlsplit(asked.url).query)["messageId"])


# --- the others --------------------------------------------------------------------------------------------------------------------------


def test_infobip_is_asked_as_its_own_kit_asks(monkeypatch):
    """And the line of the log that stands here is one that the kit's models know."""
    caught: list[tuple[str, str, str]] = []

    def send(pool: object, method: str, url: str, redirect: bool = True, **more: Any) -> urllib3.HTTPResponse:
        caught.append((method, url, more["headers"]["Authorization"]))
        return urllib3.HTTPResponse(orjson.dumps({"results": [LOG]}), {"content-type": "application/json"}, 200)

    monkeypatch.setattr(urllib3.PoolManager, "urlopen", send)
    api = infobip_api_client.SmsApi(infobip_api_client.ApiClient(infobip_api_client.Configuration(host="https://api.infobip.com", api_key="k")))
    logs = api.get_outbound_sms_message_logs(message_id=[str(OURS)])
    got = question("infobip")

    assert caught == [(got.method, got.url, got.headers["authorization"])]
    assert isinstance(logs, SmsLogsResponse) and str(OURS) == logs.results[0].message_id


def test_infobip_tells_the_price_of_all_parts():
    got = answer("infobip", {"results": [LOG]})

    assert (Decimal("0.02"), "EUR", 2) == (got.price, got.currency, got.segments)


def test_infobip_is_not_asked_for_what_its_log_has_not():
    """An MMS stands elsewhere, and nothing stands longer than two days."""
    picture = outgoing("infobip", media=(Media(kind="image", url="https://files.example.com/f"),))

    assert [None, None] == [question("infobip", message=picture), question("infobip", now=AT + timedelta(hours=48))]


def test_a_plain_system_is_asked_under_a_signature_of_now():
    """As the reference library reads it."""
    now = datetime.now(UTC)
    got = question("plain", now=now)

    assert ("GET", f"http://127.0.0.1:9100/messages/{OURS}") == (got.method, got.url)
    with pytest.raises(ValueError, match="Expecting value"):  # the signature holds; what is signed is no JSON, for it is nothing
        Webhook(SECRET).verify(got.body, dict(got.headers))


def test_mailgun_is_asked_for_what_happened_to_the_person_since():
    asked = urlsplit(question("mailgun").url)
    query = {name: values[0] for name, values in parse_qs(asked.query).items()}

    assert "/v3/mg.example.com/events" == asked.path
    assert {"begin": str(int(AT.timestamp()) - 5), "ascending": "yes", "limit": "300", "recipient": "kim@example.com"} == query


def test_mailguns_events_of_other_messages_say_nothing():
    other = {**EVENT, "user-variables": {"platform_ref": str(UUID(int=8))}}

    assert None is answer("mailgun", {"items": [other, {**EVENT, "user-variables": {}}]})


def test_sendbirds_channel_has_a_part_when_more_are_there_than_went_before():
    """Parts go in order, and each carries our id."""
    body = {"messages": [{**CHAT, "data": ""}, CHAT, {**CHAT, "message_id": 78}, {"data": "{"}]}

    assert ["77", "78", None] == [got and got.provider_id for got in (answer("sendbird", body, part=part) for part in (0, 1, 2))]


# --- at the twin -------------------------------------------------------------------------------------------------------------------------


def at_the_twin(tmp_path, run, provider: str, behaviour: dict[str, Any], expect_answer: bool) -> list[tuple[str, str | None]]:
    """A message is posted; then, and once its receipts are posted, the twin is asked what it knows of it."""

    async def main() -> list[Any]:
        credentials = {"plain": {"symmetric": SECRET}, "twilio": {"account_sid": SECRETS["account_sid"], "auth_token": "t"}}[provider]
        mine = TwinAccount(name="a", provider=provider, sender=FROM, credentials=credentials, hook_url="http://127.0.0.1:1/hooks/a")
        settings = {"*": Behaviour(receipt_delay_ms=100, **behaviour)}
        options = TwinOptions(ledger=tmp_path / "ledger.jsonl", port=0, seed=7, accounts=[mine], behaviours=settings, deadline=0.1)
        async with running_twin(options) as twin, aiohttp.ClientSession() as client:
            ours, now = account(provider, base_url=twin.url), datetime.now(UTC)
            message = replace(outgoing(provider), at=now, receipts_url="http://127.0.0.1:1/hooks/a")
            (built,) = PROVIDERS[provider].build(message, ours)
            answered = await _made(client, built) is not None
            asked = PROVIDERS[provider].query(message, 0, ours, now)
            first = PROVIDERS[provider].query_answer(await _made(client, asked), message, 0, ours)
            while first not in (None, "never") and len(twin.ledger.book.told) == 0:
                await asyncio.sleep(0.02)
            later = PROVIDERS[provider].query_answer(await _made(client, asked), message, 0, ours)
            assert answered is expect_answer
            return [(one.status.value, one.provider_id) if isinstance(one, Receipt) else (one, None) for one in (first, later)]

    return run(asyncio.wait_for(main(), 20))


async def _made(client: aiohttp.ClientSession, request: HttpRequest) -> Response | None:
    try:
        async with client.request(request.method, request.url, data=request.body or None, headers=request.headers) as found:
            return Response(found.status, dict(found.headers), await found.read())
    except aiohttp.ClientError:
        return None


@pytest.mark.parametrize("provider", ["plain", "twilio"])
def test_a_message_that_was_taken_without_an_answer_is_found(tmp_path, run, provider):
    """It hangs after accepting: the twin has it, and says so under the id that the lost answer would have had."""
    (first, identifier), (later, same) = at_the_twin(tmp_path, run, provider, {"hang_after_accepting": 1, "undelivered_rate": 0}, expect_answer=False)

    assert ("sent", True) == (first, identifier == same and bool(identifier)) and later in ("sent", "delivered")


@pytest.mark.parametrize("provider, expected", [("plain", "never"), ("twilio", None)])
def test_a_message_that_was_dropped_before_it_was_taken_is_not_there(tmp_path, run, provider, expected):
    assert [(expected, None)] * 2 == at_the_twin(tmp_path, run, provider, {"drop_before": 1}, expect_answer=False)


def test_a_strangers_question_is_refused(tmp_path, run):
    """Without the account's secret the twin tells nothing."""

    async def main() -> list[int]:
        mine = TwinAccount(name="a", provider="plain", sender=FROM, credentials={"symmetric": SECRET})
        options = TwinOptions(ledger=tmp_path / "ledger.jsonl", port=0, accounts=[mine])
        async with running_twin(options) as twin, aiohttp.ClientSession() as client:
            asked = [
                HttpRequest("GET", f"{twin.url}{path}", {}, b"") for path in (f"/messages/{OURS}", "/2010-04-01/Accounts/AC1/Messages.json?To=x")
            ]
            return [(await _made(client, one)).status for one in asked]

    assert [401, 401] == run(main())
