"""What is asked for in a governed run, as values that follow from the seed: backlogs, replies between them, STOPs, and campaigns that meet caps. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from parley.contracts import Channel, ConsentChanged, ConsentState, Content, MessageRequested, Purpose
from parley.wire import natural_id
from tests.governed.lanes import CAPPED, TENANT, Lane

MORE, BEFORE = 1.2, 5.0
"""A backlog is so many times what the lane can send in the run, and in so many seconds more: it shall never be short of work."""
REPLIES = 0.1
"""Of a lane's rate, what people are answered meanwhile."""
STOPS = 0.04
"""Of the backlog's people, those who say STOP about when their message's turn comes."""
ABOUT = 2.0
"""Seconds before or after that."""
CAMPAIGNS, PEOPLE = 20, 150
TEXTS = ("Your tea is here.", "This week: " + "green, black and white tea, " * 8, "Tea! " * 90)
"""Of one, two and three segments."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Somebody says STOP to a lane's channel, `at` seconds after the start."""

    at: float
    contact: UUID
    channel: str
    address: str


@dataclass(frozen=True)
class Traffic:
    """Everything that is asked for: first the consents, then the backlogs; replies and STOPs at their time."""

    backlog: Sequence[tuple[str, MessageRequested]]
    """With the tenant."""
    replies: Sequence[tuple[float, MessageRequested]]
    stops: Sequence[Stop]

    def consents(self, now: datetime) -> Iterator[tuple[str, ConsentChanged]]:
        """The yes of everybody in the backlog, each once."""
        seen = set()
        for tenant, one in self.backlog:
            (channel,) = one.addresses
            if (one.contact_id, channel) not in seen:
                seen.add((one.contact_id, channel))
                yield tenant, _consent(one.contact_id, channel, one.addresses[channel], ConsentState.GRANTED, now)


def refusal(stop: Stop, now: datetime) -> ConsentChanged:
    return _consent(stop.contact, Channel(stop.channel), stop.address, ConsentState.REVOKED, now)


def made(seed: int, lanes: Sequence[Lane], campaign_lanes: Sequence[Lane], seconds: float) -> Traffic:
    """The traffic of a seed."""
    draw = Random(f"governed/{seed}")
    backlog: list[tuple[str, MessageRequested]] = []
    replies: list[tuple[float, MessageRequested]] = []
    stops: list[Stop] = []
    for lane in lanes:
        messages = [_message(lane, seed, number, draw) for number in range(round(lane.speed * (seconds * MORE + BEFORE) / _units(lane)))]
        backlog += [(TENANT, one) for one in messages]
        replies += [(draw.uniform(0, seconds), _reply(lane, seed, number)) for number in range(round(lane.speed * seconds * REPLIES / _units(lane)))]
        stops += _stops(lane, messages, draw)
    backlog += [(CAPPED, one) for one in _campaigns(campaign_lanes, seed)]
    return Traffic(backlog, sorted(replies, key=lambda one: one[0]), sorted(stops, key=lambda one: one.at))


def _units(lane: Lane) -> float:
    """Units of a message of the lane on the average."""
    return 2.0 if lane.name == "sms-long" else 1.0


def _message(lane: Lane, seed: int, number: int, draw: Random) -> MessageRequested:
    text = TEXTS[number % len(TEXTS)] if lane.name == "sms-long" else TEXTS[0]
    contact = number if draw.random() < 0.9 else number // 2  # some are written to twice
    return _asked(lane, f"{seed}/{number}", f"{lane.name}/{contact}", contact, Purpose.MARKETING, text, f"campaign-{number % 3}")


def _reply(lane: Lane, seed: int, number: int) -> MessageRequested:
    return _asked(lane, f"{seed}/reply/{number}", f"{lane.name}/reply/{number}", 500_000 + number, Purpose.REPLY, TEXTS[0], None)


def _stops(lane: Lane, messages: Sequence[MessageRequested], draw: Random) -> Iterator[Stop]:
    for number, one in enumerate(messages):
        if draw.random() < STOPS:
            at = max(0.0, number * _units(lane) / lane.speed * (1 + REPLIES) + draw.uniform(-ABOUT, ABOUT))
            yield Stop(at, one.contact_id, lane.channel, one.addresses[Channel(lane.channel)])


def _campaigns(lanes: Sequence[Lane], seed: int) -> Iterator[MessageRequested]:
    """Twenty campaigns that all want the same people at once, over all lanes."""
    for campaign in range(CAMPAIGNS if lanes else 0):
        lane = lanes[campaign % len(lanes)]
        for person in range(PEOPLE):
            yield _asked(lane, f"{seed}/{campaign}/{person}", f"capped/{person}", person, Purpose.MARKETING, TEXTS[0], f"capped-{campaign}")


def _asked(lane: Lane, number: str, contact: str, place: int, purpose: Purpose, text: str, campaign: str | None) -> MessageRequested:
    channel = Channel(lane.channel)
    address = f"{lane.name}-{place}" if lane.provider == "plain" else f"+658{place:07d}"
    return MessageRequested(
        contact_id=natural_id("governed", contact), message_id=natural_id("governed", lane.name, number), purpose=purpose, channels=(channel,),
        account=lane.name, addresses={channel: address}, content=Content(text=text), campaign=campaign,
    )  # fmt: skip


def _consent(contact: UUID, channel: Channel, address: str, state: ConsentState, now: datetime) -> ConsentChanged:
    at = now if state is ConsentState.REVOKED else now - timedelta(days=1)
    return ConsentChanged(contact_id=contact, channel=channel, address=address, purpose=Purpose.MARKETING, state=state, source="governed", at=at)
