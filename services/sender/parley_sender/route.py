"""Through which account a message leaves, of those that could take it, and why through that one. Pure.

An account may serve where it is the tenant's or shared with it, for the channel, in the recipient's country, while its circuit is closed. Of several the
tenant's strategy decides: the cheapest, or by weight. Either way the same contact keeps the same sender as long as that one may serve.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any
from uuid import UUID

from parley.channels.shape import Account
from parley.config import Config, Strategy
from parley.contracts import Channel, MessageRequested
from parley_sender.law import Law
from parley_sender.whereabouts import NUMBERS

EVERYWHERE = NUMBERS | {Channel.EMAIL}
"""Channels whose addresses mean the same person to every account. Elsewhere an address is of one account: a page's, a bot's, an app's."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The account, and why it is this one: a word for machines, a sentence for people."""

    account: Account
    by: str
    why: str
    left_out: tuple[tuple[str, str], ...] = ()
    """Accounts that could not serve, with the reason."""

    @property
    def told(self) -> dict[str, Any]:
        """For the message's story."""
        return {"by": self.by, "why": self.why, **({"left_out": dict(self.left_out)} if self.left_out else {})}


def way(request: MessageRequested, tenant: str, law: Law, broken: Collection[str] = ()) -> tuple[Choice, str] | None:
    """The account and the address: over the account or pool that is named, else over the first of the channels that the contact and the tenant both have.

    `broken`: accounts whose circuit is open. A named account is taken also then, for a conversation goes on over the number that it began with.
    """
    named = law.config.accounts.get(request.account or "")
    if named is not None and named.sends_for(tenant) and (address := request.addresses.get(named.channel)):
        return Choice(named, "named", "asked for by name"), address
    if request.account is not None and named is None:
        for channel in request.channels or request.addresses:
            if (found := _over(request, tenant, channel, law, broken, request.account)) is not None:
                return found
    for channel in request.channels:
        if (found := _over(request, tenant, channel, law, broken)) is not None:
            return found
    return None


def _over(
    request: MessageRequested, tenant: str, channel: Channel, law: Law, broken: Collection[str], pool: str | None = None
) -> tuple[Choice, str] | None:
    """The way over one channel."""
    address = request.addresses.get(channel)
    accounts = law.config.sending(tenant, channel, pool) if address else []
    if not address or not accounts:
        return None
    country = None
    if any(one.only is not None or one.never for one in accounts):
        country = law.where(tenant, channel, address, request.timezone).country
    choice = choose(accounts, request.contact_id, country, strategy(law.config, tenant, channel), broken)
    return (choice, address) if choice is not None else None


def strategy(config: Config, tenant: str, channel: Channel) -> Strategy:
    """How the tenant wants one of several accounts chosen."""
    own = config.tenants.get(tenant)
    return own.routing.get(channel, "weight") if own is not None else "weight"


def choose(accounts: Sequence[Account], contact: UUID, country: str | None, by: Strategy = "weight", broken: Collection[str] = ()) -> Choice | None:
    """One of the accounts for a channel; None where none of them serves the country.

    Where all circuits are open a broken one is chosen all the same: the message waits there, and goes on when something works again. On a channel whose
    addresses are of one account each there is no choice: it is the first.
    """
    here = [one for one in accounts if one.serves(country)]
    out = [(one.name, f"does not serve {country or 'an unknown country'}") for one in accounts if one not in here]
    if here and here[0].channel not in EVERYWHERE:
        return Choice(here[0], "only", "the account of this channel", tuple(out))
    well = [one for one in here if one.name not in broken]
    out += [(one.name, "circuit open") for one in here if well and one not in well]
    candidates = well or here
    if len(candidates) < 2:
        return Choice(candidates[0], "only", "no other account may serve", tuple(out)) if candidates else None
    if by == "price":
        least = min((one.price for one in candidates if one.price is not None), default=None)
        cheapest = [one for one in candidates if one.price == least]
        found = _of_weight(cheapest, contact)
        said = f"the cheapest at {least} {found.currency}" if least is not None else "no price is known"
        return Choice(found, "price", said, tuple(out))
    return Choice(_of_weight(candidates, contact), "weight", f"by weight, of {len(candidates)}", tuple(out))


def _of_weight(accounts: Sequence[Account], contact: UUID) -> Account:
    """The contact's account: each has so many contacts as it has weight, and when one comes or goes, only those move whose account it becomes or was.

    Weighted rendezvous hashing (Thaler and Ravishankar, 1998; the logarithm by Schindelhauer and Schomaker, 2005). Without any weight all are alike.
    """
    weighed = [one for one in accounts if one.weight > 0]
    return max(weighed or accounts, key=lambda one: (_score(one.name, contact, one.weight or 1.0), one.name))


def _score(name: str, contact: UUID, weight: float) -> float:
    drawn = int.from_bytes(blake2b(name.encode(), digest_size=8, key=contact.bytes).digest(), "big")
    return -weight / math.log(((drawn >> 12) + 0.5) / 2**52)  # as many bits as a float tells apart from 1
