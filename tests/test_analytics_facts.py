"""From events to facts: values alone."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest

from parley.contracts import CustomerActed, DeliveryChanged, DeliveryStatus, EngagementRecorded, Envelope
from parley_analytics.facts import CLICKED, DELIVERED, OPENED, SENT, STATUSES, TIMES, Cell, amount, cell_id, gather

T0 = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
MESSAGE, CONTACT = UUID(int=1), UUID(int=2)


def event(data, number="e1") -> Envelope:
    return Envelope(id=number, source="test", time=T0, tenant="acme", data=data)


def delivery(status, at=T0) -> Envelope:
    data = {"message_id": MESSAGE, "contact_id": CONTACT, "channel": "sms", "account": "a", "purpose": "marketing", "campaign": "spring"}
    return event(DeliveryChanged(**data, status=status, at=at))


def order(number="e1", name="order.placed", **properties) -> Envelope:
    return event(CustomerActed(contact_id=CONTACT, customer={"id": "c"}, name=name, properties=properties, occurred_at=T0), number)


def times(*events) -> dict[str, datetime]:
    """What is known of the message, by name."""
    return {name: at for name, at in zip(TIMES, gather(events).messages[MESSAGE].times, strict=True) if at}


def test_the_first_time_counts():
    """Of two receipts for one thing the earlier one is the fact."""
    late = T0 + timedelta(hours=1)

    assert {"sent_at": T0} == times(delivery("sent", late), delivery("sent", T0))


def test_who_read_a_message_received_it():
    """A read receipt stands for those that never came."""
    assert dict.fromkeys(["sent_at", "delivered_at", "read_at", "opened_at"], T0) == times(delivery("read"))


def test_who_clicked_received_it():
    """So no click rate is above one where receipts are missing; but a click is no open."""
    click = event(EngagementRecorded(message_id=MESSAGE, contact_id=CONTACT, kind="clicked", by="human", at=T0))

    assert dict.fromkeys([TIMES[SENT], TIMES[DELIVERED], TIMES[CLICKED]], T0) == times(click)
    assert TIMES[OPENED] not in times(click)


def test_every_status_of_the_contract_has_a_meaning():
    """A new status fails here until somebody says what it is evidence of."""
    assert set(DeliveryStatus) == set(STATUSES)


def test_waiting_is_no_fact():
    """A queued or held message has not happened yet."""
    assert {} == gather([delivery("queued"), delivery("held")]).messages


def test_an_order_without_an_id_is_known_by_its_event():
    """Two orders without ids are two, the same event twice is one."""
    facts = gather([order("e1", total=5), order("e2", total=5), order("e1", total=5)])

    assert {("acme", "event:e1"), ("acme", "event:e2")} == set(facts.orders)


def test_an_order_that_the_router_passes_on_is_not_a_second_one():
    """It came for a contact that had become part of another: the normaliser told it before."""
    told = order("e1", total=5)

    assert {} == gather([told.model_copy(update={"id": "e2", "source": "parley/router"})]).orders
    assert 1 == len(gather([told, told.model_copy(update={"id": "e2", "source": "parley/router"})]).orders)


def test_other_events_are_no_orders():
    """Only `order.placed` is a conversion."""
    assert {} == gather([order(name="cart.abandoned", order_id="7")]).orders


@pytest.mark.parametrize(
    "total, value", [(12.5, "12.5"), ("12.50", "12.50"), (0, "0"), (None, "0"), ("ten", "0"), ("NaN", "0"), (True, "0"), ([1], "0"), ("1e400", "0")]
)
def test_a_total_that_cannot_be_read_is_nothing(total, value):
    """The order still counts: what is wrong is its price."""
    assert Decimal(value) == amount(total)


def test_what_a_database_cannot_hold_costs_no_order():
    """NUL goes; the least time of some systems, in their own zone, is the least there is. Else the order would be a dead letter."""
    odd = order(order_id="A\0-1", currency="K\0RW", total=5)
    data = odd.data.model_copy(update={"occurred_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=9)))})
    ((key, told),) = gather([odd.model_copy(update={"data": data})]).orders.items()

    assert (("acme", "A-1"), datetime.min.replace(tzinfo=UTC), "KRW") == (key, told.at, told.currency)
    assert {("acme", "event:e1")} == gather([order(order_id="\0")]).orders.keys()


def test_cells_with_other_dimensions_have_other_ids():
    """The place of a dimension matters, not only its text."""
    cells = [Cell("acme", "a", "sms", "b", "reply"), Cell("acme", "b", "sms", "a", "reply"), Cell("acme", "a", "sms", "", "reply")]

    assert 3 == len({cell_id(cell) for cell in cells})
