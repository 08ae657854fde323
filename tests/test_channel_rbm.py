"""RCS Business Messaging: the handshake by POST, what a phone and the platform tell, what a call looks like, what its answer means."""

import base64
import hashlib
import hmac
import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid5

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.channels import rbm
from parley.channels.shape import Account, Forged, Item, Malformed, Opted, Outgoing, Receipt, Received, Request, Response
from parley.contracts import Channel, Choice, ConsentState, Content, Media, ReceiptStatus, Template
from parley.problem import Problem
from parley_ingest import edge

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
URL = "https://hooks.example.com/hooks/rcs"
SAMPLES = Path(__file__).parent / "samples" / "rbm"
AGENT, PHONE, OURS = "welcome-bot@rbm.goog", "+12025550143", UUID(int=7)
ACCOUNT = Account("rcs", "t", "rbm", Channel.RCS, AGENT, {"client_token": ("new", "old")})
json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                           lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=8)  # fmt: skip


def pushed(data: bytes, token: str = "new", **envelope: object) -> Request:
    """Data as Pub/Sub brings them, signed by Google's scheme."""
    body = orjson.dumps({"message": {"data": base64.b64encode(data).decode(), **envelope}, "subscription": "s"})
    signature = base64.b64encode(hmac.digest(token.encode(), data, hashlib.sha512)).decode()
    return Request("POST", URL, {"x-goog-signature": signature}, body)


def said(envelope: dict[str, object] | None = None, **data: object) -> list[Item]:
    return list(rbm.parse(pushed(orjson.dumps(data), **(envelope or {})), ACCOUNT))


def message(**members: object) -> Received:
    (found,) = said(senderPhoneNumber=PHONE, messageId="Msg-1", sendTime="2026-11-23T09:28:39.220123456Z", agentId=AGENT, **members)
    assert isinstance(found, Received)
    return found


def accepts(request: Request, account: Account = ACCOUNT) -> bool:
    try:
        rbm.verify(request, account, NOW)
    except Forged:
        return False
    return True


def built(content: Content, account: Account = ACCOUNT) -> list[tuple[dict[str, list[str]], dict]]:
    """Query and content of each call."""
    found = rbm.build(Outgoing(OURS, PHONE, content, NOW, token="T"), account)
    return [(parse_qs(urlsplit(one.url).query), orjson.loads(one.body)["contentMessage"]) for one in found]


def hello(body: bytes, method: str = "POST", account: Account = ACCOUNT) -> tuple[int, bytes] | None:
    found = rbm.handshake(Request(method, URL, {}, body), account)
    return (found.status, found.body) if found else None


@pytest.mark.parametrize("token", ["new", "old"])
def test_a_handshake_is_answered_with_its_secret(token):
    """With either token, while it is changed."""
    assert (200, b"1234567890") == hello(orjson.dumps({"clientToken": token, "secret": "1234567890"}))


@pytest.mark.parametrize(
    "body",
    [b'{"clientToken": "other", "secret": "s"}', b'{"clientToken": "", "secret": "s"}', b'{"clientToken": "new"}', b'{"clientToken": ["new"], "secret": "s"}',
     b'"clientToken"', b'{"clientToken": "new", "secret": ', b"", b'{"clientToken": "\\ud800", "secret": "s"}'],
)  # fmt: skip
def test_what_is_no_handshake_is_refused_as_unsigned(body):
    """A wrong token gets no answer of its own, and nobody a secret of theirs echoed."""
    assert None is hello(body)
    assert not accepts(Request("POST", URL, {}, body))


def test_without_a_configured_token_there_is_no_handshake():
    assert None is hello(b'{"clientToken": "", "secret": "s"}', account=replace(ACCOUNT, credentials={}))
    assert None is hello(b'{"clientToken": "new", "secret": "s"}', method="GET")


def test_the_door_tells_a_handshake_from_other_posts():
    """It is asked first of every request; what is none goes on to the signature, and nothing is there to get."""
    shaken = edge.handshake(Request("POST", URL, {}, b'{"clientToken": "new", "secret": "7"}'), ACCOUNT)

    assert shaken is not None
    assert (200, b"7") == (shaken.status_code, bytes(shaken.body))
    assert None is edge.handshake(pushed(b"{}"), ACCOUNT)
    with pytest.raises(Problem):
        edge.handshake(Request("GET", URL, {}, b""), ACCOUNT)


@given(st.binary(max_size=200), st.sampled_from(["new", "old"]))
def test_a_signature_is_over_the_decoded_data(data, token):
    """Whatever they are; and with the one or the other token, while it is changed."""
    assert accepts(pushed(data, token))
    assert not accepts(pushed(data, "other"))


@given(st.binary(min_size=1, max_size=60), st.data())
def test_changed_data_are_refused(data, draw):
    place = draw.draw(st.integers(0, len(data) - 1))
    changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]

    assert not accepts(replace(pushed(changed), headers=pushed(data).headers))


def test_escaped_padding_is_data_all_the_same():
    """Some JSON printers write the `=` of base64 as a code."""
    request = pushed(b"x")

    assert accepts(replace(request, body=request.body.replace(b"=", b"\\u003d")))


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"message": 3}', b'{"message": {"data": "*"}}', b'{"message": {"data": "\xc3\xa9"}}'])
def test_what_cannot_be_checked_is_refused(body):
    assert not accepts(Request("POST", URL, {"x-goog-signature": "AA=="}, body))


@pytest.mark.parametrize("data", [b"", b"x", b"[]", b'{"text": "a"}', b'{"senderPhoneNumber": "+12025550143", "text": "a"}'])
def test_signed_data_that_say_nothing_are_malformed(data):
    """Right signature, unusable body."""
    assert accepts(pushed(data))
    with pytest.raises(Malformed):
        rbm.parse(pushed(data), ACCOUNT)


@pytest.mark.parametrize(
    "members, kind, text",
    [({"text": "שלום 🌍"}, "text", "שלום 🌍"), ({"text": ""}, "text", ""), ({"text": None}, "unsupported", None), ({}, "unsupported", None),
     ({"hologram": {"x": 1}}, "unsupported", None), ({"text": "a\0b"}, "text", "ab"), ({"userFile": {}}, "unsupported", None),
     ({"userFile": {"payload": {"fileUri": "https://f/1", "mimeType": "image/gif"}}}, "image", None),
     ({"userFile": {"payload": {"fileUri": "https://f/1", "mimeType": "application/pdf"}}}, "document", None),
     ({"userFile": {"payload": {"fileUri": "https://f/1"}, "thumbnail": {}}}, "document", None),
     ({"userFile": {"payload": {"mimeType": "image/gif"}}}, "unsupported", None),
     ({"location": {"latitude": 37.5, "longitude": 127.0}}, "location", None), ({"location": {"longitude": 9.4}}, "location", None),
     ({"location": {"latitude": 91}}, "unsupported", None), ({"location": {}}, "unsupported", None),
     ({"suggestionResponse": {"postbackData": "slot_7", "text": "Tue"}}, "button", "Tue"),
     ({"suggestionResponse": {"postbackData": "slot_7", "type": "ACTION"}}, "button", None),
     ({"suggestionResponse": {"text": "Tue"}}, "button", "Tue"), ({"suggestionResponse": {"x": 1}}, "unsupported", None)],
)  # fmt: skip
def test_what_somebody_says(members, kind, text):
    found = message(**members)

    assert (kind, text) == (found.kind, found.text)
    assert (PHONE, "Msg-1", AGENT) == (found.address, found.provider_id, found.recipient)


def test_a_time_is_read_to_the_microsecond():
    """Google writes nanoseconds."""
    assert datetime(2026, 11, 23, 9, 28, 39, 220123, UTC) == message(text="x").sent_at


@pytest.mark.parametrize("stamp", ["yesterday", "2026-11-23T09:28:39", "9999-12-31T23:59:59-23:59", 7, None])
def test_a_time_that_is_none_spoils_nothing(stamp):
    (found,) = said(senderPhoneNumber=PHONE, messageId="m", text="x", sendTime=stamp)

    assert None is found.sent_at


@pytest.mark.parametrize(
    "members, envelope, expected",
    [({"messageId": "m", "eventId": "e"}, {}, "m"), ({"eventId": "e"}, {"messageId": "p"}, "e"), ({}, {"messageId": "p"}, "p")],
)
def test_a_message_has_the_nearest_id(members, envelope, expected):
    """Its own, its event's where a tap has no other, else that of Pub/Sub."""
    (found,) = said(envelope, senderPhoneNumber=PHONE, text="x", **members)

    assert expected == found.provider_id


@pytest.mark.parametrize(
    "kind, status, failure, code",
    [("DELIVERED", ReceiptStatus.DELIVERED, None, None), ("READ", ReceiptStatus.READ, None, None),
     ("TTL_EXPIRATION_REVOKED", ReceiptStatus.FAILED, "permanent", "TTL_EXPIRATION_REVOKED"),
     ("TTL_EXPIRATION_REVOKE_FAILED", ReceiptStatus.UNKNOWN, None, "TTL_EXPIRATION_REVOKE_FAILED")],
)  # fmt: skip
@pytest.mark.parametrize("member", ["senderPhoneNumber", "phoneNumber"])
def test_a_receipt_finds_its_message_by_our_own_id(kind, status, failure, code, member):
    """The platform names the phone otherwise than the phone itself does."""
    (found,) = said(**{member: PHONE}, eventType=kind, eventId="e", messageId=str(OURS), agentId=AGENT)

    assert isinstance(found, Receipt)
    assert (status, failure, code, OURS, PHONE, "e") == (found.status, found.failure, found.code, found.message_id, found.address, found.event_id)


@pytest.mark.parametrize("kind, state", [("UNSUBSCRIBE", ConsentState.REVOKED), ("SUBSCRIBE", ConsentState.GRANTED)])
def test_who_unsubscribes_is_heard(kind, state):
    (found,) = said(senderPhoneNumber=PHONE, eventType=kind, eventId="e")

    assert isinstance(found, Opted)
    assert (PHONE, state, "e") == (found.address, found.state, found.provider_id)


@pytest.mark.parametrize(
    "data",
    [{"eventType": "IS_TYPING", "senderPhoneNumber": PHONE, "eventId": "e"}, {"eventType": "WINKED", "senderPhoneNumber": PHONE, "messageId": "m"},
     {"eventType": "DELIVERED", "senderPhoneNumber": PHONE}, {"eventType": "UNSUBSCRIBE"}, {"agentId": AGENT, "launchState": "LAUNCHED"}],
)  # fmt: skip
def test_other_events_say_nothing(data):
    assert [] == said(**data)


def test_an_agent_that_is_launched_says_nothing():
    """Whatever its data are."""
    assert [] == list(rbm.parse(pushed(b"?", attributes={"type": "agent_launch_event"}), ACCOUNT))


def test_a_request_is_built_as_the_provider_wants_it():
    """Method, address, token and body of the sample of an accepted message."""
    wanted = orjson.loads((SAMPLES / "send" / "accepted.headers.json").read_bytes())["request"]
    (found,) = rbm.build(Outgoing(OURS, PHONE, Content(text="hi"), NOW, token="T"), ACCOUNT)

    assert (wanted["method"], wanted["url"].replace("<uuid>", str(OURS)), wanted["json"]) == (found.method, found.url, orjson.loads(found.body))
    assert "Bearer T" == found.headers["authorization"]


def test_the_accounts_address_replaces_googles():
    (found,) = rbm.build(Outgoing(OURS, PHONE, Content(text="x"), NOW), replace(ACCOUNT, base_url="http://127.0.0.1:9100"))

    assert found.url.startswith("http://127.0.0.1:9100/v1/phones/+12025550143/agentMessages?")


@given(
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40),
    st.integers(1, 300),
    st.lists(st.text(max_size=40).filter(bool), max_size=14),
)
def test_limits_are_kept(word, times, titles):
    """Texts of 3072, eleven suggestions of 25: longer ones go in pieces, are shortened or written out."""
    choices = tuple(Choice(id=f"c{n}", title=title) for n, title in enumerate(titles))
    bodies = [body for _, body in built(Content(text=word * times, choices=choices))]
    suggestions = [one["reply"] for body in bodies for one in body.get("suggestions", [])]

    assert all(len(body["text"]) <= 3072 for body in bodies)
    assert len(titles) * (len(titles) <= 11) == len(suggestions)
    assert all(0 < len(one["text"]) <= 25 for one in suggestions)


def test_each_part_has_an_id_of_its_own_and_the_same_again():
    """The first is our message id; a repeat is ignored by Google, part by part."""
    content = Content(text="a" * 4000, media=(Media(kind="image", url="https://f/1"),), choices=(Choice(id="y", title="Yes"),))
    keys = [query["messageId"][0] for query, _ in built(content)]

    assert [str(OURS), str(uuid5(OURS, "1")), str(uuid5(OURS, "2"))] == keys
    assert built(content) == built(content)
    assert 3 == rbm.segments(content)


def test_choices_hang_on_the_last_part():
    media = Media(kind="image", url="https://f/1"), Media(kind="document", provider_id="files/7")
    choices = (Choice(id="y"), Choice(id="y", title="again"))

    assert [
        {"contentInfo": {"fileUrl": "https://f/1"}},
        {"uploadedRbmFile": {"fileName": "files/7"}, "suggestions": [{"reply": {"text": "again", "postbackData": "y"}}]},
    ] == [body for _, body in built(Content(media=media, choices=choices))]
    assert ["☰"] == [body["text"] for _, body in built(Content(choices=choices))]


@pytest.mark.parametrize("content", [Content(), Content(template=Template(name="t", language="en"))])
def test_a_message_without_a_word_is_refused_in_words(content):
    with pytest.raises(ValueError, match="no text, no choices and no media"):
        built(content)
    assert 1 == rbm.segments(content)


@pytest.mark.parametrize(
    "status, word, kind, scope",
    [(400, "INVALID_ARGUMENT", "permanent", "message"), (404, "NOT_FOUND", "permanent", "message"), (401, "UNAUTHENTICATED", "permanent", "account"),
     (403, "PERMISSION_DENIED", "permanent", "account"), (403, None, "permanent", "account"), (302, None, "permanent", "account"),
     (429, "RESOURCE_EXHAUSTED", "throttled", "message"), (429, None, "throttled", "message"), (500, "INTERNAL", "transient", "message"),
     (503, "UNAVAILABLE", "transient", "message"), (504, "DEADLINE_EXCEEDED", "transient", "message"), (408, None, "transient", "message"),
     (409, "ABORTED", "transient", "message"), (400, "NEWS", "permanent", "message")],
)  # fmt: skip
def test_what_an_answer_means(status, word, kind, scope):
    body = orjson.dumps({"error": {"code": status, "message": "m", "status": word}}) if word else b"<html>"
    found = rbm.interpret(Response(status, {"Retry-After": "7"}, body))

    assert (kind, scope, word or str(status), timedelta(seconds=7)) == (found.kind, found.scope, found.code, found.retry_after)


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()), st.integers(100, 599))
def test_no_bytes_break_anything(data, status):
    """Items, a named refusal, or an outcome."""
    for request in (pushed(data), Request("POST", URL, {"x-goog-signature": "x"}, data)):
        assert hello(request.body) is None
        with suppress(Forged, Malformed):
            rbm.parse(request, ACCOUNT)
            rbm.verify(request, ACCOUNT, NOW)
    assert rbm.interpret(Response(status, {}, data)).kind in ("accepted", "permanent", "transient", "throttled")


shapes = st.fixed_dictionaries({}, optional=dict.fromkeys(
    ("senderPhoneNumber", "phoneNumber", "messageId", "eventId", "eventType", "sendTime", "text", "userFile", "location", "suggestionResponse"), json_values
))  # fmt: skip


@given(shapes, st.sampled_from(["DELIVERED", "UNSUBSCRIBE", None]))
def test_no_shape_breaks_anything(shape, kind):
    """Odd values where a text, a number or an object is wanted."""
    data = json.dumps({**shape, **({"eventType": kind} if kind else {})}).encode()
    try:
        found = rbm.parse(pushed(data), ACCOUNT)
    except Malformed:
        return

    assert len(found) <= 1
