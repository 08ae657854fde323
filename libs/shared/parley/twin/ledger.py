"""The ledger: every request, customer's message and receipt, in a file of its own that outlives the process. What is known is a function of its lines."""

from __future__ import annotations

import fcntl
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import orjson

from parley.twin.shape import Message, Status, TwinError

Verdict: TypeAlias = Literal["accepted", "replayed", "refused", "throttled", "failed", "hung"]
Outcome: TypeAlias = Literal["acknowledged", "refused", "given_up"]
TAKEN: frozenset[Verdict] = frozenset({"accepted", "hung"})
"""Verdicts after which the customer has the message."""
STEPS: tuple[Status, ...] = ("sent", "failed", "delivered", "read")
"""Statuses, each after those that it outweighs."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request of ours. `at`: arrival, epoch seconds. `status` is None where no answer was given; `n` counts all requests from 1."""

    n: int
    at: float
    account: str | None
    provider: str
    verdict: Verdict
    status: int | None
    provider_id: str | None = None
    recipient: str | None = None
    text: str | None = None
    reference: str | None = None
    key: str | None = None
    attempt: int = 1
    choices: tuple[dict[str, str], ...] = ()
    layout: str | None = None
    media: tuple[str, ...] = ()
    segments: int = 1
    callback: str | None = None
    reason: str | None = None
    kind: Literal["request"] = "request"

    @property
    def message(self) -> Message:
        return Message(
            self.recipient or "", self.text, self.reference, tuple(self.choices), self.layout, tuple(self.media), self.segments, self.callback
        )


@dataclass(frozen=True, slots=True)
class Said:
    """A customer's message, at the moment in which it was said."""

    at: float
    account: str
    sender: str
    provider_id: str
    text: str | None = None
    choice: dict[str, str] | None = None
    kind: Literal["said"] = "said"


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of a customer's message: `first_at`, the first post; `at`, the 2xx or the end of trying; `copy` counts repeats from 1."""

    at: float
    account: str
    provider_id: str
    outcome: Outcome
    posts: int
    first_at: float | None
    status: int | None
    copy: int = 0
    kind: Literal["heard"] = "heard"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt that was posted, and what became of the post."""

    at: float
    account: str
    provider_id: str
    reference: str | None
    status: Status
    outcome: Outcome
    posts: int
    http_status: int | None
    copy: int = 0
    kind: Literal["receipt"] = "receipt"


Entry: TypeAlias = Request | Said | Heard | Receipt
KINDS: dict[str, type[Request] | type[Said] | type[Heard] | type[Receipt]] = {"request": Request, "said": Said, "heard": Heard, "receipt": Receipt}


@dataclass(slots=True)
class Book:
    """What the entries amount to. Grows by `apply` alone."""

    entries: list[Entry] = field(default_factory=list)
    requests: int = 0
    verdicts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    attempts: Counter[tuple[str, str]] = field(default_factory=Counter)
    keys: dict[tuple[str, str], Request] = field(default_factory=dict)
    """The first request that was taken under an idempotency key, by account and key."""
    inboxes: dict[str, list[Request]] = field(default_factory=lambda: defaultdict(list))
    """What each customer received, by address."""
    said: dict[tuple[str, str], Said] = field(default_factory=dict)
    heard: dict[tuple[str, str], Heard] = field(default_factory=dict)
    sent_twice: Counter[str] = field(default_factory=Counter)
    taken: dict[tuple[str, str], Request] = field(default_factory=dict)
    """The first request that was taken for a message of ours, by account and reference."""
    told: dict[tuple[str, str], Status] = field(default_factory=dict)
    """The furthest status that receipts told of a message, by account and the provider's id."""
    _contents: set[tuple[object, ...]] = field(default_factory=set)

    def apply(self, entry: Entry) -> None:
        self.entries.append(entry)
        match entry:
            case Request():
                self._request(entry)
            case Said():
                self.said[entry.account, entry.provider_id] = entry
                self.verdicts[entry.account]["said"] += 1
            case Heard(copy=0):
                self.heard[entry.account, entry.provider_id] = entry
                self.verdicts[entry.account][f"said_{entry.outcome}"] += 1
            case Heard():
                self.verdicts[entry.account]["said_again"] += 1
            case Receipt():
                known = self.told.get((entry.account, entry.provider_id))
                if known is None or STEPS.index(entry.status) > STEPS.index(known):
                    self.told[entry.account, entry.provider_id] = entry.status
                self.verdicts[entry.account][f"receipts_{entry.outcome}"] += 1

    def unheard(self, account: str) -> list[Said]:
        """Customers' messages that were said and neither acknowledged nor given up, in order."""
        return [said for key, said in self.said.items() if key[0] == account and key not in self.heard]

    def summary(self) -> dict[str, Any]:
        """Counts by account and in total. `messages`: what customers received; `sent_twice`: how often the same reference brought the same again."""
        accounts = {name: {**counts, **self._sums(counts), "sent_twice": self.sent_twice[name]} for name, counts in self.verdicts.items()}
        total: Counter[str] = Counter()
        for counts in accounts.values():
            total.update(counts)
        return {"accounts": accounts, "total": dict(total)}

    def _sums(self, counts: Counter[str]) -> dict[str, int]:
        asked = ("accepted", "replayed", "refused", "throttled", "failed", "hung")
        said = {name: counts[name] for name in ("said", "said_acknowledged", "said_refused", "said_given_up")}
        return {**{name: counts[name] for name in asked}, **said, "messages": counts["accepted"] + counts["hung"]}

    def _request(self, entry: Request) -> None:
        self.requests += 1
        account = entry.account or ""
        self.verdicts[account][entry.verdict] += 1
        if entry.reference is not None:
            self.attempts[account, entry.reference] += 1
        if entry.verdict not in TAKEN:
            return
        self.inboxes[entry.recipient or ""].append(entry)
        if entry.key is not None:
            self.keys.setdefault((account, entry.key), entry)
        if entry.reference is not None:
            self.taken.setdefault((account, entry.reference), entry)
            content = (account, entry.reference, entry.recipient, entry.text, *entry.media, *(one["id"] for one in entry.choices))
            self.sent_twice[account] += content in self._contents
            self._contents.add(content)


class Ledger:
    """A `Book` over an append-only file: a line is written before `add` returns, and outlives the process, though not a power cut (no fsync)."""

    def __init__(self, path: Path) -> None:
        """Takes over what the file holds; a torn last line is cut off. Raises `TwinError` when it is in use or is no ledger."""
        self.book = Book()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            _hold(self._file, path)
            raw = path.read_bytes()
            whole = raw.rfind(b"\n") + 1
            for entry in _entries(raw[:whole].splitlines(), path):
                self.book.apply(entry)
            os.ftruncate(self._file, whole)
        except BaseException:
            os.close(self._file)
            raise

    def add(self, entry: Entry) -> None:
        line = memoryview(line_of(entry))
        while line:
            line = line[os.write(self._file, line) :]
        self.book.apply(entry)

    def close(self) -> None:
        os.close(self._file)


def line_of(entry: Entry) -> bytes:
    return orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)


def _entries(lines: Iterable[bytes], path: Path) -> Iterator[Entry]:
    for number, line in enumerate(lines, 1):
        try:
            values = orjson.loads(line)
            yield KINDS[values["kind"]](**values)
        except (ValueError, KeyError, TypeError) as error:
            raise TwinError(f"{path}, line {number}: not an entry of a twin's ledger; name another file, or move this one away") from error


def _hold(file: int, path: Path) -> None:
    """Two twins on one file would each miss what the other wrote; the lock goes with the process, however that ends."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise TwinError(f"the ledger {path} is in use by another twin: stop that one, or name another file") from error
