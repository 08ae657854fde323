"""Push: what of a message a notification shows, and that nobody comes in by this door."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.channels import apns, fcm, webpush
from parley.channels.push import Notice, fitting, notice
from parley.channels.shape import Account, Forged, Request
from parley.contracts import Channel, Choice, Content, Media, Template
from tests.pushing import NOW

ACCOUNT = Account("p", "t", "fcm", Channel.PUSH, "s", {"service_account": ("x",)})
PROVIDERS = [fcm, apns, webpush]
PICTURE = Media(kind="image", url="https://f.example/1.png")


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_comes_in(provider, method):
    """Push services call nobody, so every caller is somebody else."""
    request = Request(method, "https://h.example/hooks/p", {"authorization": "Bearer x"}, b"{}")

    assert None is provider.handshake(request, ACCOUNT)
    with pytest.raises(Forged):
        provider.verify(request, ACCOUNT, NOW)
    assert [] == provider.parse(request, ACCOUNT)


@pytest.mark.parametrize(
    "text, expected",
    [("Hats", Notice(None, "Hats")), ("Sale\n\nHats\n\nand more", Notice("Sale", "Hats\n\nand more")), ("Sale\nHats", Notice(None, "Sale\nHats")),
     ("Sale\r\n\r\nHats", Notice("Sale", "Hats")), (" Sale \n \t\n\n Hats ", Notice("Sale", "Hats")), ("Sale\n\n", Notice(None, "Sale")),
     ("مرحبا\n\n🌍", Notice("مرحبا", "🌍")),
     ("Look: https://a.example/l/x. Now!", Notice(None, "Look: https://a.example/l/x. Now!", url="https://a.example/l/x")),
     ("http://a.example/x", Notice(None, "http://a.example/x")), ("https://a.example/" + "x" * 600, Notice(None, "https://a.example/" + "x" * 600))],
)  # fmt: skip
def test_a_heading_is_the_title_and_a_link_is_where_a_tap_leads(text, expected):
    """The heading is the first line where an empty one follows it, as with the subject of an e-mail."""
    assert expected == notice(Content(text=text))


def test_choices_are_written_out_unless_they_are_buttons():
    content = Content(text="Come?", choices=(Choice(id="y", title="Yes"), Choice(id="n")), media=(Media(kind="audio", url="https://f/2"), PICTURE))

    assert Notice(None, "Come?\n1. Yes\n2. n", "https://f.example/1.png") == notice(content)
    assert Notice(None, "Come?", "https://f.example/1.png") == notice(content, buttons=True)


@pytest.mark.parametrize("content", [Content(), Content(text=" \n "), Content(media=(PICTURE,)), Content(template=Template(name="t", language="en"))])
def test_a_message_without_a_word_is_refused_in_words(content):
    with pytest.raises(ValueError, match="a notification shows text"):
        notice(content)


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=50), st.integers(1, 60), st.integers(20, 300))
def test_a_text_is_cut_to_the_last_byte_that_fits(word, times, limit):
    """Never more than the limit; and one more character would be more, but for blanks at the cut."""
    text = word * times
    try:
        found = fitting(str.encode, text, limit).decode()
    except ValueError:
        assert limit < 3  # not even the sign that something was cut

    assert len(found.encode()) <= limit
    assert found == text or (found.endswith("…") and len(found.encode()) + 4 + 50 * 4 > min(limit, 1500))


def test_what_never_fits_is_refused_in_words():
    with pytest.raises(ValueError, match="does not fit"):
        fitting(lambda text: b"x" * 10 + text.encode(), "hats", 9)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_message_is_one_notification(provider):
    assert 1 == provider.segments(Content(text="x" * 9000))
