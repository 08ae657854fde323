"""The gate, asked immediately before an attempt: may this leave now, when, or never? Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias
from uuid import UUID

from parley.contracts import Channel, ConsentState, DeliveryStatus, Purpose
from parley.policies import Cap

SETTLING = timedelta(seconds=10)
"""How long a marketing message waits for the consent that it was asked for with: both travel on topics of their own."""
LOOK = timedelta(seconds=1)
"""How often it is looked at meanwhile."""
ASIDE = timedelta(seconds=5)
"""How long a message stands aside for one of higher priority that would take the last slot under a frequency cap."""
ANSWERED_BY = timedelta(hours=1)
"""How often a message is looked at that waits for the customer to write; when they do it is looked at at once."""
LEAVE = timedelta(seconds=5)
"""How long a message may leave after the gate let it go; then it is asked again."""
CANCELLED = "cancelled"
"""Why a message ends that was called back."""


@dataclass(frozen=True, slots=True)
class Consent:
    """The latest word on a channel and purpose, of the contact or of whoever had the address. `at_night`: the yes covers the hours that want their own."""

    state: ConsentState
    at: datetime
    at_night: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message that is due, with what the gate asks. `consent`: None for no word; `suppressed`: why nothing leaves to this address any more;
    `wrote_at`: when the customer last wrote to the account; `reserved`: the slot that it holds under the frequency caps; `called_back`: while it was being
    called for."""

    message_id: UUID
    contact_id: UUID
    tenant: str
    purpose: Purpose
    channel: Channel
    address: str
    units: int
    requested_at: datetime
    notice: str | None = None
    expires_at: datetime | None = None
    consent: Consent | None = None
    suppressed: str | None = None
    wrote_at: datetime | None = None
    templated: bool = False
    timezone: str | None = None
    reserved: datetime | None = None
    called_back: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for a message where its recipient is. `opens_at`: when the hours allow it, None for now; `window`: how long after the customer's last
    word the provider takes free text, None for always; `consent_lives`: how long a yes holds without being confirmed."""

    needs_consent: bool = False
    consent_lives: timedelta | None = None
    opens_at: datetime | None = None
    window: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Go:
    """It may leave."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Not before `until`."""

    until: datetime
    reason: str = "settling"


@dataclass(frozen=True, slots=True)
class Drop:
    """Never, for this reason: suppressed, or expired."""

    status: Literal[DeliveryStatus.SUPPRESSED, DeliveryStatus.EXPIRED]
    reason: str


Verdict: TypeAlias = Go | Hold | Drop


def gate(message: Candidate, rules: Rules, now: datetime) -> Verdict:
    """The verdict at `now`. What was called back is dropped, what expired, and what goes to an address that is gone; a revoked consent stops all but the
    answer that the law asks for; then consent, the hours of the recipient and the provider's window, in this order: what can never leave does not wait first."""
    if message.called_back:
        return Drop(DeliveryStatus.SUPPRESSED, CANCELLED)
    if message.expires_at is not None and message.expires_at <= now:
        return Drop(DeliveryStatus.EXPIRED, "expired")
    if message.suppressed is not None:
        return Drop(DeliveryStatus.SUPPRESSED, message.suppressed)
    if message.notice is not None:
        return Go()
    if (verdict := _of_consent(message, rules, now)) is not None:
        return verdict
    if rules.opens_at is not None:
        return _until(message, rules.opens_at, "quiet_hours")
    if rules.window is not None and not message.templated and (message.wrote_at is None or message.wrote_at + rules.window <= now):
        return _until(message, now + ANSWERED_BY, "window_closed")
    return Go()


def _of_consent(message: Candidate, rules: Rules, now: datetime) -> Verdict | None:
    """What the consent says; None where it says nothing against it."""
    consent = message.consent
    if consent is not None and consent.state is ConsentState.REVOKED:
        return Drop(DeliveryStatus.SUPPRESSED, "opted_out")
    if not rules.needs_consent:
        return None
    if consent is not None and consent.state is ConsentState.GRANTED:
        over = rules.consent_lives is not None and consent.at + rules.consent_lives <= now
        return Drop(DeliveryStatus.SUPPRESSED, "consent_not_confirmed") if over else None
    settled = message.requested_at + SETTLING
    return Hold(min(settled, now + LOOK)) if now < settled else Drop(DeliveryStatus.SUPPRESSED, "no_consent")


def _until(message: Candidate, until: datetime, reason: str) -> Verdict:
    """Held; where its time is over by then, it is looked at once more when it is, to be told as expired."""
    return Hold(min(until, message.expires_at) if message.expires_at is not None else until, reason)


def capped(times: Sequence[datetime], caps: Sequence[Cap], before: int, now: datetime) -> Verdict:
    """Whether a person who was sent to at `times` may be sent one more of the purpose that the caps are for.

    A slot that a waiting message of higher priority (`before` of them) will want is left to it. A message that finds none is dropped, not put off: what
    waited for days says nothing any more.
    """
    used = [(cap, sum(1 for one in times if one > now - cap.window)) for cap in caps]
    for cap, count in used:
        if count >= cap.most:
            return Drop(DeliveryStatus.SUPPRESSED, f"capped: {cap.most} in {_words(cap.window)}")
    return Hold(now + ASIDE, "priority") if any(count + before >= cap.most for cap, count in used) else Go()


def _words(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours / 24:g} days" if hours >= 48 else "a day" if hours == 24 else f"{hours:g} hours"
