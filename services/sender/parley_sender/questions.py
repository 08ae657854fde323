"""When a provider is asked about a message of which nobody knows whether it left, and what its answer means. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from parley.channels import PROVIDERS
from parley.channels.shape import Account, Queryable, Receipt
from parley.contracts import DeliveryStatus
from parley.policies import Unknown
from parley_sender.status import TOLD

AFTER = (90.0, 300.0, 1800.0, 7200.0, 43_200.0)
"""Seconds from the end of the call in doubt to each question. The first waits until the call can no longer be under way at the provider; the last leaves
half a day for one whose own records are late."""

Answer = Receipt | Literal["never"] | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What shall become of a message in doubt. `by`: the key of whoever decided, or `provider` or `policy` where `own`. `status`: where it stands from now
    on, queued for one that is called for again; `surely`: it is known what became of the call, so no doubt stays; `parts_done`: one more part had left."""

    status: DeliveryStatus
    by: str
    own: bool = False
    note: str | None = None
    reason: str | None = None
    provider_id: str | None = None
    surely: bool = False
    another_part: bool = False


def askable(account: Account) -> bool:
    """Whether the account's provider can be asked what it knows of a message."""
    return isinstance(PROVIDERS.get(account.provider), Queryable)


def due(asked: int, doubtful_since: datetime) -> datetime | None:
    """When the next question is due after so many; None: there is none."""
    return doubtful_since + timedelta(seconds=AFTER[asked]) if asked < len(AFTER) else None


def heard(answer: Answer, done: int, parts: int) -> Verdict | None:
    """What an answer means; None where it says nothing. Of a message in parts the one in doubt was the first that is not done: where the provider has it, or
    never got it, the rest is called for."""
    if answer is None:
        return None
    if answer == "never":
        return Verdict(DeliveryStatus.QUEUED, "provider", own=True, surely=True)
    status = TOLD.get(answer.status, DeliveryStatus.SENT)
    if status is not DeliveryStatus.FAILED and done + 1 < parts:
        return Verdict(DeliveryStatus.QUEUED, "provider", own=True, provider_id=answer.provider_id, surely=True, another_part=True)
    reason = f"provider:{answer.code}" if answer.code else None
    return Verdict(
        status, "provider", own=True, reason=reason, provider_id=answer.provider_id, surely=True, another_part=status is not DeliveryStatus.FAILED
    )


def unanswered(policy: Unknown, *, resent: bool, expires_at: datetime | None, now: datetime) -> Verdict | None:
    """What becomes of a message of which the provider said nothing to the last: held for a person, or called for once more, where the tenant had rather be told
    twice, and never a second time by itself."""
    if policy == "hold" or resent or (expires_at is not None and expires_at <= now):
        return None
    return Verdict(DeliveryStatus.QUEUED, "policy", own=True)
