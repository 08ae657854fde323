"""What the twin's ledger tells as it grows, for the table and the summary: who wrote, who was answered, and how long that took.

An answer is known by its id: what the router asks for has an id made from the event that caused it (`wire.caused_id`), and a customer's message has
one made from the provider's id (`wire.natural_id`). So the message that a customer's message caused is found in the ledger without asking Parley.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from parley import wire
from parley.twin.ledger import KINDS, TAKEN, Entry, Heard, Receipt, Request, Said

RESULTS = 16
"""So many results of an event are looked at for its first message; the bot's own changes of state before it are a few."""


class Tail:
    """The entries that a ledger's file has gained since the last look."""

    def __init__(self, path: Path, *, end: bool = False) -> None:
        """From the beginning, or with `end` from what is there already."""
        self._path, self._at = path, path.stat().st_size if end and path.exists() else 0

    def news(self) -> list[Entry]:
        """Whole lines only; a line that is being written is read at the next look."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._at)
            raw = file.read()
        whole = raw.rfind(b"\n") + 1
        self._at += whole
        return [entry_of(line) for line in raw[:whole].splitlines()]


def entry_of(line: bytes) -> Entry:
    values: dict[str, Any] = orjson.loads(line)
    return KINDS[values["kind"]](**values)


@dataclass
class Witness:
    """Grows by `apply` alone. Latencies in seconds, by account: from the first post of a customer's webhook to the provider's door."""

    received: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    answered: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    latencies: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _causes: dict[str, tuple[str, str]] = field(default_factory=dict)
    _first: dict[tuple[str, str], float] = field(default_factory=dict)
    _answer: dict[tuple[str, str], float] = field(default_factory=dict)

    def apply(self, entry: Entry) -> None:
        match entry:
            case Said():
                for number in caused(entry.account, entry.provider_id):
                    self._causes[number] = (entry.account, entry.provider_id)
            case Heard(copy=0, outcome="acknowledged"):
                self.received[entry.account] += 1
                self._first[entry.account, entry.provider_id] = entry.first_at or entry.at
                self._timed((entry.account, entry.provider_id))
            case Request() if entry.verdict in TAKEN and (cause := self._causes.get(entry.reference or "")) and cause not in self._answer:
                self.answered[cause[0]] += 1
                self._answer[cause] = entry.at
                self._timed(cause)
            case Request() | Heard() | Receipt():
                pass

    def _timed(self, cause: tuple[str, str]) -> None:
        """Once both ends are known, in whatever order the ledger has them."""
        if cause in self._first and cause in self._answer:
            self.latencies[cause[0]].append(self._answer[cause] - self._first[cause])


def caused(account: str, provider_id: str) -> Iterator[str]:
    """The ids that messages caused by a customer's message can have."""
    cause = str(wire.natural_id("message", account, provider_id))
    return (str(wire.caused_id(cause, index)) for index in range(RESULTS))


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` of the values do not exceed (nearest rank); None of nothing."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else None
