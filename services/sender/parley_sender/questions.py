"""When a provider is asked about a message of which nobody knows whether it left, and what its answer means. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

from parley.channels import PROVIDERS
from parley.channels.shape import Account, Queryable, Receipt
from parley.contracts import DeliveryStatus
from parley.policies import Unknown
from parley_sender.status import TOLD

AFTER: Mapping[Unknown, tuple[float, ...]] = MappingProxyType({"hold": (90.0, 300.0, 1800.0, 7200.0, 43_200.0), "resend": (90.0, 240.0)})
"""Seconds from the end of the call in doubt to each question, by the tenant's policy. The first waits until the call can no longer be under way at the
provider; the last leaves half a day for one whose own records are late. Who had rather be told twice than late does not wait for that."""

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


def due(asked: int, doubtful_since: datetime, policy: Unknown = "hold") -> datetime | None:
    """When the next question is due after so many; None: there is none."""
    pauses = AFTER[policy]
    return doubtful_since + timedelta(seconds=pauses[asked]) if asked < len(pauses) else None


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


def unanswered(policy: Unknown, *, told_again: bool, expires_at: datetime | None, now: datetime) -> Verdict | None:
    """What becomes of a message of which the provider said nothing to the last: held for a person, or called for once more, where the tenant had rather be told
    twice, but not where it has been sent, or told over another channel, once more already."""
    if policy == "hold" or told_again or (expires_at is not None and expires_at <= now):
        return None
    return Verdict(DeliveryStatus.QUEUED, "policy", own=True)
