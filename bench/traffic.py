"""Events as a day brings them, made from a seed: conversations for the router, the fate of messages for analytics. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from parley.contracts import (
    Channel,
    Choice,
    Customer,
    CustomerActed,
    Data,
    DeliveryChanged,
    DeliveryStatus,
    EngagementRecorded,
    Envelope,
    MessageReceived,
    Purpose,
    Record,
)  # fmt: skip
from parley.wire import encode, natural_id

T0 = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
TENANT = "acme"
KO = ("안녕하세요", "주문 조회", "A{n}", "질문", "배송", "네", "영업시간", "아니요", "언제 와요?", "주문 조회", "모르겠어요", "A{n}이요")
EN = ("hello", "track order", "A{n}", "faq", "delivery", "yes", "opening hours", "no", "when does it arrive?", "track order", "not sure", "A{n}")
"""What a customer writes, from the first word on; then from the second again."""
ENDS = {"ko": ("상담원", "수신거부"), "en": ("agent", "STOP")}
LEAVES = 0.02
"""Share of messages that ask for a person or want no more, in equal parts; both end what the bot has to do, as they do in life."""
HAPPENS = 0.12
"""Share of events that other services tell: orders and carts."""


def conversations(events: int, contacts: int, seed: int = 1) -> list[Record]:
    """`events` records of `parley.inbound` about `contacts` people who write in turns, about as many in Korean as in English."""
    draw, offsets, places = random.Random(seed), count(), [0] * contacts
    found: list[Record] = []
    for _ in range(events):
        number = draw.randrange(contacts)
        happened = places[number] > 0 and draw.random() < HAPPENS
        data = _acted(draw, number) if happened else _wrote(draw, number, places[number])
        places[number] += not happened
        found.append(enveloped(data, next(offsets), "normalise:parley.raw:0"))
    return found


def person(number: int) -> UUID:
    return natural_id("bench", str(number))


def address(number: int) -> str:
    return f"+8210{number:08d}"


def _wrote(draw: random.Random, number: int, place: int) -> MessageReceived:
    language = "ko" if number % 2 else "en"
    said = KO if number % 2 else EN
    text = said[place if place == 0 else 1 + (place - 1) % (len(said) - 1)].format(n=1000 + number % 9000)
    if place and draw.random() < LEAVES:
        text = draw.choice(ENDS[language])
    tapped = place and draw.random() < 0.1
    return MessageReceived(
        contact_id=person(number), message_id=natural_id("said", str(number), str(place)), account="acme-sms" if number % 3 else "acme-whatsapp",
        channel=Channel.SMS if number % 3 else Channel.WHATSAPP, address=address(number), kind="choice" if tapped else "text", text=text,
        choice=Choice(id="delivery", title=text) if tapped else None, provider_id=f"SM{number:012x}{place:020x}",
        sent_at=T0 + timedelta(seconds=place), received_at=T0 + timedelta(seconds=place + 1),
    )  # fmt: skip


def _acted(draw: random.Random, number: int) -> CustomerActed:
    name = draw.choice(("cart.abandoned", "order.placed", "order.shipped"))
    order = f"A{1000 + number % 9000}"
    properties: dict[str, Any] = {"order_id": order, "total": 42000, "currency": "KRW", "cart_id": f"c{number}"}
    return CustomerActed(contact_id=person(number), customer=Customer(id=f"shop-{number}"), name=name, properties=properties, occurred_at=T0)


def fates(messages: int, contacts: int, seed: int = 1, first: int = 0) -> list[Record]:
    """What becomes of `messages` messages, about 4.6 records each, the messages of many people mixed: deliveries, engagement, orders. `first`: the number of
    the first message and of the first of its people."""
    draw, offsets = random.Random(seed), count()
    later: list[tuple[float, int, Data]] = []
    for number in range(first, first + messages):
        at = number + 0.0
        for place, data in enumerate(_fate(draw, number, first + draw.randrange(contacts))):
            at += draw.expovariate(1 / 200)
            later.append((at if place else number + 0.0, len(later), data))
    later.sort(key=lambda one: one[:2])
    return [enveloped(data, next(offsets), "sender:parley.outbound:0") for _, _, data in later]


def _fate(draw: random.Random, number: int, contact: int) -> Iterator[Data]:
    """One message: queued, sent, delivered, perhaps read, clicked, an order. Seven in ten belong to a campaign, the rest are replies."""
    marketing, at = draw.random() < 0.7, T0 + timedelta(seconds=number % 86_400)
    channel = Channel.WHATSAPP if contact % 3 == 0 else Channel.SMS
    known: dict[str, Any] = {"message_id": natural_id("message", str(number)), "contact_id": person(contact)}
    campaign = {"campaign": f"campaign-{number % 12}", "variant": "ab"[number % 2]} if marketing else {}
    statuses = [DeliveryStatus.QUEUED, DeliveryStatus.SENT, DeliveryStatus.DELIVERED]
    statuses += [DeliveryStatus.READ] if channel is Channel.WHATSAPP and draw.random() < 0.6 else []
    for place, status in enumerate(statuses):
        yield DeliveryChanged(
            **known, **campaign, channel=channel, account=f"acme-{channel}", purpose=Purpose.MARKETING if marketing else Purpose.REPLY,
            status=status, attempt=min(1, place), segments=1, provider_id=f"SM{number:032x}" if place else None, at=at + timedelta(seconds=place),
        )  # fmt: skip
    if draw.random() < 0.4:
        yield _wrote(draw, contact, number % 12)
    if marketing and draw.random() < 0.25:
        by = draw.choice(("human", "human", "scanner"))
        yield EngagementRecorded(**known, kind="clicked", link="https://acme.example/", by=by, at=at + timedelta(seconds=20))
        if draw.random() < 0.2:
            yield CustomerActed(
                contact_id=person(contact), customer=Customer(id=f"shop-{contact}"), name="order.placed", occurred_at=at + timedelta(seconds=30),
                properties={"order_id": f"o{number}", "total": 42000, "currency": "KRW"},
            )  # fmt: skip


def enveloped(data: Data, offset: int, line: str) -> Record:
    """The record as the stage before would have written it, with its place in the bus."""
    made = Envelope.model_construct(
        id=str(natural_id("event", line, str(offset))), source="parley/bench", time=T0, tenant=TENANT, subject=data.key, traceparent=None,
        started_at=T0, origin=f"{line}:{offset}:0", data=data,
    )  # fmt: skip
    return encode(made)
