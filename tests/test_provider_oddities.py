"""Requests as odd as providers make them, written from their documents: each is read as it should be, and what is odd never costs its neighbours."""

import base64
import copy
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley import wire
from parley.channels import PROVIDERS
from parley.channels.shape import Account, Malformed, Request
from parley.config import Config, Tenant
from parley.contracts import Channel
from parley.cursor import Place
from parley.step import Arrived
from parley_ingest.normalise import Normalise, meaning
from tests.conftest import SAMPLES
from tests.ingesting import raw
from tests.test_ingest_noise import changed, places
from tests.test_samples import CHANNELS, SENDERS, Sample, found, said

RTL, SKIN, FLAG = "\u202bשלום עולם\u202c", "👍🏽", "🇰🇷"
NUMBER, OTHER = "+447700900123", "+447700900124"


def account(provider: str) -> Account:
    return Account("a", "acme", provider, CHANNELS.get(provider, Channel.SMS), SENDERS.get(provider, "s"), public_url="https://hooks.example.com/a")


def read(provider: str, body: bytes) -> list[dict[str, Any]]:
    """The items of a request. Behind the provider may stand the topic that a header tells."""
    name, _, topic = provider.partition(" ")
    kind = "application/json" if body[:1] in b"{[" else "application/x-www-form-urlencoded"
    headers = {"content-type": kind, "webhook-id": "msg_1", "x-shopify-topic": topic}
    return [said(one) for one in PROVIDERS[name].parse(Request("POST", "https://hooks.example.com/a", headers, body), account(name))]


def whatsapp(*messages: Any, field: str = "messages", contacts: Any = None, statuses: Any = None, **more: Any) -> bytes:
    value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "1065"}, "messages": list(messages), **more}
    value |= {"contacts": contacts} if contacts is not None else {}
    value |= {"statuses": statuses} if statuses is not None else {}
    # As Meta writes it: ASCII, with slashes escaped.
    return (
        json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": field, "value": value}]}]})
        .replace("/", "\\/")
        .encode()
    )


def wa(kind: str, identifier: str = "wamid.1", **body: Any) -> dict[str, Any]:
    return {"from": NUMBER[1:], "id": identifier, "timestamp": "1795426200", "type": kind, **body}


def page(*events: dict[str, Any], object: str = "page") -> bytes:
    events = tuple({"sender": {"id": "5678"}, "recipient": {"id": "180"}, "timestamp": 1795426200000, **one} for one in events)
    return json.dumps({"object": object, "entry": [{"id": "180", "time": 1, "messaging": list(events)}]}).encode()


def twilio(**fields: str) -> bytes:
    return urlencode({"MessageSid": "SM1", "AccountSid": "AC0", "From": NUMBER, "To": "+12025550100", **fields}).encode()


def telegram(**update: Any) -> bytes:
    return json.dumps({"update_id": 1, **update}).encode()


def tg(**message: Any) -> dict[str, Any]:
    return {"message_id": 7, "from": {"id": 2**40, "is_bot": False}, "chat": {"id": 2**40, "type": "private"}, "date": 1795426200, **message}


def line(*events: Any) -> bytes:
    return json.dumps({"destination": "U0", "events": list(events)}).encode()


def ln(kind: str, **event: Any) -> dict[str, Any]:
    return {"type": kind, "mode": "active", "timestamp": 1795426200000, "source": {"type": "user", "userId": "U1"}, "webhookEventId": "01H", **event}


def rbm(**content: Any) -> bytes:
    data = base64.b64encode(json.dumps({"agentId": "agent", "sendTime": "2026-11-23T09:28:39.123456789Z", **content}).encode()).decode()
    return json.dumps({"message": {"data": data, "messageId": "ps-1", "publishTime": "x"}, "subscription": "s"}).encode()


def results(*some: Any) -> bytes:
    return json.dumps({"results": list(some)}).encode()


def vonage(**fields: Any) -> bytes:
    return json.dumps(
        {"message_uuid": "u1", "channel": "sms", "from": NUMBER[1:], "to": "447700900100", "timestamp": "2026-11-23T09:28:39Z", **fields}
    ).encode()


def sendbird(category: str = "group_channel:message_send", **fields: Any) -> bytes:
    body = {"category": category, "app_id": "A", "sender": {"user_id": "c-42"}, "type": "MESG", "channel": {"channel_url": "ch_1"}}
    return json.dumps({**body, "payload": {"message_id": 2**60, "message": "hi", "created_at": 1795426200000}, **fields}).encode()


def ses(kind: str, **event: Any) -> bytes:
    mail = {"messageId": "0100-1", "destination": ["a@b.example"], "timestamp": "2026-11-23T09:28:39.000Z"}
    envelope = {"Type": "Notification", "MessageId": "n1", "Timestamp": "2026-11-23T09:28:39.000Z"}
    return json.dumps({**envelope, "Message": json.dumps({"eventType": kind, "mail": mail, **event})}).encode()


def mailgun(**event: Any) -> bytes:
    data = {"id": "e1", "timestamp": 1795426200.5, "recipient": "A@B.example", "message": {"headers": {"message-id": "m1@x"}}, **event}
    return json.dumps({"signature": {"timestamp": "1", "token": "t", "signature": "s"}, "event-data": data}).encode()


Case = tuple[str, str, bytes, list[dict[str, Any]]]


def cases() -> Iterator[Case]:
    """Provider, what is odd, the body, and of each item what matters."""
    text, good = {"body": f"{RTL} {SKIN}{FLAG}"}, wa("text", "wamid.GOOD", text={"body": "good"})
    kept = {"provider_id": "wamid.GOOD", "text": "good"}
    yield "meta", "right-to-left, skin tones and flags stay as they are", whatsapp(wa("text", text=text)), [{"text": text["body"]}]
    yield (
        "meta",
        "a type of tomorrow",
        whatsapp(wa("hologram", hologram={"id": 1}), good),
        [{"type": "unsupported", "text": None, "sender": NUMBER}, kept],
    )
    yield "meta", "a message without a type", whatsapp({"from": NUMBER[1:], "id": "wamid.1"}), [{"type": "unsupported", "occurred_at_ms": None}]
    yield "meta", "an order is a message", whatsapp(wa("order", order={"catalog_id": "c", "product_items": []})), [{"type": "unsupported"}]
    yield "meta", "a number that was changed is none", whatsapp(wa("system", system={"type": "user_changed_number"}), good), [kept]
    yield "meta", "a reaction and its withdrawal", whatsapp(
        wa("reaction", reaction={"message_id": "x", "emoji": SKIN}), wa("reaction", "wamid.2", reaction={"message_id": "x"})
    ), [{"kind": "reaction", "text": SKIN}, {"kind": "reaction", "text": None}]  # fmt: skip
    yield "meta", "nobody but a user id", whatsapp(
        {"id": "wamid.1", "timestamp": "1795426200", "type": "text", "text": {"body": "hi"}, "from_user_id": "US.1349"}, contacts=[{"user_id": "US.1349"}]
    ), [{"sender": "US.1349", "text": "hi"}]  # fmt: skip
    yield "meta", "milliseconds where seconds are told", whatsapp({**good, "timestamp": 1795426200123}), [{"occurred_at_ms": 1795426200123}]
    yield "meta", "a list row, and a form with no words", whatsapp(
        wa("interactive", interactive={"type": "list_reply", "list_reply": {"id": "row-9", "title": "Nine", "description": "d"}}),
        wa("interactive", "wamid.2", interactive={"type": "nfm_reply", "nfm_reply": {"response_json": "{}", "name": "flow"}}),
    ), [{"type": "button", "payload": "row-9", "text": "Nine"}, {"type": "button", "payload": "{}"}]  # fmt: skip
    yield "meta", "media without anything in it", whatsapp(wa("image", image=None), wa("audio", "wamid.2", audio={"id": "m", "voice": True}), good), [
        {"type": "image", "text": None}, {"type": "audio", "media_count": 1}, kept,
    ]  # fmt: skip
    yield "meta", "errors of the account beside a message", whatsapp(good, errors=[{"code": 130429}]), [kept]
    yield "meta", "receipts before, beside and after messages", whatsapp(
        good, statuses=[{"id": "wamid.O", "status": "played", "timestamp": "1795426200", "recipient_id": NUMBER[1:]}, {"id": "wamid.O", "status": "warped"},
                        {"status": "sent"}, {"id": "wamid.P", "status": "failed", "errors": [{"code": 131050}], "recipient_id": NUMBER[1:]}],
    ), [kept, {"status": "read", "recipient": NUMBER}, {"status": "unknown", "recipient": None},
        {"status": "failed", "class": "opted_out", "error_code": "131050"}, {"kind": "optout", "sender": NUMBER}]  # fmt: skip
    yield "meta", "fields that tell of templates", whatsapp(good, field="message_template_status_update"), []
    yield "meta", "edits and revocations are events", whatsapp(
        wa("edit", edit={"original_message_id": "x", "message": {"type": "text", "text": {"body": "new"}}}), wa("revoke", "wamid.2", revoke={"original_message_id": "x"})
    ), [{"kind": "message_edited", "provider_id": "x", "text": "new"}, {"kind": "message_deleted", "provider_id": "x"}]  # fmt: skip
    yield "meta", "resumed marketing", whatsapp(
        field="user_preferences", user_preferences=[{"wa_id": NUMBER[1:], "category": "marketing_messages", "value": "resume", "timestamp": 1795426200}, {}]
    ), [{"kind": "optin", "sender": NUMBER, "scope": "marketing"}]  # fmt: skip
    yield "meta", "attachments without a payload, echoes, a like", page(
        {"message": {"mid": "m1", "attachments": [{"type": "image"}]}}, {"message": {"mid": "m2", "is_echo": True, "text": "ours"}},
        {"message": {"mid": "m3", "attachments": [{"type": "ig_reel", "payload": {"url": "u"}}]}}, {"message": {"mid": "m4", "text": RTL}}, {},
    ), [{"provider_id": "m1", "type": "image"}, {"provider_id": "m3", "type": "unsupported"}, {"provider_id": "m4", "text": RTL}]  # fmt: skip
    yield "meta", "unsent on Instagram, and a read by id", page({"message": {"mid": "m1", "is_deleted": True}}, {"read": {"mid": "m2"}}, object="instagram"), [
        {"kind": "message_deleted", "provider_id": "m1"}, {"kind": "receipt", "status": "read", "provider_id": "m2", "channel": "instagram"},
    ]  # fmt: skip
    yield "meta", "a postback without an id of its own", page({"postback": {"payload": "GO"}}), [{"type": "button", "payload": "GO", "text": None}]
    yield "meta", "an object of another product", json.dumps({"object": "permissions", "entry": [{"changes": [{}]}]}).encode(), []

    yield "twilio", "only what is needed", twilio(Body="hi"), [{"text": "hi", "sender": NUMBER, "type": "text"}]
    yield "twilio", "right-to-left in a form", twilio(Body=RTL + SKIN), [{"text": RTL + SKIN}]
    yield (
        "twilio",
        "a vCard",
        twilio(Body="", NumMedia="1", MediaUrl0="https://x/1", MediaContentType0="text/vcard"),
        [{"type": "document", "media_count": 1}],
    )
    yield "twilio", "a place without a name", twilio(
        From=f"whatsapp:{NUMBER}", MessageType="location", Latitude="37.5", Longitude="127.0"
    ), [{"channel": "whatsapp", "type": "location", "location": {"lat": 37.5, "lon": 127.0}, "text": None}]  # fmt: skip
    yield "twilio", "a WhatsApp type of tomorrow", twilio(From=f"whatsapp:{NUMBER}", MessageType="hologram"), [{"type": "unsupported", "text": None}]
    yield "twilio", "a user without a number", twilio(From="whatsapp:US.13491208655302741918", Body="hi"), [{"sender": "US.13491208655302741918"}]
    yield (
        "twilio",
        "the carrier's opt-out",
        twilio(Body="Stop", OptOutType="STOP"),
        [{"kind": "message", "text": "Stop"}, {"kind": "optout", "sender": NUMBER}],
    )
    yield "twilio", "help is no opt-out", twilio(Body="HELP", OptOutType="HELP"), [{"kind": "message"}]
    yield "twilio", "a short code", twilio(From="12345", Body="hi"), [{"sender": "12345"}]
    yield "twilio", "read on WhatsApp", twilio(MessageStatus="read", To=f"whatsapp:{NUMBER}", EventType="READ", ChannelPrefix="whatsapp"), [
        {"kind": "receipt", "status": "read", "channel": "whatsapp", "recipient": NUMBER}
    ]  # fmt: skip
    yield "twilio", "a call", urlencode({"CallSid": "CA1", "CallStatus": "ringing"}).encode(), []

    yield "telegram", "an update of tomorrow", telegram(hologram={"id": 1}), []
    yield "telegram", "no sender in a channel", telegram(channel_post={"message_id": 1, "chat": {"id": -100}, "date": 1, "text": "x"}), []
    yield "telegram", "a group", telegram(message=tg(chat={"id": -(2**41), "type": "supergroup"}, text=RTL)), [
        {"sender": str(2**40), "conversation": str(-(2**41)), "text": RTL}
    ]  # fmt: skip
    yield "telegram", "a dice", telegram(message=tg(dice={"emoji": "🎲", "value": 3})), [{"type": "unsupported", "text": None}]
    yield "telegram", "somebody joined", telegram(message=tg(new_chat_members=[{"id": 1}])), []
    yield "telegram", "a contact and a voice", telegram(message=tg(contact={"phone_number": "1"})), [{"type": "contacts"}]
    yield "telegram", "a photo with no sizes", telegram(message=tg(photo=[], caption="c")), [{"type": "text", "text": "c"}]
    yield "telegram", "an edit", telegram(edited_message=tg(text="new", edit_date=1795426300)), [{"kind": "message_edited", "text": "new"}]
    yield "telegram", "blocked, and back", telegram(
        my_chat_member={"chat": {"id": 9, "type": "private"}, "from": {"id": 9}, "date": 1795426200, "new_chat_member": {"status": "kicked"}}
    ), [{"kind": "optout", "sender": "9"}]  # fmt: skip
    yield "telegram", "a tap without its message", telegram(callback_query={"id": "q", "from": {"id": 9}, "data": "go"}), [
        {"type": "button", "payload": "go", "sender": "9", "provider_id": "q"}
    ]  # fmt: skip

    later = ln("message", webhookEventId="02", message={"id": "2", "type": "text", "text": RTL})
    yield "line", "types of tomorrow between good ones", line(
        ln("hologram", webhookEventId="00"), ln("message", message={"id": "1", "type": "hologram"}), None, later
    ), [{"type": "unsupported"}, {"text": RTL}]  # fmt: skip
    yield "line", "somebody in a group who has not agreed", line(
        ln("message", source={"type": "group", "groupId": "C1"}, message={"id": "1", "type": "text", "text": "hi"})
    ), [{"sender": "C1", "conversation": "C1"}]  # fmt: skip
    yield "line", "unfollowed, and unsent", line(ln("unfollow"), ln("unsend", webhookEventId="02", unsend={"messageId": "9"})), [
        {"kind": "optout", "sender": "U1"}, {"kind": "message_deleted", "provider_id": "9"},
    ]  # fmt: skip
    yield (
        "line",
        "no source",
        line(ln("message", source=None, message={"id": "1", "type": "text", "text": "x"}), ln("follow", webhookEventId="02")),
        [{"kind": "optin"}],
    )
    yield "line", "a file and a sticker", line(
        ln("message", message={"id": "1", "type": "file", "fileName": "a.pdf"}), ln("message", webhookEventId="02", message={"id": "2", "type": "sticker"})
    ), [{"type": "document", "media_count": 1}, {"type": "sticker"}]  # fmt: skip

    yield "infobip", "a sender with a name", results({"messageId": "1", "from": "ACME", "text": ""}), [{"sender": "ACME", "text": "", "type": "text"}]
    yield (
        "infobip",
        "null, text and numbers between good ones",
        results(None, "x", 3, {}, {"messageId": "1", "from": NUMBER[1:], "text": RTL}),
        [{"text": RTL}],
    )
    yield "infobip", "at the operator is not at the phone", results(
        {"messageId": "1", "status": {"groupId": 3, "groupName": "DELIVERED", "id": 2, "name": "DELIVERED_TO_OPERATOR"}}
    ), [{"status": "sent"}]  # fmt: skip
    yield "infobip", "expired; a group of tomorrow", results(
        {"messageId": "1", "status": {"groupId": 4, "groupName": "EXPIRED"}}, {"messageId": "2", "status": {"groupName": "TELEPORTED"}}, {"messageId": "3", "status": {}}
    ), [{"status": "failed", "class": "transient"}, {"status": "unknown"}, {"status": "unknown"}]  # fmt: skip
    yield "infobip", "the operator's error counts", results(
        {"messageId": "1", "to": NUMBER[1:], "status": {"groupId": 2}, "error": {"groupId": 1, "id": 27, "name": "EC_ABSENT_SUBSCRIBER", "permanent": False}}
    ), [{"status": "failed", "class": "transient", "error_code": "EC_ABSENT_SUBSCRIBER"}]  # fmt: skip

    yield "vonage", "a type of tomorrow", vonage(message_type="hologram"), [{"type": "unsupported", "text": None, "sender": NUMBER}]
    yield "vonage", "v0.1, nested", vonage(
        **{"from": {"type": "whatsapp", "number": NUMBER[1:]}, "to": {"type": "whatsapp", "number": "1"}, "channel": None},
        message={"content": {"type": "text", "text": RTL}},
    ), [{"channel": "whatsapp", "sender": NUMBER, "text": RTL, "type": "text"}]  # fmt: skip
    yield "vonage", "a status of tomorrow, and one without a reason", vonage(status="teleported"), [{"kind": "receipt", "status": "unknown"}]
    yield (
        "vonage",
        "rejected by a number that is text",
        vonage(status="rejected", error={"title": "1100"}),
        [{"status": "failed", "class": "transient"}],
    )
    yield "vonage", "an id of Messenger is no number", vonage(channel="messenger", **{"from": "1234567890"}, message_type="text", text="hi"), [
        {"channel": "messenger", "sender": "1234567890"}
    ]  # fmt: skip
    yield "vonage", "an event of another product", json.dumps({"conversation_uuid": "c", "status": "ringing"}).encode(), []

    yield "rbm", "typing says nothing", rbm(senderPhoneNumber=NUMBER, eventType="IS_TYPING", eventId="e"), []
    yield "rbm", "an event of tomorrow", rbm(senderPhoneNumber=NUMBER, eventType="HOLOGRAM", eventId="e"), []
    yield "rbm", "a tap without a message's id", rbm(senderPhoneNumber=NUMBER, eventId="e9", suggestionResponse={"postbackData": "go"}), [
        {"type": "button", "payload": "go", "provider_id": "e9", "text": None}
    ]  # fmt: skip
    yield "rbm", "a content of tomorrow", rbm(senderPhoneNumber=NUMBER, messageId="1", hologram={}), [{"type": "unsupported"}]
    yield "rbm", "taken back, and perhaps not", rbm(phoneNumber=NUMBER, eventType="TTL_EXPIRATION_REVOKED", eventId="e", messageId="m"), [
        {"kind": "receipt", "status": "failed", "recipient": NUMBER}
    ]  # fmt: skip
    yield "rbm", "an unsubscription", rbm(senderPhoneNumber=NUMBER, eventType="UNSUBSCRIBE", eventId="e"), [{"kind": "optout", "sender": NUMBER}]

    yield "sendbird", "our own words", sendbird(sender={"user_id": "agent_001"}), []
    yield "sendbird", "an admin message", sendbird(type="ADMM", sender=None), []
    yield "sendbird", "a type of tomorrow", sendbird(type="HOLO", payload={"message_id": 1}), [{"type": "unsupported", "text": None}]
    yield "sendbird", "an id beyond doubles", sendbird(), [{"provider_id": str(2**60), "conversation": "ch_1"}]
    yield "sendbird", "a deletion", sendbird("group_channel:message_delete"), [{"kind": "message_deleted", "provider_id": str(2**60)}]

    mail = {"email": "A@B.example", "sg_message_id": "m.f"}
    batch = [
        {"event": "hologram", **mail, "sg_event_id": "0"}, None, {"event": "open", **mail, "sg_event_id": "1", "sg_machine_open": True},
        {"event": "open", **mail, "sg_event_id": "1"}, {"event": "click", **mail, "sg_event_id": "2", "url": "https://x"},
        {"event": "dropped", **mail, "reason": "Unsubscribed Address", "sg_event_id": "3"},
    ]  # fmt: skip
    yield "sendgrid", "what is odd, and what is there twice, between good ones", json.dumps(batch).encode() + b"\r\n", [
        {"kind": "open", "machine": True, "recipient": "a@b.example"}, {"kind": "click", "url": "https://x"},
        {"kind": "receipt", "status": "failed", "class": "opted_out", "provider_id": "m"}, {"kind": "optout", "sender": "a@b.example"},
    ]  # fmt: skip
    yield "sendgrid", "an account's event", json.dumps([{"event": "account_status_change", "type": "compliance_deactivate"}]).encode(), []

    bounced = [{"emailAddress": "A@B.example", "status": "5.1.1"}, {}, {"emailAddress": "c@d.example"}]
    yield "ses", "a bounce for each of those who did not get it", ses("Bounce", bounce={"bounceType": "Permanent", "bouncedRecipients": bounced}), [
        {"status": "failed", "class": "permanent", "recipient": "a@b.example"}, {"status": "failed", "recipient": "c@d.example"},
    ]  # fmt: skip
    yield "ses", "an event of tomorrow", ses("Hologram"), []
    yield "ses", "a message that is no JSON", json.dumps({"Type": "Notification", "Message": "Successfully validated SNS topic"}).encode(), []

    yield "mailgun", "an event of tomorrow", mailgun(event="hologram"), []
    yield "mailgun", "for now, and for good", mailgun(event="failed", severity="temporary", **{"delivery-status": None}), [{"status": "deferred"}]
    yield "mailgun", "it had unsubscribed", mailgun(event="failed", severity="permanent", reason="suppress-unsubscribe"), [
        {"status": "failed", "class": "opted_out"}, {"kind": "optout", "sender": "a@b.example"},
    ]  # fmt: skip
    yield "mailgun", "opened by nobody who is named", mailgun(event="opened"), [{"kind": "open", "recipient": "a@b.example", "provider_id": "m1@x"}]

    big = 2**60 + 1
    yield "shopify orders/create", "an id beyond doubles, nobody, a number without its country", json.dumps(
        {"id": big, "email": "", "phone": "010-1234-5678", "total_price": "12.50", "customer": None, "line_items": [None, {"title": RTL}]}
    ).encode(), [{"kind": "order", "order_id": str(big), "email": None, "phone": None, "total": "12.50"}]  # fmt: skip
    yield "shopify checkouts/update", "a cart of nobody yet", json.dumps({"token": "t1", "completed_at": None}).encode(), [
        {"kind": "cart", "checkout_token": "t1", "completed": False}
    ]  # fmt: skip
    yield "shopify holograms/create", "a topic of tomorrow", b"{}", []

    def plain(kind: str, **told: Any) -> bytes:
        return json.dumps({"type": kind, "timestamp": "yesterday", "data": told}).encode()

    yield "plain", "a tap, media that are none, a time that is none", plain(
        "message.received", id=1, choice={"id": "go"}, media=[None, {}, {"kind": "hologram", "url": "u"}], **{"from": 7}
    ), [{"type": "button", "payload": "go", "sender": "7", "provider_id": "1", "media_count": 0, "occurred_at_ms": None}]  # fmt: skip
    yield "plain", "a status of tomorrow, a code of tomorrow", plain("message.status", id="p", status="teleported", code="hologram"), [
        {"kind": "receipt", "status": "unknown", "error_code": "hologram", "class": None}
    ]  # fmt: skip
    yield "plain", "an event about nobody", plain("hologram.shown"), [{"kind": "event", "type": "hologram.shown", "event_id": "msg_1"}]

    visitor = "7f0c8d5e-0000-4000-8000-000000000007"
    yield "webchat", "a type of tomorrow", json.dumps({"type": "hologram", "from": visitor}).encode(), []
    yield (
        "webchat",
        "marks of messages that are none",
        json.dumps({"type": "marks", "from": visitor, "status": "read", "messages": [None, "x", 7]}).encode(),
        [],
    )


@pytest.mark.parametrize("provider, odd, body, expected", list(cases()), ids=lambda one: one if isinstance(one, str) else "")
def test_an_odd_request_is_read_as_its_provider_means_it(provider, odd, body, expected):
    """Of each item only what the case is about is compared; there are no items more and none less."""
    got = read(provider, body)

    assert expected == [{name: item.get(name) for name in wanted} for item, wanted in zip(got, expected, strict=False)] + got[len(expected) :]


ODD = (None, True, -1, 0, 2**63, 1e300, "", "x" * 70_000, "9" * 300, "가" * 600, [], {}, [[]], [None], {"id": {}}, "\0a", "\ud83d", RTL + SKIN, "+", "1e400", "NaN",
       "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", -62_135_596_800, 253_402_300_799, -1e18)  # fmt: skip
"""What a place of a body may hold that nobody thought of: too long, too large, of another kind, at the ends of time, in pieces."""
INNER = {"ses": ("Message",), "rbm": ("message", "data")}
"""Where a provider puts JSON into its JSON."""
BODIES = [(one, one.provider, one.body) for one in found(SAMPLES) if isinstance(one.about.get("reads_as"), list) and one.about["method"] == "POST"]
BODIES += [(None, provider.partition(" ")[0], body) for provider, _, body, _ in cases()]


@st.composite
def spoiled(draw) -> tuple[Sample | None, str, bytes]:
    """A request of any provider with one place odd, or missing; and the sample that it was."""
    sample, provider, body = draw(st.sampled_from(BODIES))
    if body[:1] not in b"{[":
        pairs = parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
        at = draw(st.integers(0, len(pairs) - 1))
        pairs[at : at + 1] = draw(st.sampled_from([[], *([(pairs[at][0], one)] for one in ODD if isinstance(one, str))]))
        return sample, provider, urlencode(pairs, errors="replace").encode()
    return sample, provider, json.dumps(odd(draw, orjson.loads(body), INNER.get(provider))).encode()


def odd(draw: Any, document: Any, inner: tuple[str, ...] | None) -> Any:
    """The document with the place changed; where it holds another one, mostly in that."""
    if inner is not None and draw(st.booleans()):
        outer = document
        for name in inner[:-1]:
            outer = outer[name]
        packed = outer.get(inner[-1], "")
        text = base64.b64decode(packed).decode() if inner[-1] == "data" else packed
        if text[:1] == "{":
            written = json.dumps(odd(draw, json.loads(text), None))
            return changed(document, inner, base64.b64encode(written.encode()).decode() if inner[-1] == "data" else written)
    path = draw(st.sampled_from(list(places(document))))
    if path and draw(st.integers(0, 5)) == 0:
        return without(document, path)
    return changed(document, path, draw(st.sampled_from(ODD)))


def without(document: Any, path: tuple[Any, ...]) -> Any:
    document = copy.deepcopy(document)
    holder = document
    for name in path[:-1]:
        holder = holder[name]
    del holder[path[-1]]
    return document


@settings(max_examples=max(500, settings.default.max_examples))
@given(spoiled())
def test_what_is_odd_is_refused_at_the_door_or_can_be_read_by_everybody_behind_it(one):
    """Whatever stands anywhere in a request of any provider: 400, or events that the contract knows; never an error that costs the batch."""
    sample, provider, body = one
    event = raw("a", body)
    if sample is not None:  # some tell in a header what it is
        event = event.model_copy(update={"data": event.data.model_copy(update={"headers": {**event.data.headers, **sample.request.headers}})})
    stage = Normalise(Config({"acme": Tenant("acme", None, ("en",))}, {"a": account(provider)}))
    try:
        meant = [data for item in stage.read(Arrived(event, Place("parley.raw", 0), 0, None)) for data in meaning(item, UUID(int=1), {})]
    except Malformed:
        meant = []
    written = [wire.encode(event.model_copy(update={"data": data})) for data in meant]

    assert [type(data) for data in meant] == [type(wire.decode(topic, headers, value).data) for topic, _, headers, value in written]
