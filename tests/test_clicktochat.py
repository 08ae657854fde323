"""Click-to-chat: a link that is built, followed and written from brings its keyword and its campaign; what people write themselves stays theirs."""

import re
import struct
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

import orjson
import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from parley import clicktochat, qr
from parley.channels import meta
from parley.channels.shape import Account, Received, Request
from parley.cli import app
from parley.contracts import Channel, Choice
from parley.optwords import wish
from parley_router.decide import decide
from tests.conftest import CONFIG
from tests.ingesting import KEY, OTHER_KEY, Ingest, Shared, form, raw
from tests.test_normalise import about, settled
from tests.test_router import BOOK, T0, envelope, received

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
SENDERS = {
    Channel.WHATSAPP: "+821012345678", Channel.SMS: "+821012345678", Channel.MMS: "+821012345678", Channel.RCS: "+821012345678", Channel.MESSENGER: "acme.tea",
    Channel.INSTAGRAM: "acme_tea", Channel.TELEGRAM: "@acme_tea_bot", Channel.LINE: "@acme", Channel.EMAIL: "hello@acme.example",
    Channel.WEBCHAT: "https://acme.example/help?lang=ko",
}  # fmt: skip


def account(channel: Channel, sender: str = "106540352242922", known_as: str | None = None) -> Account:
    return Account("shop", "acme", "plain", channel, sender, known_as=known_as or SENDERS.get(channel))


@pytest.mark.parametrize(
    "channel, expected",
    [
        (Channel.WHATSAPP, "https://wa.me/821012345678?text=%EB%A9%94%EB%89%B4%20%5B%23spring-26%5D"),
        (Channel.SMS, "sms:+821012345678?&body=%EB%A9%94%EB%89%B4%20%5B%23spring-26%5D"),
        (Channel.MESSENGER, "https://m.me/acme.tea?ref=p_spring-26_66mU64m0"),
        (Channel.INSTAGRAM, "https://ig.me/m/acme_tea?ref=p_spring-26_66mU64m0"),
        (Channel.TELEGRAM, "https://t.me/acme_tea_bot?start=p_spring-26_66mU64m0"),
        (Channel.LINE, "https://line.me/R/oaMessage/%40acme/?%EB%A9%94%EB%89%B4%20%5B%23spring-26%5D"),
        (Channel.EMAIL, "mailto:hello@acme.example?subject=%EB%A9%94%EB%89%B4&body=%EB%A9%94%EB%89%B4%20%5B%23spring-26%5D"),
        (Channel.WEBCHAT, "https://acme.example/help?lang=ko#parley-chat=%EB%A9%94%EB%89%B4%20%5B%23spring-26%5D"),
    ],
)
def test_each_channel_is_opened_in_its_own_way(channel, expected):
    assert expected == clicktochat.link(account(channel), "메뉴", "spring-26")


@pytest.mark.parametrize(
    "one, keyword, campaign, said",
    [
        (account(Channel.PUSH), "hi", None, "no link opens a conversation on push"),
        (Account("a", "t", "meta", Channel.WHATSAPP, "106540352242922"), "hi", None, "set `known_as"),
        (Account("a", "t", "webchat", Channel.WEBCHAT, "acme"), "hi", None, "the page that the chat is on"),
        (account(Channel.TELEGRAM, known_as="a/b?c"), "hi", None, "set `known_as`"),
        (account(Channel.SMS), "", None, "the keyword must be a line"),
        (account(Channel.SMS), "a\nb", None, "the keyword must be a line"),
        (account(Channel.SMS), "x" * 61, None, "the keyword must be a line"),
        (account(Channel.SMS), "stop", None, "opting out"),
        (account(Channel.SMS), "hi [#x]", None, "must neither end"),
        (account(Channel.SMS), "/start", None, "must neither end"),
        (account(Channel.SMS), "hi", "spring 26", "letters, digits and hyphens"),
        (account(Channel.TELEGRAM), "가나다라마바사아", "x" * 32, "24 bytes, where 21 fit"),
    ],
)
def test_what_makes_no_link_is_refused_in_words(one, keyword, campaign, said):
    """The sentence says what to change."""
    with pytest.raises(ValueError, match=re.escape(said)):
        clicktochat.link(one, keyword, campaign)


def followed(channel: Channel, link: str) -> Received:
    """The first message of who follows a link and sends what stands ready."""
    parts, text, reference = urlsplit(link), None, None
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if channel is Channel.TELEGRAM:
        text = f"/start {query['start']}"
    elif channel in (Channel.MESSENGER, Channel.INSTAGRAM):
        reference = query["ref"]
    elif channel is Channel.LINE:
        text = unquote(parts.query)
    elif channel is Channel.WEBCHAT:
        text = unquote(parts.fragment.removeprefix("parley-chat="))
    else:
        text = query.get("text") or query["body"]
    return Received(channel, "5", "1", "text", text, reference=reference)


printable = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Zl", "Zp", "Zs", "Cn", "Co", "Cs")), min_size=1, max_size=7)


@given(st.sampled_from(sorted(SENDERS)), printable, st.none() | st.from_regex(r"[A-Za-z0-9-]{1,20}", fullmatch=True))
def test_what_a_link_carries_is_what_is_read(channel, keyword, campaign):
    """Property: on every channel, for every keyword and campaign that make a link."""
    try:
        link = clicktochat.link(account(channel), keyword, campaign)
    except ValueError:
        return

    assert (keyword, campaign) == clicktochat.read(followed(channel, link))[:2]


@pytest.mark.parametrize(
    "item, expected",
    [
        (Received(Channel.SMS, "5", "1", "text", "I love it #tea"), ("I love it #tea", None, False)),
        (Received(Channel.SMS, "5", "1", "text", "see [#a] there"), ("see [#a] there", None, False)),
        (Received(Channel.SMS, "5", "1", "text", "menu [#a] \n"), ("menu", "a", False)),
        (Received(Channel.SMS, "5", "1", "text", None), (None, None, False)),
        (Received(Channel.TELEGRAM, "5", "1", "text", "/start"), ("/start", None, False)),
        (Received(Channel.TELEGRAM, "5", "1", "text", "/start ref_9"), ("/start", "ref_9", False)),
        (Received(Channel.TELEGRAM, "5", "1", "text", "/start p__"), ("/start", "p__", False)),
        (Received(Channel.SMS, "5", "1", "text", "/start p_a_aGk"), ("/start p_a_aGk", None, False)),
        (Received(Channel.MESSENGER, "5", "1", "text", "hello", reference="summer"), ("hello", "summer", False)),
        (Received(Channel.MESSENGER, "5", "1", "text", "hello", reference="p_a_aGk"), ("hello", "a", False)),
        (Received(Channel.MESSENGER, "5", "1", "text", None, reference="p__aGk"), ("hi", None, True)),
        (Received(Channel.MESSENGER, "5", "1", "button", "Get Started", Choice(id="GO"), reference="p_a_aGk"), ("hi", "a", True)),
        (Received(Channel.MESSENGER, "5", "1", "button", "Get Started", Choice(id="GO"), reference="summer"), ("Get Started", "summer", False)),
        (Received(Channel.WHATSAPP, "5", "1", "text", "hi", reference="x" * 300), ("hi", "x" * 200, False)),
    ],
)
def test_only_what_a_link_put_there_is_taken_out(item, expected):
    """What a customer writes stays; a payload of others is a reference as it is."""
    assert expected == clicktochat.read(item)


@given(st.text(), st.none() | st.text(), st.sampled_from(sorted(Channel)))
def test_any_message_is_read(text, reference, channel):
    """Property: no text and no payload breaks it; a reference fits the contract."""
    found = clicktochat.read(Received(channel, "5", "1", "text", text, reference=reference)).reference

    assert found is None or 0 < len(found) <= 200


def messaging(**event: Any) -> list[Any]:
    one = {"sender": {"id": "77"}, "recipient": {"id": "9"}, "timestamp": 1795426119000, **event}
    body = orjson.dumps({"object": "page", "entry": [{"id": "9", "messaging": [one]}]})
    return list(meta.parse(Request("POST", "https://h.example", {}, body), account(Channel.MESSENGER)))


def test_messenger_hands_the_payload_over_in_three_ways():
    """To who has written before, with "Get started" of who has not, with a message; a link of others alone is no message."""
    referral = {"ref": "p_a_aGk", "source": "SHORTLINK", "type": "OPEN_THREAD"}
    (again,), (first,), (written,) = (
        messaging(referral=referral),
        messaging(postback={"title": "Get Started", "payload": "GO", "referral": referral}),
        messaging(message={"mid": "m1", "text": "hello", "referral": referral}),
    )

    assert [("hi", "a"), ("hi", "a"), ("hello", "a")] == [clicktochat.read(one)[:2] for one in (again, first, written)]
    assert [] == messaging(referral={**referral, "ref": "summer"})


def test_an_advertisement_on_whatsapp_is_a_reference():
    value = {
        "messages": [
            {"from": "821012345678", "id": "w1", "type": "text", "text": {"body": "hi"}, "referral": {"source_id": "ad-1", "source_type": "ad"}}
        ]
    }
    body = orjson.dumps({"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "messages", "value": value}]}]})
    (one,) = meta.parse(Request("POST", "https://h.example", {}, body), account(Channel.WHATSAPP))

    assert ("hi", "ad-1", False) == clicktochat.read(one)


def test_the_start_of_a_bot_greets_and_grants_nothing():
    """Every chat on Telegram begins with it, before anybody was asked; a STOP with a slash is one nevertheless."""
    state, results = decide(None, envelope(received("/start", channel=Channel.TELEGRAM), T0), T0, BOOK)

    assert {} == state.consents
    assert any(getattr(one, "flow", None) == "welcome@1" for one in results)
    assert ["opt_out", "help", "opt_in"] == [wish(one) for one in ("/stop", "/help", "start!")]


def test_flows_know_where_the_customer_comes_from():
    """The keyword starts the flow as if it had been written, and the campaign stays in the profile until another link brings another."""
    first, results = decide(None, envelope(received("hi").model_copy(update={"reference": "spring-26"}), T0), T0, BOOK)
    later, _ = decide(first, envelope(received("?"), T0, "2"), T0, BOOK)

    assert ("spring-26", "spring-26") == (first.profile["reference"], later.profile["reference"])
    assert any(getattr(one, "flow", None) == "welcome@1" for one in results)


# --- pictures -------------------------------------------------------------------------------------------------------------------------


def scanned(png: bytes) -> list[str]:
    """What a camera reads in a picture of one bit a pixel (PNG, filters none and up)."""
    width, height, depth, colour = struct.unpack(">IIBB", png[16:26])
    assert (1, 0) == (depth, colour)
    packed, place = b"", 8
    while place < len(png):
        (size,) = struct.unpack(">I", png[place : place + 4])
        packed += png[place + 8 : place + 8 + size] if png[place + 4 : place + 8] == b"IDAT" else b""
        place += 12 + size
    rows, line = zlib.decompress(packed), (width + 7) // 8
    pixels, above = bytearray(), bytes(line)
    for start in range(0, len(rows), line + 1):
        row = rows[start + 1 : start + 1 + line]
        above = bytes((one + up) % 256 for one, up in zip(row, above, strict=True)) if rows[start] == 2 else row
        pixels += bytes(255 if above[x // 8] >> (7 - x % 8) & 1 else 0 for x in range(width))
    return [one.text for one in zxingcpp.read_barcodes(memoryview(bytes(pixels)).cast("B", [height, width]))]


@pytest.mark.parametrize("channel", sorted(SENDERS))
def test_a_camera_reads_the_link(channel):
    """By another library than the one that draws."""
    link = clicktochat.link(account(channel), "메뉴", "spring-26")

    assert [link] == scanned(qr.picture(link, "png"))


def test_a_picture_is_svg_or_png():
    assert qr.picture("x", "svg").startswith(b"<?xml")
    with pytest.raises(ValueError, match="not .gif"):
        qr.picture("x", "gif")


# --- the command and the door -----------------------------------------------------------------------------------------------------------


def test_the_command_prints_the_link_and_writes_the_picture(tmp_path, monkeypatch):
    """Without any secret of accounts.yaml being set; a mistake is a sentence and status 2."""
    monkeypatch.setenv("PARLEY_CONFIG", str(CONFIG))
    ran = CliRunner().invoke(app, ["link", "acme-sms", "--keyword", "hi", "--campaign", "spring-26", "--qr", str(tmp_path / "code.png")])
    wrong = CliRunner().invoke(app, ["link", "acme-app", "--keyword", "hi"])

    assert "sms:+15005550006?&body=hi%20%5B%23spring-26%5D\n" == ran.stdout
    assert [ran.stdout.strip()] == scanned((tmp_path / "code.png").read_bytes())
    assert 2 == wrong.exit_code


@pytest.fixture(scope="module")
def shared(stack, tmp_path_factory) -> Iterator[Shared]:
    with Shared(stack, tmp_path_factory.mktemp("links"), secret="a-secret") as one:
        yield one


@pytest.fixture
def ingest(shared) -> Ingest:
    return shared.ingest


def get(shared: Shared, path: str, key: str | None = None) -> tuple[int, bytes, dict[str, str]]:
    return shared.run(shared.ingest.ask("GET", path, headers={"authorization": f"Bearer {key}"} if key else {}))


@pytest.mark.stack
def test_a_link_comes_with_the_addresses_of_its_pictures(shared):
    """Which anybody may see, as long as nobody changes them."""
    status, body, _ = get(shared, "/v1/links/chat?account=sms&keyword=%EB%A9%94%EB%89%B4&campaign=spring-26", KEY)
    found = orjson.loads(body)
    paths = {kind: re.sub("^https?://[^/]+", "", address) for kind, address in found["qr"].items()}
    svg, png = (get(shared, paths[kind]) for kind in ("svg", "png"))

    assert 200 == status
    assert [found["link"]] == scanned(png[1])
    assert ("image/svg+xml", 200) == (svg[2]["content-type"], svg[0])
    assert [404] * 3 == [
        get(shared, path)[0] for path in (paths["svg"] + "0", paths["svg"].replace("26", "27"), paths["svg"].replace("/sms", "/whatsapp"))
    ]


@pytest.mark.stack
@pytest.mark.parametrize(
    "query, key, status",
    [
        ("account=sms&keyword=hi", None, 401),
        ("account=sms&keyword=hi", OTHER_KEY, 403),
        ("account=else&keyword=hi", KEY, 404),
        ("account=nobody&keyword=hi", KEY, 404),
        ("account=sms", KEY, 422),
        ("account=sms&keyword=a&keyword=b", KEY, 422),
        ("account=sms&keyword=hi&colour=red", KEY, 422),
        ("account=sms&keyword=STOP", KEY, 422),
        ("account=app&keyword=hi", KEY, 422),
    ],
)
def test_a_link_is_given_to_whose_account_it_is(shared, query, key, status):
    """401 and 403 for the key, 404 for other tenants' accounts, 422 with the reason."""
    assert status == get(shared, f"/v1/links/chat?{query}", key)[0]


@pytest.mark.stack
def test_the_reference_stands_in_the_first_event(shared, ingest):
    """Taken out of what the customer is seen to say; a STOP beside it is one."""
    phone = f"+8210{uuid4().int % 10**8:08}"

    async def main():
        texts = [("1", "menu [#spring-26]"), ("2", "STOP [#spring-26]")]
        await settled(ingest, *(raw("sms", form(From=phone, Body=text, MessageSid=f"SM{n}{phone}"), sender=phone) for n, text in texts))
        return await about(ingest, "parley.inbound", phone), await about(ingest, "parley.consent", phone)

    inbound, consents = shared.run(main())

    assert [("menu", "spring-26"), ("STOP", "spring-26")] == [(one.data.text, one.data.reference) for one in inbound]
    assert 3 == len(consents)
