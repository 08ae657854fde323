"""What the end of a call means for its message and for the lane: rules as values. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from parley.channels.cost import Cost, total
from parley.channels.shape import Account
from parley.channels.text import storable
from parley.contracts import DeliveryStatus, Purpose
from parley.failures import Outcome, next_try
from parley.policies import Policy, Unknown
from parley_sender.questions import askable

RECIPIENT_PAUSE = timedelta(seconds=10)
"""For a recipient whom a provider wants left alone for a while, when it names no time (Meta's pair limit: 4^n seconds)."""
ACCOUNT_PAUSE = timedelta(seconds=30)
"""For a lane whose account or credentials are refused: every message would meet the same end."""
FAULT = "fault"
"""The code of an outcome that is neither the provider's nor the network's doing but a mistake of ours."""
LONGEST_PAUSE = timedelta(days=1)
"""What a provider may ask for at most: a slip of its clock shall not silence a lane for years."""
LONGEST_ID = 1000
"""Octets of a provider's id: the index of ids takes 2,700 with the lane's name. What is longer is no id, for cut short it would match nothing."""
LONGEST_WORD = 500


@dataclass(frozen=True, slots=True)
class Finished:
    """A call that is over. `outcome` None: it was never made. `parts_done`: requests of the message that the provider has by now."""

    message_id: UUID
    purpose: Purpose
    attempt: int
    failures: int
    parts_done: int
    outcome: Outcome | None
    called_at: datetime
    ended_at: datetime
    gate: str = "{}"
    """What stood at the gate when it was let through, as JSON."""


@dataclass(frozen=True, slots=True)
class Next:
    """Where the message stands after it: `due_at` only where it is queued again. `failures`: what counts against the schedule so far."""

    status: DeliveryStatus
    reason: str | None
    failures: int
    due_at: datetime


def settled(call: Finished, account: Account, now: datetime, policy: Policy) -> Next:
    """The status after a call. Only what the provider surely did not take, or would know again by its key, is ever queued again; and what is in doubt
    where the tenant's policy says that it had rather be told twice, and the provider cannot be asked first."""
    outcome = call.outcome
    if outcome is None:
        return Next(DeliveryStatus.QUEUED, None, call.failures, now)
    reason = FAULT if outcome.code == FAULT else f"provider:{outcome.code}" if outcome.code else None
    match outcome.kind:
        case "accepted":
            return Next(DeliveryStatus.SENT, None, call.failures, now)
        case "throttled":
            wait = outcome.retry_after or (RECIPIENT_PAUSE if outcome.scope == "recipient" else timedelta(0))
            return Next(DeliveryStatus.QUEUED, reason, call.failures, now + wait)
        case "opted_out":
            return Next(DeliveryStatus.FAILED, "opted_out", call.failures, now)
        case "permanent" if outcome.scope != "account":
            return Next(DeliveryStatus.FAILED, reason, call.failures, now)
        case "unknown" if not account.honours_keys and (policy.unknown[call.purpose] == "hold" or askable(account)):
            return Next(DeliveryStatus.UNKNOWN, reason or "no_answer", call.failures, now)
    return _again(call, reason, now, policy)


def _again(call: Finished, reason: str | None, now: datetime, policy: Policy) -> Next:
    """By the schedule of its purpose; after its end the message has failed, or nobody will ever know."""
    assert call.outcome is not None
    again = next_try(policy.schedules[call.purpose], call.failures + 1, now, str(call.message_id))
    if again is not None:
        return Next(DeliveryStatus.QUEUED, reason, call.failures + 1, max(again, now + (call.outcome.retry_after or timedelta(0))))
    over = DeliveryStatus.UNKNOWN if call.outcome.kind == "unknown" else DeliveryStatus.FAILED
    return Next(over, reason or "no_answer", call.failures + 1, now)


def doubtful(account: Account | None, unknown: Unknown = "hold") -> DeliveryStatus:
    """What becomes of a call whose process ended with it: made again under the same key where the provider knows keys, else nobody knows.

    It counts as no failure: the fault was ours. Of an account that is not there any more (None) nobody can know.
    """
    again = account is not None and (account.honours_keys or (unknown == "resend" and not askable(account)))
    return DeliveryStatus.QUEUED if again else DeliveryStatus.UNKNOWN


def kept(outcome: Outcome) -> Outcome:
    """The outcome as the tables, the bus and the clock hold it: whatever a provider answers, a lane that could not write it down would never move again."""
    found, pause = outcome.provider_id and storable(outcome.provider_id), outcome.retry_after
    return replace(
        outcome,
        code=outcome.code and storable(outcome.code)[:LONGEST_WORD],
        reason=storable(outcome.reason)[:LONGEST_WORD],
        provider_id=found if found and len(found.encode()) <= LONGEST_ID else None,
        retry_after=pause and max(timedelta(0), min(pause, LONGEST_PAUSE)),
    )


def of_parts(parts: list[Outcome]) -> Outcome:
    """One outcome for a message of several requests: that of the last one made, under the provider's id of the first, and what all of them take."""
    first = next((one.provider_id for one in parts if one.provider_id), None)
    told = total([Cost(one.price, one.currency, one.segments) for one in parts])
    return replace(parts[-1], provider_id=first, price=told.price, currency=told.currency, segments=told.segments)
