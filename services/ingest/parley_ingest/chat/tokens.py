"""Who a visitor is: the signed token of a browser, and the shop's own word on which customer it is. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from parley import crypto
from parley.channels.jwt import current, hs256_claims
from parley.channels.shape import Account

LIVES = timedelta(days=30)
"""From the last visit on: every session gives a new one."""
FORM = re.compile(r"([0-9a-f]{32})\.([0-9]{1,11})\.([0-9a-f]{64})")
CUSTOMER = 200
"""Characters of a customer's id, as in the contract."""


class Refused(Exception):
    """A token that is forged, expired, or another account's. The sentence is for whoever builds the page."""


def issued(visitor: UUID, account: Account, now: datetime) -> str:
    """A token for a visitor of this account. Raises KeyError when the account has no secret."""
    account.secret("symmetric")
    ends = int((now + LIVES).timestamp())
    return f"{visitor.hex}.{ends}.{_macs(visitor.hex, ends, account)[0]}"


def visitor(token: str, account: Account, now: datetime) -> UUID:
    """Whose token it is. Raises `Refused`."""
    found = FORM.fullmatch(token)
    if found is None or not crypto.same(found[3], _macs(found[1], int(found[2]), account)):
        raise Refused("The visitor's token is not ours.")
    if int(found[2]) < now.timestamp():
        raise Refused("The visitor's token has expired; ask for a new session.")
    return UUID(found[1])


class Shown(NamedTuple):
    """What a customer's token says, and whether it says so now; an expired one suffices where the same visitor showed it before."""

    customer: str
    current: bool


def customer(token: str, account: Account, now: datetime) -> Shown:
    """The customer whom the shop's own token (a JWT, HS256 with the account's secret as text) names in `sub`. Raises `Refused`."""
    claims = hs256_claims(token, account.credentials.get("symmetric", ()))
    if claims is None:
        raise Refused("The customer's token is not signed with the account's secret (JWT, HS256).")
    found = claims.get("sub")
    if not isinstance(found, str) or not 0 < len(found) <= CUSTOMER or "\0" in found:
        raise Refused(f"The customer's token needs the customer's id as `sub`, a text of up to {CUSTOMER} characters.")
    return Shown(found, current(claims, now))


def _macs(visitor: str, ends: int, account: Account) -> list[str]:
    """The signature by each secret, the newest first. The key is made for this one use: a webhook's signature is no token."""
    return [_mac(secret, f"{account.name}.{visitor}.{ends}") for secret in _secrets(account)]


def _mac(secret: str, text: str) -> str:
    return crypto.hmac_hex("sha256", crypto.hmac_hex("sha256", secret.encode(), b"parley.chat.visitor").encode(), text.encode())


def _secrets(account: Account) -> Iterable[str]:
    return account.credentials.get("symmetric", ())
