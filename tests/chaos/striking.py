"""Carries a schedule out on a running Parley, and notices who ends without having been struck."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from parley.demo.fleet import Fleet
from parley.local import StackError
from tests.chaos.faults import LAST_RECEIPT, Fault, Mood

STARTS = 4
"""Tries to start a process again. PostgreSQL refuses while a process of the one that was killed still holds the shared memory."""
AGAIN = 1.0
WATCH = 0.5

Say = Callable[[str], None]


@dataclass
class Striker:
    """Strikes one fleet. `done` are the faults that were carried out, `ended` the processes that ended by themselves, a sentence each."""

    fleet: Fleet
    say: Say
    done: list[Fault] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _busy: dict[str, asyncio.Lock] = field(default_factory=dict)

    async def carry_out(self, faults: Sequence[Fault], moods: Sequence[Mood]) -> None:
        """All of them, each at its time; faults of different processes may overlap. Raises `StackError` when a process does not come back."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._behave(moods))
            for fault in faults:
                group.create_task(self._strike(fault))

    async def watch(self) -> None:
        """Starts again what ended by itself, until cancelled: a cluster would, too, but it is a fault."""
        while True:
            for name, server in self.fleet.servers.items():
                if not server.alive and not self._lock(name).locked():
                    async with self._lock(name):
                        self.ended.append(f"{name} ended by itself at {self._now:.1f} s; its log closes with: {server.tail(3)}")
                        self.say(self.ended[-1])
                        await self._revive(name)
            await asyncio.sleep(WATCH)

    @property
    def _now(self) -> float:
        return time.monotonic() - self._began

    def _lock(self, name: str) -> asyncio.Lock:
        return self._busy.setdefault(name, asyncio.Lock())

    async def _behave(self, moods: Sequence[Mood]) -> None:
        """One mood after the other, until no receipt is due any more that nobody outside the twin knows of."""
        for mood in moods:
            await asyncio.sleep(max(0.0, mood.at - self._now))
            await self.fleet.behave({"*": dict(mood.behaviour)})
            self.say(f"{self._now:6.1f} s  the provider {mood.name}")
        if moods:
            await asyncio.sleep(LAST_RECEIPT)

    async def _strike(self, fault: Fault) -> None:
        """One fault; a process that is still away from the one before is waited for."""
        await asyncio.sleep(max(0.0, fault.at - self._now))
        async with self._lock(fault.process):
            began = self._now
            self.say(f"{began:6.1f} s  {fault.how} of {fault.process}, away for {fault.away:.1f} s")
            await (self.fleet.kill(fault.process) if fault.kill else self.fleet.stop_one(fault.process))
            self.done.append(fault)
            await asyncio.sleep(fault.away)
            await self._revive(fault.process)
            self.say(f"{self._now:6.1f} s  {fault.process} is back after {self._now - began:.1f} s")

    async def _revive(self, name: str) -> None:
        for tries in range(1, STARTS + 1):
            try:
                await self.fleet.start_one(name)
                return
            except StackError as error:
                self.say(f"{self._now:6.1f} s  {error}")
                if tries == STARTS:
                    raise
            await asyncio.sleep(AGAIN)
