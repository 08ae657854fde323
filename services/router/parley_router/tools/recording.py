"""Events of `parley.inbound` in a file: written from Kafka, one CloudEvent in JSON a line, and read again. They hold what customers wrote: keep the file so."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path

import orjson

from parley import history, wire
from parley.contracts import Envelope, MessageMisunderstood, MessageReceived, jsonable
from parley.settings import Settings
from parley.yamlfile import ConfigError

TOPIC = MessageReceived.topic


async def record(settings: Settings, since: datetime, until: datetime | None, out: Path) -> int:
    """Writes the events from `since` on, up to `until`, in the order of each contact's; how many there were. Only its owner may read the file."""
    count = 0
    with os.fdopen(os.open(out, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
        async for event in _events(settings, TOPIC, since):
            if event.time >= since and (until is None or event.time < until):
                file.write(line(event))
                count += 1
    return count


async def misunderstood(settings: Settings, since: datetime) -> list[MessageMisunderstood]:
    """The messages whose meaning was not sure, since then."""
    found = _events(settings, MessageMisunderstood.topic, since)
    return [event.data async for event in found if isinstance(event.data, MessageMisunderstood) and event.data.at >= since]


async def _events(settings: Settings, topic: str, since: datetime) -> AsyncIterator[Envelope]:
    async for stretch in history.read(settings, topic, since):
        for record in stretch.records:
            try:
                yield wire.decode(topic, record.headers, record.value)
            except wire.Unreadable:
                continue  # it died when it was read first, and is among the dead letters


def line(event: Envelope) -> bytes:
    """An event as CloudEvents has it in JSON."""
    attributes = {
        "specversion": "1.0", "id": event.id, "source": event.source, "type": event.data.type, "time": event.time.isoformat(), "tenant": event.tenant,
        "subject": event.subject, "startedat": event.started_at.isoformat() if event.started_at else None,
    }  # fmt: skip
    return orjson.dumps({**{name: value for name, value in attributes.items() if value is not None}, "data": jsonable(event.data)}) + b"\n"


def read(path: Path) -> Iterator[Envelope]:
    """The events of a file. Raises `ConfigError` for a line that is none."""
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    yield _event(path, number, text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def _event(path: Path, number: int, text: bytes) -> Envelope:
    try:
        attributes, data = wire.split_structured(orjson.loads(text))
        return wire.envelope(TOPIC, attributes, data)
    except (orjson.JSONDecodeError, wire.Unreadable) as error:
        raise ConfigError(f"{path}:{number}: no event of {TOPIC}: {error}; `parley flow record` writes such files") from error
