"""Rules of the channel files that hold for every input: signatures as the providers' own kits make them, and nothing that breaks the door."""

import base64
import hmac
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from standardwebhooks import Webhook
from twilio.request_validator import RequestValidator

from parley.channels import PROVIDERS, meta, plain, twilio
from parley.channels.shape import Account, Forged, Malformed, Opted, Outgoing, Receipt, Received, Request, Response
from parley.channels.text import GSM, GSM_EXTENSION, pieces, retry_after, segments
from parley.contracts import Channel, Choice, ConsentState, Content, Media, Purpose, Template
from parley.crypto import webhook_sign

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
URL = "https://hooks.example.com/hooks/a"
FORM = {"content-type": "application/x-www-form-urlencoded"}
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SAMPLES = [path.read_bytes() for path in sorted((Path(__file__).parent / "samples").rglob("*")) if path.suffix in (".json", ".txt")]
words = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
json_values = st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | words,
                           lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=10)  # fmt: skip


def account(provider: str, **credentials: str | tuple[str, ...]) -> Account:
    given = {name: (value,) if isinstance(value, str) else value for name, value in credentials.items()}
    return Account("a", "t", provider, Channel.SMS, "+1", given, public_url=URL, base_url="http://127.0.0.1:9100")


def accepts(provider, request: Request, one: Account, now: datetime = NOW) -> bool:
    try:
        provider.verify(request, one, now)
    except Forged:
        return False
    return True


@given(st.dictionaries(words.filter(bool), words, min_size=1, max_size=6))
def test_twilio_signatures_are_those_of_its_own_kit(form):
    """Any form, any alphabet, blank values too."""
    signature = RequestValidator("token").compute_signature(URL, form)
    request = Request("POST", URL, {**FORM, "x-twilio-signature": signature}, urlencode(form).encode())

    assert accepts(twilio, request, account("twilio", auth_token="token"))


@given(st.binary(max_size=200), st.integers(-300, 300))
def test_plain_signatures_are_those_of_standard_webhooks(body, age):
    """Within five minutes either way."""
    text = body.hex()
    at = NOW + timedelta(seconds=age)
    headers = {"webhook-id": "m", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": Webhook(SECRET).sign("m", at, text)}

    assert accepts(plain, Request("POST", URL, headers, text.encode()), account("plain", symmetric=SECRET))


@given(st.integers(301, 10**6) | st.integers(-(10**6), -301))
def test_an_old_or_early_signature_is_refused(age):
    at = NOW + timedelta(seconds=age)
    headers = {"webhook-id": "m", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": Webhook(SECRET).sign("m", at, "x")}

    assert not accepts(plain, Request("POST", URL, headers, b"x"), account("plain", symmetric=SECRET))


@given(st.integers(0, 27), st.characters(min_codepoint=33, max_codepoint=126))
def test_a_signature_with_one_character_changed_is_refused(place, other):
    signature = RequestValidator("token").compute_signature(URL, {"a": "b"})
    assume(place < len(signature.rstrip("=")) - 1 and signature[place] != other)
    changed = signature[:place] + other + signature[place + 1 :]

    assert not accepts(twilio, Request("POST", URL, {**FORM, "x-twilio-signature": changed}, b"a=b"), account("twilio", auth_token="token"))


@pytest.mark.parametrize("token", ["new", "old"])
def test_a_secret_rotates_without_a_gap(token):
    """While it is changed, both are valid."""
    signature = RequestValidator(token).compute_signature(URL, {"a": "b"})

    assert accepts(twilio, Request("POST", URL, {**FORM, "x-twilio-signature": signature}, b"a=b"), account("twilio", auth_token=("new", "old")))


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_without_a_signature_nobody_comes_in(provider):
    assert not accepts(provider, Request("POST", URL, FORM, b"{}"), account("any", auth_token="t", app_secret="s", symmetric=SECRET))


@given(st.sampled_from(sorted(PROVIDERS)), st.binary(max_size=300) | json_values.map(orjson.dumps) | st.sampled_from(SAMPLES), st.data())
def test_no_body_breaks_the_door(name, body, data):
    """Whatever comes, whole or with a piece cut out: items, or `Malformed`."""
    cut = data.draw(st.slices(len(body)))
    for one in (body, body[: cut.start or 0] + body[cut.stop or 0 :]):
        try:
            PROVIDERS[name].parse(Request("POST", URL, {"webhook-id": "w"}, one), account(name))
        except Malformed:
            continue

    assert True is isinstance(body, bytes)


shapes = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("from", "id", "timestamp", "type", "text", "image", "interactive", "location", "button"), json_values)
)


@given(st.lists(shapes, max_size=4))
def test_an_odd_message_never_loses_its_neighbours(odd):
    """A good message in the middle of a batch is read, whatever stands around it."""
    good = {"from": "16505551234", "id": "wamid.GOOD", "timestamp": "1749416383", "type": "text", "text": {"body": "שלום 🌍"}}
    value = {"metadata": {"phone_number_id": "1"}, "messages": [*odd, good, *odd]}
    body = orjson.dumps({"object": "whatsapp_business_account", "entry": [None, {"changes": [3, {"field": "messages", "value": value}]}]})
    found = meta.parse(Request("POST", URL, {}, body), account("meta"))

    assert [item.text for item in found if isinstance(item, Received) and item.provider_id == "wamid.GOOD"] == ["שלום 🌍"]


@given(words, st.lists(words.filter(bool), max_size=12))
def test_whatsapp_limits_are_kept(text, titles):
    """Three buttons of 20, ten rows of 24, texts of 4096: longer ones are shortened or written out, never refused."""
    choices = tuple(Choice(id=f"c{n}", title=title * 3) for n, title in enumerate(titles))
    message = Outgoing(UUID(int=1), "+821012345678", Content(text=text, choices=choices), NOW)
    bodies = [orjson.loads(one.body) for one in meta.build(message, account("meta", access_token="t"))]
    buttons = [b for one in bodies for b in one.get("interactive", {}).get("action", {}).get("buttons", [])]
    rows = [r for one in bodies for s in one.get("interactive", {}).get("action", {}).get("sections", []) for r in s["rows"]]

    assert len(buttons) <= 3 and all(len(b["reply"]["title"]) <= 20 for b in buttons) and len(rows) <= 10 and all(len(r["title"]) <= 24 for r in rows)


@pytest.mark.parametrize(
    "text, expected",
    [("", 1), ("a" * 160, 1), ("a" * 161, 2), ("€" * 80, 1), ("€" * 81, 2), ("가" * 70, 1), ("가" * 71, 2), ("😀" * 35, 1), ("😀" * 36, 2),
     ("a" * 306, 2), ("a" * 307, 3),
     ("a" * 152 + "€" + "a" * 152, 3)],
)  # fmt: skip
def test_segments_are_counted_as_carriers_count_them(text, expected):
    """160 and 153 septets, 70 and 67 units; an escape sequence or a surrogate pair is never cut."""
    assert expected == segments(text)


def test_a_message_names_itself_in_what_we_send():
    """So that a receipt finds it even when the answer to our call was lost."""
    message = Outgoing(UUID(int=7), "+821012345678", Content(text="hi"), NOW, URL)
    built = {
        "twilio": twilio.build(message, account("twilio", account_sid="AC", auth_token="t")),
        "meta": meta.build(message, account("meta", access_token="t")),
        "plain": plain.build(message, account("plain", symmetric=SECRET)),
    }

    assert {"twilio", "meta", "plain"} == {name for name, (one,) in built.items() if str(UUID(int=7)).encode() in one.body}


headers_of_all = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("content-type", "x-twilio-signature", "x-hub-signature-256", "webhook-id", "webhook-timestamp", "webhook-signature"),
        st.text(st.characters(max_codepoint=255), max_size=20) | st.sampled_from(["²", "1" * 5000, "v1,x", "v1a,x", "application/json"]),
    ),
)


@given(st.sampled_from(sorted(PROVIDERS)), headers_of_all, st.sampled_from([URL, "http://[/x", "x", "https://h:port/?bodySHA256=a"]))
def test_no_header_breaks_the_door(name, headers, url):
    """Whatever a stranger writes there is refused, also when our own secret is unreadable."""
    one = account(name, auth_token="t", app_secret="s", symmetric="abcde", public_key="whpk_abcde")

    assert not accepts(PROVIDERS[name], Request("POST", url, headers, b"x"), one)


@given(st.dictionaries(st.sampled_from(["From", "To", "Body", "MessageSid", "MessageStatus", "NumMedia", "MediaUrl0", "MediaContentType0", "Latitude",
       "Longitude", "ErrorCode", "ButtonPayload", "ButtonText", "MessageType", "OptOutType"]), words | st.sampled_from(["inf", "nan", "1e999", "failed"])))  # fmt: skip
def test_no_form_breaks_the_door(form):
    """Known fields with any values: items, or `Malformed`."""
    try:
        found = twilio.parse(Request("POST", URL, FORM, urlencode(form).encode()), account("twilio"))
    except Malformed:
        found = ()

    assert all(isinstance(item, Received | Receipt | Opted) for item in found)


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40), st.data())
def test_any_changed_byte_of_a_body_is_refused(text, data):
    """By each provider, in its own scheme."""
    body = urlencode({"a": text}).encode()
    place = data.draw(st.integers(2, len(body) - 1))
    changed = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
    assume(parse_qsl(changed.decode(), keep_blank_values=True) != [("a", text)])
    keys = account("any", auth_token="t", app_secret="s", symmetric=SECRET)
    signed = {
        **FORM,
        **webhook_sign(SECRET, "m", NOW, body),
        "x-twilio-signature": RequestValidator("t").compute_signature(URL, {"a": text}),
        "x-hub-signature-256": f"sha256={hmac.new(b's', body, 'sha256').hexdigest()}",
    }
    by_name = {"twilio": twilio, "meta": meta, "plain": plain}
    taken = {name: [accepts(one, Request("POST", URL, signed, sent), keys) for sent in (body, changed)] for name, one in by_name.items()}

    assert {name: [True, False] for name in by_name} == taken


PRIVATE, PUBLIC = "whsk_" + base64.b64encode(bytes(range(32))).decode(), "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="


@given(st.integers(0, 90), st.characters(min_codepoint=33, max_codepoint=126))
def test_an_ed25519_signature_has_one_spelling(place, other):
    """Also the bits that base64 leaves over at its end are looked at."""
    signed = webhook_sign(PRIVATE, "m", NOW, b"x")
    entry = signed["webhook-signature"]
    assume(entry[place] != other)
    changed = {**signed, "webhook-signature": entry[:place] + other + entry[place + 1 :]}
    taken = [accepts(plain, Request("POST", URL, one, b"x"), account("plain", public_key=PUBLIC)) for one in (signed, changed)]

    assert taken == [True, False]


@pytest.mark.parametrize(
    "url, signed",
    [("https://h.example/x?a=1", "https://h.example:443/x?a=1"), ("https://h.example:443/x", "https://h.example/x"),
     ("http://h.example/x", "http://h.example:80/x"), ("https://h.example:8443/x", "https://h.example/x"),
     ("https://u:p@h.example/x", "https://u:p@h.example:443/x"), ("https://[::1]:8443/x", "https://[::1]/x")],
)  # fmt: skip
def test_a_port_may_be_signed_or_not(url, signed):
    """Twilio signs with its port or without, whatever was configured."""
    signature = RequestValidator("t").compute_signature(signed, {"a": "b"})

    assert accepts(twilio, Request("POST", url, {**FORM, "x-twilio-signature": signature}, b"a=b"), account("twilio", auth_token="t"))


def whatsapp(*messages: object, name: str = "messages") -> bytes:
    value = {"metadata": {"phone_number_id": "1"}, name: list(messages)}
    return orjson.dumps({"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "messages", "value": value}]}]})


def test_a_text_cut_inside_an_emoji_spoils_only_itself():
    """Half a surrogate pair and NUL, which no database keeps, are cleaned; the neighbour stays."""
    texts = ["a\\ud83c", "b\\u0000c", "fine"]
    parts = [b'{"from":"16505551234","id":"%d","type":"text","text":{"body":"%b"}}' % (n, one.encode()) for n, one in enumerate(texts)]
    body = whatsapp("HERE").replace(b'"HERE"', b",".join(parts))
    found = [item.text for item in meta.parse(Request("POST", URL, {}, body), account("meta")) if isinstance(item, Received)]

    assert found == ["a\ufffd", "bc", "fine"]


def test_a_user_without_a_number_is_known_by_the_scoped_id():
    body = whatsapp({"from_user_id": "US.1349", "id": "w", "type": "text", "text": {"body": "hi"}})
    (item,) = meta.parse(Request("POST", URL, {}, body), account("meta"))
    (sent,) = meta.build(
        Outgoing(UUID(int=1), "US.1349", Content(text="hi"), NOW), replace(account("meta", access_token="t"), channel=Channel.WHATSAPP)
    )

    assert isinstance(item, Received) and item.address == orjson.loads(sent.body)["recipient"] == "US.1349"


def test_a_status_brings_our_message_id_back():
    """What we send as `biz_opaque_callback_data` and in the callback's address finds the message without the provider's id."""
    body = whatsapp({"id": "w", "status": "sent", "recipient_id": "16505551234", "biz_opaque_callback_data": str(UUID(int=7))}, name="statuses")
    form = b"MessageSid=SM1&MessageStatus=sent&To=%2B16505551234"
    found = [
        *meta.parse(Request("POST", URL, {}, body), account("meta")),
        *twilio.parse(Request("POST", f"{URL}?m={UUID(int=7)}", FORM, form), account("t")),
    ]

    assert [UUID(int=7)] * 2 == [item.message_id for item in found if isinstance(item, Receipt)]


def test_a_refused_marketing_message_opts_out_of_marketing_alone():
    body = whatsapp({"id": "w", "status": "failed", "recipient_id": "16505551234", "errors": [{"code": 131050}]}, name="statuses")
    receipt, opted = meta.parse(Request("POST", URL, {}, body), account("meta"))

    assert isinstance(receipt, Receipt) and receipt.failure == "opted_out"
    assert Opted(Channel.WHATSAPP, "+16505551234", ConsentState.REVOKED, (Purpose.MARKETING,), None, "w") == opted


@pytest.mark.parametrize("flag, state", [("STOP", ConsentState.REVOKED), ("START", ConsentState.GRANTED)])
def test_a_flagged_word_is_a_message_and_an_opt(flag, state):
    """The message first, then what the provider says of it, under the message's id."""
    form = f"MessageSid=SM1&From=%2B12025550143&Body={flag}&OptOutType={flag}".encode()
    received, opted = twilio.parse(Request("POST", URL, FORM, form), account("twilio"))

    assert isinstance(received, Received) and isinstance(opted, Opted) and (state, "SM1") == (opted.state, opted.provider_id)


LONG = "Your parcel is at the door, the code is 4711. Please ring twice\nand wait for our driver."


@pytest.mark.parametrize(
    "body, text",
    [(base64.b64encode(LONG.encode()).decode(), LONG), ("A" * 64, "A" * 64), ("YWJj", "YWJj"),
     (token := base64.b64encode(b"x" * 60).decode(), token)],
)  # fmt: skip
def test_a_long_sms_in_base64_is_read_and_a_token_left(body, text):
    form = urlencode({"MessageSid": "SM1", "From": "+12025550143", "Body": body}).encode()
    (item,) = twilio.parse(Request("POST", URL, FORM, form), account("twilio"))

    assert isinstance(item, Received) and text == item.text


def plainly(kind: str, **data: object) -> Request:
    return Request("POST", URL, {"webhook-id": "w1"}, orjson.dumps({"type": kind, "timestamp": "2026-11-24T09:30:00Z", "data": data}))


def test_a_plain_message_reads_as_the_format_says():
    request = plainly(
        "message.received",
        id="1",
        channel="webchat",
        text="hi",
        choice={"id": "c", "title": "C"},
        media=[{"kind": "image", "url": "u"}, 3],
        **{"from": "u1"},
    )
    (item,) = plain.parse(request, account("plain"))

    assert Received(Channel.WEBCHAT, "u1", "1", "button", "hi", Choice(id="c", title="C"), (Media(kind="image", url="u"),), None, NOW, None) == item


def test_an_unreadable_purpose_grants_nothing():
    with pytest.raises(Malformed, match=r"data\.purposes"):
        plain.parse(plainly("contact.opted", state="granted", purposes=["marketting"], **{"from": "u1"}), account("plain"))


def test_a_plain_receipt_of_an_opt_out_says_both():
    receipt, opted = plain.parse(plainly("message.status", id="1", to="u1", status="failed", code="opted_out"), account("plain"))

    assert isinstance(receipt, Receipt) and receipt.failure == "opted_out"
    assert Opted(Channel.SMS, "u1", ConsentState.REVOKED, at=NOW, provider_id="1") == opted


@pytest.mark.parametrize(
    "provider, status, body, kind, scope",
    [(meta, 500, {"error": {"code": 131026}}, "permanent", "message"), (meta, 400, {"error": {"code": 131056}}, "throttled", "recipient"),
     (meta, 400, {"error": {"code": 131049}}, "throttled", "recipient"), (meta, 200, {"error": {"code": 190}}, "permanent", "account"),
     (meta, 400, {"error": {"message": "?"}}, "permanent", "message"), (meta, 503, None, "transient", "message"),
     (twilio, 403, {"code": 21408}, "permanent", "message"), (twilio, 401, None, "permanent", "account"), (twilio, 302, None, "permanent", "account"),
     (plain, 422, {"code": "opted_out"}, "opted_out", "message"), (plain, 401, {"code": "signature"}, "permanent", "account"),
     (plain, 503, {"code": "unavailable"}, "transient", "message")],
)  # fmt: skip
def test_an_answer_is_judged_by_its_code_before_its_status(provider, status, body, kind, scope):
    outcome = provider.interpret(Response(status, {}, orjson.dumps(body) if body else b"<html>"))

    assert (kind, scope) == (outcome.kind, outcome.scope)


@given(st.sampled_from(sorted(PROVIDERS)), st.integers(200, 599), st.binary(max_size=50) | json_values.map(orjson.dumps), words)
def test_every_answer_means_something(name, status, body, pause):
    """Whatever a proxy in between makes of it; never `unknown`, for an answer came."""
    assert PROVIDERS[name].interpret(Response(status, {"Retry-After": pause}, body)).kind != "unknown"


@pytest.mark.parametrize(
    "asked, seconds", [("7", 7), ("Tue, 24 Nov 2026 09:30:30 GMT", 30), ("nan", None), ("1e999", None), ("soon", None), ("", None)]
)
def test_a_pause_is_seconds_or_a_date(asked, seconds):
    headers = {"Retry-After": asked, "Date": "Tue, 24 Nov 2026 09:30:00 GMT"}

    assert (timedelta(seconds=seconds) if seconds is not None else None) == retry_after(Response(429, headers))


contents = st.builds(
    Content,
    text=st.text(st.characters(exclude_categories=("Cs",)), max_size=50).map(lambda text: text * 120),
    media=st.lists(st.sampled_from(["image", "audio", "document"]).map(lambda kind: Media(kind=kind, url="https://e.example/f")), max_size=12).map(
        tuple
    ),
    choices=st.lists(st.builds(Choice, id=words.filter(bool), title=words), max_size=12).map(tuple),
    template=st.none() | st.just(Template(name="HX1", language="ko", parameters=("a",))),
)


@given(contents, st.sampled_from([twilio, meta]), st.sampled_from([Channel.SMS, Channel.WHATSAPP]))
def test_every_request_names_the_message_and_has_its_own_key(content, provider, channel):
    """Where a message takes several requests, a repeat of one is never taken for another."""
    keyed = replace(account("any", account_sid="AC", auth_token="t", access_token="t"), channel=channel, honours_keys=True)
    built = provider.build(Outgoing(UUID(int=7), "+821012345678", content, NOW, URL), keyed)
    named = [one for one in built if str(UUID(int=7)).encode() in one.body]

    assert 1 <= len(built) == len(named) == len({one.headers["idempotency-key"] for one in built})


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=60), st.integers(1, 50))
def test_no_text_is_lost_where_it_is_cut(text, limit):
    """Only the blanks at a cut go; no piece is longer than the limit."""
    cut = pieces(text * 5, limit)

    assert "".join((text * 5).split()) == "".join("".join(cut).split()) and all(0 < len(one) <= limit for one in cut)


@given(st.text(st.sampled_from(sorted(GSM | GSM_EXTENSION)), max_size=700))
def test_septets_bound_the_segments(text):
    """Never fewer than the septets need, never more than one lost septet a part."""
    septets = len(text) + sum(one in GSM_EXTENSION for one in text)
    least = 1 if septets <= 160 else -(-septets // 153)

    assert least <= segments(text) <= (1 if septets <= 160 else -(-septets // 152))


@pytest.mark.parametrize(
    "headers, body",
    [(FORM, b""), (FORM, b"{"), (FORM, b"From=%2B12025550143&Body=hi"), (FORM, b"MessageSid=SM1&Body=hi"), ({"content-type": "application/json"}, b"{")],
)  # fmt: skip
def test_a_body_that_twilio_never_sends_is_said_to_be_wrong(headers, body):
    with pytest.raises(Malformed, match=r"\."):
        twilio.parse(Request("POST", URL, headers, body), account("twilio"))
