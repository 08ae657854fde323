"""The pure parts of the step: from records to entries, from results to records, and when too many letters are dead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from parley.contracts import DEAD_TOPIC, Data, Envelope, Record
from parley.cursor import Place
from parley.wire import Unreadable, caused_id, decode, record_of

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

WINDOW = 1000
"""Events over which the share of dead letters is taken."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """An event and where it stood."""

    event: Envelope
    place: Place
    offset: int
    record: ConsumerRecord = field(repr=False, compare=False)

    @property
    def event_id(self) -> str:
        return self.event.id


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that cannot be processed, with the reason; it goes to the dead letters."""

    place: Place
    offset: int
    reason: str
    record: ConsumerRecord = field(repr=False, compare=False)

    @property
    def event_id(self) -> str:
        return next((raw.decode(errors="replace") for name, raw in self.record.headers if name == "ce_id"), "")

    @classmethod
    def of(cls, entry: Entry, reason: str) -> Broken:
        return cls(entry.place, entry.offset, reason, entry.record)


@dataclass(frozen=True, slots=True)
class Passed:
    """A record of a tenant of whom the stage wants nothing: the cursor goes past it, and nobody has read it."""

    place: Place
    offset: int
    record: ConsumerRecord = field(repr=False, compare=False)


Entry: TypeAlias = "Arrived | Broken | Passed"
Outputs: TypeAlias = dict[Place, list[tuple[int, Record]]]
"""Records to publish by the place that caused them, with the causing offset."""


@dataclass(frozen=True, slots=True)
class Caused:
    """Data that a stage produces, and the event that is the cause. `tenant` and `id` only where they are not the cause's."""

    cause: Arrived
    data: Data
    tenant: str | None = None
    id: str | None = None
    started_at: datetime | None = None


def by_place(records: Sequence[ConsumerRecord]) -> dict[Place, list[ConsumerRecord]]:
    """The records of a batch by partition, each in order of offset."""
    found: dict[tuple[str, int], list[ConsumerRecord]] = {}
    for record in records:
        found.setdefault((record.topic, record.partition), []).append(record)
    return {Place(*place): batch for place, batch in found.items()}


def decoded(records: Sequence[ConsumerRecord], prefix: str = "") -> Iterator[Entry]:
    """Each record as an event, or as broken with the reason. `prefix` stands before the contract's topic names."""
    place, topic = Place("", -1), ""
    for record in records:
        if record.topic != place.topic or record.partition != place.partition:  # records come partition by partition
            place, topic = Place(record.topic, record.partition), record.topic.removeprefix(prefix)
        try:
            yield Arrived(decode(topic, record.headers, record.value or b""), place, record.offset, record)
        except Unreadable as error:
            yield Broken(place, record.offset, str(error), record)


def tenant_of(record: ConsumerRecord) -> str | None:
    """The tenant that a record's headers name, without reading the rest; None where they name none (structured mode)."""
    return next((raw.decode(errors="replace") for name, raw in record.headers if name == "ce_tenant" and raw), None)


def chosen(records: Sequence[ConsumerRecord], tenants: Collection[str], prefix: str = "") -> Iterator[Entry]:
    """As `decoded`, but records of other tenants are passed over."""
    for record in records:
        if (tenant := tenant_of(record)) is None or tenant in tenants:
            yield from decoded([record], prefix)
        else:
            yield Passed(Place(record.topic, record.partition), record.offset, record)


def by_bytes(entries: Sequence[Entry], limit: int) -> Iterator[list[Entry]]:
    """Parts of at most `limit` bytes of values (at least one entry each): what one transaction has to hold."""
    part: list[Entry] = []
    size = 0
    for entry in entries:
        weight = len(entry.record.value or b"")
        if part and size + weight > limit:
            yield part
            part, size = [], 0
        part.append(entry)
        size += weight
    if part:
        yield part


def ends(part: Sequence[Entry]) -> dict[Place, int]:
    """Where the cursors stand after `part`."""
    return {entry.place: entry.offset + 1 for entry in part}


def outputs(stage: str, part: Sequence[Entry], caused: Sequence[Caused], now: datetime) -> Outputs:
    """The records of a part's results and dead letters, by the place that caused them, in the order in which the stage gave them."""
    found: Outputs = {}
    counts: dict[tuple[Place, int], int] = {}
    source, time = f"parley/{stage}", now.isoformat()
    for one in caused:
        cause, event = one.cause, one.cause.event
        place, offset = cause.place, cause.offset
        index = counts.get((place, offset), 0)
        counts[place, offset] = index + 1
        made = record_of(
            one.data,
            identifier=one.id or str(caused_id(f"{stage}:{event.id}", index)),
            source=source,
            time=time,
            tenant=one.tenant or event.tenant,
            subject=str(contact) if (contact := getattr(one.data, "contact_id", None)) else None,
            started_at=one.started_at or event.started_at,
            origin=f"{stage}:{place.topic}:{place.partition}:{offset}:{index}",
            traceparent=event.traceparent,
        )
        found.setdefault(place, []).append((offset, made))
    for entry in part:
        if isinstance(entry, Broken):
            found.setdefault(entry.place, []).append((entry.offset, dead_letter(stage, entry)))
    return found


def dead_letter(stage: str, entry: Broken) -> Record:
    """The source record as it was, with headers that say why, where and by whom it was given up."""
    record = entry.record
    said = [("error", entry.reason.encode()), ("stage", stage.encode()), ("topic", entry.place.topic.encode())]
    said += [("partition", str(entry.place.partition).encode()), ("offset", str(entry.offset).encode())]
    return DEAD_TOPIC, record.key or b"", [*record.headers, *said], record.value or b""


def about(part: Sequence[Entry]) -> dict[str, str | int]:
    """What the log says of a part: the ids of an event that stands alone, else only how many there are. Never what an event contains."""
    if len(part) != 1:
        return {"events": len(part)}
    entry = part[0]
    place: dict[str, str | int] = {"topic": entry.place.topic, "partition": entry.place.partition, "offset": entry.offset}
    if isinstance(entry, Arrived):
        contact = getattr(entry.event.data, "contact_id", None)
        return {"event_id": entry.event.id, "tenant": entry.event.tenant, **({"contact_id": str(contact)} if contact else {}), **place}
    told = {name: raw.decode(errors="replace")[:200] for name, raw in entry.record.headers}
    ids = {"event_id": "ce_id", "tenant": "ce_tenant", "contact_id": "ce_subject"}
    return {ours: told[theirs] for ours, theirs in ids.items() if told.get(theirs)} | place


def counted(names: Iterable[str]) -> Counter[str]:
    return Counter(names)


@dataclass(frozen=True)
class DeadLimit:
    """When dead letters are so many that the fault is not in them: `streak` in a row, or `ratio` of the last 1,000 (of 200 at least)."""

    streak: int
    ratio: float
    recent: tuple[bool, ...] = ()
    row: int = 0

    def after(self, dead: Sequence[bool]) -> DeadLimit:
        """The limit after more events, in order; True: it died."""
        if not any(dead) and not any(self.recent):
            return self if len(self.recent) >= WINDOW else replace(self, recent=self._last(dead), row=0)
        row = self.row
        for one in dead:
            row = row + 1 if one else (row if row >= self.streak else 0)
        return replace(self, recent=self._last(dead), row=row)

    def passed(self) -> str | None:
        """Why the stage must stop; None while all is well."""
        if self.row >= self.streak:
            return f"{self.row} dead letters in a row"
        share = sum(self.recent) / len(self.recent) if len(self.recent) >= WINDOW // 5 else 0.0
        return f"{share:.0%} of the last {len(self.recent)} events are dead letters" if share >= self.ratio else None

    def _last(self, dead: Sequence[bool]) -> tuple[bool, ...]:
        return (*self.recent, *dead)[-WINDOW:]
