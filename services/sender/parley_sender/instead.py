"""When a message is told over the next of its channels, and as what: rules as values. Pure.

It is told once more only where nobody has reason to think that it arrived: so long after it was sent without a word of it, when it failed for good, or while
its provider takes nothing because the customer has not written lately.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from parley.contracts import Channel, DeliveryStatus, MessageRequested
from parley.wire import natural_id

KEPT = timedelta(days=7)
"""How long a message whose end nobody knows is kept in mind, in case that it is settled."""
NEVER_LEFT = frozenset({"address_gone"})
"""Reasons of a suppression that say nothing of the person's wish: the address is no more."""


@dataclass(frozen=True, slots=True)
class Stand:
    """How far a message came. `since`: when its last call began, or since when it is held. `after`: how long it may take before it is told elsewhere."""

    status: DeliveryStatus
    reason: str | None
    since: datetime
    after: timedelta
    parts: int = 1
    parts_done: int = 1


@dataclass(frozen=True, slots=True)
class Tell:
    """It is to be told over the next channel now, because of this."""

    why: str


@dataclass(frozen=True, slots=True)
class Later:
    """To be looked at again then; None: when something happens."""

    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Over:
    """It is told nowhere else."""


Fate: TypeAlias = Tell | Later | Over


def fate(stand: Stand, resend: bool, now: datetime) -> Fate:
    """What is to be done at `now`. `resend`: the tenant had rather that a message in doubt is told twice than not at all.

    What arrived, even in part, is told nowhere else; nor what the person refused, what was called back, and what is of no use any more.
    """
    due = stand.since + stand.after
    late = f"not delivered within {stand.after.total_seconds():.0f} s"
    if 0 < stand.parts_done < stand.parts:
        return Over()
    match stand.status:
        case DeliveryStatus.SENT:
            return Tell(late) if due <= now else Later(due)
        case DeliveryStatus.UNKNOWN if resend:
            return Tell(f"{late}, and nobody knows whether it left") if due <= now else Later(due)
        case DeliveryStatus.UNKNOWN:
            return Later(due + KEPT) if now < due + KEPT else Over()
        case DeliveryStatus.QUEUED | DeliveryStatus.HELD:
            if stand.reason != "window_closed":
                return Later()
            return Tell("window_closed") if due <= now else Later(due)
        case DeliveryStatus.FAILED if stand.reason != "opted_out":
            return Tell(stand.reason or "failed")
        case DeliveryStatus.SUPPRESSED if stand.reason in NEVER_LEFT:
            return Tell(stand.reason or "")
    return Over()


def instead(request: MessageRequested, used: Channel, serves: Callable[[Channel], bool], now: datetime) -> MessageRequested | None:
    """The request that tells the same over the next channel that has an address and (`serves`) an account; None where there is none, or it is too late.

    Its id follows from the message's and the channel, so that it is one however often it is made. A template is the form of one account at one provider:
    elsewhere the text is said, where there is one.
    """
    if request.expires_at is not None and request.expires_at <= now:
        return None
    left = request.channels[request.channels.index(used) + 1 :] if used in request.channels else request.channels
    left = tuple(one for one in left if one is not used and request.addresses.get(one) and serves(one))
    if not left:
        return None
    content = request.content
    return request.model_copy(
        update={
            "message_id": natural_id("fallback", str(request.message_id), left[0]),
            "channels": left,
            "account": None,
            "content": content.model_copy(update={"template": None}) if content.text else content,
            "not_before": None,
            "fallback_after": request.fallback_after if len(left) > 1 else None,
            "instead_of": request.message_id,
        }
    )
