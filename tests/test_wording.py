"""The words that law wants in a message: put where they are missing, left where they are, and an error where they cannot be put."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.contracts import Card, Channel, Choice, Content, Template
from parley_sender.rulings import Ruling
from parley_sender.wording import Unmarked, marked

KOREA = Ruling(
    begins="(광고)", name="Acme", opt_out=("수신거부", "무료거부"), opt_out_lines={"ko": "무료수신거부 080-000-0000", "en": "080-000-0000 (free)"}
)
EUROPE = Ruling(name="Acme", opt_out=("STOP", "unsubscribe"))
BARE = Ruling(begins="(광고)", opt_out=("수신거부",))
RULINGS = st.sampled_from([KOREA, EUROPE, BARE, Ruling(name="Acme"), Ruling(begins="(광고)")])
PIECES = st.lists(
    st.sampled_from(["(광고)", "Acme", "STOP", "수신거부", "<b>", "&amp;", "\n", " ", "Sale", "</body>", "080-000-0000"]), max_size=8
).map("".join)
TEXTS = st.text(max_size=30) | PIECES
CONTENTS = st.builds(
    Content,
    text=TEXTS,
    subject=st.none() | TEXTS.filter(bool),
    html=st.none() | TEXTS.filter(bool),
    choices=st.lists(st.builds(Choice, id=st.just("a"), title=PIECES), max_size=1).map(tuple),
    cards=st.lists(st.builds(Card, title=st.just("Tea"), text=PIECES), max_size=1).map(tuple),
)
LINK = "https://acme.example/u/1"


@given(
    content=CONTENTS,
    ruling=RULINGS,
    channel=st.sampled_from([one for one in Channel if one is not Channel.VOICE]),
    language=st.sampled_from(["ko", "en", "fr", None]),
)
def test_marked_twice_is_marked_once(content, ruling, channel, language):
    """And what was said is still said."""
    try:
        once = marked(content, ruling, channel, language, LINK)
    except Unmarked:
        assert channel is Channel.EMAIL and content.html and not content.text and not content.subject
        return

    assert once == marked(once, ruling, channel, language, LINK)
    assert content.text.removeprefix("(광고)").strip() in once.text
    assert (content.choices, content.cards, content.media) == (once.choices, once.cards, once.media)


@given(content=CONTENTS, channel=st.sampled_from([one for one in Channel if one not in (Channel.EMAIL, Channel.VOICE)]))
def test_what_law_asks_for_is_there(content, channel):
    """It begins with the mark, names the sender, and tells the way out."""
    found = marked(content, KOREA, channel, "ko")
    said = "\n".join([found.text, found.subject or "", *(one.title for one in found.choices), *(one.text for one in found.cards)])

    assert found.text.startswith("(광고)")
    assert "Acme" in said and any(word in said for word in ("수신거부", "무료거부", "080-000-0000"))


@pytest.mark.parametrize(
    ("channel", "language", "wanted"),
    [
        ("sms", "ko", "수신거부: '수신거부' 회신"),
        ("whatsapp", "en", "Reply STOP to opt out"),
        ("webchat", "fr", "Reply STOP to opt out"),
        ("push", None, "Opt out: turn notifications off in the app's settings"),
    ],
)
def test_the_usual_way_out(channel, language, wanted):
    """Where the tenant has no line: an answer where the channel hears one, in the recipient's language or English."""
    assert f"Acme: Sale\n{wanted}" == marked(Content(text="Sale"), EUROPE, Channel(channel), language).text


def test_a_tenants_line_comes_first():
    """In the recipient's language, else in English."""
    assert "(광고) [Acme] 할인\n무료수신거부 080-000-0000" == marked(Content(text="할인"), KOREA, Channel.SMS, "ko").text
    assert "(광고) [Acme] Sale\n080-000-0000 (free)" == marked(Content(text="(광고) Sale"), KOREA, Channel.SMS, "de").text


def test_an_email_begins_with_its_subject():
    """Without one that is the first line of its text; the rest is told at the end of each of its parts."""
    plain = marked(Content(text="할인\n\n오늘만"), KOREA, Channel.EMAIL, "ko")
    rich = marked(Content(subject="할인", text="오늘만", html="<body><p>오늘만</p></body>"), KOREA, Channel.EMAIL, "ko")

    assert "(광고) 할인\n\n오늘만\n\nAcme\n무료수신거부 080-000-0000" == plain.text
    assert ("(광고) 할인", "오늘만\n\nAcme\n무료수신거부 080-000-0000") == (rich.subject, rich.text)
    assert "<body><p>오늘만</p><p>Acme<br>무료수신거부 080-000-0000</p></body>" == rich.html


def test_an_email_links_to_its_way_out():
    """Where there is no line; and where there is no link either it says what to do."""
    assert f"Sale at Acme\n\nUnsubscribe: {LINK}" == marked(Content(text="Sale at Acme"), EUROPE, Channel.EMAIL, "en", LINK).text

    with pytest.raises(Unmarked, match=r"on email there is no usual one: set opt_out in policies\.yaml"):
        marked(Content(text="Sale"), EUROPE, Channel.EMAIL, "en")


def test_html_alone_needs_a_subject():
    """Else nobody could put the mark at the beginning."""
    with pytest.raises(Unmarked, match="needs a subject"):
        marked(Content(html="<p>할인</p>"), KOREA, Channel.EMAIL, "ko")


def test_a_template_is_never_changed():
    """Its text stands with the provider: the tenant says which have the words; the others are an error with a reason."""
    content = Content(template=Template(name="sale", language="ko"))

    with pytest.raises(Unmarked, match=r"the template 'sale' has to have the words that law asks for: see marked_templates in policies\.yaml"):
        marked(content, KOREA, Channel.WHATSAPP, "ko")
    assert content == marked(content, Ruling(begins="(광고)", marked_templates=frozenset({"sale"})), Channel.WHATSAPP, "ko")
    assert content == marked(content, Ruling(), Channel.WHATSAPP, "ko")


def test_where_nothing_is_asked_nothing_changes():
    """A reply stays what it is, to the letter."""
    content = Content(text="  Yes, at 3. ")

    assert content is marked(content, Ruling(), Channel.SMS, "ko")
