"""Addresses in their normal form, and the contact that a stranger with them becomes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

import phonenumbers

from parley.contracts import Channel, Customer
from parley.wire import natural_id

PHONE = frozenset({Channel.SMS, Channel.MMS, Channel.RCS, Channel.WHATSAPP, Channel.VOICE})
"""Channels whose address is a phone number: one person on all of them."""
CUSTOMER = "customer"
"""The scheme of the shop's own customer ids."""


class Address(NamedTuple):
    """An address as the book knows it: whose book, what kind, in normal form."""

    tenant: str
    scheme: str
    address: str


def scheme(channel: Channel, address: str) -> str:
    """The kind of an address: one for all channels on a phone number. A WhatsApp user without a number has an id of the channel's own."""
    return "phone" if channel in PHONE and address.startswith("+") else channel.value


def normal(channel: Channel, address: str) -> str:
    """The address in normal form: E.164 for phone numbers, the domain of an e-mail address in lower case, else as given (decision 18).

    Raises ValueError with a sentence for a phone number without its country or one that cannot be.
    """
    if channel is Channel.EMAIL:
        local, at, domain = address.strip().rpartition("@")
        if not (local and at and "." in domain):
            raise ValueError("an e-mail address needs a local part, @ and a domain")
        return f"{local}@{domain.lower()}"
    if channel not in PHONE:
        return address.strip()
    try:
        number = phonenumbers.parse(address, None)
    except phonenumbers.NumberParseException as error:
        raise ValueError(f"a phone number for {channel} must be in E.164, as in +821012345678: {error}") from error
    if not phonenumbers.is_possible_number(number):
        raise ValueError(f"a phone number for {channel} must be in E.164, as in +821012345678: its length cannot be")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def normalised(customer: Customer) -> Customer:
    """The customer with every address in normal form. Raises ValueError naming the channel, or what cannot be stored."""
    if any("\0" in text for text in (customer.id or "", *customer.addresses.values())):
        raise ValueError("customer: NUL characters cannot be stored")
    return customer.model_copy(update={"addresses": {channel: normal(channel, address) for channel, address in customer.addresses.items()}})


def of_customer(tenant: str, customer: Customer) -> tuple[Address, ...]:
    """Everything by which a customer may be known, the surest first."""
    own = (Address(tenant, CUSTOMER, customer.id),) if customer.id is not None else ()
    return (*own, *(Address(tenant, scheme(channel, address), address) for channel, address in sorted(customer.addresses.items())))


def founded(addresses: Sequence[Address]) -> UUID:
    """The id of the contact that is made for somebody of whom none of `addresses` is known: from the first of them, so that all who see the same stranger
    make the same contact."""
    return natural_id("contact", *addresses[0])


def channels(kind: str) -> tuple[Channel, ...]:
    """The channels on which an address of that scheme is reached."""
    return tuple(sorted(PHONE)) if kind == "phone" else tuple(one for one in Channel if one.value == kind)


def by_channel(book: Mapping[str, str], own: Mapping[Channel, str]) -> dict[Channel, str]:
    """How a contact can be reached: the addresses in the book, by scheme (a phone number by SMS), then those that the event itself names."""
    channels: dict[str, Channel] = {"phone": Channel.SMS, **{channel.value: channel for channel in Channel}}
    return {**{channels[kind]: address for kind, address in book.items() if kind in channels}, **own}
