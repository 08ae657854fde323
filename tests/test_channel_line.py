"""LINE: signatures as its own kit checks them, what events say, what a push looks like, what its answer means."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from linebot.v3.webhook import SignatureValidator

from parley.channels import line
from parley.channels.shape import Account, Forged, Happened, Item, Malformed, Opted, Outgoing, Received, Request, Response
from parley.contracts import Channel, Choice, ConsentState, Content, Media, Template
from parley.crypto import hmac_base64

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
SAMPLES = Path(__file__).parent / "samples" / "line"
CREDENTIALS = {"channel_secret": ("new", "old"), "channel_access_token": ("token",)}
ACCOUNT = Account("line", "t", "line", Channel.LINE, "U0", CREDENTIALS)
USER, GROUP = {"type": "user", "userId": "U1"}, {"type": "group", "groupId": "C1", "userId": "U1"}
words = st.text(st.characters(exclude_categories=("Cs",)), max_size=100)
json_values = st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | words,
                           lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=8)  # fmt: skip


def request(body: bytes, signature: str | None = None) -> Request:
    return Request("POST", "https://h.example/hooks/line", {"x-line-signature": signature} if signature is not None else {}, body)


def accepts(body: bytes, signature: str | None) -> bool:
    try:
        line.verify(request(body, signature), ACCOUNT, NOW)
    except Forged:
        return False
    return True


def event(kind: str = "message", **members: object) -> dict[str, object]:
    return {"type": kind, "mode": "active", "timestamp": 1795426119220, "source": USER, **members}


def said(*events: object) -> list[Item]:
    return list(line.parse(request(orjson.dumps({"destination": "U0", "events": list(events)})), ACCOUNT))


def text(identifier: str = "1", **members: object) -> dict[str, object]:
    return event(message={"id": identifier, "type": "text", "text": "hi"}, **members)


def pushed(content: Content) -> list[dict]:
    """The bodies of the pushes."""
    return [orjson.loads(one.body) for one in line.build(Outgoing(UUID(int=7), "U1", content, NOW), ACCOUNT)]


def objects(content: Content) -> list[dict]:
    return [one for body in pushed(content) for one in body["messages"]]


@given(st.text(max_size=200).map(lambda body: body.encode("utf-8", "replace")), st.sampled_from(["new", "old", "other"]))
def test_signatures_are_those_that_its_own_kit_takes(body, secret):
    """Of both secrets while one rotates; never of a third."""
    signature = hmac_base64("sha256", secret.encode(), body)

    assert SignatureValidator(secret).validate(body.decode(), signature) and (secret in ("new", "old")) == accepts(body, signature)


@given(st.binary(min_size=1, max_size=100), st.data())
def test_a_changed_byte_or_no_signature_is_refused(body, data):
    place = data.draw(st.integers(0, len(body) - 1))
    changed = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
    signature = hmac_base64("sha256", b"new", body)

    assert [True, False, False, False] == [accepts(body, signature), accepts(changed, signature), accepts(body, None), accepts(body, "")]


@pytest.mark.parametrize(
    "message, kind, media",
    [({"type": "video", "contentProvider": {"type": "line"}}, "video", (None, "1")), ({"type": "audio", "duration": 60}, "audio", (None, "1")),
     ({"type": "file", "fileName": "a.pdf"}, "document", (None, "1")),
     ({"type": "image", "contentProvider": {"type": "external", "originalContentUrl": "https://e/i"}}, "image", ("https://e/i", "1")),
     ({"type": "sticker", "packageId": "446", "stickerId": "1988"}, "sticker", (None, "446/1988")), ({"type": "hologram"}, "unsupported", None),
     ({}, "unsupported", None), ({"type": "location", "latitude": "x", "longitude": 1}, "unsupported", None), ({"type": "text"}, "text", None)],
)  # fmt: skip
def test_a_message_is_of_the_kind_it_carries(message, kind, media):
    """What is new, or cannot be read, is a message nevertheless."""
    (item,) = said(event(message={"id": "1", **message}))
    found = item.media[0] if isinstance(item, Received) and item.media else None

    assert isinstance(item, Received) and (kind, media) == (item.kind, (found.url, found.provider_id) if found else None)


@pytest.mark.parametrize(
    "source, person, chat",
    [(USER, "U1", "U1"), (GROUP, "U1", "C1"), ({"type": "group", "groupId": "C1"}, "C1", "C1"),
     ({"type": "room", "roomId": "R1", "userId": "U1"}, "U1", "R1")],
)  # fmt: skip
def test_a_group_is_answered_as_a_group(source, person, chat):
    """Somebody in it who has not agreed is known by the group alone."""
    (item,) = said(text(source=source))

    assert isinstance(item, Received) and (person, chat, "U0") == (item.address, item.conversation, item.recipient)


def test_a_repeat_within_a_request_is_read_once():
    """By the event's id, and by the message's where that is missing."""
    found = said(
        text("1", webhookEventId="A"), text("1", webhookEventId="A"), text("2"), text("2"), event("follow", webhookEventId="B"),
        event("follow", webhookEventId="B"), event("follow", webhookEventId="C"),
    )  # fmt: skip

    assert ["1", "2", "B", "C"] == [item.provider_id for item in found if isinstance(item, Received | Opted)]


@pytest.mark.parametrize(
    "one", [3, {}, event("join"), event("leave", source=GROUP), event("memberJoined", joined={}), event("beacon", beacon={}), event("accountLink"),
            event("things"), event("delivery", delivery={"data": "1503"}), event("new"), text(source={}), text(source=None), event("unsend"),
            event("unsend", unsend={"messageId": None}), event(message={"type": "text", "text": "no id"}), event(message=[]), {"type": "message"}],
)  # fmt: skip
def test_what_is_no_word_of_a_customer_says_nothing_and_spoils_nothing(one):
    """The neighbours on both sides are read."""
    found = said(text("1"), one, text("2"))

    assert ["1", "2"] == [item.provider_id for item in found if isinstance(item, Received)] and len(found) == 2


@pytest.mark.parametrize("kind, state", [("follow", ConsentState.GRANTED), ("unfollow", ConsentState.REVOKED)])
def test_a_friend_is_an_opt_in_and_a_block_an_opt_out(kind, state):
    (item,) = said(event(kind, webhookEventId="E"))

    assert Opted(Channel.LINE, "U1", state, at=datetime.fromtimestamp(1795426119.22, UTC), provider_id="E") == item


def test_what_was_unsent_or_edited_is_an_event():
    """It names the message that it concerns."""
    edited = event("messageEdited", webhookEventId="B", source=GROUP, message={"id": "1", "type": "text", "text": "now"})
    found = said(event("unsend", webhookEventId="A", unsend={"messageId": "1"}), edited)

    assert [("message.deleted", "A", "1"), ("message.edited", "B", "1")] == [
        (item.type, item.event_id, item.data["provider_id"]) for item in found if isinstance(item, Happened) and isinstance(item.data, dict)
    ]


def test_in_standby_a_message_is_known_and_not_to_be_answered():
    """Somebody else holds the conversation."""
    found = said(text(), text("2", mode="standby"), event("postback", mode="standby", postback={"data": "a"}, webhookEventId="P"))

    assert [("1", False), ("2", True), ("P", True)] == [(item.provider_id, item.standby) for item in found if isinstance(item, Received)]


@pytest.mark.parametrize("data, chosen", [("a=b", "a=b"), (None, None), ("x" * 300, "x" * 200)])
def test_a_tap_brings_its_data(data, chosen):
    """Its label is not told; data beyond what a choice may be called are cut."""
    (item,) = said(event("postback", postback={"data": data}))

    assert isinstance(item, Received) and (chosen, None) == (item.choice.id if item.choice else None, item.text)


def test_half_an_emoji_and_nul_are_cleaned():
    body = b'{"events":[{"type":"message","source":{"userId":"U1"},"message":{"id":"1","type":"text","text":"\\u0000a\\ud83c"}}]}'
    (item,) = line.parse(request(body), ACCOUNT)

    assert isinstance(item, Received) and item.text == "a�"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"{}", b'{"events":{}}', b"bodybodybodybody", b"\xff", b"[" * 100_000])
def test_a_body_that_line_never_sends_is_said_to_be_wrong(body):
    with pytest.raises(Malformed):
        line.parse(request(body), ACCOUNT)


shapes = st.fixed_dictionaries({}, optional={
    "type": st.sampled_from(["message", "postback", "follow", "unsend", "messageEdited"]) | json_values,
    "source": st.fixed_dictionaries({}, optional={"userId": json_values, "groupId": json_values}) | json_values,
    "message": st.fixed_dictionaries({}, optional={
        "id": json_values, "type": st.sampled_from(["text", "image", "sticker", "location"]) | json_values, "text": json_values,
        "latitude": json_values, "longitude": json_values, "contentProvider": json_values}) | json_values,
    **dict.fromkeys(("mode", "timestamp", "webhookEventId", "postback", "unsend"), json_values),
})  # fmt: skip


@given(st.lists(shapes, max_size=4))
def test_an_odd_event_never_loses_its_neighbours(odd):
    """A good one in the middle is read, whatever stands around it."""
    found = said(*odd, text("GOOD", webhookEventId="ULID"), *odd)

    assert 1 == sum(isinstance(item, Received) and item.provider_id == "GOOD" and item.text == "hi" for item in found)


@given(st.binary(max_size=200) | json_values.map(orjson.dumps), st.text(st.characters(max_codepoint=255), max_size=50), st.integers(100, 599))
def test_no_bytes_break_the_door(body, signature, status):
    """Anything is refused, unreadable, or read; every answer means something."""
    try:
        line.parse(request(body), ACCOUNT)
        read = True
    except Malformed:
        read = False

    assert (read, accepts(body, signature)) in ((True, False), (False, False))
    assert line.interpret(Response(status, {"Retry-After": signature}, body)).kind != "unknown"


def test_a_push_is_made_as_line_wants_it():
    """Method, address, authorization, key and body of the sample that shows an accepted message."""
    wanted = orjson.loads((SAMPLES / "send" / "accepted.headers.json").read_bytes())["request"]
    (key,) = wanted["headers"].values()
    (sent,) = line.build(Outgoing(UUID(key), wanted["json"]["to"], Content(text="hi"), NOW), ACCOUNT)

    assert (wanted["method"], wanted["url"], wanted["json"]) == (sent.method, sent.url, orjson.loads(sent.body))
    assert ("Bearer token", key) == (sent.headers["authorization"], sent.headers["x-line-retry-key"])


def test_more_than_five_objects_are_several_pushes_under_keys_of_their_own():
    """The same keys each time they are built, and all of them UUIDs."""
    content = Content(media=tuple(Media(kind="image", url=f"https://e/{place}") for place in range(6)), choices=(Choice(id="a"),))
    first, again = (line.build(Outgoing(UUID(int=7), "U1", content, NOW), ACCOUNT) for _ in range(2))
    keys = [UUID(one.headers["x-line-retry-key"]) for one in first]

    assert [5, 1] == [len(body["messages"]) for body in pushed(content)] and first == again and 2 == len(set(keys)) == line.segments(content)
    assert "quickReply" in pushed(content)[1]["messages"][0] and UUID(int=7) == keys[0]


def test_the_twin_takes_the_place_of_the_host():
    (sent,) = line.build(Outgoing(UUID(int=7), "U1", Content(text="hi"), NOW), replace(ACCOUNT, base_url="http://127.0.0.1:9100"))

    assert "http://127.0.0.1:9100/v2/bot/message/push" == sent.url


def test_what_line_cannot_show_is_a_link():
    """Films, sounds and files stand in the text, by their address; pictures and stickers go first."""
    media = (Media(kind="video", url="https://e/v"), Media(kind="image", url="https://e/i"), Media(kind="sticker", provider_id="446/1988"),
             Media(kind="document", url="https://e/d"))  # fmt: skip
    found = objects(Content(text="look", media=media))

    assert ["image", "sticker", "text"] == [one["type"] for one in found] and "look\nhttps://e/v\nhttps://e/d" == found[-1]["text"]


@pytest.mark.parametrize(
    "content", [Content(), Content(template=Template(name="t", language="ko")), Content(media=(Media(kind="image", provider_id="1"),)),
                Content(media=(Media(kind="sticker", provider_id="446"),))],
)  # fmt: skip
def test_what_line_cannot_send_cannot_be_built(content):
    """Said in a sentence; and it costs one until then."""
    with pytest.raises(ValueError, match="LINE"):
        pushed(content)

    assert 1 == line.segments(content)


@given(words.map(lambda one: one[:60] * 200), st.lists(st.builds(Choice, id=words.filter(bool), title=words.map(lambda one: one * 4)), max_size=20))
def test_limits_are_kept(text, choices):
    """5000 units of text, 13 quick replies of 20 units; more choices are written out."""
    content = Content(text=text[:60_000], choices=tuple(choices))
    found = objects(content) if text or choices else []
    replies = [one["action"] for each in found for one in each.get("quickReply", {"items": []})["items"]]

    assert all(0 < len(one["text"].encode("utf-16-le")) // 2 <= 5000 for one in found) and len(replies) <= 13
    assert all(0 < len(one["label"].encode("utf-16-le")) // 2 <= 20 and len(one["displayText"]) <= 300 and one["data"] for one in replies)
    assert len({one.id for one in choices}) > 13 or len(replies) == len({one.id for one in choices})


@pytest.mark.parametrize(
    "status, body, kind, scope, provider_id",
    [(409, {"message": "The retry key is already accepted", "sentMessages": [{"id": "5"}]}, "accepted", "message", "5"),
     (409, {"message": "The retry key is already accepted"}, "accepted", "message", None), (200, None, "accepted", "message", None),
     (429, {"message": "You have reached your monthly limit."}, "permanent", "account", None),
     (429, {"message": "The API rate limit has been exceeded. Try again later."}, "throttled", "message", None), (429, None, "throttled", "message", None),
     (400, {"message": "The property, 'to', in the request body is invalid", "details": [{"message": "May not be empty"}]}, "permanent", "message", None),
     (401, {"message": "Authentication failed"}, "permanent", "account", None), (403, {"message": "?"}, "permanent", "message", None),
     (404, None, "permanent", "message", None), (500, None, "transient", "message", None), (302, None, "permanent", "account", None)],
)  # fmt: skip
def test_an_answer_means_what_the_table_says(status, body, kind, scope, provider_id):
    """409 is a repeat that was taken before; the two kinds of 429 are told apart by their words."""
    outcome = line.interpret(Response(status, {}, orjson.dumps(body) if body else b"<html>"))

    assert (kind, scope, provider_id) == (outcome.kind, outcome.scope, outcome.provider_id)
