"""Apple's push: one token for half an hour that another library reads, requests over HTTP/2, every reason in its class."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from parley.channels import apns
from parley.channels.shape import Account, Response
from parley.contracts import Channel, Media
from tests.pushing import NOW, OURS, missing, outgoing, pem, public_pem

SAMPLES = Path(__file__).parent / "samples" / "apns"
KEY = ec.generate_private_key(ec.SECP256R1())
ACCOUNT = Account("app", "t", "apns", Channel.PUSH, "com.example.app", {"key": (pem(KEY),), "key_id": ("ABC123DEFG",), "team_id": ("DEF123GHIJ",)})
json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                           lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=8)  # fmt: skip


def token(seconds: float, account: Account = ACCOUNT) -> str:
    """The provider token of a message so many seconds after a full half hour."""
    (found,) = apns.build(outgoing("tok", at=NOW + timedelta(seconds=seconds)), account)
    return found.headers["authorization"].removeprefix("bearer ")


def claims(text: str) -> dict[str, object]:
    return jwt.decode(text, public_pem(KEY), algorithms=["ES256"], options={"verify_iat": False})


@given(st.floats(0, 86_400))
def test_a_provider_token_is_of_the_last_half_hour(after):
    """Between five and thirty-five minutes old when it is used: Apple wants less than sixty. Checked by another library."""
    text = token(after)
    found = claims(text)
    age = NOW.timestamp() + after - found["iat"]

    assert {"alg": "ES256", "kid": "ABC123DEFG", "typ": "JWT"} == jwt.get_unverified_header(text)
    assert "DEF123GHIJ" == found["iss"]
    assert 299 <= age <= 2101


def test_a_provider_token_stays_the_same_for_half_an_hour():
    """In every process: it hangs on the time alone. Apple throttles whoever makes a new one more than every twenty minutes."""
    apns._token.cache_clear()
    first = token(300)
    apns._token.cache_clear()

    assert first == token(300) == token(2099.9)
    assert first != token(2100)
    assert first != token(299.9)


def test_a_request_is_built_as_the_provider_wants_it():
    """All that the sample of an accepted message has; our id names it, and a repeat takes the place of the first."""
    wanted = orjson.loads((SAMPLES / "send" / "accepted.headers.json").read_bytes())["request"]
    wanted["headers"] |= {"apns-id": str(OURS), "apns-expiration": str(int(NOW.timestamp()) + 86_400), "apns-collapse-id": str(OURS)}
    (found,) = apns.build(outgoing("740f4707", "t\n\nb"), ACCOUNT)

    assert (wanted["method"], wanted["url"].replace("<device token>", "740f4707"), True) == (found.method, found.url, found.http2)
    assert [] == list(missing(wanted["headers"], found.headers)) + list(missing(wanted["json"], orjson.loads(found.body)))


def test_the_accounts_address_replaces_apples():
    """The sandbox, or a test; what stands in an address never leaves its place in the path."""
    (found,) = apns.build(outgoing("../a b?"), replace(ACCOUNT, base_url="https://api.sandbox.push.apple.com"))

    assert "https://api.sandbox.push.apple.com/3/device/..%2Fa%20b%3F" == found.url


def test_a_picture_wakes_the_apps_extension():
    (found,) = apns.build(outgoing("tok", "Hats: https://a.example/l/x", media=(Media(kind="image", url="https://f/1"),)), ACCOUNT)
    body = orjson.loads(found.body)

    assert {"alert": {"body": "Hats: https://a.example/l/x"}, "sound": "default", "mutable-content": 1} == body.pop("aps")
    assert {"message_id": str(OURS), "url": "https://a.example/l/x", "image": "https://f/1"} == body


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(str.strip), st.integers(1, 400))
def test_a_payload_is_never_over_the_limit(word, times):
    """4096 bytes, whatever the alphabet."""
    (found,) = apns.build(outgoing("t", word * times, media=(Media(kind="image", url="https://f.example/" + "x" * 980),)), ACCOUNT)

    assert len(found.body) <= 4096


@pytest.mark.parametrize(
    "key", ["", "x", pem(rsa.generate_private_key(65537, 2048)), pem(ec.generate_private_key(ec.SECP384R1()))], ids=["none", "text", "RSA", "P-384"]
)
def test_a_key_that_is_none_is_refused_in_words(key):
    """The sentence repeats nothing of it."""
    with pytest.raises((ValueError, KeyError), match="private key|`key` is not set") as refused:
        token(0, replace(ACCOUNT, credentials={**ACCOUNT.credentials, "key": (key,) if key else ()}))
    assert not key.strip("-") or key not in str(refused.value)


def test_the_newest_key_signs():
    """While keys are changed, the first of each list is used."""
    old = pem(ec.generate_private_key(ec.SECP256R1()))
    text = token(0, replace(ACCOUNT, credentials={"key": (pem(KEY), old), "key_id": ("NEW0000000", "OLD0000000"), "team_id": ("T",)}))

    assert "T" == claims(text)["iss"]
    assert "NEW0000000" == jwt.get_unverified_header(text)["kid"]


@pytest.mark.parametrize(
    "status, reason, kind, scope, drop",
    [(400, "BadDeviceToken", "permanent", "message", True), (410, "Unregistered", "permanent", "message", True),
     (410, "ExpiredToken", "permanent", "message", True), (410, None, "permanent", "message", True),
     (400, "DeviceTokenNotForTopic", "permanent", "message", False), (413, "PayloadTooLarge", "permanent", "message", False),
     (400, "PayloadEmpty", "permanent", "message", False), (400, "MissingDeviceToken", "permanent", "message", False),
     (400, "BadTopic", "permanent", "account", False), (400, "TopicDisallowed", "permanent", "account", False),
     (400, "MissingTopic", "permanent", "account", False), (403, "InvalidProviderToken", "permanent", "account", False),
     (403, "MissingProviderToken", "permanent", "account", False), (403, "Forbidden", "permanent", "account", False),
     (403, "BadCertificate", "permanent", "account", False), (403, "BadEnvironmentKeyIdInToken", "permanent", "account", False),
     (403, "ExpiredProviderToken", "transient", "message", False), (403, None, "permanent", "account", False),
     (429, "TooManyRequests", "throttled", "recipient", False), (429, "TooManyProviderTokenUpdates", "throttled", "message", False),
     (429, None, "throttled", "message", False), (400, "IdleTimeout", "transient", "message", False),
     (500, "InternalServerError", "transient", "message", False), (503, "ServiceUnavailable", "transient", "message", False),
     (503, "Shutdown", "transient", "message", False), (404, "BadPath", "permanent", "message", False), (502, None, "transient", "message", False),
     (400, "SomethingNew", "permanent", "message", False), (307, None, "permanent", "account", False)],
)  # fmt: skip
def test_what_a_reason_means(status, reason, kind, scope, drop):
    body = orjson.dumps({"reason": reason, "timestamp": 1795426119220}) if reason else b""
    found = apns.interpret(Response(status, {}, body))
    code = str(status) if reason in (None, "SomethingNew") else reason

    assert (kind, scope, drop, code) == (found.kind, found.scope, found.drop_address, found.code)


@pytest.mark.parametrize("headers, expected", [({"apns-id": "EC1B"}, "EC1B"), ({"Apns-Id": "EC1B"}, "EC1B"), ({}, None)])
def test_an_accepted_notification_has_apples_id(headers, expected):
    assert expected == apns.interpret(Response(200, headers, b"")).provider_id


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps({"reason": value}).encode()), st.integers(100, 599))
def test_no_answer_breaks_anything(body, status):
    assert apns.interpret(Response(status, {}, body)).kind in ("accepted", "permanent", "transient", "throttled")
