"""What an e-mail is made of, whoever carries it; and what the pages of the three carriers say."""

import base64
from email import message_from_bytes, policy
from pathlib import Path
from urllib.parse import parse_qsl
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley import config
from parley.channels import mail, mailgun, sendgrid, ses
from parley.channels.mail import Event, Mail, mime, written
from parley.channels.shape import Account, Outgoing
from parley.contracts import Channel, Choice, ConsentState, Content, Media, ReceiptStatus
from tests.mailing import ACCOUNT, NOW

ONE_CLICK = {"List-Unsubscribe": "<https://l.example/u/7?a=1>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=300)


HTML = "<html><body><h1>차</h1><p>Your <a href='https://s.example/1'>tea</a></p></body></html>"


def mailed(content: Content, unsubscribe: str | None = None, sender: str = "Acme Tea <hello@acme.example>") -> Mail:
    message = Outgoing(UUID(int=7), "jo@example.com", content, NOW, unsubscribe_url=unsubscribe)
    return written(message, Account("a", "t", "any", Channel.EMAIL, sender))


@pytest.mark.parametrize(
    "text, subject, body",
    [("Hi", "Hi", "Hi"), ("Your tea\n\nis on its way.\n\nAcme", "Your tea", "is on its way.\n\nAcme"), ("a\nb", "a", "a\nb"),
     ("\r\nYour tea\r\n\r\nis here.\r\n", "Your tea", "is here."), ("Your tea\n\n  \n", "Your tea", "Your tea"),
     ("a\x00\tb\u2028c\n\nd", "a b c", "d"), ("שלום 👩‍👩‍👧\n\nתה", "שלום 👩‍👩‍👧", "תה"), ("x" * 201 + "\n\ny", "x" * 199 + "…", "x" * 201 + "\n\ny")],
)  # fmt: skip
def test_the_first_line_is_the_subject(text, subject, body):
    """A heading, with an empty line below, is not said twice; a line that does not fit the subject stands in the text whole."""
    found = mailed(Content(text=text))

    assert (subject, body) == (found.subject, found.text)


@pytest.mark.parametrize(
    "content, subject, text",
    [(Content(text="Hi\n\nthere", subject="Your  tea\n"), "Your tea", "Hi\n\nthere"), (Content(text="Hi\n\nthere", subject=" \n"), "Hi", "there"),
     (Content(html=HTML), "차", "차\n\nYour tea (https://s.example/1)"), (Content(html=HTML, subject="Tea"), "Tea", "차\n\nYour tea (https://s.example/1)"),
     (Content(html=HTML, text="Tea is here\n\nBye"), "Tea is here", "Tea is here\n\nBye"), (Content(html="<img src='x.png'>"), "Acme Tea", "Acme Tea")],
)  # fmt: skip
def test_a_subject_is_said_or_found(content, subject, text):
    """Said, it takes nothing out of the text; where only HTML was written, the text is made from that."""
    found = mailed(content)

    assert (subject, text, content.html) == (found.subject, found.text, found.html)


def test_html_carries_what_stands_below_the_text():
    """At the end of its body, escaped."""
    choices = (Choice(id="y", title="<b>"), Choice(id="https://s.example/x?a&b"))
    list_ = '<p>1. &lt;b&gt;<br>2. <a href="https://s.example/x?a&amp;b">https://s.example/x?a&amp;b</a></p>'

    assert f"<BODY>Tea?{list_}</BODY>" == mailed(Content(html="<BODY>Tea?</BODY>", choices=choices)).html
    assert f"<p>Tea?{list_}" == mailed(Content(html="<p>Tea?", choices=choices)).html


@given(
    texts,
    texts.filter(bool),
    st.none() | st.just("https://l.example/u/" + "7" * 900),
    st.sampled_from(["Acme, Tea <h@a.example>", "차 <h@a.example>"]),
)
def test_an_email_is_read_back_as_it_was_written(text, html, unsubscribe, sender):
    """By the standard library's own reader: subject, both parts, whatever they say, and headers that nothing can be added to."""
    mail = mailed(Content(text=text, html=html), unsubscribe, sender)
    sent = mime(mail, "jo@example.com", UUID(int=7), NOW)
    read = message_from_bytes(sent, policy=policy.default)
    plain, marked = (read.get_body((kind,)) for kind in ("plain", "html"))

    assert (mail.subject, "jo@example.com", NOW) == (read["subject"], read["to"], read["date"].datetime) and mail.sender in read["from"]
    assert [mail.text.split(), mail.html.split()] == [one.get_content().split() for one in (plain, marked)]
    assert set(mail.headers) == {name for name in read.keys() if name.startswith("List-")} and all(len(one) < 999 for one in sent.split(b"\r\n"))  # noqa: SIM118
    assert sent == mime(mail, "jo@example.com", UUID(int=7), NOW) and sent.isascii()


@pytest.mark.parametrize("address", ["jo@a.example\r\nBcc: x@b.example", "jo@a.example\nx"])
def test_an_address_is_no_header(address):
    with pytest.raises(ValueError):
        mime(mailed(Content(html=HTML)), address, UUID(int=7), NOW)


def test_each_carrier_takes_html_in_its_own_form():
    """SendGrid and Mailgun as a field beside the text, SES as the whole e-mail; with its headers everywhere."""
    message = Outgoing(UUID(int=7), "jo@example.com", Content(html=HTML), NOW, unsubscribe_url="https://l.example/u/7?a=1")
    grid, gun, amazon = (provider.build(message, ACCOUNT)[0].body for provider in (sendgrid, mailgun, ses))
    raw = message_from_bytes(base64.b64decode(orjson.loads(amazon)["Content"]["Raw"]["Data"]), policy=policy.default)
    form = dict(parse_qsl(gun.decode()))

    assert [("text/plain", "차\n\nYour tea (https://s.example/1)"), ("text/html", HTML)] == [
        (*one.values(),) for one in orjson.loads(grid)["content"]
    ]
    assert HTML == form["html"] == raw.get_body(("html",)).get_content().strip() and "multipart/alternative" == raw.get_content_type()
    assert ONE_CLICK == orjson.loads(grid)["headers"] == {name: raw[name] for name in ONE_CLICK} == {name: form[f"h:{name}"] for name in ONE_CLICK}


def test_choices_and_media_are_written_out():
    """On lines below the text: with their number, as the answer may name it, and as a link where the id is one."""
    choices = (Choice(id="yes", title="Yes"), Choice(id="https://s.example/x", title="Shop"), Choice(id="no"), Choice(id="https://s.example/y"))
    found = mailed(Content(text="Tea?", choices=choices, media=(Media(kind="image", url="https://s.example/t.png"), Media(kind="image"))))

    assert "Tea?\n\n1. Yes\n2. Shop: https://s.example/x\n3. no\n4. https://s.example/y\n\nhttps://s.example/t.png" == found.text


@pytest.mark.parametrize(
    "sender, expected",
    [("hello@acme.example", ("", "hello@acme.example", "hello@acme.example")),
     ("Acme, Tea <h@a.example>", ("Acme, Tea", "h@a.example", '"Acme, Tea" <h@a.example>')),
     ('"Acme Tea" <h@a.example>', ("Acme Tea", "h@a.example", "Acme Tea <h@a.example>")),
     ("차 <h@a.example>", ("차", "h@a.example", "=?utf-8?b?7LCo?= <h@a.example>")), ("차 <h@차.kr>", ("차", "h@차.kr", "h@차.kr"))],
)  # fmt: skip
def test_a_sender_may_have_a_name(sender, expected):
    found = mailed(Content(text="x"), sender=sender)

    assert expected == (found.name, found.sender, found.from_)


@pytest.mark.parametrize("sender, subject", [("Acme Tea <h@a.example>", "Acme Tea"), ("h@a.example", "h@a.example")])
def test_a_message_without_words_is_about_its_sender(sender, subject):
    """Providers refuse an empty subject."""
    assert subject == mailed(Content(media=(Media(kind="image", url="https://s.example/t.png"),)), sender=sender).subject


@pytest.mark.parametrize(
    "url, headers",
    [(None, {}), ("https://l.example/u/7?a=1", ONE_CLICK), ("http://127.0.0.1/u", {"List-Unsubscribe": "<http://127.0.0.1/u>"}),
     ("http://l/u>\r\nBcc: <a@b", {"List-Unsubscribe": "<http://l/u%3E%0D%0ABcc:%20%3Ca@b>"})],
)  # fmt: skip
def test_one_click_unsubscribes(url, headers):
    """RFC 8058, over https only; nothing in the address becomes a header."""
    assert headers == mailed(Content(text="x"), url).headers


@given(texts, st.lists(st.builds(Choice, id=texts.filter(bool).map(lambda text: text[:200]), title=texts), max_size=3).map(tuple))
def test_every_message_has_a_subject_of_one_line_and_a_text(text, choices):
    found = mailed(Content(text=text, choices=choices))

    assert 0 < len(found.subject) <= 200 and found.text and not set(found.subject) & set(map(chr, range(32)))


@pytest.mark.parametrize(
    "value, expected",
    [(" Jo@Example.COM ", "jo@example.com"), ("Jo <Jo@example.com>", "jo@example.com"), (None, None), ("", None), ("<>", None), ([], None),
     ("a" * 201, None)],
)  # fmt: skip
def test_an_address_is_bare_and_in_lower_case(value, expected):
    assert expected == mail.address(value)


def test_without_a_message_there_is_no_receipt_and_without_a_person_no_consent():
    """Of an event that names neither, nothing is left that could be joined to anything."""
    nobody = Event(None, None, None, None, "e")

    assert [] == [
        *nobody.receipt(ReceiptStatus.FAILED, None, "opted_out", "unsubscribe"), *nobody.opted(ConsentState.REVOKED), *nobody.engaged("opened"),
    ]  # fmt: skip


@pytest.mark.parametrize("provider", [sendgrid, ses, mailgun])
@given(texts, st.none() | st.just("https://l.example/u"))
def test_each_carrier_sends_any_text_once_and_names_the_message(provider, text, unsubscribe):
    """One request, whatever its length, with our message id, and with its id as a key where the account says that those are honoured."""
    message = Outgoing(UUID(int=7), "jo@example.com", Content(text=text * 30), NOW, unsubscribe_url=unsubscribe)
    (request,) = provider.build(message, ACCOUNT)

    assert str(UUID(int=7)).encode() in request.body and str(UUID(int=7)) == request.headers["idempotency-key"]
    assert (unsubscribe is not None) == (b"One-Click" in request.body) and 1 == provider.segments(message.content)


@pytest.mark.parametrize("name", ["sendgrid", "ses", "mailgun"])
def test_the_accounts_of_the_pages_can_be_read(name, tmp_path):
    """What a page shows is a configuration, with every credential that sending needs."""
    page = (Path(__file__).parents[1] / "docs" / "channels" / f"{name}.md").read_text()
    shown = page.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "accounts.yaml").write_text(shown)
    environment = {word.strip('"{},[] ').removeprefix("env:"): "x" for word in shown.split() if "env:" in word}
    (account,) = config.load(tmp_path, environment).accounts.values()

    assert (name, Channel.EMAIL) == (account.provider, account.channel)
