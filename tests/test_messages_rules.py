"""What is asked for by `POST /v1/messages`, as values: read strictly, filled in strictly, every mistake named with its place."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some

from parley import config, wire
from parley.addresses import Address, founded
from parley.settings import Settings
from parley.templates import Texts
from parley_sender.asking import Way, read, requested
from parley_sender.complaints import Wrong, pointer, unkept
from parley_sender.idempotency import Asking, digest
from parley_sender.law import Law
from parley_sender.making import MOST, Item, Made, TooMuch, items
from parley_sender.messages_api import Problem, idempotency_key
from tests.messaging import BODY, write_accounts

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ID = UUID(int=1)


@pytest.fixture(scope="module")
def way(tmp_path_factory) -> Way:
    folder = write_accounts(tmp_path_factory.mktemp("way"))
    return Way("acme", Law.load(config.load(folder), Settings(config=folder)), b"secret", "http://127.0.0.1:8001")


def ask(way, known=None, **changes):
    """The request that the usual body with these changes becomes."""
    asked = read({**BODY, **changes})
    return requested(asked, ID, known or {}, way, Texts(), NOW).data


def complaints(way, body) -> list[str]:
    """The places of everything that is wrong."""
    try:
        requested(read(body), ID, {}, way, Texts(), NOW)
    except Wrong as wrong:
        return [one.pointer for one in wrong.complaints]
    return []


def test_a_message_becomes_the_request_of_the_contract(way):
    """Every field has its place in it."""
    later, end = NOW + timedelta(hours=1), NOW + timedelta(days=1)
    found = ask(
        way, channels=["sms", "inapp"], to={"addresses": {"inapp": "u1", "sms": "+82 10-1234-5678"}}, campaign="spring", variant="b", priority=7,
        timezone="Europe/Paris", send_at=later.isoformat(), expires_at=end.isoformat(), fallback_after=600,
    )  # fmt: skip

    assert (ID, "transactional", ("sms", "inapp"), "Hello") == (found.message_id, found.purpose, found.channels, found.content.text)
    assert {"inapp": "u1", "sms": "+821012345678"} == found.addresses
    assert ("spring", "b", 7, "Europe/Paris", 600) == (found.campaign, found.variant, found.priority, found.timezone, found.fallback_after)
    assert (later, end) == (found.not_before, found.expires_at)


@pytest.mark.parametrize(
    "changes, place",
    [
        ({"to": {}}, "/to"),
        ({"to": {"addresses": {"sms": "010-1234-5678"}}, "channels": ["sms"]}, "/to/addresses/sms"),
        ({"to": {"addresses": {"pigeon": "x"}}}, "/to/addresses/pigeon"),
        ({"to": {"contact_id": "me"}}, "/to/contact_id"),
        ({"to": {"contact_id": str(ID)}}, "/to"),
        ({"to": {"addresses": {"inapp": "u1"}, "phone": "1"}}, "/to/phone"),
        ({"purpose": "spam"}, "/purpose"),
        ({"channels": []}, ""),
        ({"channels": ["email"]}, "/channels"),
        ({"channels": ["sms"]}, "/to"),
        ({"account": "elsewhere"}, "/account"),
        ({"account": "number", "channels": []}, "/to"),
        ({"content": {}}, "/content"),
        ({"content": {"txt": "Hello"}}, "/content/txt"),
        ({"content": {"text": "x", "choices": [{"id": "a"}, {"id": ""}]}}, "/content/choices/1/id"),
        ({"content": {"text": "x" * 70_000}}, "/content/text"),
        ({"content": {"text": "Hi {{ name }}"}, "data": {}}, "/content/text"),
        ({"content": {"text": "Hi {{ name"}, "data": {}}, "/content/text"),
        ({"content": {"text": "x", "cards": [{"title": "{{ a }}"}]}, "data": {"b": 1}}, "/content/cards/0/title"),
        ({"content": {"text": "x", "cards": [{"title": "{{ a }}"}]}, "data": {"a": ""}}, "/content/cards/0/title"),
        ({"timezone": "Mars/Olympus"}, "/timezone"),
        ({"priority": 101}, "/priority"),
        ({"send_at": "2026-11-25T12:00:00"}, "/send_at"),
        ({"send_at": "2028-01-01T00:00:00Z"}, "/send_at"),
        ({"expires_at": "2026-11-25T11:59:00Z"}, "/expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-14:00"}, "/expires_at"),
        ({"send_at": "2026-11-26T12:00:00Z", "expires_at": "2026-11-26T12:00:00Z"}, "/expires_at"),
        ({"fallback_after": 60}, "/fallback_after"),
        ({"notice": "opted_out"}, "/notice"),
    ],
)
def test_each_mistake_has_its_place(way, changes, place):
    """The pointer leads to what is to be changed."""
    assert [place] == complaints(way, {**BODY, **changes})


def test_all_mistakes_are_told_at_once(way):
    """Whoever mends one is not sent back for the next."""
    assert ["/content", "/timezone"] == complaints(way, {**BODY, "content": {}, "timezone": "x"})


def test_texts_are_filled_in_where_there_are_data(way):
    """In every place that a person reads, by the language and zone of the recipient; without data a text is no template."""
    content = {"text": "{{ name }}: {{ price | money: 'KRW' }}", "choices": [{"id": "{{ no }}", "title": "{{ yes }}"}]}
    found = ask(way, content=content, data={"name": "민지", "price": 12000, "yes": "네"}).content

    assert ("민지: 12,000원", "{{ no }}", "네") == (found.text, found.choices[0].id, found.choices[0].title)
    assert "{{ name }}" == ask(way, content={"text": "{{ name }}"}).content.text


def test_values_are_no_markup(way):
    """What comes into HTML is escaped; a text stays as it is."""
    to, channels = {"addresses": {"inapp": "u1"}}, ["inapp"]
    found = ask(way, to=to, channels=channels, content={"text": "{{ a.b }}", "html": "<p>{{ a.b }}</p>"}, data={"a": {"b": "<i>&"}}).content

    assert ("<i>&", "<p>&lt;i&gt;&amp;</p>") == (found.text, found.html)


def test_the_missing_name_is_named(way):
    """And what to do about it."""
    with pytest.raises(Wrong) as caught:
        ask(way, content={"text": "Hi {{ first_name }}"}, data={"last_name": "Kim"})

    assert "first_name" in caught.value.complaints[0].detail
    assert "Hi you" == ask(way, content={"text": "Hi {{ first_name | default: 'you' }}"}, data={}).content.text


@pytest.mark.parametrize(
    "to, founder",
    [
        ({"customer": "c-1", "addresses": {"inapp": "u1"}}, ("customer", "c-1")),
        ({"addresses": {"inapp": "u1", "whatsapp": "+821012345678"}}, ("inapp", "u1")),
        ({"addresses": {"sms": "+821012345678"}}, ("phone", "+821012345678")),
    ],
)
def test_a_stranger_is_the_contact_that_ingest_would_make(way, to, founder):
    """Of the customer's id, else of the first address: so that an answer finds the same person."""
    assert founded([Address("acme", *founder)]) == ask(way, to=to, channels=["inapp", "sms"]).contact_id


def test_known_addresses_stand_in_for_those_that_are_not_given(way):
    """A contact alone is enough where sender has written to them before."""
    assert {"inapp": "u9"} == ask(way, known={"inapp": "u9"}, to={"contact_id": str(ID)}).addresses


def test_a_batch_shares_what_is_common(way):
    """A message's own fields go before; a mistake in what is common has its place there."""
    body = {"common": {**BODY, "timezone": "x"}, "messages": [{"timezone": "Asia/Seoul"}, {}, {"purpose": "x"}, 5]}
    made = Made(way, "k", NOW, items(body))
    assert (4, 1) == (len(list(made.read())), len(list(made.make({}))))

    assert ["accepted", "refused", "refused", "refused"] == [one["status"] for one in made.told()]
    assert [["/common/timezone"], ["/messages/2/purpose"], ["/messages/3"]] == [
        [error["pointer"] for error in one["errors"]] for one in made.told()[1:]
    ]  # fmt: skip


def test_what_the_bus_would_not_take_is_refused(way):
    """Each message for its size, and all of them together."""
    cards = {**BODY, "content": {"cards": [{"title": "x" * 500, "text": "y" * 2000}] * 600}}
    large = Made(way, "k", NOW, [Item(cards), Item(BODY)])
    many = Made(way, "k", NOW, [Item({**BODY, "content": {"text": "x" * 65_000}})] * 300)
    assert (2, 2) == (len(list(large.read())), len(list(large.make({}))))
    assert 300 == len(list(many.read()))

    assert ["refused", "accepted"] == [one["status"] for one in large.told()]
    with pytest.raises(TooMuch):
        list(many.make({}))


@pytest.mark.parametrize(
    "body, place",
    [
        ([], "/messages"),
        ({"messages": []}, "/messages"),
        ({"messages": [BODY] * (MOST + 1)}, "/messages"),
        ({"messages": [BODY], "comon": {}}, "/comon"),
        ({"messages": [BODY], "common": 1}, "/common"),
    ],
)
def test_what_is_no_batch_is_said(body, place):
    """Before anything of it is looked at."""
    with pytest.raises(Wrong) as caught:
        items(body)

    assert [place] == [one.pointer for one in caught.value.complaints]


def test_what_no_table_holds_is_refused():
    """NUL, in texts and names, and nesting beyond all use."""
    deep: object = 1
    for _ in range(500):
        deep = [deep]

    assert ["/a/0"] == [one.pointer for one in unkept({"a": ["\0"]})]
    assert ["/a"] == [one.pointer for one in unkept({"a": {"\0": 1}})]
    assert ["/0" * 20] == [one.pointer for one in unkept(deep)]


@given(some.lists(some.text(min_size=1), max_size=4))
def test_a_pointer_is_read_back(parts):
    """RFC 6901: slashes and tildes in names do not make other places."""
    read_back = [one.replace("~1", "/").replace("~0", "~") for one in pointer(*parts).split("/")[1:]]

    assert parts == read_back


JSON = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**60), 2**60) | some.text(), lambda inner: some.dictionaries(some.text(), inner)
)


@given(some.dictionaries(some.text(), JSON), JSON)
def test_a_digest_is_of_the_value(body, other):
    """Neither the order of fields nor the way of writing makes another body; another value and another route do."""
    turned = dict(reversed(body.items()))

    assert digest("/v1/messages", body) == digest("/v1/messages", turned)
    assert digest("/v1/messages", body) != digest("/v1/messages/batch", body)
    assert (digest("/v1/messages", body) == digest("/v1/messages", other)) == (body == other)


def test_ids_follow_from_who_asks_what_under_which_key(way):
    """The same for a repeat; others for another tenant, key, body or place."""
    asked = [("a", "k", b"1"), ("b", "k", b"1"), ("a", "l", b"1"), ("a", "k", b"2")]
    found = [wire.caused_id(Asking(*one).identity, place) for one in asked for place in (0, 1)]

    assert len(found) == len(set(found))


@pytest.mark.parametrize("header, key", [('"a-1"', "a-1"), ("a-1", "a-1"), (r'"a\"b"', 'a"b'), ('"a', '"a')])
def test_a_key_comes_with_quotes_or_without(header, key):
    """As the draft has it, and as most clients do it."""
    assert key == idempotency_key(header)


@pytest.mark.parametrize("header", ["", '""', " ", "ä", "x" * 201, "a b"])
def test_what_is_no_key_is_refused(header):
    """With 400, as the draft says."""
    with pytest.raises(Problem) as caught:
        idempotency_key(header)

    assert 400 == caught.value.status_code
