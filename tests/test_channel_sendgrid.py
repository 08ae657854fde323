"""SendGrid: who comes in, what a batch of events says, what a call looks like, what its answer means."""

import base64
from datetime import timedelta

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from sendgrid.helpers.eventwebhook import EventWebhook

from parley.channels import sendgrid
from parley.channels.shape import Account, Engaged, Item, Malformed, Opted, Outgoing, Receipt, Request, Response
from parley.contracts import Channel, ConsentState, Content, Purpose, ReceiptStatus, Template
from tests.mailing import NOW, OURS, ROOT, entered, json_values, shown, survives

KEYS = [ec.derive_private_key(number, ec.SECP256R1()) for number in (1111, 2222, 3333)]
PUBLIC = [base64.b64encode(one.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode() for one in KEYS]
ACCOUNT = Account("a", "t", "sendgrid", Channel.EMAIL, "hello@acme.example", {"public_key": (PUBLIC[0], PUBLIC[1]), "api_key": ("SG.k",)})
SAMPLES = [path.read_bytes() for path in sorted((ROOT / "sendgrid").glob("*.json")) if not path.name.endswith(".headers.json")]
EVENT = {"email": "Jo@Example.com", "timestamp": 1795426119, "sg_event_id": "e1", "sg_message_id": "m1.recvd-7b6f8c-1.0", "platform_ref": str(OURS)}


def request(body: bytes, key: int = 0, age: float = 0) -> Request:
    stamp = str(int((NOW - timedelta(seconds=age)).timestamp()))
    signature = base64.b64encode(KEYS[key].sign(stamp.encode() + body, ec.ECDSA(SHA256()))).decode()
    return Request("POST", "https://h.example/hooks/a", {sendgrid.SIGNATURE: signature, sendgrid.TIMESTAMP: stamp}, body)


def said(*events: object) -> list[Item]:
    return list(sendgrid.parse(Request("POST", "https://h.example", {}, orjson.dumps(events)), ACCOUNT))


def told(word: str, **more: object) -> list[Item]:
    return said({**EVENT, "event": word, **more})


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=50).map(lambda text: f'[{{"a":"{text}"}}]\r\n'), st.booleans())
def test_the_door_decides_as_sendgrids_own_kit(text, changed):
    """Over the bytes as they come, CR LF at their end included."""
    good = request(text.encode())
    given_text = text[:-2] if changed else text
    own = EventWebhook(PUBLIC[0]).verify_signature(given_text, good.headers[sendgrid.SIGNATURE], good.headers[sendgrid.TIMESTAMP])

    assert own is not changed
    assert own is entered(sendgrid, Request("POST", "https://h.example", good.headers, given_text.encode()), ACCOUNT)


@pytest.mark.parametrize("key, age, taken", [(0, 0, True), (1, 300, True), (0, -300, True), (2, 0, False), (0, 301, False), (0, -301, False)])
def test_keys_rotate_and_old_requests_are_refused(key, age, taken):
    """Two public keys are valid while one is changed; five minutes either way."""
    assert taken is entered(sendgrid, request(b"[]", key, age), ACCOUNT)


@pytest.mark.parametrize("public", ["", "abc", "whpk_x", base64.b64encode(b"x" * 91).decode(), PUBLIC[0][:-8], "é"])
def test_a_key_that_cannot_be_read_lets_nobody_in(public):
    """A slip in the settings refuses, and never fails."""
    broken = Account("a", "t", "sendgrid", Channel.EMAIL, "h@a", {"public_key": (public,)})

    assert not entered(sendgrid, request(b"[]"), broken)


@pytest.mark.parametrize(
    "name, value", [(sendgrid.SIGNATURE, "é"), (sendgrid.SIGNATURE, "AAAA"), (sendgrid.TIMESTAMP, "²"), (sendgrid.TIMESTAMP, "")]
)
def test_odd_headers_are_refused(name, value):
    good = request(b"[]")

    assert not entered(sendgrid, Request("POST", good.url, {**good.headers, name: value}, good.body), ACCOUNT)


@pytest.mark.parametrize(
    "word, more, status, code, failure",
    [("processed", {}, ReceiptStatus.QUEUED, None, None), ("deferred", {"response": "450"}, ReceiptStatus.DEFERRED, None, None),
     ("delivered", {}, ReceiptStatus.DELIVERED, None, None), ("bounce", {"type": "bounce", "status": "5.1.1"}, ReceiptStatus.FAILED, "5.1.1", "permanent"),
     ("bounce", {"type": "blocked", "reason": "busy"}, ReceiptStatus.FAILED, "busy", "transient"), ("bounce", {}, ReceiptStatus.FAILED, None, "permanent"),
     ("dropped", {"reason": "Bounced Address"}, ReceiptStatus.FAILED, "Bounced Address", "permanent"),
     ("dropped", {"reason": "Invalid"}, ReceiptStatus.FAILED, "Invalid", "permanent"), ("dropped", {}, ReceiptStatus.FAILED, None, "permanent")],
)  # fmt: skip
def test_a_receipt_tells_what_became_of_a_message(word, more, status, code, failure):
    expected = Receipt(Channel.EMAIL, status, "m1", OURS, "jo@example.com", code, failure, NOW - timedelta(seconds=81), event_id="e1")

    assert [expected] == told(word, **more)


@pytest.mark.parametrize("field", ["reason", "type"])
@pytest.mark.parametrize("why, reason", [("Unsubscribed Address", "unsubscribe"), ("Spam Reporting Address", "spam_complaint")])
def test_a_message_dropped_for_the_persons_word_opts_out(field, why, reason):
    """A receipt first, then the opt-out."""
    receipt, opted = told("dropped", **{field: why})

    assert isinstance(receipt, Receipt) and "opted_out" == receipt.failure
    assert Opted(Channel.EMAIL, "jo@example.com", ConsentState.REVOKED, tuple(Purpose), receipt.at, "e1", reason, OURS) == opted


@pytest.mark.parametrize(
    "word, state, reason, purposes",
    [("spamreport", ConsentState.REVOKED, "spam_complaint", tuple(Purpose)), ("unsubscribe", ConsentState.REVOKED, "unsubscribe", tuple(Purpose)),
     ("group_unsubscribe", ConsentState.REVOKED, "unsubscribe", (Purpose.MARKETING,)),
     ("group_resubscribe", ConsentState.GRANTED, None, (Purpose.MARKETING,))],
)  # fmt: skip
def test_a_persons_word_is_consent(word, state, reason, purposes):
    """A group is one kind of marketing: what the customer ordered is still confirmed."""
    assert [Opted(Channel.EMAIL, "jo@example.com", state, purposes, NOW - timedelta(seconds=81), "e1", reason, OURS)] == told(word, asm_group_id=10)


@pytest.mark.parametrize("flag, machine", [({"sg_machine_open": True}, True), ({"sg_machine_open": False}, False), ({}, False)])
def test_an_open_says_who_it_was(flag, machine):
    (item,) = told("open", useragent="Mozilla/5.0", **flag)

    assert isinstance(item, Engaged) and ("opened", machine, "Mozilla/5.0", OURS) == (item.kind, item.machine, item.agent, item.message_id)


def test_a_click_names_its_link():
    (item,) = told("click", url="https://s.example/x", url_offset={"index": 0})

    assert isinstance(item, Engaged) and ("clicked", "https://s.example/x", None) == (item.kind, item.url, item.machine)


def test_an_event_counts_once_in_a_batch():
    """By SendGrid's own id; events without one are all kept, and what is no event, or tells of the account, says nothing."""
    first, second, bare = ({**EVENT, "event": "open"}, {**EVENT, "event": "open", "sg_event_id": "e2"}, {"event": "open", "sg_message_id": "m2"})
    found = said(first, 3, None, second, [], first, bare, {"event": "account_status_change", "type": "suspended"}, {"event": []}, bare)

    assert ["m1", "m1", "m2", "m2"] == [item.provider_id for item in found if isinstance(item, Engaged)] and 4 == len(found)


@pytest.mark.parametrize(
    "more, expected",
    [({"sg_message_id": "filter-7"}, ("filter-7", OURS)), ({"sg_message_id": None, "smtp-id": "<m9@geopod-1>"}, ("m9", OURS)),
     ({"sg_message_id": None, "platform_ref": "our-9"}, None), ({"platform_ref": "our-9"}, ("m1", None))],
)  # fmt: skip
def test_a_message_is_found_by_our_id_or_theirs(more, expected):
    """Without either, there is nothing that a receipt could be joined to."""
    found = told("delivered", **more)

    assert [expected] * bool(expected) == [(item.provider_id, item.message_id) for item in found if isinstance(item, Receipt)]


@pytest.mark.parametrize("body", [b"", b"{}", b"[", b"3", b'"[]"', b"\xff", b'[{"a": NaN}]'])
def test_what_is_no_batch_is_said_to_be_wrong(body):
    with pytest.raises(Malformed, match=r"\."):
        sendgrid.parse(request(body), ACCOUNT)


def test_a_text_cut_inside_an_emoji_spoils_only_itself():
    body = orjson.dumps([{**EVENT, "event": "click", "url": "HERE"}, {**EVENT, "event": "open", "sg_event_id": "e2"}]).replace(
        b"HERE", b"a\\ud83c\\u0000"
    )
    clicked, opened = sendgrid.parse(request(body), ACCOUNT)

    assert isinstance(clicked, Engaged) and "a�" == clicked.url and isinstance(opened, Engaged)


@given(st.binary(max_size=200) | json_values.map(repr).map(str.encode) | st.sampled_from(SAMPLES), st.data())
def test_no_bytes_break_the_door(body, data):
    """Signed or not, whole or with a piece cut out."""
    cut = data.draw(st.slices(len(body)))
    for one in (body, body[: cut.start or 0] + body[cut.stop or 0 :]):
        assert survives(sendgrid, request(one), ACCOUNT) and survives(sendgrid, Request("POST", "x", {}, one), ACCOUNT, 202)


@given(st.lists(st.dictionaries(st.sampled_from([*EVENT, "event", "smtp-id", "reason", "type", "status", "url", "sg_machine_open"]),
                                json_values | st.sampled_from(["open", "click", "bounce", "dropped", "unsubscribe", "blocked"])), max_size=3))  # fmt: skip
def test_an_odd_event_never_loses_its_neighbours(odd):
    good = {**EVENT, "event": "delivered", "sg_event_id": "the good one"}
    body = orjson.dumps([*odd, good, *odd])
    found = sendgrid.parse(request(body), ACCOUNT)

    assert 1 == sum(isinstance(item, Receipt) and item.event_id == "the good one" for item in found)


def test_a_request_is_built_as_sendgrid_shows_it():
    wanted, built = shown(sendgrid)

    assert (wanted["method"], wanted["url"], wanted["json"]) == (built["method"], built["url"], built["fields"])


def test_a_template_is_filled_in_by_sendgrid():
    """With its parameters by name; the subject is the template's unless the message has words of its own. No key where none is honoured."""
    template = Template(name="d-1", language="ko", parameters=("차", "2"))
    message = Outgoing(OURS, "jo@example.com", Content(template=template), NOW, unsubscribe_url="https://l.example/u")
    (request,) = sendgrid.build(message, ACCOUNT)
    body = orjson.loads(request.body)

    assert {"p1": "차", "p2": "2", "language": "ko"} == body["personalizations"][0]["dynamic_template_data"]
    assert {"personalizations", "from", "template_id", "headers"} == set(body) and "idempotency-key" not in request.headers


@pytest.mark.parametrize(
    "status, kind, scope",
    [(202, "accepted", "message"), (400, "permanent", "message"), (401, "permanent", "account"), (403, "permanent", "account"),
     (413, "permanent", "message"), (429, "throttled", "message"), (500, "transient", "message"), (503, "transient", "message"),
     (408, "transient", "message"), (301, "permanent", "account")],
)  # fmt: skip
def test_an_answer_is_judged_by_its_status(status, kind, scope):
    outcome = sendgrid.interpret(Response(status, {"X-Message-Id": "m1"}, b'{"errors":[{"message":"too long","field":"subject"}]}'))

    assert (kind, scope) == (outcome.kind, outcome.scope)
    assert (("m1", "") if kind == "accepted" else (None, "subject: too long")) == (outcome.provider_id, outcome.reason)


@pytest.mark.parametrize(
    "headers, seconds",
    [({"X-RateLimit-Reset": "1795426260"}, 60), ({"X-RateLimit-Reset": "1795426100"}, 0), ({"X-RateLimit-Reset": "nan"}, 0),
     ({"X-RateLimit-Reset": "inf"}, None), ({"X-RateLimit-Reset": "soon"}, None), ({"Retry-After": "7", "X-RateLimit-Reset": "1795426260"}, 7), ({}, None)],
)  # fmt: skip
def test_a_throttled_call_waits_for_the_reset(headers, seconds):
    """Counted from the answer's own clock; without one nobody knows how long."""
    dated = sendgrid.interpret(Response(429, {**headers, "Date": "Mon, 23 Nov 2026 09:30:00 GMT"}))
    undated = sendgrid.interpret(Response(429, {name: value for name, value in headers.items() if name != "Retry-After"}))

    assert (timedelta(seconds=seconds) if seconds is not None else None, None) == (dated.retry_after, undated.retry_after)
