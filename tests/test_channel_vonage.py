"""Vonage: tokens and `sig` as its own kit makes them, two versions of the Messages API, and the older SMS API where it is met."""

import base64
import hashlib
import hmac
import re
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import jwt as pyjwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import assume, given
from hypothesis import strategies as st
from vonage_http_client.auth import Auth
from vonage_jwt import verify_signature
from vonage_messages import models

from parley.channels import vonage
from parley.channels.shape import Account, Forged, Malformed, Opted, Outgoing, Receipt, Received, Request, Response
from parley.config import load
from parley.contracts import Channel, Choice, ConsentState, Content, Media, Template

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
URL = "https://hooks.example.com/hooks/a"
FORM = {"content-type": "application/x-www-form-urlencoded"}
SAMPLES = Path(__file__).parent / "samples" / "vonage"
OURS = UUID(int=7)
UUID_OF_THEIRS = "aaaaaaaa-bbbb-4ccc-8ddd-012345678901"
SECRET = "sigsecret-7c1e9b54a2d84f60b3a1-7c1e9b54a2d84f60b3a1-7c1e9b54a2d84f60b3a1"
words = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
json_values = st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | words,
                           lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=8)  # fmt: skip
KEY = rsa.generate_private_key(65537, 2048)


def pem(key: Any) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def account(channel: Channel = Channel.SMS, **credentials: str | tuple[str, ...]) -> Account:
    given = {name: (value,) if isinstance(value, str) else value for name, value in credentials.items()}
    return Account("a", "t", "vonage", channel, "+447700900100", given, public_url=URL)


def token(body: bytes = b"{}", secret: str = SECRET, algorithm: str = "HS256", **claims: object) -> str:
    told = {"iat": int(NOW.timestamp()), "iss": "Vonage", "payload_hash": hashlib.sha256(body).hexdigest(), "api_key": "k1", **claims}
    return pyjwt.encode({name: value for name, value in told.items() if value is not None}, secret, algorithm)


def accepts(bearer: str, body: bytes = b"{}", one: Account | None = None) -> bool:
    return let_in(Request("POST", URL, {"authorization": f"Bearer {bearer}"}, body), one or account(signature_secret=SECRET, api_key="k1"))


def let_in(request: Request, one: Account, now: datetime = NOW) -> bool:
    try:
        vonage.verify(request, one, now)
    except Forged:
        return False
    return True


def read(data: object, one: Account | None = None, headers: dict[str, str] | None = None) -> list[Any]:
    body = data if isinstance(data, bytes) else orjson.dumps(data)
    return list(vonage.parse(Request("POST", URL, headers or {}, body), one or account()))


def inbound(**data: object) -> dict[str, object]:
    return {"channel": "whatsapp", "message_uuid": UUID_OF_THEIRS, "to": "447700900100", "from": "447700900123", **data}


def built(content: Content, channel: Channel = Channel.SMS, address: str = "+447700900123", receipts: str | None = URL) -> list[dict[str, Any]]:
    requests = vonage.build(Outgoing(OURS, address, content, NOW, receipts), account(channel, api_key="k1", api_secret="s"))
    return [orjson.loads(one.body) for one in requests]


# --- what is signed ------------------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=100), st.integers(-300, 300))
def test_a_token_over_this_body_of_now_is_let_in(body, age):
    """As the provider's own kit checks it, too."""
    made = token(body, iat=int(NOW.timestamp()) - age)

    assert accepts(made, body) and verify_signature(made, SECRET)


@pytest.mark.parametrize(
    "change",
    [{"secret": "another-secret-that-is-32-bytes-long"}, {"payload_hash": hashlib.sha256(b"other").hexdigest()}, {"payload_hash": 7},
     {"payload_hash": ""}, {"payload_hash": "é"}, {"api_key": "k2"}, {"api_key": ["k1"]}, {"algorithm": "HS512"}, {"algorithm": "none", "secret": None},
     {"iat": int(NOW.timestamp()) - 301}, {"iat": int(NOW.timestamp()) + 301}, {"iat": None}, {"iat": "x"}, {"iat": True},
     {"exp": int(NOW.timestamp()) - 301}, {"exp": int(NOW.timestamp()) + 900, "iat": int(NOW.timestamp()) + 900}],
)  # fmt: skip
def test_a_token_of_another_secret_body_account_algorithm_or_time_is_refused(change):
    assert not accepts(token(**change))


@pytest.mark.parametrize("word", ["none", "HS512", "RS256", "hs256", None])
def test_the_algorithm_is_ours_to_say(word):
    """Also where the digest is right, a header with another word is no token of Vonage."""
    payload = token().split(".")[1]
    header = base64.urlsafe_b64encode(orjson.dumps({"alg": word, "typ": "JWT"})).decode().rstrip("=")
    digest = hmac.digest(SECRET.encode(), f"{header}.{payload}".encode(), "sha256")

    assert not accepts(f"{header}.{payload}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}")


@pytest.mark.parametrize("change", [{}, {"payload_hash": None}, {"api_key": None}, {"payload_hash": hashlib.sha256(b"{}").hexdigest().upper()},
                                    {"iat": 1697634680, "exp": int(NOW.timestamp()) + 60}, {"iat": None, "exp": int(NOW.timestamp())}])  # fmt: skip
def test_a_claim_counts_where_it_is(change):
    assert accepts(token(**change))


def test_the_published_token_fails_with_another_secret():
    """As in the kit's own test."""
    made = orjson.loads((SAMPLES / "sigvector_jwt.headers.json").read_bytes())["headers"]["Authorization"].removeprefix("Bearer ")

    assert [True, False] == [accepts(made, b"", account(signature_secret=one)) for one in ("qwertyuiopasdfghjklzxcvbnm123456", "asdf")]


@given(st.data(), st.characters(min_codepoint=33, max_codepoint=126))
def test_a_token_has_one_spelling(data, other):
    """Every character is looked at, also the bits that base64 leaves over."""
    made = token()
    place = data.draw(st.integers(0, len(made) - 1))
    assume(made[place] != other)

    assert not accepts(made[:place] + other + made[place + 1 :])


@pytest.mark.parametrize("secret", ["new-signature-secret-of-32-bytes!", "old-signature-secret-of-32-bytes!"])
def test_a_secret_rotates_without_a_gap(secret):
    """For tokens and for the older `sig`."""
    one = account(signature_secret=("new-signature-secret-of-32-bytes!", "old-signature-secret-of-32-bytes!"))
    form = {"a": "b", "timestamp": "1"}
    signed = urlencode({**form, "sig": Auth(api_key="k", signature_secret=secret).sign_params(dict(form))}).encode()

    assert accepts(token(secret=secret), one=one) and let_in(Request("POST", URL, FORM, signed), one)


@given(st.dictionaries(words.filter(lambda name: name not in ("", "sig", "messageId") and not set(name) & set("&=")), words, max_size=5),
       st.sampled_from([("md5", "HMAC-MD5"), ("md5", "md5"), ("sha1", "SHA1 HMAC signature"[:9]), ("sha256", "HMAC_SHA256"), ("sha512", "SHA-512 HMAC")]),
       st.booleans())  # fmt: skip
def test_sig_is_that_of_the_providers_kit(form, method, as_json):
    """By each digest that an account may be set to; form or JSON; `&` and `=` in values, too."""
    kit, configured = method
    form = {**form, "timestamp": "1795512600"}
    sig = Auth(api_key="k", signature_secret="s", signature_method=kit).sign_params(dict(form))
    body = orjson.dumps({**form, "sig": sig}) if as_json else urlencode({**form, "sig": sig.upper()}).encode()

    assert let_in(Request("POST", URL, {}, body), account(signature_secret="s", method=configured))


def test_a_plain_md5_counts_only_where_it_is_set():
    """`MD5 HASH` is the digest with the secret behind; an unknown method lets nobody in."""
    sig = hashlib.md5(b"&a=b&timestamp=1s").hexdigest()
    taken = [let_in(Request("POST", URL, FORM, f"a=b&timestamp=1&sig={sig}".encode()), account(signature_secret="s", method=one))
             for one in ("MD5 HASH", "md5hash", "MD5 HMAC", "md5", "crc32", "")]  # fmt: skip

    assert [True, True, False, False, False, False] == taken


def signed(**form: str) -> bytes:
    return urlencode({**form, "sig": Auth(api_key="k", signature_secret="s").sign_params(dict(form))}).encode()


@pytest.mark.parametrize(
    "age, right", [(timedelta(0), True), (timedelta(hours=24), True), (timedelta(hours=25), False), (timedelta(hours=-25), False)]
)
def test_sig_ages_with_the_retries(age, right):
    """A repeat keeps the time of its first try, for a day."""
    body = signed(messageId="1", msisdn="447700900123", text="hi", timestamp=str(int((NOW - age).timestamp())))

    assert right == let_in(Request("POST", URL, FORM, body), account(signature_secret="s"))


@pytest.mark.parametrize(
    "change",
    [lambda body: body.replace(b"text=hi", b"text=ho"), lambda body: body + b"&x=1", lambda body: body.replace(b"text=hi&timestamp=", b"text%3Dhi%26timestamp="),
     lambda body: b"text=ho&" + body, lambda body: body.rpartition(b"&sig=")[0], lambda body: body.replace(b"&sig=", b"&sig=0"), lambda body: b"",
     lambda body: b'{"text":"hi","sig":{"a":1}}', lambda body: b"\xff=1&" + body],
)  # fmt: skip
def test_what_sig_does_not_cover_is_refused(change):
    """A changed, added, doubled or swallowed parameter; a value that is no text."""
    body = signed(text="hi", timestamp="1795512600")
    one = account(signature_secret="s")

    assert [True, False] == [let_in(Request("POST", URL, FORM, sent), one) for sent in (body, change(body))]


# --- in ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data, kind, text, extra",
    [({"message_type": "text", "text": "שלום 🌍"}, "text", "שלום 🌍", None), ({"message_type": "text", "text": ""}, "text", "", None),
     ({"text": "bare"}, "text", "bare", None), ({"message_type": "image", "image": {"url": "u", "caption": "c"}}, "image", "c", "u"),
     ({"message_type": "audio", "audio": {"url": "u"}}, "audio", None, "u"), ({"message_type": "video", "video": {"url": "u"}}, "video", None, "u"),
     ({"message_type": "file", "file": {"url": "u", "name": "a.pdf"}}, "document", None, "u"), ({"message_type": "image"}, "unsupported", None, None),
     ({"message_type": "sticker", "sticker": {"url": "u"}}, "sticker", None, "u"), ({"message_type": "vcard", "vcard": {"url": "u"}}, "contacts", None, "u"),
     ({"message_type": "content", "content": [{"type": "image", "url": "u", "caption": "c"}, 3]}, "image", "c", "u"),
     ({"message_type": "location", "location": {"lat": 51.5, "long": "-0.1", "name": "here"}}, "location", None, (51.5, -0.1, "here")),
     ({"message_type": "location", "location": {"lat": 91, "long": 0}}, "unsupported", None, None),
     ({"message_type": "reply", "reply": {"id": "r1", "title": "9am"}}, "button", "9am", "r1"),
     ({"message_type": "button", "button": {"payload": "p", "text": "Yes"}}, "button", "Yes", "p"), ({"message_type": "reply"}, "unsupported", None, None),
     ({"message_type": "reaction", "reaction": {"action": "react", "emoji": "👍"}}, "reaction", "👍", None),
     ({"message_type": "reaction", "reaction": {"action": "unreact", "emoji": "👍"}}, "reaction", None, None),
     ({"message_type": "order", "order": {"product_items": []}}, "unsupported", None, None), ({"message_type": "unsupported"}, "unsupported", None, None),
     ({"message_type": "hologram", "text": 7}, "unsupported", None, None), ({"message_type": None}, "unsupported", None, None)],
)  # fmt: skip
def test_a_message_of_each_type(data, kind, text, extra):
    (one,) = read(inbound(**data))
    place = (one.location.lat, one.location.lon, one.location.name) if one.location else None

    assert (kind, text, extra) == (one.kind, one.text, place or (one.choice.id if one.choice else one.media[0].url if one.media else None))


@pytest.mark.parametrize(
    "data",
    [{"from": {"type": "whatsapp", "number": "447700900123"}, "to": {"type": "whatsapp", "number": "447700900100"},
      "message": {"content": {"type": "text", "text": "hi"}}},
     {"channel": "whatsapp", "from": "447700900123", "to": "447700900100", "message_type": "text", "text": "hi"}],
)  # fmt: skip
def test_both_versions_say_the_same(data):
    (one,) = read({**data, "message_uuid": UUID_OF_THEIRS, "timestamp": "2026-11-24T09:30:00.000Z"})

    assert Received(Channel.WHATSAPP, "+447700900123", UUID_OF_THEIRS, "text", "hi", sent_at=NOW, recipient="+447700900100") == one


@pytest.mark.parametrize(
    "channel, sender, found, address",
    [("sms", "447700900123", Channel.SMS, "+447700900123"), ("mms", "447700900123", Channel.SMS, "+447700900123"), ("sms", "2020", Channel.SMS, "2020"),
     ("messenger", "2789212345678901", Channel.MESSENGER, "2789212345678901"), ("rcs", "447700900123", Channel.RCS, "+447700900123"),
     ("whatsapp", "US.1349", Channel.WHATSAPP, "US.1349"), ("viber_service", "447700900123", Channel.SMS, "+447700900123"),
     (None, {"type": "messenger", "id": 278921}, Channel.MESSENGER, "278921"), (7, 447700900123, Channel.SMS, "+447700900123")],
)  # fmt: skip
def test_an_address_is_a_number_where_the_channel_has_numbers(channel, sender, found, address):
    (one,) = read(inbound(channel=channel, message_type="text", text="a", **{"from": sender}))

    assert (found, address) == (one.channel, one.address)


@pytest.mark.parametrize(
    "told", ["2026-11-24T09:30:00Z", "2026-11-24 09:30:00 UTC", "2026-11-24 09:30:00", "2026-11-24T10:30:00.000+0100", "2026-11-24 10:30:00 +0100",
             1795512600, "1795512600", 1795512600000, "1795512600000"]
)  # fmt: skip
def test_a_time_is_read_in_each_of_its_spellings(told):
    (one,) = read(inbound(message_type="text", text="a", timestamp=told))

    assert NOW == one.sent_at


@pytest.mark.parametrize("told", ["", "soon", None, "1710-99-99", "nan", 1e300, [], "0000-00-00 00:00:00 UTC"])
def test_no_time_is_better_than_a_wrong_one(told):
    assert [None] == [one.sent_at for one in read(inbound(message_type="text", text="a", timestamp=told))]


@pytest.mark.parametrize(
    "status, error, found, failure, code",
    [("submitted", None, "sent", None, None), ("delivered", None, "delivered", None, None), ("read", None, "read", None, None),
     ("rejected", {"title": "1020"}, "failed", "permanent", "1020"), ("undeliverable", {"title": 1100}, "failed", "transient", "1100"),
     ("undeliverable", None, "failed", "transient", None), ("rejected", None, "failed", "permanent", None), ("dancing", None, "unknown", None, None),
     ("rejected", {"type": "https://developer.vonage.com/api-errors/messages#1000", "title": "Throttled"}, "failed", "throttled", "1000"),
     ("rejected", {"title": "Rejected"}, "failed", "permanent", "Rejected"), ("failed", {"code": 1300, "reason": "x"}, "failed", "permanent", "1300"),
     ("rejected", {"title": 1180}, "failed", "transient", "1180"), ("rejected", "x", "failed", "permanent", None), (None, None, "unknown", None, None)],
)  # fmt: skip
def test_a_status_of_each_kind(status, error, found, failure, code):
    (one,) = read(inbound(status=status, error=error, client_ref=str(OURS)))

    assert (found, failure, code, OURS) == (one.status, one.failure, one.code, one.message_id)


def test_a_stop_is_a_receipt_and_an_opt_out():
    """1240 in the Messages API, 9 in the older one: the person wrote STOP to this number."""
    new = read(inbound(status="rejected", timestamp="2026-11-24T09:30:00Z", error={"title": 1240}, to="12025550143", channel="sms"))
    old = read(urlencode({"messageId": UUID_OF_THEIRS, "msisdn": "12025550143", "status": "failed", "err-code": "9",
                          "message-timestamp": "2026-11-24 09:30:00"}).encode(), headers=FORM)  # fmt: skip

    assert ["opted_out"] * 2 == [one.failure for one in (new[0], old[0])]
    assert [Opted(Channel.SMS, "+12025550143", ConsentState.REVOKED, at=NOW, provider_id=UUID_OF_THEIRS)] * 2 == [new[1], old[1]]


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    "data, expected",
    [({"text": "Héllo 🌍", "type": "unicode"}, Received(Channel.SMS, "+447700900123", "M1", "text", "Héllo 🌍", sent_at=NOW, recipient="+447700900100")),
     ({"data": "0011", "type": "binary"}, Received(Channel.SMS, "+447700900123", "M1", "unsupported", sent_at=NOW, recipient="+447700900100")),
     ({"status": "delivered", "err-code": "0", "client-ref": str(OURS)}, ("delivered", None, None)), ({"status": "buffered"}, ("sent", None, None)),
     ({"status": "expired", "err-code": "1"}, ("failed", "permanent", "1")), ({"status": "failed", "err-code": "2"}, ("failed", "transient", "2")),
     ({"status": "rejected"}, ("failed", "permanent", None)), ({"status": "unknown"}, ("unknown", None, None)), ({"err-code": "99"}, ("unknown", None, "99"))],
)  # fmt: skip
def test_the_older_sms_api_is_read(data, expected, as_json):
    """Form or JSON."""
    told = {"msisdn": "447700900123", "to": "447700900100", "messageId": "M1", "message-timestamp": "2026-11-24 09:30:00", **data}
    (one,) = read(told) if as_json else read(urlencode(told).encode(), headers=FORM)

    assert expected == (one if isinstance(one, Received) else (one.status, one.failure, one.code))


@pytest.mark.parametrize(
    "body, headers",
    [(b"", {}), (b"[]", {}), (b"{", {}), (b"no", {"content-type": "application/json"}), (b"", FORM), (b"%%%", FORM), (b"\xff=1", FORM),
     (b"msisdn=447700900123&text=hi", FORM), (b"messageId=1", FORM), (orjson.dumps({"channel": "sms", "message_type": "text", "from": "1"}), {}),
     (orjson.dumps({"message_uuid": "u", "message_type": "text"}), {})],
)  # fmt: skip
def test_a_body_that_vonage_never_sends_is_said_to_be_wrong(body, headers):
    with pytest.raises(Malformed, match=r"\."):
        read(body, headers=headers)


@pytest.mark.parametrize("data", [{}, {"status": "answered", "uuid": "call"}, {"event": "x"}])
def test_another_event_says_nothing(data):
    """Of calls, of verification."""
    assert [] == read(data)


def test_a_text_cut_inside_an_emoji_is_cleaned():
    body = orjson.dumps(inbound(message_type="text", text="HERE")).replace(b"HERE", b"a\\ud83c\\u0000")

    assert ["a\ufffd"] == [one.text for one in read(body)]


# --- out -----------------------------------------------------------------------------------------------------------------------------


def test_a_request_is_built_as_the_sample_shows_it():
    wanted = orjson.loads((SAMPLES / "send" / "accepted.headers.json").read_bytes())["request"]
    wanted["json"]["client_ref"] = str(OURS)
    (sent,) = vonage.build(Outgoing(OURS, "+447700900123", Content(text="hi"), NOW), account(api_key="key", api_secret="secret"))

    assert (wanted["method"], wanted["url"], wanted["json"]) == (sent.method, sent.url, orjson.loads(sent.body))
    assert f"Basic {base64.b64encode(b'key:secret').decode()}" == sent.headers["authorization"]


def test_a_token_of_the_application_is_made_of_the_given_time_alone():
    """One for each request, never the same twice, and checked by the provider's own library."""
    one = account(api_key="k", api_secret="s", application_id="app", private_key=pem(KEY))
    message = Outgoing(OURS, "+447700900123", Content(text="x" * 4000), NOW)
    made, again = ([sent.headers["authorization"].removeprefix("Bearer ") for sent in vonage.build(message, one)] for _ in range(2))
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    claims = [pyjwt.decode(bearer, public, ["RS256"], options={"verify_exp": False, "verify_iat": False}) for bearer in made]
    issued = int(NOW.timestamp())

    assert made == again and 2 == len({claim["jti"] for claim in claims})
    assert [("app", issued, issued + 900)] * 2 == [(claim["application_id"], claim["iat"], claim["exp"]) for claim in claims]


@pytest.mark.parametrize("key", ["", "no key", pem(ec.generate_private_key(ec.SECP256R1()))])
def test_a_key_that_cannot_sign_is_named_and_not_repeated(key):
    one = account(application_id="app", private_key=(key,), api_key="k")
    with pytest.raises((ValueError, KeyError)) as raised:
        vonage.build(
            Outgoing(OURS, "+447700900123", Content(text="hi"), NOW), replace(one, credentials={**one.credentials, "private_key": (key or "x",)})
        )

    assert "private key" in str(raised.value) and (len(key) < 10 or key[30:60] not in str(raised.value))


MODELS = {
    ("sms", "text"): models.Sms, ("mms", "text"): models.MmsText, ("mms", "image"): models.MmsImage, ("mms", "audio"): models.MmsAudio,
    ("mms", "video"): models.MmsVideo, ("mms", "file"): models.MmsFile, ("whatsapp", "text"): models.WhatsappText,
    ("whatsapp", "image"): models.WhatsappImage, ("whatsapp", "audio"): models.WhatsappAudio, ("whatsapp", "video"): models.WhatsappVideo,
    ("whatsapp", "file"): models.WhatsappFile, ("whatsapp", "sticker"): models.WhatsappSticker, ("whatsapp", "custom"): models.WhatsappCustom,
    ("whatsapp", "template"): models.WhatsappTemplate, ("messenger", "text"): models.MessengerText, ("messenger", "image"): models.MessengerImage,
    ("messenger", "audio"): models.MessengerAudio, ("messenger", "video"): models.MessengerVideo, ("messenger", "file"): models.MessengerFile,
    ("rcs", "text"): models.RcsText, ("rcs", "image"): models.RcsImage, ("rcs", "video"): models.RcsVideo, ("rcs", "file"): models.RcsFile,
}  # fmt: skip
contents = st.builds(
    Content,
    text=words.filter(str.strip).map(lambda text: text * 250),
    media=st.lists(st.sampled_from(["image", "audio", "video", "document", "sticker"]).map(lambda kind: Media(kind=kind, url="https://e.example/f")),
                   max_size=4).map(tuple),
    choices=st.lists(st.builds(Choice, id=words.filter(str.strip), title=words.map(lambda text: text * 2)), max_size=13).map(tuple),
    template=st.none() | st.just(Template(name="shop:hello", language="en_GB", parameters=("a",))),
)  # fmt: skip


@given(contents, st.sampled_from([Channel.SMS, Channel.MMS, Channel.WHATSAPP, Channel.MESSENGER, Channel.RCS]))
def test_every_request_is_one_that_the_providers_own_models_take(content, channel):
    """Within the limits of each channel; each names our message."""
    address = "2789212345678901" if channel is Channel.MESSENGER else "+447700900123"
    sent = built(content, channel, address)
    for one in sent:
        model = MODELS[one["channel"], one["message_type"]]
        model.model_validate({("from_" if name == "from" else "type_" if name == "type" else name): value for name, value in one.items()})

    assert {str(OURS)} == {one["client_ref"] for one in sent} and {(URL, "v1")} == {(one["webhook_url"], one["webhook_version"]) for one in sent}


def test_choices_are_buttons_a_list_or_suggestions_where_the_channel_has_them():
    """Else they are written out, and a number is an answer."""
    asked = Content(text="When?", choices=(Choice(id="a", title="9am"), Choice(id="b", title="10am")))
    sent = {channel: built(asked, channel)[-1] for channel in (Channel.SMS, Channel.MESSENGER, Channel.WHATSAPP, Channel.RCS)}

    assert ["When?\n1. 9am\n2. 10am"] * 2 == [sent[channel]["text"] for channel in (Channel.SMS, Channel.MESSENGER)]
    assert "9am" == sent[Channel.WHATSAPP]["custom"]["interactive"]["action"]["buttons"][0]["reply"]["title"]
    assert {"type": "reply", "text": "9am", "postback_data": "a"} == sent[Channel.RCS]["suggestions"][0]


def test_an_sms_carries_the_addresses_of_files():
    (sent,) = built(Content(text="look", media=(Media(kind="image", url="https://e.example/f"), Media(kind="image", provider_id="x"))))

    assert "look\nhttps://e.example/f" == sent["text"]


@pytest.mark.parametrize(
    "http, body, kind, scope, code",
    [(202, {"message_uuid": "u"}, "accepted", "message", None), (200, {"message_uuid": "u"}, "accepted", "message", None),
     (202, None, "accepted", "message", None), (429, None, "throttled", "message", "429"), (500, None, "transient", "message", "500"),
     (503, None, "transient", "message", "503"), (408, None, "transient", "message", "408"), (401, {"type": "x#unauthorized"}, "permanent", "account", "401"),
     (402, {"title": "Low balance"}, "permanent", "account", "402"), (403, None, "permanent", "account", "403"), (404, None, "permanent", "account", "404"),
     (302, None, "permanent", "account", "302"), (422, {"title": "Invalid params", "detail": "d"}, "permanent", "message", "422"),
     (422, {"type": "https://developer.vonage.com/api-errors/messages#1120", "title": "Invalid sender"}, "permanent", "message", "1120"),
     *((400, {"title": one}, "permanent", "message", str(one)) for one in (1010, 1020, 1021, 1022, 1040, 1050, 1090, 1120, 1130, 1150, 1190, 1300, 1340)),
     *((400, {"title": str(one)}, "permanent", "account", str(one)) for one in (1060, 1070, 1080)),
     *((400, {"title": one}, "transient", "message", str(one)) for one in (1030, 1100, 1180, 1220, 1230, 1331)),
     (403, {"title": 1240}, "opted_out", "message", "1240"), (400, {"title": 1000}, "throttled", "message", "1000"),
     (422, {"title": 1461}, "throttled", "recipient", "1461"), (500, {"title": 1070}, "permanent", "account", "1070")],
)  # fmt: skip
def test_an_answer_is_judged_by_its_code_before_its_status(http, body, kind, scope, code):
    outcome = vonage.interpret(Response(http, {}, orjson.dumps(body) if body is not None else b"<html>"))

    assert (kind, scope, code) == (outcome.kind, outcome.scope, outcome.code)


@pytest.mark.parametrize(
    "parts, kind, scope, code",
    [(["0", "0"], "accepted", "message", None), (["0", "1"], "accepted", "message", None), (["1", "0"], "accepted", "message", None),
     (["1", "1"], "throttled", "message", "1"), (["5"], "transient", "message", "5"), (["4"], "permanent", "account", "4"),
     (["9"], "permanent", "account", "9"), (["7"], "permanent", "message", "7"), ([None], "permanent", "message", None)],
)  # fmt: skip
def test_an_older_answer_of_several_parts_is_never_sent_again_when_one_was_taken(parts, kind, scope, code):
    """It would come twice."""
    body = {"messages": [{"status": one, "message-id": f"m{place}"} for place, one in enumerate(parts)]}
    outcome = vonage.interpret(Response(200, {}, orjson.dumps(body)))

    assert (kind, scope, code) == (outcome.kind, outcome.scope, outcome.code)


def test_a_pause_is_read_where_it_is_told():
    older = vonage.interpret(Response(200, {}, (SAMPLES / "send" / "legacy_sms_throttled_in_200.json").read_bytes()))
    newer = vonage.interpret(Response(429, {"Retry-After": "3"}, b"<html>"))

    assert [timedelta(milliseconds=250), timedelta(seconds=3)] == [older.retry_after, newer.retry_after]


def test_a_refusal_names_the_fields():
    body = {"title": "Invalid params", "detail": "No.", "invalid_parameters": [{"name": "to", "reason": "bad"}, {"name": "from"}, 3]}

    assert "No. (to, from)" == vonage.interpret(Response(422, {}, orjson.dumps(body))).reason


shapes = st.dictionaries(
    st.sampled_from(["channel", "message_uuid", "from", "to", "message_type", "text", "image", "reply", "location", "status", "error", "timestamp", "message",
                     "client_ref", "messageId", "msisdn", "err-code", "sig", "content", "reaction"]), json_values)  # fmt: skip


@given(st.binary(max_size=200) | json_values.map(orjson.dumps) | shapes.map(orjson.dumps), st.text(st.characters(max_codepoint=255), max_size=40),
       st.integers(200, 599), st.sampled_from(["application/json", FORM["content-type"], ""]))  # fmt: skip
def test_no_bytes_make_anything_but_the_named_exceptions(body, header, status, kind):
    """At the door, in the reader, and in an answer; and whatever a stranger writes is refused."""
    one = account(signature_secret=SECRET, api_key="k1")
    with suppress(Malformed):
        assert all(isinstance(item, Received | Receipt | Opted) for item in read(body, headers={"content-type": kind}))

    assert not any(let_in(Request("POST", URL, {"authorization": told}, body), one) for told in (header, f"Bearer {header}", "Bearer a.b.c", ""))
    assert vonage.interpret(Response(status, {"Retry-After": header}, body)).kind != "unknown"


def test_the_account_of_the_page_parses(tmp_path):
    page = (Path(__file__).parents[1] / "docs" / "channels" / "vonage.md").read_text(encoding="utf-8")
    example = page.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "accounts.yaml").write_text(example, encoding="utf-8")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "vonage.pem").write_text("key", encoding="utf-8")
    (one,) = load(tmp_path, dict.fromkeys(re.findall("env:([A-Z_]+)", example), "v")).accounts.values()

    assert "vonage" == one.provider and all(one.secret(name) for name in vonage.CREDENTIALS)
