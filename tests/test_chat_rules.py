"""Web chat's rules, with values alone: tokens, what a browser may say, whose pages may ask, what provider and sender exchange."""

import contextlib
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from parley.channels import webchat
from parley.channels.shape import Account, Outgoing, Request
from parley.config import load
from parley.contracts import Channel, Choice, Content, Media, Template
from parley.yamlfile import ConfigError
from parley_ingest.chat import frames, tokens
from parley_ingest.chat.frames import Marked, Ping, Said, Typing, Wrong
from parley_ingest.chat.routes import allowed
from tests.chatting import SECRET, customer_token

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
OTHER = "whsec_" + "A" * 32
SHOP = Account("shop", "acme", "webchat", Channel.WEBCHAT, "acme", {"symmetric": (SECRET,)}, base_url="http://ingest:8001", honours_keys=True)
VISITOR = UUID("3f0c9a52-6a1e-4f7b-9a57-0f4d0a3b7c11")


def with_secrets(*secrets: str, name: str = "shop") -> Account:
    return Account(name, "acme", "webchat", Channel.WEBCHAT, "acme", {"symmetric": secrets})


# --- tokens ------------------------------------------------------------------------------------------------------------------------------


@given(st.uuids(), st.integers(0, 29))
def test_a_token_is_its_visitors(visitor, days):
    """For thirty days, and by either secret while they are changed."""
    token = tokens.issued(visitor, SHOP, NOW)

    assert visitor == tokens.visitor(token, with_secrets(OTHER, SECRET), NOW + timedelta(days=days))


@pytest.mark.parametrize(
    "account, later", [(with_secrets(OTHER), 0), (with_secrets(SECRET, name="other"), 0), (with_secrets(), 0), (SHOP, 31)], ids=str
)
def test_a_token_is_no_good_elsewhere_or_later(account, later):
    """Another secret, another account, none at all, another month."""
    with pytest.raises(tokens.Refused):
        tokens.visitor(tokens.issued(VISITOR, SHOP, NOW), account, NOW + timedelta(days=later))


@given(st.integers(0), st.characters())
def test_a_changed_token_is_refused(place, letter):
    """Whatever letter is changed to whatever."""
    token = tokens.issued(VISITOR, SHOP, NOW)
    place %= len(token)
    changed = token[:place] + letter + token[place + 1 :]
    if changed != token:
        with pytest.raises(tokens.Refused):
            tokens.visitor(changed, SHOP, NOW)


@given(st.text())
def test_no_text_breaks_the_reader_of_tokens(text):
    """It is refused."""
    for read in (tokens.visitor, tokens.customer):
        with pytest.raises(tokens.Refused):
            read(text, SHOP, NOW)


def test_a_customers_token_is_the_shops():
    """Read with the account's secret alone; that it is too old is told, not hidden."""
    now = datetime.now(UTC)

    assert ("c-1", True) == tokens.customer(customer_token("c-1"), SHOP, now)
    assert ("c-1", False) == tokens.customer(customer_token("c-1", minutes=-30), SHOP, now)
    for wrong in (customer_token("c-1", OTHER), customer_token(""), customer_token("c" * 201)):
        with pytest.raises(tokens.Refused):
            tokens.customer(wrong, SHOP, now)


# --- what a browser says -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said, frame",
    [
        ({"type": "message", "text": " hi "}, Said(VISITOR, "hi")),
        ({"type": "message", "choice": {"id": "a", "title": "A"}}, Said(VISITOR, "A", Choice(id="a", title="A"))),
        ({"type": "message", "choice": {"id": "a"}}, Said(VISITOR, "a", Choice(id="a"))),
        ({"type": "message", "text": "hi", "context": {"page": "p" * 900, "n": 1, "x": [1]}}, Said(VISITOR, "hi", None, {"page": "p" * 500, "n": 1})),
        ({"type": "message", "text": "\u00e9", "context": {"n": 2**70, "m": -5}}, Said(VISITOR, "\u00e9", None, {"m": -5})),
        ({"type": "message", "text": "a\u0000b\ud83d"}, Said(VISITOR, "ab\ufffd")),
        ({"type": "marks", "status": "read", "up_to": 7}, Marked("read", 7)),
        ({"type": "typing"}, Typing()),
        ({"type": "ping"}, Ping()),
    ],
)
def test_what_a_browser_says_is_read(said, frame):
    """Trimmed, cut, and without what cannot be stored."""
    assert frame == frames.read(json.dumps({"id": str(VISITOR), **said}).encode())


@pytest.mark.parametrize(
    "said, code",
    [
        ({"type": "message", "text": "x" * 4001}, "too_long"),
        ({"type": "message", "text": " \n"}, "empty"),
        ({"type": "message", "text": "hi", "id": "1"}, "unreadable"),
        ({"type": "marks", "status": "sent", "up_to": 7}, "unreadable"),
        ({"type": "marks", "status": "read", "up_to": 0}, "unreadable"),
        ({"type": "marks", "status": "read", "up_to": 2**63}, "unreadable"),
        ({"type": "admin"}, "unreadable"),
        ([], "unreadable"),
    ],
)
def test_what_is_wrong_has_a_code(said, code):
    """The widget knows by it what to do."""
    body = {"id": str(VISITOR), **said} if isinstance(said, dict) else said

    with pytest.raises(Wrong) as error:
        frames.read(orjson.dumps(body))
    assert code == error.value.code


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda one: st.lists(one) | st.dictionaries(st.text(), one))


@given(
    st.binary()
    | st.dictionaries(st.sampled_from(["type", "id", "text", "choice", "context", "status", "up_to"]), JSON).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_no_bytes_break_the_reader(body):
    """A frame or a refusal, never anything else."""
    with contextlib.suppress(Wrong):
        assert isinstance(frames.read(body), Said | Marked | Typing | Ping)


# --- whose pages ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin, host, origins, may",
    [
        ("https://shop.example", "chat.example", ("https://shop.example",), True),
        ("https://shop.example.evil.example", "chat.example", ("https://shop.example",), False),
        ("http://shop.example", "chat.example", ("https://shop.example",), False),
        ("https://chat.example", "chat.example", (), True),
        ("null", "chat.example", ("https://shop.example",), False),
        ("null", "", (), False),
        ("https://any.example", "chat.example", ("*",), True),
    ],
)
def test_whose_pages_may_use_it(origin, host, origins, may):
    """Those that the account names, to the letter, and ingest's own."""
    assert may == allowed(origin, host, Account("a", "t", "webchat", Channel.WEBCHAT, "s", origins=origins))


@pytest.mark.parametrize(
    "origin, good",
    [("https://shop.example", True), ("http://localhost:3000", True), ("*", True), ("shop.example", False), ("https://shop.example/", False)],
)
def test_origins_are_origins(tmp_path, origin, good):
    """A scheme and a host in accounts.yaml; anything else is refused with the place and the form."""
    (tmp_path / "secret").write_text(SECRET)
    account = {
        "tenant": "a",
        "provider": "webchat",
        "channel": "webchat",
        "sender": "a",
        "credentials": {"symmetric": "file:secret"},
        "origins": [origin],
    }
    (tmp_path / "accounts.yaml").write_text(yaml.safe_dump({"tenants": {"a": {}}, "accounts": {"chat": account}}))

    if good:
        assert (origin,) == load(tmp_path).accounts["chat"].origins
    else:
        with pytest.raises(ConfigError, match="an origin is a scheme and a host"):
            load(tmp_path)


# --- what sender delivers ----------------------------------------------------------------------------------------------------------------------


def outgoing(**content: object) -> Outgoing:
    return Outgoing(uuid4(), str(VISITOR), Content(**content), NOW)


def test_one_signed_request_delivers_it():
    """Our message id is the key, and the door's own check lets it through."""
    message = outgoing(text="hi", choices=[Choice(id="a", title="A")], media=[Media(kind="image", url="https://x.example/a.png")])
    (request,) = webchat.build(message, SHOP)
    body = orjson.loads(request.body)

    assert ("POST", "http://ingest:8001/chat/shop/deliver", str(message.message_id)) == (
        request.method,
        request.url,
        request.headers["idempotency-key"],
    )
    assert (str(message.message_id), str(VISITOR), "hi", "a", "image") == (
        body["id"],
        body["to"],
        body["text"],
        body["choices"][0]["id"],
        body["media"][0]["kind"],
    )
    assert None is webchat.verify(Request("POST", request.url, request.headers, request.body), SHOP, NOW)


@pytest.mark.parametrize("message, account, said", [
    (outgoing(template=Template(name="t", language="en")), SHOP, "no templates"),
    (outgoing(text="hi"), with_secrets(SECRET), "set `base_url`"),
])  # fmt: skip
def test_what_cannot_be_delivered_says_why(message, account, said):
    """In a sentence, for the message's story."""
    with pytest.raises(ValueError, match=said):
        webchat.build(message, account)
