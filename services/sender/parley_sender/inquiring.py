"""Asks providers what they know of messages of which nobody knows whether they left, where they can be asked. What they say settles the message; what they
do not say is asked again, with growing pauses, and at last the tenant's policy holds.

A question changes nothing at the provider, so one that is asked twice, by two replicas or after a kill, does no harm; its answer settles a message once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import orjson
import structlog

from parley.channels import PROVIDERS
from parley.channels.shape import Account, Outgoing, Queryable, Receipt, Response
from parley.contracts import Content, Purpose, Record
from parley.database import OUTSIDE
from parley.failures import Outcome
from parley.service import Context
from parley_sender import questions
from parley_sender.call import Calls, calls
from parley_sender.erasing import ERASED
from parley_sender.law import Law
from parley_sender.outbox import Outbox
from parley_sender.questions import Answer, Verdict
from parley_sender.settling import settle

log = structlog.get_logger()

LOOK = 5.0
"""Seconds between two looks at what is due."""
SOME = 200
"""Messages that come to be asked about in one look."""
AT_ONCE = 8
"""Questions at a time, over all lanes: they are no messages, and no provider's limit is for them."""
LEASE = timedelta(minutes=2)
"""While a question is under way nobody else asks it."""
AWAY: tuple[type[BaseException], ...] = (*OUTSIDE, asyncpg.PostgresError)


@dataclass
class Inquiring:
    """The worker. Every replica may run it."""

    context: Context
    law: Law
    box: Outbox

    async def run(self, stopping: asyncio.Event) -> None:
        """Until the stop; survives an absent database and says so."""
        async with calls(self.context) as clients:
            while not stopping.is_set():
                more = False
                try:
                    more = await self.look(clients)
                except AWAY as error:
                    log.warning("questions about messages in doubt wait for PostgreSQL", cause=f"{type(error).__name__}: {error}")
                if not more:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stopping.wait(), LOOK)

    async def look(self, clients: Calls) -> bool:
        """Notes what is new in doubt, asks what is due. Whether there may be more."""
        able = [one.name for one in self.context.config.accounts.values() if questions.askable(one)]
        if not able:
            return False
        await self._note(able)
        due = await self._due(able)
        await asyncio.gather(*(self._ask(row, clients) for row in due))
        return len(due) == AT_ONCE

    async def _note(self, able: Sequence[str]) -> None:
        """Messages that have become unknown get their first question, counted from the end of the call in doubt."""
        rows = await self.context.pool.fetch(
            """SELECT d.message_id, d.attempt, coalesce(a.ended_at, d.changed_at) AS since FROM deliveries d
               LEFT JOIN attempts a ON (a.message_id, a.attempt) = (d.message_id, d.attempt)
               WHERE d.status = 'unknown' AND d.lane = ANY($1::text[]) AND d.address <> $2
                 AND NOT EXISTS (SELECT FROM inquiries i WHERE i.message_id = d.message_id AND i.attempt >= d.attempt) LIMIT $3""",
            able, ERASED, SOME,
        )  # fmt: skip
        await self.context.pool.execute(
            """INSERT INTO inquiries AS i (message_id, attempt, next_at) SELECT * FROM unnest($1::uuid[], $2::int[], $3::timestamptz[])
               ON CONFLICT (message_id) DO UPDATE SET attempt = excluded.attempt, asked = 0, next_at = excluded.next_at WHERE i.attempt < excluded.attempt""",
            [row["message_id"] for row in rows], [row["attempt"] for row in rows], [questions.due(0, row["since"]) for row in rows],
        )  # fmt: skip

    async def _due(self, able: Sequence[str]) -> list[asyncpg.Record]:
        """The questions whose time has come, taken for a while. Those whose message is settled meanwhile are over."""
        now = self.context.clock()
        await self.context.pool.execute(
            "UPDATE inquiries i SET next_at = NULL FROM deliveries d WHERE d.message_id = i.message_id AND i.next_at <= $1 AND d.status <> 'unknown'",
            now,
        )
        return await self.context.pool.fetch(
            """UPDATE inquiries i SET next_at = $1::timestamptz + $2::interval, asked = i.asked + 1
               FROM (SELECT message_id AS id FROM inquiries JOIN deliveries USING (message_id) WHERE next_at <= $1 AND lane = ANY($3::text[])
                     ORDER BY next_at LIMIT $4 FOR UPDATE OF inquiries SKIP LOCKED) AS due,
                    deliveries d LEFT JOIN attempts a ON (a.message_id, a.attempt) = (d.message_id, d.attempt)
               WHERE i.message_id = due.id AND d.message_id = due.id
               RETURNING d.message_id, d.tenant, d.lane, d.purpose, d.address, d.content, d.attempt, d.parts, d.parts_done, d.expires_at, i.asked,
                   i.resent OR EXISTS (SELECT FROM deliveries f WHERE f.instead_of = d.message_id) AS told_again,
                   coalesce(a.called_at, d.called_at, d.changed_at) AS called_at, coalesce(a.ended_at, d.changed_at) AS since""",
            now, LEASE, list(able), AT_ONCE,
        )  # fmt: skip

    async def _ask(self, row: asyncpg.Record, clients: Calls) -> None:
        """Asks about one message, and settles it or puts the next question off."""
        account = self.context.config.accounts[row["lane"]]
        answer = await self._answer(row, account, clients)
        if isinstance(answer, Receipt) and await self._of_another(row, answer):
            answer = None
        verdict = questions.heard(answer, row["parts_done"], row["parts"])
        policy = self.law.policy(row["tenant"]).unknown[Purpose(row["purpose"])]
        again = questions.due(row["asked"], row["since"], policy)
        if verdict is None and again is None:
            verdict = questions.unanswered(policy, told_again=row["told_again"], expires_at=row["expires_at"], now=self.context.clock())
        found = "nothing" if answer is None else "never" if answer == "never" else "found"
        told = {"found": found, **({"status": answer.status} if answer is not None and answer != "never" else {})}
        await self._keep(row, verdict, again, told)

    async def _of_another(self, row: asyncpg.Record, answer: Receipt) -> bool:
        """Whether what was found is another message: the same text to the same person, where the provider's list knows no id of ours."""
        found: bool = await self.context.pool.fetchval(
            "SELECT EXISTS (SELECT FROM deliveries WHERE lane = $1 AND provider_id = $2 AND message_id <> $3)",
            row["lane"], answer.provider_id, row["message_id"],
        )  # fmt: skip
        return found

    async def _keep(self, row: asyncpg.Record, verdict: Verdict | None, again: object, told: dict[str, str]) -> None:
        """What came of a question, in one transaction."""
        now, message_id = self.context.clock(), row["message_id"]
        async with self.context.pool.acquire() as connection, connection.transaction():
            entry: int | None = None
            said: list[Record] = []
            if verdict is not None:
                _, entry, said = await settle(connection, {message_id: verdict}, self.context.config, now)
            await connection.execute(
                "UPDATE inquiries SET next_at = $2, resent = resent OR $3 WHERE message_id = $1",
                message_id, None if verdict is not None else again, verdict is not None and verdict.by == "policy",
            )  # fmt: skip
            await connection.execute(
                "INSERT INTO notes (message_id, at, what, detail) VALUES ($1, $2, 'inquired', $3)", message_id, now, orjson.dumps(told).decode()
            )
        if entry is not None:
            await self.box.say(entry, said)

    async def _answer(self, row: asyncpg.Record, account: Account, clients: Calls) -> Answer:
        """What the provider says; None also where it could not be asked."""
        provider = PROVIDERS[account.provider]
        assert isinstance(provider, Queryable)
        try:
            token = await clients.token(account, self.context.clock(), row["message_id"])
            if isinstance(token, Outcome):
                return None
            message = Outgoing(
                row["message_id"], row["address"], Content.model_validate_json(row["content"]), row["called_at"], account.public_url, token
            )
            request = provider.query(message, row["parts_done"], account, self.context.clock())
            response = await clients.fetch(request) if request is not None else None
            return provider.query_answer(response, message, row["parts_done"], account) if isinstance(response, Response) else None
        except Exception as error:
            log.error("a question to a provider failed", lane=account.name, message_id=str(row["message_id"]), exc_info=error)
            return None
