"""The gate, asked immediately before an attempt: may this leave now? Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias
from uuid import UUID

from parley.contracts import ConsentState, DeliveryStatus, Purpose

SETTLING = timedelta(seconds=10)
"""How long a marketing message waits for the consent that it was asked for with: both travel on topics of their own."""
LOOK = timedelta(seconds=1)
"""How often it is looked at meanwhile."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message that is due, with what the gate asks. `consent`: the latest word of the contact on this channel and purpose, None for none;
    `suppressed`: why nothing leaves to this address any more."""

    message_id: UUID
    contact_id: UUID
    purpose: Purpose
    units: int
    requested_at: datetime
    notice: str | None = None
    expires_at: datetime | None = None
    consent: ConsentState | None = None
    suppressed: str | None = None


@dataclass(frozen=True, slots=True)
class Go:
    """It may leave."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Not before `until`."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Drop:
    """Never, for this reason: suppressed, or expired."""

    status: Literal[DeliveryStatus.SUPPRESSED, DeliveryStatus.EXPIRED]
    reason: str


Verdict: TypeAlias = Go | Hold | Drop


def gate(message: Candidate, now: datetime) -> Verdict:
    """The verdict at `now`: what expired is dropped, and what goes to an address that is gone; a revoked consent stops all but the answer that the
    law asks for, marketing needs a yes."""
    if message.expires_at is not None and message.expires_at <= now:
        return Drop(DeliveryStatus.EXPIRED, "expired")
    if message.suppressed is not None:
        return Drop(DeliveryStatus.SUPPRESSED, message.suppressed)
    if message.notice is not None:
        return Go()
    if message.consent is ConsentState.REVOKED:
        return Drop(DeliveryStatus.SUPPRESSED, "opted_out")
    if message.purpose is not Purpose.MARKETING or message.consent is ConsentState.GRANTED:
        return Go()
    settled = message.requested_at + SETTLING
    return Hold(min(settled, now + LOOK)) if now < settled else Drop(DeliveryStatus.SUPPRESSED, "no_consent")
