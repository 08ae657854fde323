"""Which account a message leaves through, with values alone: by country, health, price and weight; the same contact keeps the same sender."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from parley import config as configuration
from parley.approved import Form
from parley.channels.shape import Account
from parley.config import Config, Tenant
from parley.contracts import Channel, Content, DeliveryStatus, Envelope, MessageRequested
from parley.policies import Policies, Policy
from parley.yamlfile import ConfigError
from parley_sender import packs
from parley_sender.accept import accepted, changed, minted
from parley_sender.law import Law
from parley_sender.route import choose, way

T0 = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
PACKS = packs.load()
SEOUL, LONDON = "+821012345678", "+447700900123"


def account(name: str, **more: object) -> Account:
    return Account(**{"name": name, "tenant": "acme", "provider": "plain", "channel": Channel.SMS, "sender": name, **more})


def law(*accounts: Account, routing: dict[Channel, str] | None = None, **policy: object) -> Law:
    tenants = {name: Tenant(name, ZoneInfo("Asia/Seoul"), ("ko", "en"), routing=routing or {}) for name in ("acme", "other")}
    return Law(Config(tenants, {one.name: one for one in accounts}), Policies({"acme": Policy("acme", **policy)}), PACKS)


def request(**more: object) -> MessageRequested:
    return MessageRequested(
        **{"contact_id": uuid4(), "message_id": uuid4(), "purpose": "reply", "channels": ("sms",), "addresses": {Channel.SMS: SEOUL},
           "content": Content(text="hi"), **more}
    )  # fmt: skip


def taken(rules: Law, tenant: str = "acme", broken: tuple[str, ...] = (), **more: object):
    asked = request(**more)
    return accepted(Envelope(id="e", source="test", time=T0, tenant=tenant, data=asked), asked, rules, b"s", "https://p.example", broken)


A, B, C = account("a"), account("b"), account("c", weight=2)


# --- one of several ------------------------------------------------------------------------------------------------------------------------


contacts = st.lists(st.uuids(), min_size=1, max_size=50)


def chosen(accounts: list[Account], contact: UUID, **more: object) -> str:
    return choose(accounts, contact, None, **more).account.name


@given(contacts, st.permutations([A, B, C]))
def test_a_contact_keeps_its_sender_whatever_the_order_of_the_file(people, order):
    for one in people:
        assert chosen([A, B, C], one) == chosen(order, one)


@given(contacts, st.floats(0.1, 100))
def test_another_account_takes_its_share_and_moves_nobody_else(people, weight):
    """Whoever does not go to the new one stays; taken away again, all are where they were."""
    new = account("new", weight=weight)
    for one in people:
        assert chosen([A, B, C, new], one) in ("new", chosen([A, B, C], one))


@given(contacts, st.sampled_from("abc"))
def test_a_broken_account_moves_its_own_contacts_alone(people, broken):
    """And they come back when it works again, for nothing is remembered."""
    for one in people:
        usual, now = chosen([A, B, C], one), chosen([A, B, C], one, broken={broken})

        assert now != broken
        assert usual in (broken, now)


def test_shares_follow_the_weights():
    """Over 100,000 contacts each account has its share within half a percent of all; a weight of 0 has none."""
    accounts = [account("a", weight=1), account("b", weight=2), account("c", weight=5), account("d", weight=0)]
    count = 100_000
    found = Counter(chosen(accounts, UUID(int=number << 64 | number * 2654435761)) for number in range(count))

    assert {"a", "b", "c"} == set(found)
    for one in accounts[:3]:
        assert found[one.name] / count == pytest.approx(one.weight / 8, abs=0.005)


def test_without_weight_it_serves_where_no_other_can():
    reserve = account("reserve", weight=0)

    assert ["a", "reserve"] == [chosen([reserve, A], UUID(int=1)), chosen([reserve, A], UUID(int=1), broken={"a"})]


def test_the_cheapest_is_chosen_and_among_equals_the_contacts_own():
    """One whose price nobody knows comes last; the circuit comes before the price."""
    cheap, twin, dear = (account(name, price=Decimal(price), currency="EUR") for name, price in (("x", "0.04"), ("y", "0.04"), ("z", "0.09")))
    found = {chosen([dear, twin, cheap, A], UUID(int=number), by="price") for number in range(40)}

    assert ({"x", "y"}, "z") == (found, chosen([dear, twin, cheap, A], UUID(int=1), by="price", broken={"x", "y"}))
    assert "the cheapest at 0.04 EUR" == choose([dear, cheap], UUID(int=1), None, "price").why


def test_countries_come_before_everything():
    """Where the country is not known, an account that names its own may not serve; where none may, there is no way."""
    korea, rest = account("korea", only=frozenset({"KR"}), weight=9), account("rest", never=frozenset({"KR"}), price=Decimal(0), currency="EUR")

    assert ["korea", "rest", "rest"] == [choose([korea, rest], UUID(int=1), country).account.name for country in ("KR", "GB", None)]
    assert None is choose([korea], UUID(int=1), "GB")


def test_where_all_circuits_are_open_one_is_chosen_all_the_same():
    """The message waits there; nothing is lost, and nothing is sent over an account that may not serve."""
    assert chosen([A, B, C], UUID(int=5)) == chosen([A, B, C], UUID(int=5), broken={"a", "b", "c"})


@pytest.mark.parametrize("channel", [Channel.MESSENGER, Channel.TELEGRAM, Channel.PUSH, Channel.INAPP])
def test_where_an_address_is_of_one_account_there_is_no_choice(channel):
    """A page's user is nobody to another page."""
    pages = [account(name, channel=channel) for name in "pq"]

    assert {"p"} == {choose(pages, UUID(int=number), None, broken={"p"}).account.name for number in range(20)}


# --- from a request --------------------------------------------------------------------------------------------------------------------


def test_the_country_is_that_of_the_number():
    rules = law(account("korea", only=frozenset({"KR"})), account("rest", never=frozenset({"KR"})))

    assert ["korea", "rest"] == [taken(rules, addresses={Channel.SMS: number}).lane for number in (SEOUL, LONDON)]


def test_the_tenants_strategy_decides():
    accounts = account("dear", price=Decimal(2), currency="EUR", weight=1000), account("cheap", price=Decimal(1), currency="EUR", weight=0.001)

    assert ["dear", "cheap"] == [taken(law(*accounts, routing=routing)).lane for routing in ({}, {Channel.SMS: "price"})]


def test_a_pool_is_asked_for_by_its_name():
    """Of its accounts one is chosen, on the first of the channels that it and the contact have; where it has none for the contact, by the channels alone."""
    rules = law(account("front"), account("x", pool="codes"), account("y", pool="codes"), account("w", pool="codes", channel=Channel.WHATSAPP))
    found = {taken(rules, account="codes").lane for _ in range(60)}
    over = taken(rules, account="codes", channels=("whatsapp", "sms"), addresses={Channel.SMS: SEOUL, Channel.WHATSAPP: SEOUL}).lane
    mail = way(request(account="letters"), "acme", rules)

    assert ({"x", "y"}, "w") == (found, over)
    assert mail is not None


def test_a_named_account_is_taken_though_its_circuit_is_open():
    """A conversation goes on over the number that it began with; what waits there may still move."""
    delivery = taken(law(A, B), account="b", broken=("b",))

    assert ("b", {"by": "named", "why": "asked for by name"}) == (delivery.lane, delivery.route)


def test_an_account_serves_who_shares_it_and_nobody_else():
    rules = law(account("a", also=frozenset({"other"})), account("b"))
    own = {taken(rules, "other").lane for _ in range(40)}

    assert ({"a"}, "a") == (own, taken(rules, "other", account="a").lane)
    assert "no_route" == taken(law(B), "other", account="b").reason


def test_the_story_tells_why():
    """By what it was chosen, and what could not serve."""
    rules = law(account("uk", only=frozenset({"GB"})), A, B, C)

    assert {"by": "weight", "why": "by weight, of 2", "left_out": {"uk": "does not serve KR", "a": "circuit open"}} == taken(
        rules, broken=("a",)
    ).route


# --- the words that law wants ------------------------------------------------------------------------------------------------------------


def test_advertising_to_korea_is_marked_before_it_is_counted():
    """In the tenant's first language, under the tenant's name; a reply is nobody's advertising."""
    rules, text = law(account("a", provider="twilio"), name="차가게"), "오늘만 " + "반" * 60
    offer, reply = (taken(rules, purpose=purpose, content=Content(text=text)) for purpose in ("marketing", "reply"))

    assert (f"(광고) [차가게] {text}\n수신거부: '수신거부' 회신", text) == (offer.content.text, reply.content.text)
    assert (2, 1) == (offer.units, reply.units)


def test_the_way_out_of_an_email_is_its_own_link_and_is_not_tracked():
    rules = law(account("mail", channel=Channel.EMAIL, provider="sendgrid"), country="US")
    content = Content(subject="Tea", text="See https://a.example")
    delivery = taken(rules, purpose="marketing", channels=("email",), addresses={Channel.EMAIL: "a@b.example"}, content=content, campaign="c")

    assert f"https://p.example/u/{delivery.unsubscribe}" in delivery.content.text
    assert ["https://a.example"] == list(delivery.links.values())


def test_what_cannot_be_marked_never_leaves():
    """A template whose words nobody can add to: it says so."""
    content = Content(template={"name": "offer", "language": "ko"})
    delivery = taken(
        law(account("w", channel=Channel.WHATSAPP)), purpose="marketing", channels=("whatsapp",), addresses={Channel.WHATSAPP: SEOUL}, content=content
    )

    assert DeliveryStatus.SUPPRESSED is delivery.status
    assert delivery.reason.startswith("unbuildable: the template 'offer' has to have the words")


def test_a_template_that_nobody_approved_never_leaves():
    """With the sentence that says what is wrong with it."""
    rules = replace(law(account("w", channel=Channel.WHATSAPP)), templates={"w": {"order_shipped": Form(languages=("ko",), body=2)}})
    content = Content(template={"name": "order_shipped", "language": "ko", "parameters": ("1",)})
    delivery = taken(rules, channels=("whatsapp",), addresses={Channel.WHATSAPP: SEOUL}, content=content)

    assert (DeliveryStatus.SUPPRESSED, "template: template 'order_shipped': the body has 2 parameters; 1 was given") == (
        delivery.status,
        delivery.reason,
    )


def test_links_stand_on_the_tenants_own_domain_and_an_open_has_a_code():
    """Those of HTML too; the picture has a code that leads nowhere, and only where somebody counts."""
    rules = law(account("mail", channel=Channel.EMAIL, provider="sendgrid"))
    rules.config.tenants["acme"] = replace(rules.config.tenants["acme"], links="https://go.acme.example")
    content = Content(subject="Tea", text="https://a.example", html='<a href="https://b.example">Tea</a>')
    common = {"channels": ("email",), "addresses": {Channel.EMAIL: "a@b.example"}, "content": content}
    delivery, plain = taken(rules, campaign="c", **common), taken(rules, **common)

    assert (["https://a.example", "https://b.example", ""], {}) == (list(delivery.links.values()), plain.links)
    assert f'<a href="https://go.acme.example/l/{list(delivery.links)[1]}">' in delivery.content.html
    assert ["https://a.example", "https://b.example", ""] == [one.url for one in minted(delivery, T0)]


def test_an_sms_is_plainer_where_that_is_asked_for():
    """After links and law have had their words, and before it is counted."""
    text = "It\u2019s " + "x" * 100
    plain, typographic = (taken(law(account("a", provider="twilio", plainer=asked)), content=Content(text=text)) for asked in (True, False))

    assert (("It's", 1), ("It\u2019s", 2)) == ((plain.content.text[:4], plain.units), (typographic.content.text[:4], typographic.units))


def test_who_is_told_instead_is_said_at_once():
    first = uuid4()

    assert first == changed(taken(law(A), instead_of=first), T0).instead_of


# --- accounts.yaml ----------------------------------------------------------------------------------------------------------------------


def loaded(folder, accounts: dict[str, dict[str, object]], **tenant: object) -> Config:
    usual = {"tenant": "acme", "provider": "plain", "channel": "sms", "sender": "1", "credentials": {"symmetric": "env:S"}}
    file = {"tenants": {"acme": tenant, "other": {}}, "accounts": {name: {**usual, **one} for name, one in accounts.items()}}
    (folder / "accounts.yaml").write_text(yaml.safe_dump(file))
    return configuration.load(folder, {"S": "s"})


def test_the_keys_of_a_route_are_read(tmp_path):
    keys = {"weight": 2, "price": 0.0079, "currency": "USD", "countries": {"except": ["KR"]}, "pool": "codes", "also": ["other"]}
    config = loaded(tmp_path, {"a": keys, "b": {"countries": {"only": ["KR"]}}}, routing={"sms": "price"})
    a, b = config.accounts["a"], config.accounts["b"]

    assert (2.0, Decimal("0.0079"), "USD", frozenset({"KR"}), "codes", frozenset({"other"})) == (
        a.weight,
        a.price,
        a.currency,
        a.never,
        a.pool,
        a.also,
    )
    assert (frozenset({"KR"}), 1.0, None) == (b.only, b.weight, b.price)
    assert {Channel.SMS: "price"} == config.tenants["acme"].routing
    assert (["a"], ["b"], ["a"], []) == tuple(
        [one.name for one in config.named(tenant, name)] for tenant, name in (("acme", "codes"), ("acme", "b"), ("other", "codes"), ("other", "b"))
    )
    assert (["a", "b"], ["a"], ["a"]) == tuple(
        [one.name for one in config.sending(tenant, Channel.SMS, pool)] for tenant, pool in (("acme", None), ("other", None), ("acme", "codes"))
    )


@pytest.mark.parametrize(
    "accounts, said",
    [
        ({"a": {"also": ["nobody"]}}, "accounts.a.also.0: there is no tenant 'nobody'"),
        ({"a": {}, "b": {"pool": "a"}}, "accounts.b.pool: 'a' is an account already"),
        ({"a": {"price": 1}}, "a `price` is told with its `currency`"),
        ({"a": {"price": 1, "currency": "USD"}, "b": {"price": 1, "currency": "EUR"}}, "acme has prices in USD for sms"),
        ({"a": {"countries": {"only": ["KR"], "except": ["GB"]}}}, "one of them"),
        ({"a": {"weight": -1}}, "accounts.a.weight"),
    ],
)
def test_what_could_not_be_chosen_from_is_refused(tmp_path, accounts, said):
    """With file, line, place and reason."""
    with pytest.raises(ConfigError, match="accounts.yaml:[0-9]+: ") as refused:
        loaded(tmp_path, accounts)

    assert said in str(refused.value)
