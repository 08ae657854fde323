"""Telegram: who comes in, what an update says, what a call looks like, what its answer means."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.channels import telegram
from parley.channels.shape import Account, Forged, Happened, Item, Malformed, Opted, Outgoing, Received, Request, Response
from parley.contracts import Channel, Choice, ConsentState, Content, Media, Template

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
SAMPLES = Path(__file__).parent / "samples" / "telegram"
CREDENTIALS = {"bot_token": ("1:AA",), "secret_token": ("new_1", "old_1")}
ACCOUNT = Account("bot", "t", "telegram", Channel.TELEGRAM, "@acme_bot", CREDENTIALS)
PERSON, CHAT = {"id": 3527065, "is_bot": False, "first_name": "T"}, {"id": 3527065, "type": "private"}
json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                           lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=8)  # fmt: skip


def request(body: bytes, token: str | None = "new_1") -> Request:
    return Request("POST", "https://h.example/hooks/bot", {"x-telegram-bot-api-secret-token": token} if token is not None else {}, body)


def said(**update: object) -> list[Item]:
    return list(telegram.parse(request(orjson.dumps({"update_id": 7, **update})), ACCOUNT))


def message(**members: object) -> list[Item]:
    return said(message={"message_id": 41, "from": PERSON, "chat": CHAT, "date": 1795426119, **members})


def built(content: Content, address: str = "3527065", account: Account = ACCOUNT) -> list[tuple[str, dict]]:
    """Method and fields of each call."""
    found = telegram.build(Outgoing(UUID(int=7), address, content, NOW), account)
    return [(one.url.rpartition("/")[2], orjson.loads(one.body)) for one in found]


@pytest.mark.parametrize("token, taken", [("new_1", True), ("old_1", True), ("old_2", False), ("", False), (None, False), ("ÿ", False)])
def test_the_secret_token_lets_in_and_rotates(token, taken):
    """Two are valid while it is changed; without the header nobody comes in."""
    try:
        telegram.verify(request(b"{}", token), ACCOUNT, NOW)
        entered = True
    except Forged:
        entered = False

    assert taken == entered


def test_without_a_configured_secret_nobody_comes_in():
    """An empty header is not an empty secret."""
    with pytest.raises(Forged):
        telegram.verify(request(b"{}", ""), Account("bot", "t", "telegram", Channel.TELEGRAM, "@b"), NOW)


@pytest.mark.parametrize(
    "members, kind, media",
    [({"voice": {"file_id": "v", "mime_type": "audio/ogg"}}, "audio", "v"), ({"video": {"file_id": "f"}}, "video", "f"),
     ({"animation": {"file_id": "a"}, "document": {"file_id": "d"}}, "video", "a"), ({"document": {"file_id": "d"}}, "document", "d"),
     ({"video_note": {"file_id": "n"}}, "video", "n"), ({"photo": [{"file_id": "s"}, 3, {"file_id": "l"}]}, "image", "l"),
     ({"contact": {"phone_number": "+1", "first_name": "x"}}, "contacts", None), ({"dice": {"value": 4}}, "unsupported", None),
     ({"poll": {"question": "?"}}, "unsupported", None), ({"photo": []}, "unsupported", None), ({"voice": {}}, "unsupported", None),
     ({"text": "שלום 🌍"}, "text", None), ({"text": ""}, "text", None),
     ({"location": {"latitude": 91, "longitude": 0}}, "unsupported", None)],
)  # fmt: skip
def test_a_message_is_of_the_kind_it_carries(members, kind, media):
    """What we do not know, or cannot read, is a message nevertheless."""
    (item,) = message(**members)

    assert isinstance(item, Received) and (kind, media) == (item.kind, item.media[0].provider_id if item.media else None)


def test_a_group_is_answered_where_it_was_written():
    """The person is who wrote, the conversation the group; ids need 64 bits, and a group's is negative."""
    (item,) = message(**{"from": {"id": 9007199254740993}}, chat={"id": -1001234567890123, "type": "supergroup"}, text="hi")

    assert isinstance(item, Received) and ("9007199254740993", "-1001234567890123") == (item.address, item.conversation)


@pytest.mark.parametrize(
    "update",
    [{}, {"channel_post": {"message_id": 1, "chat": {"id": -1}, "text": "x"}}, {"message": {"from": PERSON, "chat": CHAT, "text": "no id"}},
     {"message": {"message_id": 1, "text": "nobody"}}, {"message": {"message_id": 1, "from": PERSON, "chat": CHAT, "new_chat_members": [PERSON]}},
     {"message": {"message_id": 1, "from": PERSON, "chat": CHAT, "pinned_message": {"message_id": 2}}}, {"message": "text"},
     {"callback_query": {"from": PERSON}}, {"my_chat_member": {"chat": CHAT, "new_chat_member": {"status": "administrator"}}},
     {"my_chat_member": {"chat": {"id": -5, "type": "group"}, "from": PERSON, "new_chat_member": {"status": "kicked"}}},
     {"inline_query": {"id": "1"}}, {"poll_answer": {}}, {"message_reaction": {"chat": CHAT}}],
)  # fmt: skip
def test_what_is_no_word_of_a_customer_says_nothing(update):
    """Taken with 200: a refusal would hold up the chat's later updates."""
    assert [] == said(**update)


@pytest.mark.parametrize("status, state", [("kicked", ConsentState.REVOKED), ("member", ConsentState.GRANTED)])
def test_a_blocked_bot_is_an_opt_out_and_an_unblocked_one_an_opt_in(status, state):
    """In the private chat, whose id is the person's."""
    change = {"chat": CHAT, "from": PERSON, "date": 1795426119, "new_chat_member": {"status": status}}
    at = datetime.fromtimestamp(1795426119, UTC)

    assert [Opted(Channel.TELEGRAM, "3527065", state, at=at, provider_id="7")] == said(my_chat_member=change)


def test_an_edit_is_an_event_and_no_new_message():
    edited = {"message_id": 41, "from": PERSON, "chat": CHAT, "date": 1795426119, "edit_date": 1795426120, "text": "now"}
    (item,) = said(edited_message=edited)

    assert isinstance(item, Happened) and ("message.edited", "7", 1795426120) == (item.type, item.event_id, item.at.timestamp())


KEYBOARD = [3, [{"text": "A", "callback_data": "a"}], [{"text": "B 🌍", "callback_data": "b"}]]


@pytest.mark.parametrize(
    "query, label, chosen",
    [({"data": "slot_7"}, None, "slot_7"), ({"game_short_name": "g"}, None, None),
     ({"data": "b", "message": {"chat": CHAT, "reply_markup": {"inline_keyboard": KEYBOARD}}}, "B 🌍", "b")],
)  # fmt: skip
def test_a_tap_brings_its_data_and_the_label_where_that_is_told(query, label, chosen):
    """The label stands in the keyboard of the message that was tapped."""
    (item,) = said(callback_query={"id": "q", "from": PERSON, **query})

    assert isinstance(item, Received) and (label, chosen, "3527065") == (item.text, item.choice.id if item.choice else None, item.conversation)


def test_a_reaction_is_read_and_its_withdrawal():
    """Under the update's id, for it has none of its own."""
    reaction = {"chat": CHAT, "user": PERSON, "message_id": 40, "date": 1795426119, "old_reaction": []}
    (given_,) = said(message_reaction={**reaction, "new_reaction": [{"type": "custom_emoji"}, {"type": "emoji", "emoji": "👍"}]})
    (taken,) = said(message_reaction={**reaction, "new_reaction": []})

    assert [("reaction", "👍", "7"), ("reaction", None, "7")] == [(one.kind, one.text, one.provider_id) for one in (given_, taken)]


def test_half_an_emoji_and_nul_are_cleaned():
    body = b'{"update_id":7,"message":{"message_id":1,"from":{"id":5},"chat":{"id":5},"text":"a\\ud83c\\u0000b"}}'
    (item,) = telegram.parse(request(body), ACCOUNT)

    assert isinstance(item, Received) and item.text == "a�b"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"{}", b'{"message":3}', b'"\\ud800"', b"[" * 100_000, b'{"a":' * 100_000])
def test_a_body_that_telegram_never_sends_is_said_to_be_wrong(body):
    with pytest.raises(Malformed):
        telegram.parse(request(body), ACCOUNT)


updates = st.fixed_dictionaries({}, optional=dict.fromkeys(
    ("update_id", "message", "edited_message", "callback_query", "message_reaction", "my_chat_member"),
    json_values | st.fixed_dictionaries({}, optional=dict.fromkeys(
        ("message_id", "id", "from", "user", "chat", "date", "text", "photo", "voice", "location", "data", "message", "new_chat_member", "new_reaction",
         "web_app_data"),
        json_values | st.fixed_dictionaries({"id": json_values}) | st.lists(st.fixed_dictionaries({"file_id": json_values}), max_size=2))),
))  # fmt: skip


def dumped(value: object) -> bytes:
    """As JSON; what JSON cannot say is left away."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return b"{}"


bodies = st.binary(max_size=200) | (json_values | updates).map(dumped)


@given(bodies, st.text(st.characters(max_codepoint=255), max_size=20), st.integers(100, 599))
def test_no_bytes_break_the_door(body, token, status):
    """Anything is refused, unreadable, or read; every answer means something."""
    try:
        telegram.verify(request(body, token), ACCOUNT, NOW)
    except Forged:
        entered = False
    else:
        entered = True
    try:
        found = telegram.parse(request(body), ACCOUNT)
    except Malformed:
        found = []

    assert entered == (token in CREDENTIALS["secret_token"]) and len(found) <= 1
    assert telegram.interpret(Response(status, {}, body)).kind != "unknown"


def test_a_call_is_made_as_telegram_wants_it():
    """Address, method and fields of the sample that shows an accepted message."""
    wanted = orjson.loads((SAMPLES / "send" / "accepted.headers.json").read_bytes())["request"]
    (sent,) = telegram.build(Outgoing(UUID(int=7), "3527065", Content(text="hi"), NOW), ACCOUNT)
    fields = orjson.loads(sent.body)

    assert (wanted["method"], wanted["url"], wanted["json"]) == (
        sent.method, sent.url.replace("1:AA", "<token>"), {key: fields[key] for key in wanted["json"]},
    )  # fmt: skip


def test_choices_become_buttons_below_the_last_piece():
    """Text is cut, the whole stays; the buttons stand where the reader ends."""
    content = Content(text="a " * 4000, choices=(Choice(id="y", title="Yes"), Choice(id="n"), Choice(id="y", title="again")))
    calls = built(content)

    assert [("sendMessage", False), ("sendMessage", True)] == [(method, "reply_markup" in fields) for method, fields in calls]
    assert [[{"text": "again", "callback_data": "y"}], [{"text": "n", "callback_data": "n"}]] == calls[1][1]["reply_markup"]["inline_keyboard"]


@pytest.mark.parametrize("choices", [[Choice(id="가" * 22, title="long id")], [Choice(id=f"c{n}", title="t") for n in range(101)]])
def test_choices_that_telegram_cannot_hold_are_written_out(choices):
    """An id over 64 bytes, or more than a hundred of them: lines with numbers."""
    ((_, fields),) = built(Content(text="pick", choices=tuple(choices)))

    assert "reply_markup" not in fields and fields["text"].startswith("pick\n1. ")


@pytest.mark.parametrize(
    "content, calls",
    [(Content(text="hi", media=(Media(kind="image", url="u"),)), [("sendPhoto", {"photo": "u", "caption": "hi"})]),
     (Content(media=(Media(kind="document", provider_id="f"),)), [("sendDocument", {"document": "f"})]),
     (Content(text="hi", media=(Media(kind="sticker", provider_id="s"),)), [("sendSticker", {"sticker": "s"}), ("sendMessage", {"text": "hi"})]),
     (Content(text="a" * 1025, media=(Media(kind="video", url="u"),)), [("sendVideo", {"video": "u"}), ("sendMessage", {"text": "a" * 1025})]),
     (Content(text="🌍" * 513, media=(Media(kind="audio", url="u"),)), [("sendAudio", {"audio": "u"}), ("sendMessage", {"text": "🌍" * 513})]),
     (Content(choices=(Choice(id="a"),)), [("sendMessage", {"text": "☰"})]),
     (Content(text="hi", template=Template(name="t", language="ko")), [("sendMessage", {"text": "hi"})])],
)  # fmt: skip
def test_files_go_first_and_a_lone_one_carries_the_text(content, calls):
    """Within the caption's limit, counted in UTF-16 units; a sticker carries none."""
    assert calls == [
        (method, {key: value for key, value in fields.items() if key in expected})
        for (method, fields), (_, expected) in zip(built(content), calls, strict=True)
    ]


@pytest.mark.parametrize("content", [Content(), Content(template=Template(name="t", language="ko")), Content(media=(Media(kind="image"),))])
def test_a_message_that_says_nothing_cannot_be_built(content):
    with pytest.raises(ValueError, match="has no text"):
        built(content)


def test_the_twin_takes_the_place_of_the_host_and_gets_keys():
    """Where the account says so; a repeat of one part is never taken for another."""
    twin = Account("bot", "t", "telegram", Channel.TELEGRAM, "@b", CREDENTIALS, base_url="http://127.0.0.1:9100", honours_keys=True)
    found = telegram.build(Outgoing(UUID(int=7), "@acme", Content(text="a" * 5000), NOW), twin)

    assert ["http://127.0.0.1:9100/bot1:AA/sendMessage"] * 2 == [one.url for one in found]
    assert [str(UUID(int=7)), f"{UUID(int=7)}-1"] == [one.headers["idempotency-key"] for one in found]
    assert "@acme" == orjson.loads(found[0].body)["chat_id"]


words = st.text(st.characters(exclude_categories=("Cs",)), max_size=100)
long_ids = st.text("ab가🌍", min_size=1, max_size=70)


@given(words.map(lambda text: text[:60] * 200), st.lists(st.builds(Choice, id=long_ids, title=words), max_size=5))
def test_limits_are_kept(text, choices):
    """Texts of 4096 units, labels of 64 characters, data of 64 bytes; and the segments are the calls."""
    content = Content(text=text[:60_000], choices=tuple(choices))
    calls = built(content) if text or choices else []
    buttons = [one for _, fields in calls for row in fields.get("reply_markup", {}).get("inline_keyboard", []) for one in row]

    assert all(0 < len(fields["text"].encode("utf-16-le")) // 2 <= 4096 for _, fields in calls)
    assert all(len(one["callback_data"].encode()) <= 64 and 0 < len(one["text"]) <= 64 for one in buttons)
    assert max(1, len(calls)) == telegram.segments(content)


@pytest.mark.parametrize(
    "status, body, kind, scope, drop",
    [(403, {"description": "Forbidden: bot was blocked by the user"}, "opted_out", "message", False),
     (403, {"description": "Forbidden: user is deactivated"}, "permanent", "message", True),
     (403, {"description": "Forbidden: bot can't initiate conversation with a user"}, "permanent", "message", False),
     (400, {"description": "Bad Request: message is too long"}, "permanent", "message", False),
     (401, {"description": "Unauthorized"}, "permanent", "account", False), (404, {"description": "Not Found"}, "permanent", "account", False),
     (404, None, "permanent", "account", False), (429, None, "throttled", "message", False), (500, {}, "transient", "message", False),
     (502, None, "transient", "message", False), (302, None, "permanent", "account", False),
     (200, {"ok": False, "error_code": 400, "description": "x"}, "permanent", "message", False), (408, None, "transient", "message", False)],
)  # fmt: skip
def test_an_answer_means_what_the_table_says(status, body, kind, scope, drop):
    """By its code, and a 403 by its words."""
    answer = {"ok": False, "error_code": status, **body} if body is not None else None
    outcome = telegram.interpret(Response(status, {}, orjson.dumps(answer) if answer else b"<html>"))

    assert (kind, scope, drop) == (outcome.kind, outcome.scope, outcome.drop_address)


def test_a_pause_is_read_from_the_body_and_else_from_the_header():
    told = orjson.dumps({"ok": False, "error_code": 429, "parameters": {"retry_after": 30}})
    pauses = [telegram.interpret(Response(429, {"Retry-After": "7"}, body)).retry_after for body in (told, b"{}")]

    assert [timedelta(seconds=30), timedelta(seconds=7)] == pauses


def test_a_group_that_moved_says_where_to():
    """Its old id is dead for good; the new one stands in the reason."""
    body = {"ok": False, "error_code": 400, "description": "Bad Request: group chat was upgraded", "parameters": {"migrate_to_chat_id": -100123}}
    outcome = telegram.interpret(Response(400, {}, orjson.dumps(body)))

    assert ("permanent", "migrated") == (outcome.kind, outcome.code) and "-100123" in outcome.reason
