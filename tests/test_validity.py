"""How long a message is of use reaches every provider that can be told so, within what it allows: what comes late is not delivered at all."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from parley.channels import PROVIDERS
from parley.channels.shape import Account, HttpRequest, Outgoing
from parley.contracts import Channel, Content
from tests.pushing import pem
from tests.smsc import theirs

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
AT, DAY = int(NOW.timestamp()), 86_400
KEY = pem(ec.generate_private_key(ec.SECP256R1()))
SECRETS = {
    "account_sid": "AC", "auth_token": "t", "api_key": "k", "api_secret": "s", "symmetric": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "key": KEY, "key_id": "K", "team_id": "T", "vapid_private_key": KEY,
}  # fmt: skip
SUBSCRIPTION = json.dumps(
    {"endpoint": "https://push.example.com/x", "keys": {
        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4", "auth": "BTBZMqHH6r4Tts7J_aSIgg"}}
)  # fmt: skip


def account(provider: str, channel: Channel) -> Account:
    sender = {"apns": "com.example.app", "webpush": "mailto:push@example.com"}.get(provider, "+12025550100")
    secrets = {name: (value,) for name, value in SECRETS.items()}
    base = {"plain": "http://127.0.0.1:9100"}.get(provider)
    return Account("a", "t", provider, channel, sender, secrets, base_url=base)


def built(provider: str, channel: Channel, valid_for: timedelta | None) -> HttpRequest:
    address = SUBSCRIPTION if provider == "webpush" else "+12025550143"
    message = Outgoing(UUID(int=7), address, Content(text="hi"), NOW, token="T", valid_for=valid_for)
    (request,) = PROVIDERS[provider].build(message, account(provider, channel))
    return request


def told(request: HttpRequest) -> Any:
    return orjson.loads(request.body)


def _twilio(request: HttpRequest) -> int | None:
    found = parse_qs(request.body.decode()).get("ValidityPeriod")
    return int(found[0]) if found else None


def _infobip(request: HttpRequest) -> int | None:
    period = told(request)["messages"][0].get("options", {}).get("validityPeriod")
    return period and {"SECONDS": 1}[period["timeUnit"]] * period["amount"]


def _smpp(request: HttpRequest) -> int | None:
    """As another library reads it: `YYMMDDhhmmss000R`, a time from now."""
    text = (theirs(request.body).validity_period or b"").decode()
    if not text:
        return None
    years, months, days, hours, minutes, seconds = (int(text[place : place + 2]) for place in range(0, 12, 2))
    assert text.endswith("000R")
    return (((years * 365 + months * 30 + days) * 24 + hours) * 60 + minutes) * 60 + seconds


def _fcm(request: HttpRequest) -> int:
    """The same on each of the three ways that FCM takes."""
    body = told(request)["message"]
    ways = {
        int(body["android"]["ttl"].removesuffix("s")),
        int(body["apns"]["headers"]["apns-expiration"]) - AT,
        int(body["webpush"]["headers"]["TTL"]),
    }
    (found,) = ways
    return found


def _rbm(request: HttpRequest) -> int | None:
    found = told(request).get("ttl")
    return found and int(found.removesuffix("s"))


Read = Callable[[HttpRequest], int | None]
TAKE: dict[tuple[str, Channel], tuple[Read, int, int]] = {
    ("twilio", Channel.SMS): (_twilio, 1, 36_000),
    ("infobip", Channel.SMS): (_infobip, 1, 172_800),
    ("vonage", Channel.SMS): (lambda one: told(one).get("ttl"), 20, 604_800),
    ("vonage", Channel.MMS): (lambda one: told(one).get("ttl"), 300, 259_200),
    ("vonage", Channel.RCS): (lambda one: told(one).get("ttl"), 20, 259_200),
    ("smpp", Channel.SMS): (_smpp, 1, 63 * 7 * DAY),
    ("fcm", Channel.PUSH): (_fcm, 0, 28 * DAY),
    ("apns", Channel.PUSH): (lambda one: int(one.headers["apns-expiration"]) - AT, 0, 30 * DAY),
    ("webpush", Channel.PUSH): (lambda one: int(one.headers["ttl"]), 0, 30 * DAY),
    ("rbm", Channel.RCS): (_rbm, 1, 15 * DAY),
    ("plain", Channel.SMS): (lambda one: told(one).get("valid_for"), 0, 10**9),
}
"""Where a provider is told, and the seconds that it allows."""
UNTOLD = {("fcm", Channel.PUSH): DAY, ("apns", Channel.PUSH): DAY, ("webpush", Channel.PUSH): DAY}
"""What is said where nothing was asked for; elsewhere nothing is."""


@pytest.mark.parametrize("provider, channel", TAKE)
def test_a_message_is_given_up_when_it_is_of_no_use(provider, channel):
    """An hour is an hour; nothing asked is nothing said, or the day of a notification."""
    read = TAKE[provider, channel][0]

    assert [3600, UNTOLD.get((provider, channel))] == [read(built(provider, channel, one)) for one in (timedelta(hours=1), None)]


@pytest.mark.parametrize("provider, channel", TAKE)
def test_what_a_provider_does_not_allow_is_not_asked(provider, channel):
    """Less than its least is its least, more than its most its most: a message is never refused for it."""
    read, least, most = TAKE[provider, channel]
    asked = [timedelta(seconds=-5), timedelta(milliseconds=500), timedelta(days=100_000)]

    assert [least, least, most] == [read(built(provider, channel, one)) for one in asked]


@given(st.timedeltas(), st.integers(0, 100), st.integers(100, 10**9))
def test_a_time_is_never_longer_than_asked_but_where_the_provider_knows_no_shorter(valid_for, least, most):
    message = Outgoing(UUID(int=7), "a", Content(text="hi"), NOW, valid_for=valid_for)
    found = message.seconds(least, most)

    assert found is not None and least <= found <= most and (found == least or timedelta(seconds=found) <= valid_for)


@pytest.mark.parametrize("channel", [Channel.WHATSAPP, Channel.MESSENGER])
def test_a_channel_that_knows_no_time_is_told_none(channel):
    """Vonage refuses `ttl` there."""
    assert "ttl" not in told(built("vonage", channel, timedelta(hours=1)))
