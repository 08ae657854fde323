"""The events of other services that Parley understands, by name, with the properties it reads. Any other name passes through for flows.

Tolerant: every property may be missing, unknown ones are kept, and one that is not as it should be spoils nothing but itself. `POST /events` refuses
it, so that whoever made the mistake hears of it; on Kafka the event goes on and the mistake is logged. `docs/events.md` is made from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, StringConstraints, ValidationError

from parley.contracts import Customer
from parley.wire import in_words


def _amount(value: str | int | float) -> str | int | float:
    try:
        right = abs(float(value)) < 10**15  # not so for what is no number
    except (ValueError, OverflowError):
        right = False
    if not right:
        raise ValueError("must be a number below 10^15, also as text")
    return value


Id = StrictInt | Annotated[StrictStr, StringConstraints(min_length=1, max_length=200)]
Amount = Annotated[StrictStr | StrictInt | StrictFloat, AfterValidator(_amount)]
Currency = Annotated[StrictStr, StringConstraints(pattern=r"^[A-Z]{3}$")]
Url = Annotated[StrictStr, StringConstraints(pattern=r"^https?://", max_length=2048)]
Language = Annotated[StrictStr, StringConstraints(pattern=r"^[a-z]{2}$")]


class Properties(BaseModel):
    """What is known of an event's properties. More may come, anything may be missing."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Item(Properties):
    """A line of a cart or an order."""

    title: StrictStr | None = None
    sku: StrictStr | None = None
    quantity: StrictInt | None = None
    price: Amount | None = None


class Goods(Properties):
    total: Amount | None = Field(None, description="What it comes to, as number or text; counted as the value of the order.")
    currency: Currency | None = Field(None, description="ISO 4217, as in `KRW`.")
    items: tuple[Item, ...] | None = Field(None, description="Lines: `title`, `sku`, `quantity`, `price`.")


class Order(Goods):
    order_id: Id | None = Field(None, description="The number that the customer knows and asks for; unique in the tenant.")


class OrderPlaced(Order):
    """A customer ordered. Remembered for "where is my order?", and counted as a conversion of the last campaign that they clicked."""

    cart_id: Id | None = Field(None, description="The cart that it was.")


class OrderShipped(Order):
    """An order, or a part of it, left. Remembered as the order's status."""

    shipment_id: Id | None = Field(None, description="The part of the order, where it comes in several.")
    carrier: StrictStr | None = Field(None, description="Who brings it.")
    tracking_number: StrictStr | None = Field(None, description="The carrier's number.")
    tracking_url: Url | None = Field(None, description="Where the customer can see how far it is.")


class OrderDelivered(OrderShipped):
    """An order, or a part of it, arrived. Remembered as the order's status."""


class OrderCancelled(Order):
    """An order was called off. Remembered as the order's status."""

    reason: StrictStr | None = Field(None, description="Why, in words or a code.")


class Cart(Goods):
    cart_id: Id | None = Field(None, description="The cart; the same in every event about it.")
    url: Url | None = Field(None, description="Where the customer finds the cart as they left it.")
    completed: StrictBool | None = Field(None, description="Whether it has become an order.")
    language: Language | None = Field(None, description="What the customer read, ISO 639-1.")


class CartUpdated(Cart):
    """A cart changed and is not paid. Comes with each step; by itself it means nothing."""


class CartCompleted(Cart):
    """A cart became an order."""


class CartAbandoned(Cart):
    """A cart was left behind. Who counts the minutes says so: see below."""


class CustomerUpdated(Properties):
    """Something is known about a person. Name, city, language and tags are remembered and can be named in flows."""

    name: StrictStr | None = Field(None, description="How the person is addressed.")
    city: StrictStr | None = Field(None, description="Where the person lives.")
    language: Language | None = Field(None, description="What the person reads, ISO 639-1.")
    tags: tuple[StrictStr, ...] | None = Field(None, description="Words about the person; replaces those that are known.")


class Recommended(Properties):
    """The person brought somebody along, or praised the brand in public. Counts for their score where it is a goal (docs/people.md)."""

    code: StrictStr | None = Field(None, description="What the other one came with.")
    url: Url | None = Field(None, description="Where the praise is.")


class CustomerErased(Properties):
    """Everything about the person is to be forgotten: addresses, conversations, texts (decision 21). Not undone by anything."""

    orders: tuple[Id, ...] | None = Field(None, description="Orders that it concerns.")
    reason: StrictStr | None = Field(None, description="Who asked.")


class CustomerDataRequested(Properties):
    """The person asks what is known about them. Starts a flow where there is one; the answer is for people to give."""

    request_id: Id | None = Field(None, description="The request's number where it was made.")
    orders: tuple[Id, ...] | None = Field(None, description="Orders that it concerns.")


class BackInStock(Properties):
    """Something that the customer waited for can be had again. For flows."""

    product_id: Id | None = Field(None, description="The product.")
    title: StrictStr | None = Field(None, description="What it is called.")
    url: Url | None = Field(None, description="Where it is.")
    price: Amount | None = Field(None, description="What it costs.")
    currency: Currency | None = Field(None, description="ISO 4217, as in `KRW`.")


class MessageClicked(Properties):
    """A person followed a link in a message: made by Parley itself, some three seconds later, when it is known that no machine did."""

    message_id: StrictStr | None = Field(None, description="The message.")
    link: StrictStr | None = Field(None, description="Where the link led.")
    campaign: StrictStr | None = Field(None, description="What the message is counted under.")


class Identified(Properties):
    """The customer's id and the addresses beside it are one person's (docs/identity.md)."""


class Merged(Properties):
    """The customer and another are one person (docs/identity.md)."""

    other: Customer | None = Field(None, description="The other one, named as `customer` is.")


class Unmerged(Merged):
    """The customer and another are two people (docs/identity.md)."""


KNOWN: Mapping[str, type[Properties]] = MappingProxyType({
    "cart.updated": CartUpdated,
    "cart.abandoned": CartAbandoned,
    "cart.completed": CartCompleted,
    "order.placed": OrderPlaced,
    "order.shipped": OrderShipped,
    "order.delivered": OrderDelivered,
    "order.cancelled": OrderCancelled,
    "product.back_in_stock": BackInStock,
    "message.clicked": MessageClicked,
    "customer.updated": CustomerUpdated,
    "customer.recommended": Recommended,
    "customer.data_requested": CustomerDataRequested,
    "customer.erased": CustomerErased,
    "customer.identified": Identified,
    "contacts.merged": Merged,
    "contacts.unmerged": Unmerged,
})  # fmt: skip


def complaint(name: str, properties: Mapping[str, Any]) -> str | None:
    """What is wrong with the known properties of a known event, without repeating what they hold; None where nothing is, or the name is not known."""
    model = KNOWN.get(name)
    if model is None:
        return None
    try:
        model.model_validate({key: value for key, value in properties.items() if value is not None})
    except ValidationError as error:
        return f"properties of {name}: {in_words(error)}"
    return None
