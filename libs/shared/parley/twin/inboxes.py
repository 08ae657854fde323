"""Who waits for messages at the twin: simulated customers by long poll, and listeners inside the process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence

from parley.twin.ledger import Request


class Inboxes:
    """The messages of each address, as the ledger's book keeps them, and a way to wait for the next one."""

    def __init__(self, kept: Mapping[str, Sequence[Request]]) -> None:
        self._kept = kept
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._subscribers: set[asyncio.Queue[Request]] = set()

    def of(self, address: str) -> Sequence[Request]:
        """All messages that an address received, in order."""
        return self._kept.get(address, ())

    async def arrivals(self, address: str, after: int, wait: float) -> Sequence[Request]:
        """The messages of an address behind the first `after`; waits up to `wait` seconds for one when there is none."""
        if len(self.of(address)) <= after and wait > 0:
            event = asyncio.Event()
            self._waiting.setdefault(address, set()).add(event)
            try:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        while len(self.of(address)) <= after:
                            event.clear()
                            await event.wait()
            finally:
                self._forget(address, event)
        return self.of(address)[after:]

    @contextlib.contextmanager
    def subscription(self) -> Iterator[asyncio.Queue[Request]]:
        """A queue of all messages that customers receive from now on."""
        queue: asyncio.Queue[Request] = asyncio.Queue()
        self._subscribers.add(queue)
        try:
            yield queue
        finally:
            self._subscribers.discard(queue)

    def tell(self, entry: Request) -> None:
        """A message has arrived, and stands in what is kept already."""
        for queue in self._subscribers:
            queue.put_nowait(entry)
        for event in self._waiting.get(entry.recipient or "", ()):
            event.set()

    def _forget(self, address: str, event: asyncio.Event) -> None:
        self._waiting[address].discard(event)
        if not self._waiting[address]:
            del self._waiting[address]
