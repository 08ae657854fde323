"""Simulated customers: the same seed gives the same scripts, and every script fits the flows that it is played against."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.addresses import Address, by_channel, normal, scheme
from parley.contracts import Channel, Choice, Customer, CustomerActed, Envelope, MessageReceived, MessageRequested, Purpose
from parley.demo.customers import KINDS, TENANT, Attended, Event, Follow, Tap, Write, customers
from parley.wire import natural_id
from parley_ingest.book import Book
from parley_router import catalogue
from parley_router.decide import decide

T0 = datetime(2026, 3, 2, 9, tzinfo=UTC)
CONFIG = Path(__file__).parents[1] / "config"


@pytest.fixture(scope="module")
def book():
    return catalogue.load(CONFIG / "flows", {TENANT: ("ko", "en")})


def happening(customer, place, step):
    """What ingest makes of a step."""
    name = f"{customer.id}-{place}"
    channel = Channel(customer.channel)
    if isinstance(step, Event):
        addresses = by_channel({"phone": customer.address}, {channel: customer.address})
        named = Customer(addresses={channel: customer.address})
        data = CustomerActed(
            contact_id=customer.contact, customer=named, name=step.name, properties=step.properties, occurred_at=T0, addresses=addresses
        )
    else:
        choice = Choice(id=step.id, title=step.title) if isinstance(step, Tap) else None
        data = MessageReceived(
            contact_id=customer.contact, message_id=natural_id(name), account=customer.account, channel=channel, address=customer.address,
            kind="choice" if choice else "text", text=None if choice else step.text, choice=choice, received_at=T0,
        )  # fmt: skip
    return Envelope(id=name, source="test", time=T0, tenant=TENANT, subject=str(customer.contact), started_at=T0, data=data)


def leaves(state, message):
    """Whether sender lets it pass: marketing needs a yes on its channel."""
    return message.purpose is not Purpose.MARKETING or state.consent(message.channels[0], Purpose.MARKETING) == "granted"


def played(customer, book):
    """How many messages come after each step, where people do what the script says."""
    state, found = None, []
    for place, step in enumerate(customer.steps):
        if isinstance(step, Attended):
            assert state.waiting, "a person is waited for whom nobody called"
            state = state.but(conversation=None, misses=0)
            found.append(1)
        elif isinstance(step, Follow):
            found.append(0)
        else:
            state, results = decide(state, happening(customer, place, step), T0, book)
            found.append(sum(leaves(state, one) for one in results if isinstance(one, MessageRequested)))
    return found


def expected(customer):
    return [step.answers for step in customer.steps]


def test_every_script_fits_the_sample_flows(book):
    """As many messages come after each step as the script waits for; only who leaves while a reminder is on its way may get one more."""
    for customer in customers(7, 1, 400):
        more = [got - wanted for got, wanted in zip(played(customer, book), expected(customer), strict=True)]
        allowed = {(0,) * len(more), *([(0, 0, 1, 0, 0, 0)] if customer.kind == "leaver" else [])}
        assert tuple(more) in allowed, (customer.kind, customer.language, customer.steps, more)


@given(seed=st.integers(0, 10**6), run=st.integers(1, 900), count=st.integers(1, 60))
def test_the_same_seed_gives_the_same_customers(seed, run, count):
    """Scripts are a function of seed, run and number of customers."""
    assert customers(seed, run, count) == customers(seed, run, count)


@given(run=st.integers(1, 999), more=st.integers(0, 500), seed=st.integers(0, 99))
def test_no_two_runs_share_a_customer(run, more, seed):
    """Other numbers in every run, whatever the seed: a second run on the same data meets strangers."""
    mine, others = customers(seed, run, 80), customers(seed + 1, (run + more) % 999 + 1, 80)
    addresses = [one.address for one in mine]

    assert len(addresses) == len(set(addresses))
    assert (run + more) % 999 + 1 == run or not {one.address[-8:] for one in mine} & {one.address[-8:] for one in others}


def test_every_kind_occurs_on_both_channels_and_in_both_languages():
    """Some hundreds of customers do everything that there is to do."""
    found = customers(3, 2, 300)

    assert set(KINDS) == {one.kind for one in found}
    assert {(channel, language) for channel in ("sms", "whatsapp") for language in ("ko", "en")} == {(one.channel, one.language) for one in found}
    assert {Write, Tap, Event, Follow, Attended} == {type(step) for one in found for step in one.steps}


def test_few_customers_are_of_all_kinds_too():
    """Twenty are enough for every kind."""
    assert set(KINDS) == {one.kind for one in customers(1, 1, 20)}


def test_a_customer_knows_the_contact_that_ingest_makes():
    """Address and contact are ingest's own: its normal form, its id."""
    for one in customers(5, 4, 50):
        channel = Channel(one.channel)
        known = Book({}).contact([Address(TENANT, scheme(channel, one.address), one.address)])
        assert (one.address, one.contact) == (normal(channel, one.address), known)


def test_only_who_can_tap_taps():
    """SMS has no buttons."""
    assert not [one for one in customers(1, 1, 300) if one.channel == "sms" and any(isinstance(step, Tap) for step in one.steps)]
    assert isinstance(customers(1, 1, 1)[0].contact, UUID)
