"""Mailgun: who comes in, what an event or a form says, what a call looks like, what its answer means."""

import hashlib
import hmac
from datetime import timedelta
from urllib.parse import parse_qs, urlencode

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.channels import mailgun
from parley.channels.shape import Account, Engaged, Item, Malformed, Opted, Outgoing, Receipt, Request, Response
from parley.contracts import Channel, ConsentState, Content, Purpose, ReceiptStatus, Template
from tests.mailing import NOW, OURS, ROOT, entered, json_values, shown, survives

FORM = {"content-type": "application/x-www-form-urlencoded"}
ACCOUNT = Account("a", "t", "mailgun", Channel.EMAIL, "Acme Tea <hello@acme.example>", {"webhook_signing_key": ("new", "old"), "api_key": ("k",)})
SAMPLES = [path.read_bytes() for path in sorted((ROOT / "mailgun").glob("*.json")) if not path.name.endswith(".headers.json")]
EVENT = {"id": "e1", "timestamp": 1795426119.5, "recipient": "Jo@Example.com", "message": {"headers": {"message-id": "m1@acme.example"}},
         "user-variables": {"platform_ref": str(OURS)}}  # fmt: skip
AT = NOW - timedelta(seconds=80.5)


def signed(key: str = "new", age: float = 0, token: str = "a" * 50) -> dict[str, str]:
    stamp = str(int((NOW - timedelta(seconds=age)).timestamp()))
    return {"timestamp": stamp, "token": token, "signature": hmac.new(key.encode(), (stamp + token).encode(), hashlib.sha256).hexdigest()}


def request(body: object, headers: dict[str, str] | None = None) -> Request:
    sent = body if isinstance(body, bytes) else orjson.dumps(body)
    return Request("POST", "https://h.example/hooks/a", {"content-type": "application/json"} if headers is None else headers, sent)


def told(word: str, **more: object) -> list[Item]:
    return list(mailgun.parse(request({"signature": signed(), "event-data": {**EVENT, "event": word, **more}}), ACCOUNT))


def multipart(fields: list[tuple[str, str]], extra: str = "") -> Request:
    """A form as a mail program's attachment rides in it."""
    parts = "".join(f'--b 1\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields)
    return request(f"{parts}{extra}--b 1--\r\n".encode(), {"content-type": 'multipart/form-data; charset=utf-8; boundary="b 1"'})


@pytest.mark.parametrize(
    "key, age, taken", [("new", 0, True), ("old", 300, True), ("new", -300, True), ("x", 0, False), ("new", 301, False), ("new", -301, False)]
)
def test_keys_rotate_and_old_requests_are_refused(key, age, taken):
    """In JSON and in both kinds of forms."""
    fields = signed(key, age)
    forms = [request(urlencode(fields).encode(), FORM), multipart(list(fields.items())), request({"signature": fields, "event-data": {}})]

    assert [taken] * 3 == [entered(mailgun, one, ACCOUNT) for one in forms]


@pytest.mark.parametrize(
    "change", [{"signature": "0" * 64}, {"signature": ""}, {"signature": "é"}, {"token": ""}, {"token": "b" * 50}, {"timestamp": "1795425000"},
               {"timestamp": "²"}, {"timestamp": None}, {"token": ["a"]}, {"signature": 1}]
)  # fmt: skip
def test_a_changed_signature_is_refused(change):
    fields = {**signed(), **change}
    form = urlencode({name: value for name, value in fields.items() if value is not None}).encode()

    assert [False] * 2 == [entered(mailgun, one, ACCOUNT) for one in (request({"signature": fields}), request(form, FORM))]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"signature": 3}', b"\xff", b"a=b"])
def test_a_body_without_a_signature_comes_from_nobody(body):
    """The signature stands inside: what cannot be read has none."""
    assert not entered(mailgun, request(body), ACCOUNT) and not entered(mailgun, request(body, FORM), ACCOUNT)


@pytest.mark.parametrize(
    "word, more, status, code, failure",
    [("accepted", {}, ReceiptStatus.QUEUED, None, None), ("delivered", {"delivery-status": {"code": 250}}, ReceiptStatus.DELIVERED, None, None),
     ("failed", {"severity": "temporary", "delivery-status": {"code": 450}}, ReceiptStatus.DEFERRED, "450", None),
     ("failed", {"severity": "permanent", "reason": "bounce", "delivery-status": {"code": 550}}, ReceiptStatus.FAILED, "550", "permanent"),
     ("failed", {"severity": "permanent", "reason": "suppress-bounce", "delivery-status": None}, ReceiptStatus.FAILED, "suppress-bounce", "permanent"),
     ("failed", {}, ReceiptStatus.FAILED, None, "permanent"),
     ("rejected", {"reject": {"reason": "Sandbox"}}, ReceiptStatus.FAILED, "Sandbox", "permanent")],
)  # fmt: skip
def test_a_receipt_tells_what_became_of_a_message(word, more, status, code, failure):
    expected = Receipt(Channel.EMAIL, status, "m1@acme.example", OURS, "jo@example.com", code, failure, AT, event_id="e1")

    assert [expected] == told(word, **more)


def test_a_rejected_message_names_its_person_in_the_headers():
    (item,) = told("rejected", recipient=None, message={"headers": {"message-id": "<m1>", "to": "Jo <Jo@example.com>"}})

    assert isinstance(item, Receipt) and ("jo@example.com", "m1") == (item.address, item.provider_id)


def test_a_message_suppressed_for_the_persons_word_opts_out():
    """A receipt first, then the opt-out."""
    receipt, opted = told("failed", severity="permanent", reason="suppress-unsubscribe")

    assert isinstance(receipt, Receipt) and "opted_out" == receipt.failure
    assert Opted(Channel.EMAIL, "jo@example.com", ConsentState.REVOKED, tuple(Purpose), AT, "e1", "unsubscribe", OURS) == opted


@pytest.mark.parametrize("word, reason", [("unsubscribed", "unsubscribe"), ("complained", "spam_complaint")])
def test_a_persons_word_is_consent(word, reason):
    assert [Opted(Channel.EMAIL, "jo@example.com", ConsentState.REVOKED, tuple(Purpose), AT, "e1", reason, OURS)] == told(word)


@pytest.mark.parametrize("client, machine", [({"bot": "apple"}, True), ({"bot": ""}, False), ({}, None), (None, None)])
def test_an_open_says_who_it_was(client, machine):
    """Where Mailgun says anything about it."""
    opened, clicked = *told("opened", **{"client-info": client}), *told("clicked", url="https://s.example/x", **{"client-info": client})

    assert isinstance(opened, Engaged) and isinstance(clicked, Engaged) and "https://s.example/x" == clicked.url
    assert [machine] * 2 == [opened.machine, clicked.machine]


@pytest.mark.parametrize("word", ["stored", "list_member_uploaded", "", None, 3, []])
def test_other_events_say_nothing(word):
    assert [] == told(word)


@pytest.mark.parametrize(
    "fields, expected",
    [([("event", "delivered"), ("Message-Id", "<m1@a>")], [(ReceiptStatus.DELIVERED, "m1@a", None)]),
     ([("event", "bounced"), ("message-id", "m1@a"), ("code", "550")], [(ReceiptStatus.FAILED, "m1@a", "permanent")]),
     ([("event", "dropped"), ("Message-Id", "<m1@a>"), ("code", "605"), ("reason", "hardfail")], [(ReceiptStatus.FAILED, "m1@a", "permanent")]),
     ([("event", "dropped"), ("Message-Id", "<m1@a>"), ("code", "606")], [(ReceiptStatus.FAILED, "m1@a", "opted_out")])],
)  # fmt: skip
def test_the_forms_of_older_accounts_are_receipts_too(fields, expected):
    """URL-encoded, or in parts because the message that came back is attached; found by our variable among their fields."""
    more = [("recipient", "Jo@example.com"), ("platform_ref", str(OURS)), *signed(age=80).items()]
    attached = '--b 1\r\nContent-Disposition: form-data; name="attachment-1"; filename="m.eml"\r\n\r\nevent\xff\r\n'
    for form in (request(urlencode([*fields, *more]).encode(), FORM), multipart([*fields, *more], attached)):
        found = [item for item in mailgun.parse(form, ACCOUNT) if isinstance(item, Receipt)]

        assert expected == [(item.status, item.provider_id, item.failure) for item in found]
        assert [("jo@example.com", OURS, "a" * 50)] == [(item.address, item.message_id, item.event_id) for item in found]


def test_variables_do_not_stand_in_for_the_fields_of_a_form():
    """A message's variables are merged in: behind the event's fields, and before those that are signed."""
    fields = [("timestamp", "1"), ("token", "x"), ("signature", "x"), ("event", "opened"), ("recipient", "jo@example.com"), ("Message-Id", "<m1>"),
              ("user-agent", "Mozilla/5.0"), ("event", "unsubscribed"), ("recipient", "other@example.com"), *signed().items()]  # fmt: skip
    form = request(urlencode(fields).encode(), FORM)
    (item,) = mailgun.parse(form, ACCOUNT)

    assert entered(mailgun, form, ACCOUNT) and isinstance(item, Engaged)
    assert ("opened", "jo@example.com", "Mozilla/5.0", NOW) == (item.kind, item.address, item.agent, item.at)


def test_a_message_that_a_route_forwards_says_nothing():
    """It is signed alike, and has no event."""
    fields = {"sender": "jo@example.com", "recipient": "hello@acme.example", "subject": "Re: tea", "body-plain": "hi", **signed()}

    assert [] == mailgun.parse(request(urlencode(fields).encode(), FORM), ACCOUNT)


@pytest.mark.parametrize(
    "body, headers", [(b"{", None), (b"[]", None), (b"{}", None), (b'{"event-data": 3}', None), (b"", FORM), (b"a=%ff", FORM), (b"", {})]
)
def test_a_body_that_mailgun_never_sends_is_said_to_be_wrong(body, headers):
    with pytest.raises(Malformed, match=r"\."):
        mailgun.parse(request(body, headers), ACCOUNT)


kinds = st.sampled_from(
    ["application/json", FORM["content-type"], "multipart/form-data; boundary=b", "multipart/form-data", 'multipart/x; boundary="é"', ""]
)
members = st.sampled_from([*EVENT, "event", "severity", "reason", "delivery-status", "client-info", "reject", "url"])
values = json_values | st.sampled_from(["failed", "opened", "clicked", "rejected", "unsubscribed", "suppress-unsubscribe", {"code": 606}])


@given(st.binary(max_size=200) | st.sampled_from(SAMPLES) | st.dictionaries(members, values).map(lambda event: orjson.dumps({"event-data": event})),
       kinds, st.data(), st.sampled_from([200, 400]))  # fmt: skip
def test_no_bytes_break_the_door(body, kind, data, status):
    """Whole or with a piece cut out, under any content type."""
    cut = data.draw(st.slices(len(body)))

    assert all(
        survives(mailgun, request(one, {"content-type": kind}), ACCOUNT, status) for one in (body, body[: cut.start or 0] + body[cut.stop or 0 :])
    )


def test_a_request_is_built_as_mailgun_shows_it():
    wanted, built = shown(mailgun)

    assert (wanted["method"], wanted["url"], wanted["form"]) == (built["method"], built["url"], built["fields"])


def test_a_request_carries_names_headers_and_a_template():
    """The domain is the sender's where none is named; the subject is the template's unless the message has words of its own."""
    content = Content(template=Template(name="welcome", language="ko", parameters=("차",)))
    (request,) = mailgun.build(Outgoing(OURS, "jo@example.com", content, NOW, unsubscribe_url="https://l.example/u"), ACCOUNT)
    form = {name: value for name, (value,) in parse_qs(request.body.decode()).items()}

    assert "https://api.mailgun.net/v3/acme.example/messages" == request.url and "idempotency-key" not in request.headers
    assert {
        "from": "Acme Tea <hello@acme.example>", "to": "jo@example.com", "template": "welcome", "t:variables": '{"p1":"차","language":"ko"}',
        "v:platform_ref": str(OURS), "h:List-Unsubscribe": "<https://l.example/u>", "h:List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    } == form  # fmt: skip


@pytest.mark.parametrize(
    "status, kind, scope",
    [(200, "accepted", "message"), (400, "permanent", "message"), (401, "permanent", "account"), (402, "permanent", "account"),
     (403, "permanent", "account"), (404, "permanent", "account"), (413, "permanent", "message"), (429, "throttled", "message"),
     (500, "transient", "message"), (503, "transient", "message"), (408, "transient", "message"), (302, "permanent", "account")],
)  # fmt: skip
@pytest.mark.parametrize("body", [b"Forbidden", b'{"message":"Forbidden","id":"<m1@a>"}'])
def test_an_answer_is_judged_by_its_status(status, kind, scope, body):
    """Errors are JSON or plain text."""
    outcome = mailgun.interpret(Response(status, {}, body))

    assert (kind, scope) == (outcome.kind, outcome.scope)
    assert outcome.reason == ("" if status == 200 else "Forbidden") and outcome.provider_id == (
        "m1@a" if status == 200 and body[:1] == b"{" else None
    )
