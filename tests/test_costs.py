"""What providers tell of the price and the segments of a message: read where it can be true, and told on."""

from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlencode
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.channels import PROVIDERS
from parley.channels.cost import MAX_SEGMENTS, MOST, Cost, cost, total
from parley.channels.shape import Account, Receipt, Request, Response
from parley.contracts import Channel, DeliveryChanged, DeliveryStatus, ReceiptReceived
from parley.failures import Outcome
from parley.wire import natural_id
from parley_ingest.normalise import Found, meaning
from parley_sender.ledger import Changed
from parley_sender.outcome import of_parts
from parley_sender.tell import records

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
FORM = {"content-type": "application/x-www-form-urlencoded"}
ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.decimals().map(str) | st.just("-0.0079")


def account(provider: str) -> Account:
    return Account("a", "t", provider, Channel.SMS, "+12025550100")


def received(provider: str, body: bytes, headers: dict[str, str] | None = None) -> Cost:
    """What the one receipt in a webhook tells."""
    found = PROVIDERS[provider].parse(
        Request("POST", "https://hooks.example.com/hooks/a", {"webhook-id": "w", **(headers or {})}, body), account(provider)
    )
    (receipt,) = [one for one in found if isinstance(one, Receipt)]
    return Cost(receipt.price, receipt.currency, receipt.segments)


@pytest.mark.parametrize(
    "told, expected",
    [(("-0.0079", "USD", "2"), Cost(Decimal("0.0079"), "USD", 2)), ((0.01, "eur", 3), Cost(Decimal("0.01"), "EUR", 3)),
     (("0", "KRW", 1), Cost(Decimal(0), "KRW", 1)), (("0.5", None, 1), Cost(None, None, 1)), ((None, "USD", None), Cost()),
     (("NaN", "USD", 0), Cost()), (("1e9", "USD", -1), Cost()), ((True, "USD", "many"), Cost()), (("0.5", "Euro", 10**9), Cost())],
)  # fmt: skip
def test_a_price_is_read_with_its_currency_or_not_at_all(told, expected):
    """Twilio's is a debit, Infobip's a number, and some numbers are no price."""
    assert expected == cost(*told)


def test_a_price_for_each_segment_is_told_for_all_of_them():
    """Where their number is not told, neither is the price of the message."""
    assert [Cost(Decimal("0.03"), "EUR", 3), Cost()] == [cost("0.01", "EUR", count, each=True) for count in (3, None)]


@given(ANYTHING, ANYTHING, ANYTHING, st.booleans())
def test_whatever_a_provider_tells_is_kept_by_the_contract(amount, currency, segments, each):
    """Any value makes a receipt that the contract takes and gives back."""
    told = cost(amount, currency, segments, each=each)
    event = ReceiptReceived(account="a", status="delivered", price=told.price, currency=told.currency, segments=told.segments, at=NOW)

    assert (told.price is None) == (told.currency is None)
    assert told.price is None or 0 <= told.price <= MOST * MAX_SEGMENTS
    assert event == ReceiptReceived.model_validate_json(event.model_dump_json())


@pytest.mark.parametrize(
    "parts, expected",
    [([Cost(Decimal(1), "USD", 2), Cost(Decimal(2), "USD", 1)], Cost(Decimal(3), "USD", 3)), ([Cost(Decimal(1), "USD", 2)], Cost(Decimal(1), "USD", 2)),
     ([Cost(Decimal(1), "USD", 2), Cost(Decimal(2), "EUR", 1)], Cost(segments=3)), ([Cost(Decimal(1), "USD", 2), Cost()], Cost()), ([], Cost())],
)  # fmt: skip
def test_parts_take_together_what_each_of_them_tells(parts, expected):
    """In one currency; where one says nothing, nobody knows the whole."""
    assert expected == total(parts)


def test_a_message_in_parts_has_the_segments_of_all_and_one_that_stopped_has_none():
    """What was sent of it is not what it takes."""
    first = Outcome("accepted", provider_id="SM1", segments=2)
    whole, stopped = of_parts([first, Outcome("accepted", provider_id="SM2", segments=1)]), of_parts([first, Outcome("transient", "503")])

    assert (3, "SM1", None, "SM1") == (whole.segments, whole.provider_id, stopped.segments, stopped.provider_id)


STATUS = {"MessageSid": "SM1", "MessageStatus": "delivered", "To": "+12025550143", "From": "+12025550100"}
REPORT = {"messageId": "M-1", "to": "447700900123", "status": {"groupId": 3, "id": 5}, "price": {"pricePerMessage": 0.01, "currency": "EUR"}}
UUID_STATUS = {"message_uuid": "u", "to": "447700900123", "from": "447700900100", "channel": "sms", "status": "delivered"}
WEBHOOKS = {
    "twilio": (urlencode({**STATUS, "NumSegments": "2", "Price": "-0.0158", "PriceUnit": "USD"}).encode(), Cost(Decimal("0.0158"), "USD", 2)),
    "infobip": (orjson.dumps({"results": [{**REPORT, "messageCount": 2}]}), Cost(Decimal("0.02"), "EUR", 2)),
    "vonage": (
        orjson.dumps({**UUID_STATUS, "usage": {"currency": "EUR", "price": "0.0333"}, "sms": {"count_total": "2"}}),
        Cost(Decimal("0.0333"), "EUR", 2),
    ),
    "plain": (
        orjson.dumps({"type": "message.status", "data": {"id": "p", "status": "delivered", "price": "0.1", "currency": "EUR", "segments": 4}}),
        Cost(Decimal("0.1"), "EUR", 4),
    ),
}


@pytest.mark.parametrize("provider", WEBHOOKS)
def test_a_receipt_tells_what_the_message_takes(provider):
    """Of all its segments, in whichever shape the provider tells it."""
    body, expected = WEBHOOKS[provider]

    assert expected == received(provider, body, FORM if provider == "twilio" else None)


def test_a_receipt_without_a_price_has_none():
    assert Cost() == received("twilio", urlencode(STATUS).encode(), FORM)


ANSWERS = {
    "twilio": (201, {"sid": "SM1", "num_segments": "3", "price": None, "price_unit": "USD"}, Cost(segments=3)),
    "infobip": (200, {"messages": [{"messageId": "m", "status": {"groupId": 1}, "details": {"messageCount": 2}}]}, Cost(segments=2)),
    "vonage": (200, {"messages": [{"status": "0", "message-id": "1"}, {"status": "0", "message-id": "2"}]}, Cost(segments=2)),
    "plain": (202, {"id": "p", "price": "0.2", "currency": "EUR", "segments": 1}, Cost(Decimal("0.2"), "EUR", 1)),
}


@pytest.mark.parametrize("provider", ANSWERS)
def test_an_answer_that_accepts_tells_it_already_where_the_provider_does(provider):
    status, body, expected = ANSWERS[provider]
    outcome = PROVIDERS[provider].interpret(Response(status, {}, orjson.dumps(body)))

    assert ("accepted", *expected) == (outcome.kind, outcome.price, outcome.currency, outcome.segments)


def test_the_receipt_of_the_contract_carries_it_on():
    """What the provider says it takes is in the event that sender reads."""
    receipt = Receipt(Channel.SMS, "delivered", "SM1", price=Decimal("0.0158"), currency="USD", segments=2)
    found = Found(None, natural_id("receipt", "a"), "t", account("twilio"), receipt, NOW)
    (event,) = meaning(found, UUID(int=1), {})

    assert (Decimal("0.0158"), "USD", 2) == (event.price, event.currency, event.segments)


def test_the_price_of_an_answer_is_told_with_its_delivery():
    """Where the provider names it at once, nobody has to wait for a receipt to know what a campaign takes."""
    nothing = dict.fromkeys(("campaign", "variant", "instead_of", "flow", "step", "language", "started_at"))
    row = {
        **nothing,
        "contact_id": UUID(int=1),
        "message_id": UUID(int=2),
        "channel": "sms",
        "lane": "a",
        "purpose": "reply",
        "segments": 1,
        "tenant": "acme",
    }

    [(_, _, _, value)] = records([Changed(row, DeliveryStatus.SENT, None, "SM1", NOW, 1, Decimal("0.2"), "EUR")], NOW)

    told = DeliveryChanged.model_validate_json(value)
    assert (Decimal("0.2"), "EUR") == (told.price, told.currency)
