"""What came of a governed run: every rule against the ledger's requests and the sender's tables. Pure."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from parley.twin.ledger import TAKEN, Request
from tests.governed import spans
from tests.governed.lanes import Lane
from tests.governed.spans import Span

WORTH = 0.97
"""Of a lane's rate, what must leave while it is held, has a backlog and is not paused by its provider; where texts are of several units, of what a strict
second allows for them in their order."""
IN_THE_AIR = 0.25
"""Seconds for what lies between the time in a STOP's commit, which PostgreSQL reads just before it writes the commit to the disk, and the provider's door: that
write, the notification behind it, and the way of a call whose bytes had left when it came. Nobody can call those back."""
DAY = 86_400.0
LEFT = frozenset({"sent", "delivered", "read"})


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as the sender knows it at the end; `calls`: its outcomes, by number."""

    contact_id: UUID
    lane: str
    purpose: str
    status: str
    reason: str | None
    failures: int
    calls: tuple[str, ...] = ()


class Stopped(NamedTuple):
    """A STOP in the sender's tables: `recorded`, as its row says, when the batch with it began; `committed`, when it was in force."""

    recorded: float
    committed: float


@dataclass(frozen=True)
class Seen:
    """What there is to judge. `asked`: all messages that were asked for; `stops`: the STOP of a contact on a channel."""

    requests: Sequence[Request]
    asked: frozenset[str]
    deliveries: Mapping[str, Delivery]
    stops: Mapping[tuple[UUID, str], Stopped]


@dataclass(frozen=True, slots=True)
class Paced:
    """What a lane (or what several share) sent: its fullest window, by how many units that passes the rate, and of its rate what left in the time that
    counts, and in all of the time. `possible`: the most of it that its messages allow."""

    name: str
    rate: float
    units: int
    fullest: int
    over: int
    net: float | None
    gross: float
    seconds: float
    possible: float = 1.0

    @property
    def use(self) -> float | None:
        """Of what was possible."""
        return None if self.net is None else self.net / self.possible


@dataclass
class Verdict:
    """The offences, a sentence each; figures beside them."""

    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    after_stop: list[str] = field(default_factory=list)
    over_cap: list[str] = field(default_factory=list)
    uncounted: list[str] = field(default_factory=list)
    charged: list[str] = field(default_factory=list)
    """Messages whose attempt a 429 cost."""
    unknown: int = 0
    in_the_air: int = 0
    """Calls that had left when the STOP was heard."""
    latest_in_the_air: float = 0.0
    """Seconds after its commit that the latest of them was at the door."""
    in_the_batch: int = 0
    """Calls after `recorded` that came before the commit: until then the STOP is known to nobody."""
    longest_batch: float = 0.0
    """Seconds from `recorded` to the commit, at most."""
    stopped: int = 0
    capped: int = 0
    messages: int = 0


def paced(name: str, rate: float, window: float, arrivals: Sequence[tuple[float, int]], net: Sequence[Span], whole: Span) -> Paced:
    """Arrivals are (when, units), in order."""
    most = max(1, round(rate * window))
    top = fullest(arrivals, window)
    time = spans.length(net)
    used = sum(units for at, units in arrivals if any(first <= at < last for first, last in net))
    all_of_it = sum(units for at, units in arrivals if whole[0] <= at < whole[1])
    return Paced(
        name, rate, sum(units for _, units in arrivals), top, max(0, top - most), used / (rate * time) if time else None,
        all_of_it / (rate * (whole[1] - whole[0])), time, possible([units for _, units in arrivals], most),
    )  # fmt: skip


def possible(units: Iterable[int], most: int) -> float:
    """The share of a rate of `most` units in any window that messages of so many units use at best, in their order: one that does not fit in waits for the next."""
    sent: deque[tuple[float, int]] = deque()
    now, held, whole, since = 0.0, 0, 0, 0
    for one in units:
        while sent and held + one > most:
            at, gone = sent.popleft()
            if at + 1 > now:
                now, whole, since = at + 1, whole + since, 0
            held -= gone
        sent.append((now, one))
        held += one
        since += one
    return min(1.0, whole / (most * now)) if now else 1.0


def fullest(arrivals: Iterable[tuple[float, int]], window: float) -> int:
    """The most units in any sliding window."""
    inside: deque[tuple[float, int]] = deque()
    held = most = 0
    for at, units in arrivals:
        inside.append((at, units))
        held += units
        while inside[0][0] <= at - window:
            held -= inside.popleft()[1]
        most = max(most, held)
    return most


def judge(seen: Seen, lanes: Mapping[str, Lane], cap: tuple[str, int]) -> Verdict:
    """`cap`: what the names of lanes begin with that share a cap on people, and how many messages a person may get in a day."""
    verdict = Verdict(messages=len(seen.asked))
    taken: dict[str, list[Request]] = defaultdict(list)
    for one in seen.requests:
        if one.reference and one.verdict in TAKEN:
            taken[one.reference].append(one)
    for number in sorted(seen.asked):
        _fate(number, seen.deliveries.get(number), taken.get(number, []), verdict)
    for one in seen.requests:
        _stopped(one, seen, lanes, verdict)
    verdict.longest_batch = max((one.committed - one.recorded for one in seen.stops.values()), default=0.0)
    _people(seen, taken, cap, verdict)
    return verdict


def _fate(number: str, delivery: Delivery | None, taken: Sequence[Request], verdict: Verdict) -> None:
    """One message: known, at the provider's as often as it is said to be."""
    if delivery is None or delivery.status in ("queued", "held"):
        verdict.lost.append(
            f"message {number}: {'the sender does not know it' if delivery is None else f'still {delivery.status}, {delivery.reason}'}"
        )
        return
    if len(taken) > 1:
        verdict.twice.append(f"message {number} on {delivery.lane}: {len(taken)} times at {', '.join(f'{one.at:.3f}' for one in taken)}")
    if delivery.status in LEFT and not taken:
        verdict.lost.append(f"message {number} on {delivery.lane}: {delivery.status}, and never at the provider's")
    if taken and delivery.status not in LEFT | {"unknown"}:
        verdict.uncounted.append(f"message {number} on {delivery.lane}: at the provider's, and {delivery.status} ({delivery.reason})")
    if delivery.failures and set(delivery.calls) <= {"throttled", "accepted"}:
        verdict.charged.append(f"message {number} on {delivery.lane}: {delivery.failures} failures by {', '.join(delivery.calls)}")
    verdict.unknown += delivery.status == "unknown"
    verdict.stopped += delivery.reason == "opted_out"
    verdict.capped += (delivery.reason or "").startswith("capped")


def _stopped(one: Request, seen: Seen, lanes: Mapping[str, Lane], verdict: Verdict) -> None:
    """Whether the request came after its contact's STOP was committed."""
    delivery = seen.deliveries.get(one.reference or "")
    if delivery is None or delivery.purpose != "marketing":
        return
    stop = seen.stops.get((delivery.contact_id, lanes[delivery.lane].channel))
    if stop is None or one.at <= stop.recorded:
        return
    late = one.at - stop.committed
    if late > IN_THE_AIR:
        verdict.after_stop.append(f"message {one.reference} on {delivery.lane}: {late:.3f} s after the STOP was committed ({one.verdict})")
    elif late > 0:
        verdict.in_the_air, verdict.latest_in_the_air = verdict.in_the_air + 1, max(verdict.latest_in_the_air, late)
    else:
        verdict.in_the_batch += 1


def _people(seen: Seen, taken: Mapping[str, Sequence[Request]], cap: tuple[str, int], verdict: Verdict) -> None:
    """How often each person was written to in any day, over all lanes of the tenant."""
    got: dict[UUID, list[tuple[float, int]]] = defaultdict(list)
    for number, requests in taken.items():
        delivery = seen.deliveries.get(number)
        if delivery is not None and delivery.lane.startswith(cap[0]):
            got[delivery.contact_id] += [(one.at, 1) for one in requests]
    for contact, times in sorted(got.items()):
        if (most := fullest(sorted(times), DAY)) > cap[1]:
            verdict.over_cap.append(f"contact {contact}: {most} messages within a day, {cap[1]} allowed")
