"""An SMS without typography: cheaper, never dearer, and never another text."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.channels import gsm, text
from parley.channels.plainer import plainer, plainly
from parley.channels.shape import Account
from parley.contracts import Card, Channel, Choice, Content

LONG = "a" * 100
ACCOUNT = Account("a", "t", "twilio", Channel.SMS, "+15005550006", plainer=True)
signs = "“”‘’–—…\u00a0\u3000\u200bＡｂçşğêİıœß€[é가🙂"
some = st.lists(st.sampled_from([*signs, "a", " ", "https://x.example/a?b=c ", "https://x.example/ê "]) | st.characters(), max_size=300).map("".join)


@pytest.mark.parametrize(
    "typed, said",
    [("“Tea” – it’s…", "\"Tea\" - it's..."), ("12\u00a0000\u202f€\u3000！", "12 000 € !"), ("ＡＢＣ１２３～", "ABC123~"), ("co\u00adop\u200b\ufeff", "coop"),
     ("Garçon, dîner à l’hôtel", "Garcon, diner à l'hotel"), ("Işık şu ağaç", "Isik su agac"), ("Łódź, cœur, straße", "Lodz, coeur, straße"),
     ("e\u0301\u2028n\u0303", "é\nñ"), ("½ ﬁne №\u20095", "1/2 fine No 5")],
)  # fmt: skip
def test_what_is_said_without_typography(typed, said):
    """Marks fall only from letters that the GSM alphabet lacks: é, ñ, ü and their kind stay."""
    assert LONG + said == plainer(LONG + typed)


@pytest.mark.parametrize("one", ["’한", "’🙂", "’ά", "’你", "’\u200d"])
def test_a_text_that_has_other_characters_is_left(one):
    """Then it costs as much with plain quotes, and reads worse."""
    assert LONG + one == plainer(LONG + one)


@pytest.mark.parametrize("words", ["it’s", "…" * 70, "a" * 160, ""])
def test_a_text_that_costs_no_less_is_left(words):
    assert words == plainer(words)


@pytest.mark.parametrize("link", ["https://x.example/ê", "https://x.example/it’s?", "https://x.example/–/a"])
def test_a_link_is_never_another_one(link):
    """An address beyond ASCII makes the text dear, and stays."""
    assert f"{LONG} “{link}”" == plainer(f"{LONG} “{link}”")
    assert f'{LONG} "https://x.example/a_b".' == plainer(f"{LONG} “https://x.example/a_b”.")


@given(some, st.sampled_from([(), ("tr",), ("es", "pt")]))
def test_plainer_saves_or_leaves(words, alphabets):
    """Fewer segments, however they are counted, or the very same text; once is enough; links stay."""
    plain = plainer(words, alphabets)

    assert plain == words or max(text.segments(plain), gsm.segments(plain)) < min(text.segments(words), gsm.segments(words, alphabets))
    assert plain == plainer(plain, alphabets)
    assert words.count("https://x.example/a?b=c") == plain.count("https://x.example/a?b=c")


@pytest.mark.parametrize("account, asked, changed", [(True, None, True), (True, False, False), (False, True, True), (False, None, False)])
def test_the_message_says_it_or_else_its_account(account, asked, changed):
    content = Content(text=LONG + "’", plainer=asked)

    assert (LONG + "'" if changed else LONG + "’") == plainly(content, replace(ACCOUNT, plainer=account)).text


def test_a_message_is_judged_as_the_sms_that_it_becomes():
    """Choices and cards are lines below the text: they are plain together, or none is. What the machine reads stays."""
    card = Card(title="Thé – vert", text="l’été", url="https://x.example/t", image="https://x.example/i’")
    content = Content(text=LONG[:60], choices=(Choice(id="j’y", title="J’y vais"),), cards=(card,))
    dear = content.model_copy(update={"cards": (card.model_copy(update={"url": "https://x.example/ê"}),)})

    assert f"{LONG[:60]}\nThé - vert - l'été - https://x.example/t" == plainly(content, ACCOUNT).text
    assert (Choice(id="j’y", title="J'y vais"),) == plainly(content, ACCOUNT).choices
    assert dear == plainly(dear, ACCOUNT) and content == plainly(content, replace(ACCOUNT, channel=Channel.WHATSAPP))


def test_what_would_not_fit_the_contract_any_more_is_left():
    content = Content(text=LONG, choices=(Choice(id="a", title="…" * 500),))

    assert content == plainly(content, ACCOUNT)
