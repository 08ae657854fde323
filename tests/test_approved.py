"""Templates are checked against what the provider has approved, before it refuses them."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import orjson
import pytest

from parley import approved, config
from parley.channels import meta, twilio, vonage
from parley.channels.shape import Account, Outgoing
from parley.contracts import Channel, Content, Media, Template
from parley.yamlfile import ConfigError

FILE = """
wa:
  order_shipped: {languages: [ko, en_US], body: 2}
  cart: {languages: [ko], header: image, body: 1, buttons: [0, 1]}
  hello: {languages: [ko], header: 1}
none: {}
"""
WHATSAPP = Account("wa", "t", "meta", Channel.WHATSAPP, "1", {"access_token": ("x",)})
PICTURE = Media(kind="image", url="https://s.example/t.png")


@pytest.fixture
def known(tmp_path: Path) -> approved.Approved:
    (tmp_path / "templates.yaml").write_text(FILE)
    return approved.load(tmp_path, ["wa", "none", "mail"])


def shipped(*parameters: str, language: str = "ko") -> Template:
    return Template(name="order_shipped", language=language, parameters=parameters)


@pytest.mark.parametrize(
    "template",
    [shipped("지수", "1234"), shipped("Jo", "1", language="en_US"), Template(name="hello", language="ko", header=("지수",)),
     Template(name="cart", language="ko", media=PICTURE, parameters=("차",), buttons=("", "c/7")), None],
)  # fmt: skip
def test_a_template_that_was_approved_passes(template, known):
    assert approved.check(template, WHATSAPP, known) is None


@pytest.mark.parametrize(
    "template, reason",
    [
        (Template(name="order_shiped", language="ko"), "wa has no template 'order_shiped'; did you mean 'order_shipped'?"),
        (Template(name="x", language="ko"), "wa has no template 'x'; it has order_shipped, cart, hello"),
        (shipped("a", "b", language="en"), "template 'order_shipped' is not approved in 'en', only in ko, en_US"),
        (shipped("a"), "template 'order_shipped': the body has 2 parameters; 1 was given"),
        (shipped(), "template 'order_shipped': the body has 2 parameters; none was given"),
        (shipped("a", "b\nc"), "template 'order_shipped': parameter 2 has a line break, a tab or five blanks, which WhatsApp takes in none"),
        (shipped(" ", "b"), "template 'order_shipped': parameter 1 is empty"),
        (Template(name="hello", language="ko", header=("a",), parameters=("b",)), "template 'hello': the body has no parameters; 1 was given"),
        (Template(name="hello", language="ko"), "template 'hello': the header has 1 parameter; none was given"),
        (Template(name="hello", language="ko", media=PICTURE), "template 'hello' has no file in its header; 'image' was given"),
        (Template(name="hello", language="ko", header=("a",), buttons=("b",)), "template 'hello' has no buttons; 1 was given"),
        (Template(name="cart", language="ko", parameters=("a",)), "template 'cart' has one file of kind 'image' in its header; none was given"),
        (Template(name="cart", language="ko", media=PICTURE, parameters=("a",)), "template 'cart': button 2 has 1 parameter; none was given"),
        (
            Template(name="cart", language="ko", media=PICTURE, parameters=("a",), buttons=("b", "c")),
            "template 'cart': button 1 has no parameters; 1 was given",
        ),
    ],
)
def test_a_template_that_would_be_refused_is_not_sent(template, reason, known):
    """The reason is a sentence, for whoever asks why."""
    assert reason == approved.check(template, WHATSAPP, known)


def test_only_an_account_with_a_list_is_held_to_it(known, tmp_path):
    """An empty list is a list. Without the file nothing is known of any account."""
    mail, bare = Account("mail", "t", "ses", Channel.EMAIL, "a@b"), Account("none", "t", "meta", Channel.WHATSAPP, "2")

    assert approved.check(shipped(), mail, known) is None and approved.check(shipped(), WHATSAPP, approved.load(tmp_path / "nowhere")) is None
    assert "none has no template 'order_shipped'; it has none" == approved.check(shipped(), bare, known)


@pytest.mark.parametrize(
    "text, said",
    [
        ("wa:\n  a: {body: 1}\n", "templates.yaml:2: wa.a.languages: Field required"),
        ("wa:\n  a: {languages: [ko], body: two}\n", "templates.yaml:2: wa.a.body:"),
        ("wa:\n  a:\n    languages: [ko]\n    buton: [1]\n", "templates.yaml:4: wa.a.buton: Extra inputs are not permitted; did you mean `buttons`?"),
        ("wa:\n  a: {languages: [ko-KR]}\n", "templates.yaml:2: wa.a.languages.0:"),
        ("\nother: {}\n", "templates.yaml:2: other: there is no account 'other'; known: wa"),
        ("wa: [", "not YAML"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(text, said, tmp_path):
    (tmp_path / "templates.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        approved.load(tmp_path, ["wa"])

    assert said in str(caught.value)


def test_the_sample_is_right():
    folder = Path(__file__).parents[1] / "config"

    assert "acme-whatsapp" in approved.load(folder, config.public(folder))


def test_every_part_is_sent_where_it_belongs():
    """Meta has a component for each; Vonage passes that on; Twilio numbers through all parts."""
    asked = Template(name="cart", language="ko", media=PICTURE, parameters=("차",), buttons=("", "c/7"))
    account = Account(
        "a", "t", "meta", Channel.WHATSAPP, "1", dict.fromkeys(("access_token", "account_sid", "auth_token", "api_key", "api_secret"), ("x",))
    )
    message = Outgoing(UUID(int=7), "+821012345678", Content(template=asked), datetime(2026, 11, 25, tzinfo=UTC))
    wanted = [
        {"type": "header", "parameters": [{"type": "image", "image": {"link": PICTURE.url}}]},
        {"type": "body", "parameters": [{"type": "text", "text": "차"}]},
        {"type": "button", "sub_type": "url", "index": "1", "parameters": [{"type": "text", "text": "c/7"}]},
    ]

    assert wanted == orjson.loads(meta.build(message, account)[0].body)["template"]["components"]
    assert wanted == orjson.loads(vonage.build(message, account)[0].body)["custom"]["template"]["components"]
    assert b"%7B%221%22%3A%22%EC%B0%A8%22%2C%222%22%3A%22c%2F7%22%7D" in twilio.build(message, account)[0].body
