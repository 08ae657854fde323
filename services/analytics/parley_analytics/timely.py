"""A stage that is spared what comes too late: facts of that time are rolled up, and would be counted a second time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from prometheus_client import Counter

from parley.database import Connection
from parley.step import Arrived, Caused
from parley.stream import Stage
from parley_analytics.keeping import Keeping, late, spoken_of


@dataclass(frozen=True)
class Timely:
    """Drops events that tell something older than their tenant keeps facts, or of a message or a conversation that was rolled up. The rest goes on.

    Lateness is judged by when an event came onto the bus, so it is the same in a replay, however much later that is.
    """

    stage: Stage
    kept: Mapping[str, Keeping]
    dropped: Counter

    @property
    def name(self) -> str:
        return self.stage.name

    @property
    def topics(self) -> tuple[str, ...]:
        return self.stage.topics

    async def apply(self, connection: Connection, batch: Sequence[Arrived], now: datetime) -> Sequence[Caused]:
        timely = await self._known(connection, [one for one in batch if not self._late(one)]) if self.kept else batch
        self.dropped.labels(self.name).inc(len(batch) - len(timely))
        return await self.stage.apply(connection, timely, now) if timely else ()

    def _late(self, one: Arrived) -> bool:
        kept = self.kept.get(one.event.tenant)
        return kept is not None and late(one.event.data, datetime.fromtimestamp(one.record.timestamp / 1000, UTC), kept)

    async def _known(self, connection: Connection, batch: Sequence[Arrived]) -> Sequence[Arrived]:
        """Without what is told of messages and conversations that have no row any more; their ids stand in one column."""
        of = {found for one in batch if one.event.tenant in self.kept and (found := spoken_of(one.event.data)) is not None}
        if not of:
            return batch
        rows = await connection.fetch("SELECT message_id FROM rolled WHERE message_id = ANY($1::uuid[])", list(of))
        gone = {row["message_id"] for row in rows}
        return [one for one in batch if spoken_of(one.event.data) not in gone] if gone else batch
