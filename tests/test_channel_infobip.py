"""Infobip: shared credentials in place of a signature, reports whose groups mislead, and answers that refuse with 200."""

import base64
import re
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.channels import infobip
from parley.channels.shape import Account, Engaged, Forged, Malformed, Opted, Outgoing, Receipt, Received, Request, Response
from parley.config import load
from parley.contracts import Channel, Choice, ConsentState, Content, Media, ReceiptStatus

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
URL = "https://hooks.example.com/hooks/a"
SAMPLES = Path(__file__).parent / "samples" / "infobip"
OURS = UUID(int=7)
words = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
json_values = st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | words,
                           lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=8)  # fmt: skip


def account(**credentials: str | tuple[str, ...]) -> Account:
    given = {name: (value,) if isinstance(value, str) else value for name, value in credentials.items()}
    return Account("a", "t", "infobip", Channel.SMS, "InfoSMS", given, public_url=URL)


def basic(pair: str) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def accepts(request: Request, one: Account) -> bool:
    try:
        infobip.verify(request, one, NOW)
    except Forged:
        return False
    return True


def read(*results: object) -> list[object]:
    return list(infobip.parse(Request("POST", URL, {}, orjson.dumps({"results": list(results)})), account()))


def built(content: Content, one: Account | None = None, receipts: str | None = URL) -> list[dict[str, object]]:
    requests = infobip.build(Outgoing(OURS, "+447700900123", content, NOW, receipts), one or account(api_key="k"))
    return [{"url": request.url, **request.headers, **orjson.loads(request.body)["messages"][0]} for request in requests]


@pytest.mark.parametrize("pair", ["infobip:new", "infobip:old"])
def test_a_password_rotates_without_a_gap(pair):
    assert accepts(Request("POST", URL, basic(pair), b"{}"), account(basic=("infobip:new", "infobip:old")))


@pytest.mark.parametrize(
    "headers, url, right",
    [(basic("infobip:p"), URL, True), ({"authorization": basic("infobip:p")["authorization"].replace("Basic", "basic")}, URL, True),
     (basic("infobip:q"), URL, False), ({"authorization": "Basic"}, URL, False), ({"authorization": "Bearer t0"}, URL, True),
     ({"authorization": "App t0"}, URL, False), ({"authorization": "Basic t0"}, URL, False), ({}, f"{URL}?token=t0", True),
     ({}, f"{URL}?token=t1", False), ({}, f"{URL}?token=", False), ({}, URL, False)],
)  # fmt: skip
def test_one_shared_credential_suffices_in_its_own_place(headers, url, right):
    """Basic, a bearer token, or the token in the address that reports were sent to."""
    assert right == accepts(Request("POST", url, headers, b"{}"), account(basic="infobip:p", token="t0"))


def test_a_token_in_the_configured_address_proves_nothing():
    """The door puts `public_url` before every request, so what stands there was brought by nobody."""
    one = replace(account(token="t0"), public_url=f"{URL}?token=t0")

    assert [False, True] == [accepts(Request("POST", f"{URL}?token=t0{more}", {}, b"{}"), one) for more in ("", "&token=t0")]


def test_without_a_configured_credential_nobody_comes_in():
    assert not any(
        accepts(Request("POST", URL, headers, b"{}"), account(basic=(), token=("",))) for headers in ({}, basic(""), {"authorization": "Bearer "})
    )


@pytest.mark.parametrize(
    "status, found",
    [({"groupId": 1, "name": "PENDING_ENROUTE"}, "sent"), ({"groupId": 3, "groupName": "DELIVERED", "id": 2, "name": "DELIVERED_TO_OPERATOR"}, "sent"),
     ({"groupName": "DELIVERED", "name": "DELIVERED_TO_OPERATOR"}, "sent"), ({"groupId": 3, "id": 2}, "sent"), ({"groupId": 3, "id": 5}, "delivered"),
     ({"groupId": "3"}, "delivered"), ({"groupName": "delivered "}, "delivered"), ({"name": "DELIVERED_TO_HANDSET"}, "delivered"),
     ({"groupId": 0, "groupName": "OK"}, "sent"), ({"groupId": 2}, "failed"), ({"groupId": 4}, "failed"), ({"groupId": 5}, "failed"),
     ({"groupId": 5, "id": 23, "name": "REJECTED_DUPLICATE_MESSAGE_ID"}, "sent"), ({"groupName": "UNEXPECTED"}, "unknown"), ({}, "unknown"),
     (None, "unknown"), ("DELIVERED", "unknown"), ({"groupId": True}, "unknown")],
)  # fmt: skip
def test_a_positive_group_is_not_always_the_end(status, found):
    """At the operator is not on the handset; and that an id came twice says nothing bad of the message."""
    (receipt,) = read({"messageId": "m", "status": status})

    assert isinstance(receipt, Receipt) and found == receipt.status


@pytest.mark.parametrize(
    "group, error, failure, code",
    [(2, {"groupId": 1, "id": 1, "name": "EC_UNKNOWN_SUBSCRIBER", "permanent": True}, "permanent", "EC_UNKNOWN_SUBSCRIBER"),
     (2, {"groupId": 1, "id": 27, "name": "EC_ABSENT_SUBSCRIBER", "permanent": False}, "transient", "EC_ABSENT_SUBSCRIBER"),
     (2, {"permanent": False}, "transient", "X_Y"),
     (5, {"groupId": 0, "groupName": "OK", "id": 0, "name": "NO_ERROR", "permanent": False}, "permanent", "X_Y"),
     (4, {"groupId": 0, "id": 0, "name": "NO_ERROR"}, "transient", "X_Y"), (4, None, "transient", "X_Y"), (2, None, "permanent", "X_Y"),
     (2, {"id": 603, "name": "EC_CONTENT_BLOCKED", "permanent": True}, "opted_out", "EC_CONTENT_BLOCKED"),
     (2, {"id": 573, "name": "EC_SC_BLOCKED_BY_END_USER", "permanent": True}, "opted_out", "EC_SC_BLOCKED_BY_END_USER")],
)  # fmt: skip
def test_a_failure_is_as_lasting_as_the_operators_error(group, error, failure, code):
    """`permanent: false` beside NO_ERROR says nothing: it stands beside every rejection."""
    receipt = read({"messageId": "m", "status": {"groupId": group, "name": "X_Y"}, "error": error})[0]

    assert isinstance(receipt, Receipt) and (failure, code) == (receipt.failure, receipt.code)


def test_an_operators_word_of_a_stop_is_a_receipt_and_an_opt_out():
    error = {"id": 603, "name": "EC_CONTENT_BLOCKED", "permanent": True}
    receipt, opted = read({"messageId": "m", "to": "12025550143", "doneAt": "2026-11-24T10:30:00.000+0100", "status": {"groupId": 2}, "error": error})

    assert isinstance(receipt, Receipt) and ReceiptStatus.FAILED == receipt.status
    assert Opted(Channel.SMS, "+12025550143", ConsentState.REVOKED, at=NOW, provider_id="m") == opted


@pytest.mark.parametrize("identifier, ours", [(str(OURS), OURS), (f"{OURS}-3", OURS), ("M-1", None), (f"{OURS}x", None)])
def test_a_report_brings_our_message_id_back(identifier, ours):
    """Of the later parts of a message, too."""
    (receipt,) = read({"messageId": identifier, "status": {"groupId": 3}})

    assert isinstance(receipt, Receipt) and ours == receipt.message_id


@given(
    st.lists(
        json_values | st.dictionaries(st.sampled_from(["messageId", "from", "status", "error", "message", "text", "doneAt"]), json_values), max_size=4
    )
)
def test_an_odd_result_never_loses_its_neighbours(odd):
    good = {"messageId": "GOOD", "from": "447700900123", "to": "447700900100", "text": "שלום 🌍"}

    assert ["שלום 🌍"] == [one.text for one in read(*odd, good, *odd) if isinstance(one, Received) and one.provider_id == "GOOD"]


def test_what_stands_twice_is_said_once():
    """A message by its id, a report by all it says."""
    message, report = {"messageId": "1", "from": "447700900123", "text": "a"}, {"messageId": "2", "status": {"groupId": 3}}

    assert ["1", "2"] == [getattr(one, "provider_id", None) for one in read(message, report, message, report)]


def test_texts_cut_in_an_emoji_are_cleaned():
    body = b'{"results":[{"messageId":"1","from":"447700900123","text":"a\\ud83c"},{"messageId":"2","from":"447700900123","text":"b\\u0000c"}]}'

    assert ["a\ufffd", "bc"] == [getattr(one, "text", None) for one in infobip.parse(Request("POST", URL, {}, body), account())]


@pytest.mark.parametrize(
    "parts, kind, text, media",
    [([{"contentType": "text/plain", "value": "a"}, {"contentType": "text/plain", "value": "b"}], "text", "a\nb", 0),
     ([{"contentType": "application/smil", "value": "<smil/>"}, {"contentType": "video/mp4", "url": "u"}], "video", None, 1),
     ([{"contentType": "image/png", "url": "u"}, 3, {"url": "v"}], "image", None, 2), ([{"contentType": "text/vcard", "url": "u"}], "document", None, 1),
     ([], "unsupported", None, 0), ("x", "unsupported", None, 0)],
)  # fmt: skip
def test_an_mms_is_its_parts(parts, kind, text, media):
    (one,) = read({"messageId": "1", "from": "447700900123", "message": parts})

    assert isinstance(one, Received) and (kind, text, media) == (one.kind, one.text, len(one.media))


@pytest.mark.parametrize("sender, address", [("447700900123", "+447700900123"), ("+447700900123", "+447700900123"), ("2020", "2020"), ("MTN", "MTN")])
def test_a_short_code_and_a_name_are_no_international_numbers(sender, address):
    (one,) = read({"messageId": "1", "from": sender, "text": "a"})

    assert isinstance(one, Received) and address == one.address


def test_a_followed_link_is_told():
    body = {
        "notificationType": "CLICKED",
        "recipient": "447700900123",
        "url": "https://e.example/",
        "sendDateTime": 1795512600000,
        "messageId": str(OURS),
    }
    found = infobip.parse(Request("POST", URL, {}, orjson.dumps(body)), account())

    assert [Engaged("clicked", Channel.SMS, str(OURS), OURS, "+447700900123", "https://e.example/", at=NOW)] == found


@pytest.mark.parametrize("body", [b"", b"Invalid", b"[]", b'{"deliveryReport":[]}', b'{"results":{}}', b"\xff"])
def test_a_body_without_results_is_said_to_be_wrong(body):
    with pytest.raises(Malformed, match=r"\."):
        infobip.parse(Request("POST", URL, {}, body), account())


def test_a_request_is_built_as_the_sample_shows_it():
    """With our message id, and where Infobip's own description (`test_published.py`) has another word than the sample, with that."""
    wanted = orjson.loads((SAMPLES / "send" / "accepted.headers.json").read_bytes())["request"]
    message = wanted["json"]["messages"][0]
    url = message["webhooks"]["delivery"]["url"]
    message["destinations"][0]["messageId"] = str(OURS)
    message["sender"] = message.pop("from")
    message["webhooks"]["contentType"] = message["webhooks"]["delivery"].pop("contentType")
    one = replace(account(api_key="<api key>"), base_url="https://<base>.api.infobip.com")
    (sent,) = infobip.build(Outgoing(OURS, "+447700900123", Content(text="hi"), NOW, url), one)

    assert (wanted["method"], wanted["url"], wanted["auth"], wanted["json"]) == (
        sent.method, sent.url, sent.headers["authorization"], orjson.loads(sent.body)
    )  # fmt: skip


def test_files_go_in_one_mms_with_the_text():
    media = (Media(kind="image", url="https://e.example/a.jpg", content_type="image/jpeg"), Media(kind="video", url="https://e.example/b"))
    (sent,) = built(Content(text="look", media=(*media, Media(kind="image", provider_id="elsewhere"))))
    segments = [{"type": "TEXT", "text": "look"}, {"type": "LINK", "contentUrl": "https://e.example/a.jpg", "contentType": "image/jpeg"},
                {"type": "LINK", "contentUrl": "https://e.example/b"}]  # fmt: skip

    assert ("https://api.infobip.com/mms/2/messages", "InfoSMS", {"messageSegments": segments}) == (sent["url"], sent["sender"], sent["content"])


def test_choices_are_written_out():
    (sent,) = built(Content(text="Which?", choices=(Choice(id="a", title="Red"), Choice(id="b", title="Blue"))))

    assert {"text": "Which?\n1. Red\n2. Blue"} == sent["content"]


@given(words.map(lambda text: text * 200), st.booleans())
def test_no_part_is_longer_than_infobip_takes_and_each_has_its_own_id(text, picture):
    """25 segments and 4,000 bytes an SMS, 1,600 characters an MMS; nothing of the text is lost but blanks at the cuts."""
    sent = built(Content(text=text, media=(Media(kind="image", url="https://e.example/f"),) if picture else ()))
    texts = [one["content"].get("text") or "".join(p.get("text", "") for p in one["content"].get("messageSegments", [])) for one in sent]
    ids = [one["destinations"][0]["messageId"] for one in sent]

    assert all(infobip.sms_segments(one) <= 25 and len(one.encode()) <= 4000 for one in texts[picture:]) and len(texts[0]) <= 1600
    assert "".join(text.split()) == "".join("".join(texts).split())
    assert len(ids) == len(set(ids)) and {OURS} == {infobip._ours(one) for one in ids}


@pytest.mark.parametrize(
    "credentials, receipts, url",
    [({}, URL, URL), ({"token": ("new", "old")}, URL, f"{URL}?token=new"), ({"token": "a&b"}, f"{URL}?x=1", f"{URL}?x=1&token=a%26b"),
     ({"basic": "u:p"}, URL, None), ({"basic": "u:p", "token": "t"}, URL, f"{URL}?token=t"), ({"token": "t"}, None, None)],
)  # fmt: skip
def test_reports_are_asked_for_where_they_can_prove_themselves(credentials, receipts, url):
    """An address told with a message brings no Basic credential: then the Subscription, which does, is left in force."""
    (sent,) = built(Content(text="hi"), account(api_key="k", **credentials), receipts)

    assert url == sent.get("webhooks", {}).get("delivery", {}).get("url")


@pytest.mark.parametrize(
    "http, body, kind, scope, code",
    [(200, {"messages": [{"messageId": "m", "status": {"groupId": 1}}]}, "accepted", "message", None),
     (200, {"messages": [{"messageId": "m", "status": {"groupId": 3}}]}, "accepted", "message", None),
     (200, {"messages": [{"messageId": "m", "status": {"groupName": "REJECTED", "name": "REJECTED_NETWORK"}}]}, "permanent", "message", "REJECTED_NETWORK"),
     (200, {"messages": [{"messageId": "m", "status": {"groupId": 2}}]}, "permanent", "message", "UNDELIVERABLE"),
     (200, {"messages": [{"messageId": "m", "status": {"groupId": 4, "name": "EXPIRED_EXPIRED"}}]}, "transient", "message", "EXPIRED_EXPIRED"),
     (200, {"messages": [{"status": {"groupId": 5, "id": 12, "name": "REJECTED_NOT_ENOUGH_CREDITS"}}]}, "permanent", "account", "REJECTED_NOT_ENOUGH_CREDITS"),
     (200, {"messages": [{"status": {"groupId": 5, "id": 11}}]}, "permanent", "account", "REJECTED"),
     (200, {"messages": [{"status": {"groupId": 5, "id": 21}}]}, "transient", "message", "REJECTED"),
     (200, {"messages": [{"messageId": "m", "status": {"groupId": 5, "id": 23}}]}, "accepted", "message", None),
     (200, None, "accepted", "message", None), (201, {"messages": []}, "accepted", "message", None),
     (400, {"requestError": {"serviceException": {"messageId": "BAD_REQUEST"}}}, "permanent", "message", "BAD_REQUEST"),
     (401, {"requestError": {"serviceException": {"messageId": "UNAUTHORIZED"}}}, "permanent", "account", "UNAUTHORIZED"),
     (403, {"requestError": {"serviceException": {"messageId": "FORBIDDEN"}}}, "permanent", "account", "FORBIDDEN"),
     (404, None, "permanent", "account", "404"), (302, None, "permanent", "account", "302"),
     (429, {"requestError": {"serviceException": {"messageId": "TOO_MANY_REQUESTS"}}}, "throttled", "message", "TOO_MANY_REQUESTS"),
     (429, {"errorCode": "E429", "description": "slow"}, "throttled", "message", "E429"), (429, None, "throttled", "message", "429"),
     (500, {"requestError": {"serviceException": {"messageId": "GENERAL_ERROR"}}}, "transient", "message", "GENERAL_ERROR"),
     (503, None, "transient", "message", "503"), (408, None, "transient", "message", "408")],
)  # fmt: skip
def test_an_answer_means_what_its_status_says(http, body, kind, scope, code):
    outcome = infobip.interpret(Response(http, {}, orjson.dumps(body) if body is not None else b"<html>"))

    assert (kind, scope, code) == (outcome.kind, outcome.scope, outcome.code)


def test_a_refusal_names_the_fields_and_a_pause_is_kept():
    body = (SAMPLES / "send" / "bad_request_400.json").read_bytes()
    refused, slowed = infobip.interpret(Response(400, {}, body)), infobip.interpret(Response(429, {"Retry-After": "7"}, b""))

    assert ("Bad Request (messages[0].destinations[0].to)", timedelta(seconds=7)) == (refused.reason, slowed.retry_after)


@given(st.binary(max_size=200) | json_values.map(orjson.dumps), st.text(st.characters(max_codepoint=255), max_size=30), st.integers(200, 599),
       st.sampled_from([URL, f"{URL}?token=%ff", "http://[/x", "?", "x?token=²"]))  # fmt: skip
def test_no_bytes_make_anything_but_the_named_exceptions(body, header, status, url):
    """At the door, in the reader, and in an answer; and whatever a stranger writes is refused."""
    request = Request("POST", url, {"authorization": header}, body)
    with suppress(Malformed):
        infobip.parse(request, account())

    assert not accepts(request, account(basic="u:p", token="secret"))
    assert infobip.interpret(Response(status, {"Retry-After": header}, body)).kind != "unknown"


def test_the_account_of_the_page_parses(tmp_path):
    page = (Path(__file__).parents[1] / "docs" / "channels" / "infobip.md").read_text(encoding="utf-8")
    example = page.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "accounts.yaml").write_text(example, encoding="utf-8")
    (one,) = load(tmp_path, dict.fromkeys(re.findall("env:([A-Z_]+)", example), "v")).accounts.values()

    assert "infobip" == one.provider and all(one.secret(name) for name in infobip.CREDENTIALS)
