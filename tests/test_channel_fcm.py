"""Firebase Cloud Messaging and Google's tokens: assertions that another library reads, errors that say whose fault they are, payloads that fit."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from parley.channels import PROVIDERS, fcm
from parley.channels.shape import Account, Response, TokenProvider
from parley.contracts import Channel, Choice, Content, Media
from parley.failures import Outcome
from tests.pushing import NOW, OURS, missing, outgoing, pem, public_pem

SAMPLES = Path(__file__).parent / "samples" / "fcm"
DETAIL = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": "message.data[0].value"}]}
json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                           lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=8)  # fmt: skip


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def account(key_file: str = "{}") -> Account:
    return Account("app", "t", "fcm", Channel.PUSH, "my-app", {"service_account": (key_file,)})


def key_file(private_key: str) -> str:
    return json.dumps({"type": "service_account", "client_email": "parley@my-app.example", "private_key": private_key})


def failed(status: int, code: str | None, word: str = "X", *details: object) -> Outcome:
    told = [{"@type": DETAIL, "errorCode": code}] if code else []
    return fcm.interpret(
        Response(status, {}, orjson.dumps({"error": {"code": status, "status": word, "message": "m", "details": [*told, *details]}}))
    )


@pytest.mark.parametrize("name, scope", [("fcm", "firebase.messaging"), ("rbm", "rcsbusinessmessaging")])
def test_an_assertion_is_what_google_wants(key, name, scope):
    """Checked by another library: who, for what, until when; made from the given time alone, so the same twice."""
    provider = PROVIDERS[name]
    assert isinstance(provider, TokenProvider)
    found = provider.token_request(account(key_file(pem(key))), NOW)
    form = {name: values[0] for name, values in parse_qs(found.body.decode()).items()}
    options = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(form["assertion"], public_pem(key), algorithms=["RS256"], audience="https://oauth2.googleapis.com/token", options=options)
    at = int(NOW.timestamp())

    assert ("POST", "https://oauth2.googleapis.com/token") == (found.method, found.url)
    assert "urn:ietf:params:oauth:grant-type:jwt-bearer" == form["grant_type"]
    assert ("parley@my-app.example", f"https://www.googleapis.com/auth/{scope}", at, at + 3600) == tuple(
        claims[one] for one in ("iss", "scope", "iat", "exp")
    )
    assert found == provider.token_request(account(key_file(pem(key))), NOW)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"client_email": "a"}', key_file("x"), key_file(pem(ec.generate_private_key(ec.SECP256R1())))]
)
def test_a_key_file_that_is_none_is_refused_in_words(text):
    """The sentence names the account, and repeats nothing of the file."""
    with pytest.raises(ValueError, match=r"^account app: `service_account` is not the JSON key file of a Google service account$"):
        fcm.token_request(account(text or " "), NOW)


def test_a_token_is_fetched_from_the_accounts_address(key):
    one = replace(account(key_file(pem(key))), base_url="http://127.0.0.1:9100")

    assert "http://127.0.0.1:9100/token" == fcm.token_request(one, NOW).url


@pytest.mark.parametrize("seconds, minutes", [(3599, 3599 / 60 - 5), (60, 0), ("3599", 3599 / 60 - 5), (None, 55), (-1, 55), (1e12, 55), ([], 55)])
def test_a_token_is_used_until_shortly_before_its_end(seconds, minutes):
    found = fcm.token_answer(Response(200, {}, orjson.dumps({"access_token": "ya29.x", "expires_in": seconds, "token_type": "Bearer"})))

    assert ("ya29.x", timedelta(minutes=minutes)) == found


@pytest.mark.parametrize(
    "status, body, kind, code",
    [(400, b'{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}', "permanent", "invalid_grant"),
     (401, b'{"error": "invalid_client"}', "permanent", "invalid_client"), (403, b"", "permanent", "403"), (302, b"", "permanent", "302"),
     (200, b"{}", "permanent", "200"), (200, b"<html>", "permanent", "200"), (429, b"", "throttled", "429"), (503, b"", "transient", "503"),
     (400, b'{"error": {"a": 1}}', "permanent", "400"), (400, b'{"error": "a\\u0000b"}', "permanent", "400")],
)  # fmt: skip
def test_no_token_is_the_fault_of_the_account(status, body, kind, code):
    found = fcm.token_answer(Response(status, {}, body))

    assert isinstance(found, Outcome)
    assert (kind, code, "account") == (found.kind, found.code, found.scope)


def test_a_request_is_built_as_the_provider_wants_it():
    """All that the sample of an accepted message has, but for the data, which are ours."""
    wanted = orjson.loads((SAMPLES / "send" / "accepted.headers.json").read_bytes())["request"]
    del wanted["json"]["message"]["data"]
    (found,) = fcm.build(outgoing("<registration token>", "t\n\nb"), account())

    assert (wanted["method"], wanted["url"], "Bearer T") == (found.method, found.url, found.headers["authorization"])
    assert [] == list(missing(wanted["json"], orjson.loads(found.body)))


def test_a_notification_carries_our_id_and_its_link():
    """Data are texts only; a repeat takes the place of the first."""
    (found,) = fcm.build(outgoing("tok", "Hats: https://a.example/l/x", media=(Media(kind="image", url="https://f/1"),)), account())
    message = orjson.loads(found.body)["message"]

    assert {"message_id": str(OURS), "url": "https://a.example/l/x"} == message["data"]
    assert {"body": "Hats: https://a.example/l/x", "image": "https://f/1"} == message["notification"]
    assert str(OURS) == message["android"]["notification"]["tag"] == message["apns"]["headers"]["apns-collapse-id"]


@given(
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(str.strip), st.integers(1, 400), st.lists(st.text(max_size=60).filter(bool))
)
def test_a_payload_is_never_over_the_limit(word, times, titles):
    """4096 bytes, whatever the alphabet."""
    choices = [Choice(id=f"c{n}", title=title) for n, title in enumerate(titles)]
    media = [Media(kind="image", url="https://f.example/" + "x" * 980)]
    (found,) = fcm.build(outgoing("t" * 160, word * times, choices=choices, media=media), account())

    assert len(found.body) <= 4096


@pytest.mark.parametrize(
    "status, code, details, kind, scope, drop",
    [(404, "UNREGISTERED", (), "permanent", "message", True), (403, "SENDER_ID_MISMATCH", (), "permanent", "message", True),
     (400, "INVALID_ARGUMENT", (), "permanent", "message", True), (400, "INVALID_ARGUMENT", (BAD_REQUEST,), "permanent", "message", False),
     (400, None, (BAD_REQUEST,), "permanent", "message", False), (400, None, (), "permanent", "message", False),
     (429, "QUOTA_EXCEEDED", (), "throttled", "message", False), (503, "UNAVAILABLE", (), "transient", "message", False),
     (500, "INTERNAL", (), "transient", "message", False), (401, "THIRD_PARTY_AUTH_ERROR", (), "permanent", "account", False),
     (401, "APNS_AUTH_ERROR", (), "permanent", "account", False), (401, None, (), "permanent", "account", False),
     (403, None, (), "permanent", "account", False), (404, None, (), "permanent", "message", False), (429, None, (), "throttled", "message", False),
     (502, None, (), "transient", "message", False), (301, None, (), "permanent", "account", False), (400, "NEWS", (), "permanent", "message", False),
     (500, "UNSPECIFIED_ERROR", (), "transient", "message", False)],
)  # fmt: skip
def test_what_an_error_means(status, code, details, kind, scope, drop):
    """FCM's own code first, then Google's word, then the status."""
    found = failed(status, code, "X", *details)

    assert (kind, scope, drop) == (found.kind, found.scope, found.drop_address)


def test_an_answer_that_is_no_json_is_read_by_its_status():
    found = fcm.interpret(Response(503, {"retry-after": "30"}, b"<html>"))

    assert ("transient", "503", timedelta(seconds=30)) == (found.kind, found.code, found.retry_after)


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode())
       | json_values.map(lambda value: json.dumps({"error": {"details": [{"@type": value, "errorCode": value}], "status": value}}).encode()),
       st.integers(100, 599))  # fmt: skip
def test_no_answer_breaks_anything(body, status):
    assert fcm.interpret(Response(status, {}, body)).kind in ("accepted", "permanent", "transient", "throttled")
    assert isinstance(fcm.token_answer(Response(status, {}, body)), tuple | Outcome)


def test_a_long_id_of_a_choice_does_not_matter():
    """Choices are written out, for FCM shows no buttons."""
    content = Content(text="Come?", choices=(Choice(id="y" * 200, title="Yes"),))
    (found,) = fcm.build(replace(outgoing("t"), content=content), account())

    assert "Come?\n1. Yes" == orjson.loads(found.body)["message"]["notification"]["body"]
