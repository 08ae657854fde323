"""From events to facts: values alone."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest

from parley.attribution import Attribution
from parley.contracts import ConsentChanged, CustomerActed, DeliveryChanged, DeliveryStatus, EngagementRecorded, Envelope, MessageReceived
from parley_analytics.facts import Cell, Judgement, cell_id
from parley_analytics.gathering import STATUSES, gather, short
from parley_analytics.goals import amount

T0 = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
MESSAGE, CONTACT = UUID(int=1), UUID(int=2)


def event(data, number="e1") -> Envelope:
    return Envelope(id=number, source="test", time=T0, tenant="acme", data=data)


def delivery(status, at=T0, channel="sms", **more) -> Envelope:
    data = {"message_id": MESSAGE, "contact_id": CONTACT, "channel": channel, "account": "a", "purpose": "marketing", "campaign": "spring"}
    return event(DeliveryChanged(**data, status=status, at=at, **more))


def order(number="e1", name="order.placed", **properties) -> Envelope:
    return event(CustomerActed(contact_id=CONTACT, customer={"id": "c"}, name=name, properties=properties, occurred_at=T0), number)


def times(*events) -> dict[str, datetime]:
    """What is known of the message, by name."""
    return gather(events).messages[MESSAGE].times


def test_the_first_time_counts():
    """Of two receipts for one thing the earlier one is the fact."""
    late = T0 + timedelta(hours=1)

    assert {"sent_at": T0} == times(delivery("sent", late), delivery("sent", T0))


def test_what_a_message_waits_for_is_what_was_told_last():
    """Of an ending the first reason counts, of waiting the latest."""
    held = [delivery("held", reason="quiet_hours"), delivery("held", T0 + timedelta(hours=1), reason="capped: 3 in 7 days")]
    failed = [delivery("failed", T0 + timedelta(hours=1), reason="provider:30003"), delivery("failed", reason="no_answer")]
    message = gather([*held, *failed]).messages[MESSAGE]

    assert {"capped", "no_answer"} == set(message.reasons.values())
    assert {"held_at": T0 + timedelta(hours=1), "failed_at": T0} == times(*held, *failed)


@pytest.mark.parametrize(
    "reason, told",
    [
        ("provider:30003", "provider:30003"), ("capped: 3 in 7 days", "capped"), ("circuit open", "circuit"), (None, ""), ("", ""),
        ("provider:What a strange code this is", "provider"), ("한국어", "other"), (" : x", "other"),
    ],
)  # fmt: skip
def test_a_reason_is_cut_to_what_is_not_of_one_message_alone(reason, told):
    """Codes stay, sentences go: so there are some hundred reasons, whatever providers say."""
    assert told == short(reason)


def test_an_address_that_is_of_no_use_is_a_bounce():
    """By the codes that say so; a full mailbox is none."""
    assert "bounced_at" in times(delivery("failed", reason="provider:5.1.1", channel="email"))
    assert "bounced_at" not in times(delivery("failed", reason="provider:5.2.2", channel="email"))
    assert "bounced_at" not in times(delivery("failed", reason="provider:5.1.1", channel="push"))


def hit(by, rules, revision=0) -> Envelope:
    data = {"message_id": MESSAGE, "contact_id": CONTACT, "kind": "clicked", "hit": UUID(int=9), "at": T0}
    return event(EngagementRecorded(**data, by=by, rules=rules, revision=revision))


def test_of_several_judgements_of_a_hit_the_latest_counts():
    """Whichever comes first: a click that turns out to be a scanner's is none."""
    for told in ([hit("human", 1), hit("scanner", 2)], [hit("scanner", 2), hit("human", 1)], [hit("human", 2), hit("scanner", 2, 1)]):
        (judgement,) = gather(told).hits.values()
        assert not judgement.person
    assert [Judgement(1, 0, True)] == list(gather([hit("human", 1), hit("scanner", 1)]).hits.values())


def received(text="hello", kind="text", source="parley/ingest") -> Envelope:
    data = MessageReceived(contact_id=CONTACT, message_id=MESSAGE, account="a", channel="sms", address="x", kind=kind, text=text, received_at=T0)
    return event(data).model_copy(update={"source": source})


def test_a_stop_is_a_refusal_and_no_reply():
    """And what a system says, or the router passes on, is neither."""
    facts = gather([received("Stop!")])

    assert (0, 1) == (len(facts.replies), len(facts.opt_outs))
    assert 1 == len(gather([received()]).replies)
    assert gather([received(kind="system"), received(source="parley/router")]).empty


def test_a_consent_that_is_told_again_is_no_refusal():
    """A merge or an erasure says nothing new."""
    told = {"contact_id": CONTACT, "channel": "sms", "purpose": "marketing", "at": T0}
    events = [event(ConsentChanged(**told, state="revoked", source=source)) for source in ("merge", "erased")]

    assert gather([*events, event(ConsentChanged(**told, state="granted", source="flow"))]).empty
    assert 1 == len(gather([event(ConsentChanged(**told, state="revoked", source="flow"))]).opt_outs)


def test_every_status_of_the_contract_has_a_meaning():
    """A new status fails here until somebody says what it is evidence of."""
    assert set(DeliveryStatus) == set(STATUSES)


def test_a_queued_message_is_no_fact():
    """It has not happened yet."""
    assert gather([delivery("queued")]).empty


def test_a_message_counts_under_its_flow_whichever_version_said_it():
    """And under language and step."""
    cells = {gather([delivery("sent", flow=flow, language="ko", step="ask")]).messages[MESSAGE].cell for flow in ("offer@3", "offer@4", "offer")}

    assert {Cell("acme", "spring", "sms", "", "marketing", "ko", "offer", "ask")} == cells


def test_an_order_without_an_id_is_known_by_its_event():
    """Two orders without ids are two, the same event twice is one."""
    facts = gather([order("e1", total=5), order("e2", total=5), order("e1", total=5)])

    assert {("acme", "order.placed", "event:e1"), ("acme", "order.placed", "event:e2")} == set(facts.orders)


def test_an_order_that_the_router_passes_on_is_not_a_second_one():
    """It came for a contact that had become part of another: the normaliser told it before."""
    told = order("e1", total=5)

    assert {} == gather([told.model_copy(update={"id": "e2", "source": "parley/router"})]).orders
    assert 1 == len(gather([told, told.model_copy(update={"id": "e2", "source": "parley/router"})]).orders)


def test_what_is_a_conversion_says_the_tenant():
    """Without a word `order.placed`; two goals may have the same number."""
    told = [order(name=name, order_id="7") for name in ("order.placed", "trial.started", "cart.abandoned")]
    rules = {"acme": Attribution(goals=frozenset({"order.placed", "trial.started"}), currency="EUR")}
    found = gather(told, rules).orders

    assert [("acme", "order.placed", "7")] == list(gather(told).orders)
    assert {("acme", "order.placed", "7"), ("acme", "trial.started", "7")} == set(found)
    assert {"EUR"} == {one.currency for one in found.values()}


@pytest.mark.parametrize(
    "total, value",
    [(12.5, "12.5"), ("12.50", "12.50"), (0, "0"), (None, "0"), ("ten", "0"), ("NaN", "0"), (True, "0"), ([1], "0"), ("1e400", "0"), ("1e-400", "0")],
)
def test_a_total_that_cannot_be_read_is_nothing(total, value):
    """The order still counts: what is wrong is its price."""
    assert Decimal(value) == amount(total)


def test_what_a_database_cannot_hold_costs_no_order():
    """NUL goes; the least time of some systems, in their own zone, is the least there is. Else the order would be a dead letter."""
    odd = order(order_id="A\0-1", currency="K\0RW", total=5)
    data = odd.data.model_copy(update={"occurred_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=9)))})
    ((key, told),) = gather([odd.model_copy(update={"data": data})]).orders.items()

    assert (("acme", "order.placed", "A-1"), datetime.min.replace(tzinfo=UTC), "KRW") == (key, told.at, told.currency)
    assert {("acme", "order.placed", "event:e1")} == gather([order(order_id="\0")]).orders.keys()


def test_cells_with_other_dimensions_have_other_ids():
    """The place of a dimension matters, not only its text."""
    cells = [Cell("acme", "a", "sms", "b", "reply"), Cell("acme", "b", "sms", "a", "reply"), Cell("acme", "a", "sms", "", "reply")]

    assert 3 == len({cell_id(cell) for cell in cells})
