"""Rules of the channel files that hold for every input: signatures as the providers' own kits make them, and nothing that breaks the door."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from standardwebhooks import Webhook
from twilio.request_validator import RequestValidator

from parley.channels import PROVIDERS, meta, plain, twilio
from parley.channels.shape import Account, Forged, Malformed, Outgoing, Received, Request
from parley.channels.text import segments
from parley.contracts import Channel, Choice, Content

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
URL = "https://hooks.example.com/hooks/a"
FORM = {"content-type": "application/x-www-form-urlencoded"}
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SAMPLES = [path.read_bytes() for path in sorted((Path(__file__).parent / "samples").rglob("*")) if path.suffix in (".json", ".txt")]
words = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
json_values = st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | words,
                           lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=10)  # fmt: skip


def account(provider: str, **credentials: str | tuple[str, ...]) -> Account:
    given = {name: (value,) if isinstance(value, str) else value for name, value in credentials.items()}
    return Account("a", "t", provider, Channel.SMS, "+1", given, public_url=URL)


def accepts(provider, request: Request, one: Account, now: datetime = NOW) -> bool:
    try:
        provider.verify(request, one, now)
    except Forged:
        return False
    return True


@given(st.dictionaries(words.filter(bool), words, min_size=1, max_size=6))
def test_twilio_signatures_are_those_of_its_own_kit(form):
    """Any form, any alphabet, blank values too."""
    signature = RequestValidator("token").compute_signature(URL, form)
    request = Request("POST", URL, {**FORM, "x-twilio-signature": signature}, urlencode(form).encode())

    assert accepts(twilio, request, account("twilio", auth_token="token"))


@given(st.binary(max_size=200), st.integers(-300, 300))
def test_plain_signatures_are_those_of_standard_webhooks(body, age):
    """Within five minutes either way."""
    text = body.hex()
    at = NOW + timedelta(seconds=age)
    headers = {"webhook-id": "m", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": Webhook(SECRET).sign("m", at, text)}

    assert accepts(plain, Request("POST", URL, headers, text.encode()), account("plain", symmetric=SECRET))


@given(st.integers(301, 10**6) | st.integers(-(10**6), -301))
def test_an_old_or_early_signature_is_refused(age):
    at = NOW + timedelta(seconds=age)
    headers = {"webhook-id": "m", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": Webhook(SECRET).sign("m", at, "x")}

    assert not accepts(plain, Request("POST", URL, headers, b"x"), account("plain", symmetric=SECRET))


@given(st.integers(0, 27), st.characters(min_codepoint=33, max_codepoint=126))
def test_a_signature_with_one_character_changed_is_refused(place, other):
    signature = RequestValidator("token").compute_signature(URL, {"a": "b"})
    assume(place < len(signature.rstrip("=")) - 1 and signature[place] != other)
    changed = signature[:place] + other + signature[place + 1 :]

    assert not accepts(twilio, Request("POST", URL, {**FORM, "x-twilio-signature": changed}, b"a=b"), account("twilio", auth_token="token"))


@pytest.mark.parametrize("token", ["new", "old"])
def test_a_secret_rotates_without_a_gap(token):
    """While it is changed, both are valid."""
    signature = RequestValidator(token).compute_signature(URL, {"a": "b"})

    assert accepts(twilio, Request("POST", URL, {**FORM, "x-twilio-signature": signature}, b"a=b"), account("twilio", auth_token=("new", "old")))


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_without_a_signature_nobody_comes_in(provider):
    assert not accepts(provider, Request("POST", URL, FORM, b"{}"), account("any", auth_token="t", app_secret="s", symmetric=SECRET))


@given(st.sampled_from(sorted(PROVIDERS)), st.binary(max_size=300) | json_values.map(orjson.dumps) | st.sampled_from(SAMPLES), st.data())
def test_no_body_breaks_the_door(name, body, data):
    """Whatever comes, whole or with a piece cut out: items, or `Malformed`."""
    cut = data.draw(st.slices(len(body)))
    for one in (body, body[: cut.start or 0] + body[cut.stop or 0 :]):
        try:
            PROVIDERS[name].parse(Request("POST", URL, {}, one), account(name))
        except Malformed:
            continue

    assert True is isinstance(body, bytes)


shapes = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("from", "id", "timestamp", "type", "text", "image", "interactive", "location", "button"), json_values)
)


@given(st.lists(shapes, max_size=4))
def test_an_odd_message_never_loses_its_neighbours(odd):
    """A good message in the middle of a batch is read, whatever stands around it."""
    good = {"from": "16505551234", "id": "wamid.GOOD", "timestamp": "1749416383", "type": "text", "text": {"body": "שלום 🌍"}}
    value = {"metadata": {"phone_number_id": "1"}, "messages": [*odd, good, *odd]}
    body = orjson.dumps({"object": "whatsapp_business_account", "entry": [None, {"changes": [3, {"field": "messages", "value": value}]}]})
    found = meta.parse(Request("POST", URL, {}, body), account("meta"))

    assert [item.text for item in found if isinstance(item, Received) and item.provider_id == "wamid.GOOD"] == ["שלום 🌍"]


@given(words, st.lists(words.filter(bool), max_size=12))
def test_whatsapp_limits_are_kept(text, titles):
    """Three buttons of 20, ten rows of 24, texts of 4096: longer ones are shortened or written out, never refused."""
    choices = tuple(Choice(id=f"c{n}", title=title * 3) for n, title in enumerate(titles))
    message = Outgoing(UUID(int=1), "+821012345678", Content(text=text, choices=choices), NOW)
    bodies = [orjson.loads(one.body) for one in meta.build(message, account("meta", access_token="t"))]
    buttons = [b for one in bodies for b in one.get("interactive", {}).get("action", {}).get("buttons", [])]
    rows = [r for one in bodies for s in one.get("interactive", {}).get("action", {}).get("sections", []) for r in s["rows"]]

    assert len(buttons) <= 3 and all(len(b["reply"]["title"]) <= 20 for b in buttons) and len(rows) <= 10 and all(len(r["title"]) <= 24 for r in rows)


@pytest.mark.parametrize(
    "text, expected",
    [("", 1), ("a" * 160, 1), ("a" * 161, 2), ("€" * 80, 1), ("€" * 81, 2), ("가" * 70, 1), ("가" * 71, 2), ("😀" * 35, 1), ("😀" * 36, 2),
     ("a" * 306, 2), ("a" * 307, 3),
     ("a" * 152 + "€" + "a" * 152, 3)],
)  # fmt: skip
def test_segments_are_counted_as_carriers_count_them(text, expected):
    """160 and 153 septets, 70 and 67 units; an escape sequence or a surrogate pair is never cut."""
    assert expected == segments(text)


def test_a_message_names_itself_in_what_we_send():
    """So that a receipt finds it even when the answer to our call was lost."""
    message = Outgoing(UUID(int=7), "+821012345678", Content(text="hi"), NOW, URL)
    built = {
        "twilio": twilio.build(message, account("twilio", account_sid="AC", auth_token="t")),
        "meta": meta.build(message, account("meta", access_token="t")),
        "plain": plain.build(message, account("plain", symmetric=SECRET)),
    }

    assert {"twilio", "meta", "plain"} == {name for name, (one,) in built.items() if str(UUID(int=7)).encode() in one.body}
