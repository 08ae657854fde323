"""Who followed a link or opened a message: people, browsers that fetch ahead, scanners; from the requests and what came around them. Pure.

The verdict on a hit depends on the hits of its message from a minute before it to two seconds after it, on those of its client in the ten seconds
before it, and on nothing else: neither the order of their arrival, nor repeats, nor where batches are cut. It is given once. `docs/engagement.md`
says what each rule is made of, and what it finds on a corpus.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from types import MappingProxyType
from typing import Literal, NamedTuple
from uuid import UUID

from parley.contracts import Channel
from parley_ingest import agents

By = Literal["human", "prefetch", "scanner", "unknown"]
Kind = Literal["opened", "clicked"]

RULES = 1
"""The version of the rules; it grows with every change that can change a verdict."""
BURST, TOGETHER = 3, timedelta(seconds=2)
"""So many different links of one message in so short a time: nobody reads that fast. Two are a person who opens tabs."""
BEHIND = timedelta(seconds=60)
"""How long a client that was found out stays so, for this message."""
AFTER_HEAD = timedelta(seconds=10)
"""A GET so soon after a HEAD of the same link and client is its second half. A browser sends no HEAD."""
SOON = timedelta(seconds=3)
"""After the message was handed to its provider, or by it to the mailbox, nobody has read it yet. Only e-mail has machines there, and a reader who is away;
a chat is open in front of a person."""
FLEET, FLEET_WITHIN = 5, timedelta(seconds=10)
"""Messages whose links one address and agent follows: an office behind one address does not reach so many."""
AHEAD = TOGETHER
"""What must be known of the time after a hit before it can be judged."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A request for a link or a pixel."""

    id: UUID
    message_id: UUID
    code: str
    kind: Kind
    method: str
    agent: str
    ahead: bool
    language: bool
    client: str | None
    at: datetime

    @property
    def who(self) -> tuple[str | None, str]:
        return self.client, self.agent


@dataclass(frozen=True, slots=True)
class Sent:
    """What is known of the message: its channel, and when it was minted, sent and delivered, as far as that is known."""

    channel: Channel | None = None
    times: tuple[datetime, ...] = ()


class Verdict(NamedTuple):
    by: By
    reason: str


Reached = Sequence[tuple[datetime, UUID]]
"""When a client followed links, in order of time, and of which messages."""


@dataclass(frozen=True, slots=True)
class Around:
    """What the rules look at besides the hit. Times stand in order, so that a link which is hammered at costs no more than its hits."""

    bursts: frozenset[UUID]
    heads: Mapping[tuple[object, ...], Sequence[datetime]]
    """HEADs, by who made them and of which link."""
    found_out: Mapping[tuple[object, ...], Sequence[datetime]]
    """HEADs and clicks of bursts, by who made them."""
    sent: Sent
    clients: Mapping[str, Reached]


NOTHING_KNOWN = Sent()


def judged(hits: Iterable[Hit], sent: Sent = NOTHING_KNOWN, clients: Mapping[str, Reached] = MappingProxyType({})) -> dict[UUID, Verdict]:
    """The verdict on each of the hits of one message. `clients`: what the hits' clients followed lately, in any message."""
    ordered = sorted({hit.id: hit for hit in hits}.values(), key=lambda hit: (hit.at, hit.id))
    bursts = _bursts(ordered)
    heads: defaultdict[tuple[object, ...], list[datetime]] = defaultdict(list)
    found_out: defaultdict[tuple[object, ...], list[datetime]] = defaultdict(list)
    for hit in ordered:
        if hit.method == "HEAD":
            heads[hit.code, *hit.who].append(hit.at)
        if hit.method == "HEAD" or hit.id in bursts:
            found_out[hit.who].append(hit.at)
    around = Around(bursts, heads, found_out, sent, clients)
    return {hit.id: _verdict(hit, around) for hit in ordered}


def of_provider(machine: bool | None, agent: str | None) -> Verdict:
    """What a provider's own telling of an open or a click comes to: its flag, and what the agent says of itself. What came around it is not told."""
    kind = agents.kind(agent or "")
    if machine or kind == "machine":
        return Verdict("prefetch", "provider") if machine else Verdict("scanner", "agent")
    if machine is not None:
        return Verdict("human", "provider")
    return Verdict("prefetch", kind) if kind in ("proxy", "privacy") else Verdict("unknown", "provider")


def _verdict(hit: Hit, around: Around) -> Verdict:
    """By the first rule that holds."""
    return next((verdict for rule, verdict in TABLE if rule(hit, around)), Verdict("human", "no_sign"))


# --- the rules -------------------------------------------------------------------------------------------------------------------------


def _named(kind: agents.Kind) -> Callable[[Hit, Around], bool]:
    return lambda hit, _: agents.kind(hit.agent) == kind


def _after_head(hit: Hit, around: Around) -> bool:
    return _lately(around.heads.get((hit.code, *hit.who), ()), hit.at, AFTER_HEAD)


def _soon(hit: Hit, around: Around) -> bool:
    return around.sent.channel is Channel.EMAIL and any(timedelta() <= hit.at - at <= SOON for at in around.sent.times)


def _fleet(hit: Hit, around: Around) -> bool:
    if hit.client is None or hit.kind != "clicked":
        return False
    reached = around.clients.get(hit.client, ())
    first = bisect_left(reached, hit.at - FLEET_WITHIN, key=itemgetter(0))
    last = bisect_right(reached, hit.at + AHEAD, key=itemgetter(0))
    return len({message for _, message in reached[first:last]} | {hit.message_id}) >= FLEET


def _follower(hit: Hit, around: Around) -> bool:
    """Its client was found out on this message a moment ago, by a burst or a HEAD."""
    return _lately(around.found_out.get(hit.who, ()), hit.at, BEHIND)


def _lately(times: Sequence[datetime], at: datetime, within: timedelta) -> bool:
    """Whether one of the times, which stand in order, is `at` or up to `within` before it."""
    before = bisect_right(times, at)
    return before > 0 and at - times[before - 1] <= within


def _bursts(ordered: Sequence[Hit]) -> frozenset[UUID]:
    """The clicks that stand in a burst, whoever made them: a scanner may fetch each link from another address."""
    clicks = [hit for hit in ordered if hit.kind == "clicked"]
    found: set[UUID] = set()
    codes: dict[str, int] = defaultdict(int)
    begin = 0
    for end, hit in enumerate(clicks):
        codes[hit.code] += 1
        while hit.at - clicks[begin].at > TOGETHER:
            codes[clicks[begin].code] -= 1
            if not codes[clicks[begin].code]:
                del codes[clicks[begin].code]
            begin += 1
        if len(codes) >= BURST:
            found |= {one.id for one in clicks[begin : end + 1]}
    return frozenset(found)


TABLE: tuple[tuple[Callable[[Hit, Around], bool], Verdict], ...] = (
    (lambda hit, _: hit.ahead, Verdict("prefetch", "declared")),
    (lambda hit, _: hit.method == "HEAD", Verdict("scanner", "head")),
    (_named("proxy"), Verdict("prefetch", "proxy")),
    (_named("privacy"), Verdict("prefetch", "privacy")),
    (_named("machine"), Verdict("scanner", "agent")),
    (lambda hit, around: hit.id in around.bursts, Verdict("scanner", "burst")),
    (_after_head, Verdict("scanner", "after_head")),
    (lambda hit, around: hit.kind == "opened" and _soon(hit, around), Verdict("prefetch", "soon")),
    (_soon, Verdict("scanner", "soon")),
    (_fleet, Verdict("scanner", "fleet")),
    (_follower, Verdict("scanner", "client")),
    (_named("none"), Verdict("unknown", "no_agent")),
    # Every browser says which language its person reads; pictures are also fetched by mail programs, which do not.
    (lambda hit, _: hit.kind == "clicked" and not hit.language, Verdict("scanner", "no_language")),
)
"""The rules in their order, each with what it makes of a hit."""
