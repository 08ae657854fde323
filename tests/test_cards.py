"""Cards: as the channel shows them, and where it has none as lines of text and pictures, on every channel there is."""

from datetime import UTC, datetime
from urllib.parse import parse_qs
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from linebot.v3.messaging import FlexMessage

from parley.channels import PROVIDERS, line, mail, meta, plain, push, rbm, sendbird, smpp, telegram, twilio, vonage, webchat
from parley.channels.cards import caption, unfolded
from parley.channels.shape import Account, Outgoing, Request, Source
from parley.contracts import Card, Channel, Choice, Content, Media
from parley.twin import whatsapp
from parley.twin.shape import Account as TwinAccount
from parley.twin.shape import Call, Message

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
TEA = Card(title="녹차", text="제주에서 온 첫 잎", image="https://e/tea.jpg", url="https://e/tea")
CUP = Card(title="Cup", text="Blue", url="https://e/cup")
PLAIN = Card(title="Gift card")
BOTH = Content(text="For you", cards=(TEA, CUP))
LINES = "For you\n녹차 – 제주에서 온 첫 잎 – https://e/tea\nCup – Blue – https://e/cup"
YES = Choice(id="yes", title="Yes")
WORDS = st.characters(exclude_categories=("Cs",))
NAMED = ("access_token", "channel_access_token", "bot_token", "api_token", "app_id", "account_sid", "auth_token", "api_key", "api_secret")
CREDENTIALS = {**dict.fromkeys(NAMED, ("token",)), "symmetric": ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",)}


def built(provider: object, channel: Channel, content: Content) -> list[dict]:
    """The bodies of the requests that send it."""
    account = Account("a", "t", "p", channel, "+15005550006", CREDENTIALS, base_url="https://twin.example")
    message = Outgoing(UUID(int=7), "+821012345678", content, NOW, token="t")
    found = provider.build(message, account)
    return [orjson.loads(one.body) if one.body[:1] == b"{" else {k: v[0] for k, v in parse_qs(one.body.decode()).items()} for one in found]


def test_lines_and_pictures():
    """A card is a line of title, text and link below the text, and its picture a file where pictures are shown."""
    assert Content(text=LINES, media=(Media(kind="image", url="https://e/tea.jpg"),)) == unfolded(BOTH)
    assert Content(text=LINES) == unfolded(BOTH, pictures=False)
    assert Content(text="Gift card") == unfolded(Content(cards=(PLAIN,)))


def test_messenger():
    """Messenger has a template of cards; what is asked stands below it with its choices."""
    found = [one["message"] for one in built(meta, Channel.MESSENGER, Content(text="For you", cards=(TEA, CUP), choices=(YES,)))]
    link = {"type": "web_url", "url": "https://e/cup"}

    assert {"title": "Cup", "subtitle": "Blue", "default_action": link, "buttons": [{**link, "title": "↗"}]} == _elements(found[0])[1]
    assert "https://e/tea.jpg" == _elements(found[0])[0]["image_url"]
    assert ("For you", ["yes"]) == (found[1]["text"], [one["payload"] for one in found[1]["quick_replies"]])


def test_messenger_shows_lines_where_it_has_no_card():
    """A card with nothing but a title, and more than ten cards, are lines of text."""
    assert "For you\nGift card" == built(meta, Channel.MESSENGER, Content(text="For you", cards=(PLAIN,)))[0]["message"]["text"]
    assert 11 == built(meta, Channel.MESSENGER, Content(cards=(CUP,) * 11))[0]["message"]["text"].count("Cup – Blue")


def _elements(message: dict) -> list[dict]:
    assert "generic" == message["attachment"]["payload"]["template_type"]
    return message["attachment"]["payload"]["elements"]


def test_instagram():
    """Instagram gets the picture and the lines."""
    picture, text = (one["message"] for one in built(meta, Channel.INSTAGRAM, BOTH))

    assert ("https://e/tea.jpg", LINES) == (picture["attachment"]["payload"]["url"], text["text"])


def test_whatsapp():
    """WhatsApp gets each picture with what the card says below it, and the question last."""
    first, second, last = built(meta, Channel.WHATSAPP, BOTH.model_copy(update={"choices": (YES,)}))

    assert {"link": "https://e/tea.jpg", "caption": "녹차\n제주에서 온 첫 잎\nhttps://e/tea"} == first["image"]
    assert "Cup\nBlue\nhttps://e/cup" == second["text"]["body"]
    assert "For you" == last["interactive"]["body"]["text"]
    assert ["text", "image", "text"] == [one["type"] for one in built(meta, Channel.WHATSAPP, BOTH)]


@given(title=st.text(WORDS, min_size=1, max_size=500), text=st.text(WORDS, max_size=2000), url=st.none() | st.just("https://e/" + "u" * 900))
def test_the_twin_takes_every_card(title, text, url):
    """What WhatsApp is sent for a card passes every check of the twin."""
    account = TwinAccount(name="a", provider="meta", channel="whatsapp", sender="1", credentials={"access_token": "t", "app_secret": "s"})
    sender = Account("a", "t", "meta", Channel.WHATSAPP, "1", {"access_token": ("t",)}, base_url="https://t.example")
    message = Outgoing(UUID(int=7), "+821012345678", Content(cards=(Card(title=title, text=text, url=url, image="https://e/1"),)), NOW)
    for request in meta.build(message, sender):
        call = Call(request.url.removeprefix("https://t.example"), {"Authorization": "Bearer t"}, request.body)
        assert isinstance(whatsapp.read(call, [account], 0)[1], Message)


def test_line():
    """LINE has a carousel, which its own kit reads; the choices hang on it."""
    (body,) = built(line, Channel.LINE, BOTH.model_copy(update={"choices": (YES,)}))
    text, carousel = body["messages"]
    read = FlexMessage.from_dict(carousel)

    assert ("For you", "녹차 / Cup", ["yes"]) == (text["text"], read.alt_text, [one["action"]["data"] for one in carousel["quickReply"]["items"]])
    assert ["https://e/tea", "https://e/cup"] == [one.action.uri for one in read.contents.contents]
    assert ["https://e/tea.jpg", None] == [one.hero.url if one.hero else None for one in read.contents.contents]


def test_rcs():
    """RCS has a carousel for several cards and a card for one; its links open beside the chat."""
    text, cards = (one["contentMessage"] for one in built(rbm, Channel.RCS, BOTH.model_copy(update={"choices": (YES,)})))
    first, second = cards["richCard"]["carouselCard"]["cardContents"]
    (alone,) = built(rbm, Channel.RCS, Content(cards=(TEA,)))

    assert ("For you", ["yes"]) == (text["text"], [one["reply"]["postbackData"] for one in cards["suggestions"]])
    assert ("녹차", "https://e/tea.jpg") == (first["title"], first["media"]["contentInfo"]["fileUrl"])
    assert {"text": "↗", "postbackData": "open", "openUrlAction": {"url": "https://e/cup"}} == second["suggestions"][0]["action"]
    assert first == alone["contentMessage"]["richCard"]["standaloneCard"]["cardContent"]


def test_a_link_of_rcs_says_nothing():
    """A tap on a card's link is no word of the customer."""
    told = {"suggestionResponse": {"postbackData": "open", "text": "↗"}, "senderPhoneNumber": "+821012345678", "messageId": "m"}
    body = orjson.dumps({"message": {"data": rbm.base64.b64encode(orjson.dumps(told)).decode()}})

    assert [] == list(rbm.parse(Request("POST", "https://h/hooks/a", {}, body), Account("a", "t", "rbm", Channel.RCS, "s")))


def test_telegram():
    """Telegram gets a picture with a caption, or a text without preview, and the buttons on the last."""
    text, photo, last = built(telegram, Channel.TELEGRAM, BOTH.model_copy(update={"choices": (YES,)}))

    assert ("For you", "https://e/tea.jpg", "녹차\n제주에서 온 첫 잎\nhttps://e/tea") == (text["text"], photo["photo"], photo["caption"])
    assert ("Cup\nBlue\nhttps://e/cup", True) == (last["text"], "reply_markup" in last)


@pytest.mark.parametrize(
    ("provider", "channel", "text", "picture"),
    [
        (twilio, Channel.SMS, lambda one: one["Body"], None),
        (twilio, Channel.MMS, lambda one: one["Body"], lambda one: one["MediaUrl"]),
        (twilio, Channel.WHATSAPP, lambda one: one["Body"], lambda one: one["MediaUrl"]),
        (vonage, Channel.SMS, lambda one: one["text"], None),
        (sendbird, Channel.INAPP, lambda one: one["message"], lambda one: one["url"]),
        (webchat, Channel.WEBCHAT, lambda one: one["text"], lambda one: one["media"][0]["url"]),
    ],
)
def test_channels_without_cards(provider, channel, text, picture):
    """Elsewhere a card is a line of the text; its picture goes along where that costs nothing more."""
    found = built(provider, channel, BOTH)

    assert LINES == text(found[-1])
    assert (picture is not None) == ("https://e/tea.jpg" in str(found)) and (picture is None or "https://e/tea.jpg" == picture(found[0]))


def test_mail_push_and_smpp():
    """A text of e-mail, a notification and an SMS straight to the operator have the lines, too."""
    account = Account("a", "t", "p", Channel.EMAIL, "Tea <tea@example.com>")
    notice = push.notice(BOTH)

    assert LINES.partition("\n")[2] in mail.written(Outgoing(UUID(int=7), "kim@example.com", BOTH, NOW), account).text
    assert (True, "https://e/tea.jpg", "https://e/tea") == (LINES in notice.body, notice.image, notice.url)
    assert LINES == smpp._text(BOTH)


def test_the_plain_provider():
    """The plain provider gets the cards as they are."""
    (body,) = built(plain, Channel.WEBCHAT, BOTH)

    assert (["녹차", "Cup"], {"title": "Cup", "text": "Blue", "url": "https://e/cup"}) == ([one["title"] for one in body["cards"]], body["cards"][1])


CARDS = st.builds(
    Card,
    title=st.text(WORDS, min_size=1, max_size=500),
    text=st.text(WORDS, max_size=2000),
    image=st.none() | st.just("https://e/picture.jpg"),
    url=st.none() | st.just("https://e/link"),
)


@pytest.mark.parametrize("name", sorted(name for name, one in PROVIDERS.items() if not isinstance(one, Source)))
def test_every_channel_counts_cards(name):
    """No provider fails to count what has cards, however many and long."""
    assert 1 <= PROVIDERS[name].segments(Content(text="a", cards=(TEA, CUP, PLAIN) * 7))


@given(card=CARDS, limit=st.integers(30, 1024))
def test_a_caption_fits(card, limit):
    """A caption is within its limit, and the link in it is whole or missing."""
    found = caption(card, limit)

    assert 0 < len(found) <= limit
    assert card.url is None or found.endswith(card.url) or card.url not in found


@given(cards=st.lists(CARDS, min_size=1, max_size=12).map(tuple))
@pytest.mark.parametrize(("provider", "channel"), [(line, Channel.LINE), (rbm, Channel.RCS), (telegram, Channel.TELEGRAM), (meta, Channel.MESSENGER)])
def test_limits_are_kept(provider, channel, cards):
    """Any cards make bodies that name every link and keep the limits of the channel."""
    found = built(provider, channel, Content(cards=cards))

    assert sum(one.url is not None for one in cards) <= sum(orjson.dumps(one).count(b"https://e/link") for one in found)
    if channel is Channel.LINE:
        assert all(FlexMessage.from_dict(one) for body in found for one in body["messages"] if one["type"] == "flex")
    if channel is Channel.MESSENGER:
        assert all(
            len(one["title"]) <= 80
            for body in found
            if "attachment" in body["message"]
            for one in body["message"]["attachment"]["payload"].get("elements", ())
        )
