"""Sendbird: signatures, what events say, what a call looks like, what its answer means."""

import hmac
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.channels import sendbird
from parley.channels.shape import Account, Forged, Happened, Item, Malformed, Outgoing, Receipt, Received, Request, Response
from parley.contracts import Channel, Choice, Content, Media, Template

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
SAMPLES = Path(__file__).parent / "samples" / "sendbird"
APP = "11D3F84B-6C8E-4F39-B96B-9743C7820C53"
ACCOUNT = Account("app", "t", "sendbird", Channel.INAPP, "agent_001", {"app_id": (APP,), "api_token": ("new", "old")})
words = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
json_values = st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | words,
                           lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=8)  # fmt: skip


def request(body: bytes, signature: str | None = None) -> Request:
    return Request("POST", "https://h.example/hooks/app", {"x-sendbird-signature": signature} if signature is not None else {}, body)


def accepts(body: bytes, signature: str | None) -> bool:
    try:
        sendbird.verify(request(body, signature), ACCOUNT, NOW)
    except Forged:
        return False
    return True


def said(category: str, **members: object) -> list[Item]:
    body = {"category": f"group_channel:{category}", "channel": {"channel_url": "c1"}, "sender": {"user_id": "u1"}, **members}
    return list(sendbird.parse(request(orjson.dumps(body)), ACCOUNT))


def sent(content: Content, account: Account = ACCOUNT) -> list[dict]:
    return [orjson.loads(one.body) for one in sendbird.build(Outgoing(UUID(int=7), "c1", content, NOW), account)]


@given(st.binary(max_size=100), st.sampled_from(["new", "old", "other"]))
def test_the_token_signs_and_rotates(body, token):
    """Hex of HMAC-SHA256, of both tokens while one is changed; a changed body is refused."""
    signature = hmac.new(token.encode(), body, "sha256").hexdigest()

    assert [token != "other", False, False] == [accepts(body, signature), accepts(body + b" ", signature), accepts(body, None)]


@pytest.mark.parametrize(
    "members, kind, text, media",
    [({"type": "MESG", "payload": {"message_id": 1, "message": "שלום 🌍"}}, "text", "שלום 🌍", []),
     ({"type": "FILE", "payload": {"message_id": 1, "url": "https://e/f", "content_type": "image/png"}}, "image", None, ["https://e/f"]),
     ({"type": "FILE", "payload": {"message_id": 1, "message": "", "url": "https://e/f"}}, "document", None, ["https://e/f"]),
     ({"type": "FILE", "payload": {"message_id": 1, "files": [{"url": "a", "file_type": "video/mp4"}, 3, {"url": "b"}]}}, "video", None, ["a", "b"]),
     ({"type": "FILE", "payload": {"message_id": 1}}, "unsupported", None, []), ({"type": "POLL", "payload": {"message_id": 1}}, "unsupported", None, []),
     ({"type": "NEW", "payload": {"message_id": 1, "message": "x"}}, "unsupported", "x", []), ({"payload": {"message_id": 1}}, "unsupported", None, [])],
)  # fmt: skip
def test_a_message_is_of_the_kind_it_carries(members, kind, text, media):
    """What is new, or cannot be read, is a message nevertheless; the answer goes to the channel."""
    (item,) = said("message_send", **members)

    assert isinstance(item, Received) and (kind, text, media, "c1") == (item.kind, item.text, [one.url for one in item.media], item.conversation)


@pytest.mark.parametrize(
    "members",
    [{"sdk": "API", "sender": {"user_id": "agent_001"}, "payload": {"message_id": 1, "message": "ours"}},
     {"type": "ADMM", "sender": {}, "payload": {"message_id": 1, "message": "from the console"}}, {"sender": None, "payload": {"message_id": 1}},
     {"payload": {"message": "no id"}}, {"payload": []}, {}],
)  # fmt: skip
def test_our_own_sends_are_no_messages(members):
    """They come back; an admin message has no sender at all."""
    assert [] == said("message_send", **members)


def test_times_are_milliseconds_however_small():
    """An early one is no second."""
    (item,) = said("message_send", payload={"message_id": 42, "message": "min", "created_at": 1_000_000})

    assert isinstance(item, Received) and datetime.fromtimestamp(1000, UTC) == item.sent_at


def test_reads_are_watermarks_of_each_reader():
    """Not of ourselves; an unreadable one spoils only itself."""
    found = said("message_read", read_updates=[
        {"user_id": "u1", "read_ts": 1795426257418}, 3, {"user_id": "agent_001", "read_ts": 1795426257418}, {"user_id": "u2", "read_ts": "soon"},
        {"read_ts": 1}, {"user_id": "u3", "read_ts": 1795426257419}])  # fmt: skip

    assert [("u1", 1795426257.418, "c1"), ("u3", 1795426257.419, "c1")] == [
        (item.address, item.watermark.timestamp(), item.conversation) for item in found if isinstance(item, Receipt) and item.watermark
    ]


def test_a_change_is_an_event_and_each_edit_its_own():
    """A message may be edited twice, and is deleted once."""
    found = [
        *said("message_update", payload={"message_id": 1, "message": "b", "updated_at": 2000}),
        *said("message_update", payload={"message_id": 1, "message": "c", "updated_at": 3000}),
        *said("message_delete", payload={"message_id": 1}),
    ]

    assert [("message.edited", "1:2000"), ("message.edited", "1:3000"), ("message.deleted", "1:deleted")] == [
        (item.type, item.event_id) for item in found if isinstance(item, Happened)
    ]


@pytest.mark.parametrize("category", ["join", "leave", "typing_start", "freeze_unfreeze", "reaction_add", "new"])
def test_other_events_say_nothing(category):
    assert [] == said(category, payload={"message_id": 1, "message": "x"})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"{}", b'{"category":null}', b"\xff", b"[" * 100_000])
def test_a_body_that_sendbird_never_sends_is_said_to_be_wrong(body):
    with pytest.raises(Malformed):
        sendbird.parse(request(body), ACCOUNT)


def test_half_an_emoji_and_nul_are_cleaned():
    body = b'{"category":"group_channel:message_send","sender":{"user_id":"u"},"payload":{"message_id":1,"message":"\\ud83ca\\u0000"}}'
    (item,) = sendbird.parse(request(body), ACCOUNT)

    assert isinstance(item, Received) and ("�a", None) == (item.text, item.conversation)


shapes = st.fixed_dictionaries({}, optional={
    "category": st.sampled_from([f"group_channel:message_{one}" for one in ("send", "read", "update", "delete")]) | json_values,
    "payload": st.fixed_dictionaries({}, optional=dict.fromkeys(("message_id", "message", "url", "files", "created_at", "updated_at"), json_values)) | json_values,
    "sender": st.fixed_dictionaries({"user_id": json_values}) | json_values,
    "read_updates": st.lists(st.fixed_dictionaries({"user_id": json_values, "read_ts": json_values}), max_size=3) | json_values,
    **dict.fromkeys(("type", "channel"), json_values),
})  # fmt: skip


@given(
    st.binary(max_size=200) | (shapes | json_values).map(orjson.dumps), st.text(st.characters(max_codepoint=255), max_size=70), st.integers(100, 599)
)
def test_no_bytes_break_the_door(body, signature, status):
    """Anything is refused, unreadable, or read; every answer means something."""
    try:
        found = sendbird.parse(request(body), ACCOUNT)
    except Malformed:
        found = []

    assert not accepts(body, signature) and all(isinstance(item, Received | Receipt | Happened) for item in found)
    assert sendbird.interpret(Response(status, {"Retry-After": signature}, body)).kind != "unknown"


def test_a_call_is_made_as_sendbird_wants_it():
    """Method, address, token and fields of the sample that shows an accepted message."""
    wanted = orjson.loads((SAMPLES / "send" / "accepted.headers.json").read_bytes())["request"]
    channel = wanted["url"].split("/")[-2]
    (call,) = sendbird.build(Outgoing(UUID(int=7), channel, Content(text="hi"), NOW), ACCOUNT)
    fields = orjson.loads(call.body)

    assert (wanted["method"], wanted["url"], wanted["json"]) == (call.method, call.url, {key: fields[key] for key in wanted["json"]})
    assert "new" == call.headers["api-token"]


def test_our_message_id_and_the_choices_ride_along():
    """In `data`, for the app's own buttons; and in the text, for an app that has none."""
    first, last = sent(Content(text="a" * 5001, choices=(Choice(id="y", title="Yes"),)))

    assert {"message_id": str(UUID(int=7))} == orjson.loads(first["data"]) and last["message"].endswith("1. Yes")
    assert {"message_id": str(UUID(int=7)), "choices": [{"id": "y", "title": "Yes"}]} == orjson.loads(last["data"])
    assert [str(UUID(int=7)), f"{UUID(int=7)}-1"] == [one["dedup_id"] for one in (first, last)]


def test_files_go_first_by_their_address():
    content = Content(
        text="look", media=(Media(kind="image", url="https://e/i", content_type="image/png"), Media(kind="document", url="https://e/d"))
    )
    found = sent(content)

    assert ["FILE", "FILE", "MESG"] == [one["message_type"] for one in found] and 3 == sendbird.segments(content)
    assert [("https://e/i", "image/png"), ("https://e/d", None)] == [(one["url"], one.get("file_type")) for one in found[:2]]


@pytest.mark.parametrize(
    "content", [Content(), Content(template=Template(name="t", language="ko")), Content(media=(Media(kind="image", provider_id="1"),))]
)
def test_what_sendbird_cannot_send_cannot_be_built(content):
    """Said in a sentence; and it costs one until then."""
    with pytest.raises(ValueError, match="Sendbird"):
        sent(content)

    assert 1 == sendbird.segments(content)


def test_the_twin_takes_the_place_of_the_host_and_no_address_leaves_its_path():
    (call,) = sendbird.build(Outgoing(UUID(int=7), "../x?y#z", Content(text="hi"), NOW), replace(ACCOUNT, base_url="http://127.0.0.1:9100"))

    assert "http://127.0.0.1:9100/v3/group_channels/..%2Fx%3Fy%23z/messages" == call.url


@pytest.mark.parametrize(
    "status, code, kind, scope",
    [(400, 400201, "permanent", "message"), (400, 400700, "permanent", "message"), (400, 400301, "permanent", "account"),
     (400, 400401, "permanent", "account"), (400, 400306, "permanent", "account"), (403, 403100, "permanent", "account"),
     (400, 400202, "accepted", "message"), (429, 429100, "throttled", "message"), (429, None, "throttled", "message"), (400, 429, "throttled", "message"),
     (500, 500901, "transient", "message"), (400, 500901, "transient", "message"), (503, None, "transient", "message"), (401, None, "permanent", "account"),
     (500, 400201, "permanent", "message"), (400, 499999, "permanent", "message"), (302, None, "permanent", "account"), (200, 400111, "permanent", "message")],
)  # fmt: skip
def test_an_answer_means_what_the_table_says(status, code, kind, scope):
    """By its code before its status; the user that we speak as is the account's."""
    body = orjson.dumps({"error": True, "code": code, "message": "m"}) if code else b"<html>"
    outcome = sendbird.interpret(Response(status, {}, body))

    assert (kind, scope) == (outcome.kind, outcome.scope)
