"""How the twin behaves towards a call: drop it, fail it, hang, be slow, repeat. Drawn from seed, account, message and attempt, so a run can be had again."""

from __future__ import annotations

import hashlib
import math
import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from parley.twin.shape import Status

Rate: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Milliseconds: TypeAlias = Annotated[float, Field(ge=0, le=600_000)]
Z99 = 2.3263
"""Standard deviations from the median to the 99th percentile."""


class Behaviour(BaseModel):
    """What an account's provider is like. Rates are shares of messages or attempts between 0 and 1; without any setting it is prompt and faultless."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latency_ms: Milliseconds = 0
    """Median time to an answer."""
    latency_p99_ms: Milliseconds | None = None
    """With it, times are log-normal; without, every answer takes `latency_ms`."""
    drop_before: Rate = 0
    """Attempts whose connection is closed before the message is taken."""
    fail_rate: Rate = 0
    """Attempts answered 500, the message not taken."""
    throttle: Annotated[float, Field(gt=0)] | None = None
    """Messages a second that are taken at most, in any window; the rest is told to come later."""
    hang_after_accepting: Rate = 0
    """Attempts whose message is taken, and whose answer never comes."""
    hang_ms: Milliseconds = 0
    """How long such a connection stays open before it is closed."""
    receipts: bool = True
    receipt_delay_ms: Milliseconds = 50
    """Usual time between two receipts of a message; each draws between half and one and a half of it."""
    repeat_receipts: Rate = 0
    """Messages whose every receipt is posted twice."""
    reorder_receipts: Rate = 0
    """Messages whose receipts come last first."""
    read_rate: Rate = 0.6
    """Delivered messages that are read, on channels that tell."""
    undelivered_rate: Rate = 0
    """Messages that are taken and never reach the customer: a failed receipt."""
    repeat_messages: Rate = 0
    """Customers' messages whose webhook is posted twice."""
    honour_keys: bool | None = None
    """Whether a repeated Idempotency-Key gets the first answer and is no second message; None: as the twin was started."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one attempt, in this order: dropped, throttled or failed before it is taken; hung or answered after `latency` seconds."""

    drop: bool = False
    fail: bool = False
    hang: bool = False
    latency: float = 0.0
    draw: float = 0.0


@dataclass(frozen=True, slots=True)
class Due:
    """A receipt and the seconds after which it is posted."""

    after: float
    status: Status
    copies: int = 1


def fate(behaviour: Behaviour, seed: int, account: str, subject: str, attempt: int) -> Fate:
    """The fate of the `attempt`-th try (from 1) of the message `subject`."""
    drop, fail, hang, slow, draw = draws(seed, "attempt", account, subject, attempt)[:5]
    return Fate(
        drop < behaviour.drop_before, fail < behaviour.fail_rate, hang < behaviour.hang_after_accepting, _latency(behaviour, slow) / 1000, draw
    )


def receipts(behaviour: Behaviour, seed: int, account: str, subject: str, reads: bool) -> Sequence[Due]:
    """The receipts of a message that was taken, in order of posting."""
    if not behaviour.receipts:
        return ()
    lost, read, order, twice, *gaps = draws(seed, "receipts", account, subject)
    statuses: list[Status] = ["sent", "failed"] if lost < behaviour.undelivered_rate else ["sent", "delivered"]
    if statuses[-1] == "delivered" and reads and read < behaviour.read_rate:
        statuses.append("read")
    if order < behaviour.reorder_receipts:
        statuses.reverse()
    copies, after, due = 2 if twice < behaviour.repeat_receipts else 1, 0.0, []
    for status, gap in zip(statuses, gaps, strict=False):
        after += behaviour.receipt_delay_ms / 1000 * (0.5 + gap)
        due.append(Due(after, status, copies))
    return due


def copies(behaviour: Behaviour, seed: int, account: str, provider_id: str) -> int:
    """How often the webhook of a customer's message is posted: once, or twice."""
    return 2 if draws(seed, "message", account, provider_id)[0] < behaviour.repeat_messages else 1


def pause(tries: int) -> float:
    """Seconds to wait after the `tries`-th vain post: from 0.2 to 2, a provider's schedule run fast."""
    return min(2.0, 0.2 * 1.5 ** min(tries - 1, 20))


def draws(*subject: str | int) -> tuple[float, ...]:
    """Eight numbers of [0, 1) that belong to the subject."""
    digest = hashlib.blake2b("\x1f".join(map(str, subject)).encode("utf-8", "surrogatepass")).digest()
    return tuple((number >> 11) / (1 << 53) for number in struct.unpack("<8Q", digest))


class Throttle:
    """At most `rate` takes in any second (below 1 a second: one in 1/rate seconds). It is told the time and never asks for it."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        count = max(1, int(rate))
        self._span = count / rate
        self._taken: deque[float] = deque(maxlen=count)

    def take(self, now: float) -> float:
        """0 when there is room, and it is taken; else the seconds until there is."""
        if len(self._taken) == self._taken.maxlen and (wait := self._taken[0] + self._span - now) > 0:
            return wait
        self._taken.append(now)
        return 0.0


def _latency(behaviour: Behaviour, draw: float) -> float:
    median, p99 = behaviour.latency_ms, behaviour.latency_p99_ms
    if not median or not p99 or p99 <= median:
        return median
    return median * math.exp(math.log(p99 / median) / Z99 * NormalDist().inv_cdf(min(max(draw, 1e-9), 1 - 1e-9)))
