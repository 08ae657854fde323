"""The stage that counts: a batch of events becomes facts and differences of figures, in the step's transaction.

Nothing hangs on the order, the repetition or the cutting of batches, nor on which replica takes them: `facts` merge, `counting` puts them into the tables,
behind the question who was erased (`erasing`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from types import MappingProxyType
from uuid import UUID

from parley.attribution import Attribution
from parley.contracts import ConsentChanged, CustomerActed, DeliveryChanged, EngagementRecorded
from parley.database import Connection
from parley.step import Arrived, Caused
from parley_analytics.counting import PEOPLE, Counting, lock, locks
from parley_analytics.erasing import Veil
from parley_analytics.gathering import gather
from parley_analytics.outcomes import Outcomes

ERASING = 1_634_628_729, 1024
"""The advisory lock that whoever counts shares, and whoever erases has alone."""
TURN = """
SELECT pg_advisory_xact_lock($3, number) FROM (
    SELECT set_config('plan_cache_mode', 'force_generic_plan', true), set_config('synchronous_commit', 'off', true), pg_advisory_xact_lock{}($1, $2) OFFSET 0
) AS turn LEFT JOIN unnest($4::integer[]) AS number ON true
"""
USUAL = Attribution()


def statement(name: str) -> str:
    """The SQL in `sql/<name>.sql`."""
    return (resources.files("parley_analytics") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def statements() -> dict[str, str]:
    """The statements of `Counting`. Two of them are the ends of others."""
    ends = {"count": "differences", "correct": "differences", "orders": "money", "attribute": "money"}
    names = ("figures", "heard", "hits", "opt_outs", "recount", "replies", *ends)
    return {name: terse(statement(name) + (statement(ends[name]) if name in ends else "")) for name in names}


def terse(sql: str) -> str:
    """The same without comments and indents: what is longer than 15 KiB asyncpg does not keep prepared, and planning takes longer than counting."""
    return "\n".join(part for line in sql.splitlines() if (part := line.partition("--")[0].strip()))


@dataclass(frozen=True)
class Count:
    """Counts deliveries, engagement, answers, refusals and conversions, and forgets people. Produces nothing."""

    veil: Veil
    sql: Mapping[str, str]
    outcomes: Outcomes
    rules: Mapping[str, Attribution]
    name: str = "analytics"
    topics: tuple[str, ...] = (DeliveryChanged.topic, EngagementRecorded.topic, CustomerActed.topic, ConsentChanged.topic)

    @classmethod
    def prepared(cls, key: bytes, rules: Mapping[str, Attribution] = MappingProxyType({})) -> Count:
        """`key`: the secret of the installation, under which it is known for a while who was erased. `rules`: by tenant; of others the usual one holds."""
        return cls(Veil(key, statement("erase")), statements(), Outcomes(statement("follow")), rules)

    async def apply(self, connection: Connection, batch: Sequence[Arrived], now: datetime) -> Sequence[Caused]:
        rules = {tenant: self.rules.get(tenant, USUAL) for tenant in {one.event.tenant for one in batch}}
        facts = gather((one.event for one in batch), rules)
        if facts.empty:
            return ()
        held = facts.people()
        await self._turn(connection, held, erasing=bool(facts.erased))
        if facts.erased:
            await self.veil.erase(connection, facts.erased, now)
        facts = await self.veil.over(connection, facts, now)
        counting = Counting(connection, self.sql, rules, held)
        await counting.run(facts)
        if counting.former:
            await lock(connection, counting.former)
        buyers = {one.contact_id for one in facts.orders.values()} | counting.former
        await self.outcomes.follow(connection, counting.people | buyers, buyers, self.rules)
        return ()

    async def _turn(self, connection: Connection, contacts: Collection[UUID], erasing: bool) -> None:
        """Batches may count at the same time; while somebody is erased nobody counts, or what another replica is just writing would stay. Then the locks
        of the contacts, on the same way to the server.

        The statements are long, the rows few: to plan them anew each time would take longer than to carry them out. And nobody waits for the disk: what
        a crash of the database takes away, facts and cursor together, is read again from the log (decision 46).
        """
        await connection.execute(TURN.format("" if erasing else "_shared"), *ERASING, PEOPLE, locks(contacts))
