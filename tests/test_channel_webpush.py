"""Web Push: the vector of RFC 8291, tokens that another library reads, subscriptions that are none, and bytes that only hang on the message."""

import base64
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import http_ece
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from py_vapid import jwt as vapid

from parley.channels import webpush
from parley.channels.shape import Account, HttpRequest, Response, Unreachable
from parley.contracts import Channel, Choice, Media
from tests.pushing import NOW, OURS, missing, outgoing, pem

SAMPLES = Path(__file__).parent / "samples" / "webpush"
BROWSER, OURS_KEY, OLD_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
AUTH = b"0123456789abcdef"
ENDPOINT = "https://push.example.net/p/gAAAAAB"
json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                           lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=8)  # fmt: skip


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def public(key: ec.EllipticCurvePrivateKey) -> str:
    return b64(key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def number(key: ec.EllipticCurvePrivateKey) -> str:
    """A private key as `web-push generate-vapid-keys` prints it."""
    return b64(key.private_numbers().private_value.to_bytes(32, "big"))


ACCOUNT = Account("web", "t", "webpush", Channel.PUSH, "mailto:ops@acme.example", {"vapid_private_key": (number(OURS_KEY), number(OLD_KEY))})
KEYS = {"p256dh": public(BROWSER), "auth": b64(AUTH)}
ADDRESS = json.dumps({"endpoint": ENDPOINT, "expirationTime": None, "keys": KEYS})


def built(text: str = "Sale\n\nHats", address: str = ADDRESS, account: Account = ACCOUNT, **more: object) -> HttpRequest:
    (found,) = webpush.build(outgoing(address, text, **more), account)
    return found


def opened(request: HttpRequest) -> dict:
    """What the browser reads."""
    return orjson.loads(http_ece.decrypt(request.body, private_key=BROWSER, auth_secret=AUTH, version="aes128gcm"))


def test_encryption_is_that_of_rfc_8291():
    """Appendix A, to the byte."""
    to = webpush.Subscription(
        "https://push.example.net/p/x", "https://push.example.net",
        raw("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"), raw("BTBZMqHH6r4Tts7J_aSIgg"),
    )  # fmt: skip
    ephemeral = ec.derive_private_key(int.from_bytes(raw("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big"), ec.SECP256R1())
    body = webpush.encrypted(b"When I grow up, I want to be a watermelon", to, ephemeral, raw("DGv6ra1nlYgDCS1FRnbzlw"))

    assert (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf"
        "1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN" == b64(body)
    )


def test_a_request_is_built_as_the_provider_wants_it():
    """The headers of the sample of an accepted message, with our own times and topic."""
    wanted = orjson.loads((SAMPLES / "send" / "accepted.headers.json").read_bytes())["request"]
    headers = {name.lower(): value for name, value in wanted["headers"].items()} | {"ttl": "86400", "topic": OURS.hex}
    found = built()

    assert (wanted["method"], ENDPOINT) == (found.method, found.url)
    assert [] == list(missing(headers, found.headers))
    assert len(found.headers["topic"]) <= 32


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(str.strip), st.integers(1, 300))
def test_the_browser_reads_what_was_said(word, times):
    """Whatever the alphabet; never over 4096 bytes, the rest is cut."""
    found = built(word * times, media=(Media(kind="image", url="https://f.example/" + "x" * 980),))
    shown = opened(found)["notification"]

    assert len(found.body) <= 4096
    assert str(OURS) == shown["tag"] == shown["data"]["message_id"]


@pytest.mark.parametrize(
    "key, token",
    [(OURS_KEY, None), (OURS_KEY, public(OURS_KEY)), (OLD_KEY, public(OLD_KEY)), (OURS_KEY, "other")],
    ids=["alone", "ours", "old", "other"],
)
def test_a_token_is_that_of_rfc_8292(key, token):
    """Checked by another library. A subscription that says which key it was made with gets that one, while keys are changed."""
    address = json.dumps({"endpoint": ENDPOINT, "keys": KEYS, **({"applicationServerKey": token} if token else {})})
    scheme, given, shown = built(address=address).headers["authorization"].replace(",", "").split()
    claims = vapid.decode(given.removeprefix("t="), shown.removeprefix("k="))

    assert ("vapid", public(key)) == (scheme, shown.removeprefix("k="))
    assert {"aud": "https://push.example.net", "sub": "mailto:ops@acme.example"} == {name: claims[name] for name in ("aud", "sub")}
    assert 11 * 3600 < claims["exp"] - NOW.timestamp() <= 12 * 3600


def test_the_same_message_makes_the_same_bytes():
    """In every process, from the message and the account alone."""
    first = built()
    webpush._token.cache_clear()
    webpush.vapid_key.cache_clear()

    assert first == built()


def test_no_two_messages_share_a_key_or_a_salt():
    """Another id, another text, another key of ours or of theirs: a nonce never meets two texts."""
    other = json.dumps({"endpoint": ENDPOINT, "keys": {**KEYS, "auth": b64(AUTH[::-1])}})
    elsewhere = json.dumps({"endpoint": ENDPOINT + "x", "keys": KEYS})
    old = replace(ACCOUNT, credentials={"vapid_private_key": (number(OLD_KEY),)})
    bodies = [built(), built("Hats"), built(message_id=UUID(int=8)), built(address=other), built(address=elsewhere), built(account=old)]

    assert len(bodies) == len({one.body[:16] for one in bodies}) == len({one.body[21:86] for one in bodies})


def test_a_body_does_not_hang_on_the_time():
    """A repeat hours later is the same to the byte; only its token is new."""
    first, later = built(), built(at=NOW + timedelta(hours=5))

    assert first.body == later.body
    assert first.headers["authorization"] != later.headers["authorization"]


def test_two_choices_are_buttons():
    """The service worker reports which; so the browser cannot show it by itself."""
    found = opened(built("Come? https://a.example/l/x", choices=(Choice(id="y", title="Yes"), Choice(id="n"))))

    assert [{"action": "y", "title": "Yes"}, {"action": "n", "title": "n"}] == found["notification"]["actions"]
    assert ("Come? https://a.example/l/x", "https://a.example/l/x") == (found["notification"]["title"], found["notification"]["data"]["url"])
    assert "web_push" not in found


@pytest.mark.parametrize("choices", [[Choice(id=f"c{n}") for n in range(3)], [Choice(id="c" * 65)]])
def test_other_choices_are_written_out(choices):
    shown = opened(built("Come?", choices=tuple(choices)))["notification"]

    assert "actions" not in shown
    assert shown["title"].startswith("Come?\n1. c")


def test_a_link_needs_no_service_worker():
    """A declarative message: the browser shows it, and follows the link."""
    found = opened(built("Sale\n\nHats: https://a.example/l/x"))

    assert (8030, "Sale", "https://a.example/l/x") == (found["web_push"], found["notification"]["title"], found["notification"]["navigate"])


@pytest.mark.parametrize(
    "endpoint",
    ["http://push.example.net/p", "https://push.example.net:8443/p", "https://127.0.0.1/p", "https://[::1]/p", "https://2130706433/p", "https://0x7f.1/p",
     "https://localhost/p", "https://kafka/p", "https://db.internal/p", "https://printer.local/p", "https://u:p@push.example.net/p", "https://a.example\\@b.example/p",
     "https://push.example.net/p#f\n", "https://push.example.net/ p", "https://push.example.net", "//push.example.net/p", "", "https://ｐush.example.net/p",
     "https://push.example.net./p", "HTTPS://push.example.net/p", "file:///etc/passwd"],
)  # fmt: skip
def test_an_endpoint_is_at_a_public_name(endpoint):
    """It comes from a browser, and we call it."""
    with pytest.raises(Unreachable):
        built(address=json.dumps({"endpoint": endpoint, "keys": KEYS}))


@pytest.mark.parametrize(
    "endpoint",
    ["https://fcm.googleapis.com/fcm/send/abc:APA91b-_", "https://updates.push.services.mozilla.com/wpush/v2/gAAA",
     "https://web.push.apple.com/QGuQ", "https://wns2-par02p.notify.windows.com/w/?token=BQYA%3d%3d"],
)  # fmt: skip
def test_the_push_services_of_the_browsers_are_reached(endpoint):
    assert endpoint == built(address=json.dumps({"endpoint": endpoint, "keys": KEYS})).url


@pytest.mark.parametrize(
    "address",
    ["", "{", "[]", "{}", "tok", json.dumps({"endpoint": ENDPOINT}), json.dumps({"endpoint": ENDPOINT, "keys": {**KEYS, "auth": "AA"}}),
     json.dumps({"endpoint": ENDPOINT, "keys": {**KEYS, "p256dh": b64(b"\x04" + b"\x01" * 64)}}), json.dumps({"endpoint": ENDPOINT, "keys": {**KEYS, "p256dh": 7}}),
     json.dumps({"endpoint": [ENDPOINT], "keys": KEYS}), json.dumps({"endpoint": ENDPOINT, "keys": {**KEYS, "auth": "é" * 22}}), "\ud800"],
)  # fmt: skip
def test_an_address_that_is_no_subscription_is_named_so(address):
    """So that it can be dropped; a key that is no point of the curve among them."""
    with pytest.raises(Unreachable, match="push subscription"):
        built(address=address)


@given(json_values, st.sampled_from(["endpoint", "keys", "p256dh", "auth", "applicationServerKey"]))
def test_no_address_breaks_anything(value, member):
    """A request, or `Unreachable`."""
    told = {"endpoint": ENDPOINT, "keys": dict(KEYS)}
    (told["keys"] if member in KEYS else told)[member] = value
    try:
        found = built(address=json.dumps(told))
    except Unreachable:
        return

    assert ENDPOINT == found.url


def test_the_accounts_address_replaces_the_push_services():
    """The token is still for the service that the subscription names."""
    found = built(account=replace(ACCOUNT, base_url="http://127.0.0.1:9100"))

    assert "http://127.0.0.1:9100/p/gAAAAAB" == found.url
    assert built().headers == found.headers


@pytest.mark.parametrize("key", [pem(OURS_KEY), number(OURS_KEY), number(OURS_KEY) + "="], ids=["pem", "number", "padded"])
def test_a_key_is_pem_or_its_number(key):
    found = built(account=replace(ACCOUNT, credentials={"vapid_private_key": (key,)}))

    assert built() == found


@pytest.mark.parametrize("key", ["x", b64(b"1" * 31), b64(b"\0" * 32), b64(b"\xff" * 32), pem(rsa.generate_private_key(65537, 2048))])
def test_a_key_that_is_none_is_refused_in_words(key):
    """The sentence names the account, and repeats nothing of the key."""
    with pytest.raises(ValueError, match="^account web: `vapid_private_key` is neither 32 bytes in base64 nor PEM on the curve P-256$"):
        built(account=replace(ACCOUNT, credentials={"vapid_private_key": (key,)}))


def test_a_key_that_is_not_set_is_named():
    with pytest.raises(KeyError, match="`vapid_private_key` is not set"):
        built(account=replace(ACCOUNT, credentials={}))


@pytest.mark.parametrize(
    "status, errno, kind, scope, drop",
    [(404, 102, "permanent", "message", True), (410, 103, "permanent", "message", True), (410, 105, "permanent", "message", True),
     (410, 106, "permanent", "message", True), (404, None, "permanent", "message", True), (410, None, "permanent", "message", True),
     (413, 104, "permanent", "message", False), (413, None, "permanent", "message", False), (400, None, "permanent", "message", False),
     (400, 110, "permanent", "message", False), (401, 109, "permanent", "account", False), (401, None, "permanent", "account", False),
     (403, None, "permanent", "account", False), (429, None, "throttled", "message", False), (503, 201, "transient", "message", False),
     (503, 202, "transient", "message", False), (500, 999, "transient", "message", False), (502, None, "transient", "message", False),
     (307, None, "permanent", "account", False)],
)  # fmt: skip
def test_what_an_answer_means(status, errno, kind, scope, drop):
    body = orjson.dumps({"code": status, "errno": errno, "error": "e", "message": "m"}) if errno else b"gone"
    found = webpush.interpret(Response(status, {"Retry-After": "9"}, body))

    assert (kind, scope, drop, timedelta(seconds=9)) == (found.kind, found.scope, found.drop_address, found.retry_after)


@pytest.mark.parametrize("status, headers, expected", [(201, {"Location": "https://p/m/1"}, "https://p/m/1"), (202, {}, None), (200, {}, None)])
def test_any_2xx_is_accepted(status, headers, expected):
    found = webpush.interpret(Response(status, headers, b""))

    assert ("accepted", expected) == (found.kind, found.provider_id)


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps({"errno": value, "message": value}).encode()), st.integers(100, 599))
def test_no_answer_breaks_anything(body, status):
    assert webpush.interpret(Response(status, {}, body)).kind in ("accepted", "permanent", "transient", "throttled")
