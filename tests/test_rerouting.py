"""What waits behind an open circuit moves to another account, on real PostgreSQL: replies first, in order, and nothing that a provider may have."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import orjson
import pytest

from parley import database
from parley.channels.shape import Account
from parley.config import Config, Tenant
from parley.contracts import Channel, Content, Envelope, MessageRequested, Template
from parley.database import Pool
from parley.policies import Policies
from parley_sender import intake, packs, rerouting, standing
from parley_sender.accept import accepted
from parley_sender.app import SERVICE
from parley_sender.law import Law
from parley_sender.limits import part_of

pytestmark = pytest.mark.stack
T0 = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
SEOUL, LONDON = "+821012345678", "+447700900123"
PACKS = packs.load()
FORM = Template(name="t", language="ko")
KEYS = {"account_sid": ("AC1",), "auth_token": ("t",)}


def account(name: str, **more: object) -> Account:
    return Account(
        **{"name": name, "tenant": "acme", "provider": "twilio", "channel": Channel.SMS, "sender": "+15005550006", "credentials": KEYS, **more}
    )


@dataclass
class Yard:
    """A sender's tables with messages that wait, all of them for account `a`."""

    pool: Pool
    law: Law
    after: dict[int, int] = field(default_factory=dict)

    async def ask(self, text: str = "hi", address: str = SEOUL, contact: UUID | None = None, at: datetime = T0, **more: object) -> UUID:
        request = MessageRequested(
            **{"contact_id": contact or uuid4(), "message_id": uuid4(), "purpose": "reply", "account": "a", "addresses": {Channel.SMS: address},
               "content": Content(text=text), **more}
        )  # fmt: skip
        event = Envelope(id="e", source="test", time=at, tenant="acme", data=request)
        delivery = accepted(event, request, self.law, b"s", "https://p.example")
        part = part_of(self.law.config.accounts["a"], request.contact_id.int)
        async with self.pool.acquire() as connection, connection.transaction():
            await intake.insert(connection, [delivery])
            await standing.enter(connection, {request.message_id: part}, T0)
        return request.message_id

    async def breaks(self, *lanes: str) -> None:
        for lane in lanes:
            await self.pool.execute("INSERT INTO lanes (lane, broken_until) VALUES ($1, $2)", lane, T0 + timedelta(minutes=1))

    async def move(self, most: int = 50, part: str = "a") -> standing.Stirred:
        async with self.pool.acquire() as connection, connection.transaction():
            return await rerouting.move(connection, part, self.law, T0, most, self.after)

    async def lanes(self) -> dict[UUID, str]:
        """Where each message stands, by its line and by its delivery, which are one."""
        rows = await self.pool.fetch("SELECT message_id, lane, part, state FROM queue JOIN lines USING (line) JOIN deliveries USING (message_id)")
        assert all(row["lane"] == row["part"].partition("#")[0] for row in rows)
        return {row["message_id"]: row["lane"] for row in rows}

    async def set(self, number: UUID, **columns: object) -> None:
        for name, value in columns.items():
            await self.pool.execute(f"UPDATE queue SET {name} = $2 WHERE message_id = $1", number, value)


@contextlib.asynccontextmanager
async def yard(address: str, *accounts: Account) -> AsyncIterator[Yard]:
    pool = await database.connect(address, "sender")
    try:
        await database.migrate(pool, "sender", *SERVICE.packages)
        config = Config({"acme": Tenant("acme", ZoneInfo("UTC"), ("en",))}, {one.name: one for one in accounts})
        one = Yard(pool, Law(config, Policies(), PACKS))
        await one.breaks("a")
        yield one
    finally:
        await pool.close()


def stood(address: str, main, *accounts: Account):
    async def run():
        async with yard(address, *accounts) as one:
            return await main(one)

    return asyncio.run(run())


A, B = account("a"), account("b")


def test_what_waits_moves_to_the_account_that_works(database):
    """Line, delivery, counts and story say so; the content stays as it was, with its links."""
    b = account("b", provider="plain", base_url="http://127.0.0.1:9")

    async def main(one):
        number = await one.ask("ğ" * 80, campaign="c")
        before = await one.pool.fetchval("SELECT content FROM deliveries")
        found = await one.move()
        row = await one.pool.fetchrow(
            "SELECT lane, segments, units, content, route, part FROM deliveries JOIN queue USING (message_id) JOIN lines USING (line)"
        )
        note = await one.pool.fetchrow("SELECT what, detail FROM notes WHERE message_id = $1", number)
        return found, row, before, note

    found, row, before, note = stood(database, main, A, b)

    assert ("b", 1, 1, before, "b") == (row["lane"], row["segments"], row["units"], row["content"], row["part"])
    assert ["b"] == list(found)
    assert {"by": "only", "why": "no other account may serve"} == orjson.loads(row["route"])
    assert ("moved", {"from": "a", "to": "b", "why": "circuit open"}) == (note["what"], orjson.loads(note["detail"]))


def test_replies_move_first_and_each_line_keeps_its_order(database):
    """In small batches; what follows in a chain stays behind its first, wherever that stands."""
    contact = uuid4()

    async def main(one):
        offers = [await one.ask(purpose="marketing") for _ in range(3)]
        replies = [await one.ask() for _ in range(3)]
        first, second = await one.ask(contact=contact), await one.ask(contact=contact)
        await one.move(4)
        early = await one.lanes()
        await one.move(4)
        places = await one.pool.fetch("SELECT message_id FROM queue WHERE state = 'ready' ORDER BY place")
        state = await one.pool.fetchval("SELECT state FROM queue WHERE message_id = $1", second)
        return offers, replies, [first], second, early, await one.lanes(), [row["message_id"] for row in places], state

    offers, replies, first, second, early, late, places, state = stood(database, main, A, B)

    assert {"b": 4, "a": 4} == {lane: list(early.values()).count(lane) for lane in "ab"}
    assert {"b"} == {early[one] for one in replies + first}
    assert (replies + first + offers, "behind") == (places, state)
    assert ["a"] == [late[one] for one in late if late[one] != "b"] and late[second] == "a"


@pytest.mark.parametrize(
    "columns",
    [{"doubt": True}, {"parts_done": 1}, {"state": "calling"}, {"state": "timed", "due_at": T0 + timedelta(hours=1)}],
)
def test_nothing_moves_that_a_provider_may_have(database, columns):
    """A call without an answer, a first part, a call under way; nor what is not due."""

    async def main(one):
        number = await one.ask()
        await one.set(number, **columns)
        await one.move()
        return (await one.lanes())[number]

    assert "a" == stood(database, main, A, B)


@pytest.mark.parametrize("outcome, lane", [("transient", "b"), ("throttled", "b"), ("unknown", "a"), ("accepted", "a")])
def test_what_failed_for_certain_need_not_wait_for_its_next_try(database, outcome, lane):
    """It moves, and is due at once; where one call is not certain it stays."""

    async def main(one):
        number = await one.ask()
        await one.set(number, state="timed", failures=1, attempt=1, due_at=T0 + timedelta(hours=1))
        await one.pool.execute(
            "INSERT INTO attempts (message_id, attempt, fence, called_at, ended_at, outcome) VALUES ($1, 1, 1, $2, $2, $3)", number, T0, outcome
        )
        await one.move()
        row = await one.pool.fetchrow("SELECT state, due_at, failures FROM queue")
        return (await one.lanes())[number], tuple(row)

    found, row = stood(database, main, A, B)

    assert lane == found
    assert row == (("ready", T0, 1) if lane == "b" else ("timed", T0 + timedelta(hours=1), 1))


def test_who_cannot_move_keeps_nobody_from_it(database):
    """The next call goes on where the last one came to, and begins anew at the end."""
    abroad = account("b", only=frozenset({"GB"}))

    async def main(one):
        stay = [await one.ask() for _ in range(5)]
        go = await one.ask(address=LONDON)
        for _ in range(3):
            await one.move(3)
        found = await one.lanes()
        late = await one.ask(address=LONDON)
        for _ in range(3):
            await one.move(3)
        return stay, go, found, (await one.lanes())[late]

    stay, go, found, late = stood(database, main, A, abroad)

    assert ({"a"}, "b", "b") == ({found[one] for one in stay}, found[go], late)


def test_nothing_moves_to_an_account_that_is_ill_paused_or_of_another_pool(database):
    """Nor where nobody else is."""

    async def main(one):
        number = await one.ask()
        await one.breaks("ill")
        await one.pool.execute("INSERT INTO lanes (lane, paused_by) VALUES ('paused', 'a person')")
        await one.move()
        return (await one.lanes())[number]

    pool = {"pool": "codes"}

    assert "a" == stood(database, main, account("a", **pool), account("ill", **pool), account("paused", **pool), account("other"))


@pytest.mark.parametrize("more, pool, lane", [({}, "codes", "a"), ({"template": FORM}, None, "a"), ({"template": FORM}, "codes", "b")])
def test_what_an_account_alone_may_say_stays_with_it(database, more, pool, lane):
    """Free text in the window that a customer opened to one number; a template that is known to one number, or to a pool."""
    keys = {"app_secret": ("s",), "access_token": ("t",), "verify_token": ("v",)}
    common = {"provider": "meta", "channel": Channel.WHATSAPP, "credentials": keys, "window": timedelta(hours=24), "pool": pool}

    async def main(one):
        number = await one.ask(addresses={Channel.WHATSAPP: SEOUL}, content=Content(text="hi", **more))
        await one.move()
        return (await one.lanes())[number]

    assert lane == stood(database, main, account("a", **common), account("b", **common))


def test_shares_move_by_contact(database):
    """A contact keeps to one part of the account that it moves to."""
    contact = UUID(int=7)

    async def main(one):
        await one.ask(contact=contact)
        return await one.move(part="a")

    assert ["b#1"] == list(stood(database, main, A, account("b", shares=2)))


def test_broken_accounts_are_known_by_any_of_their_parts(database):
    async def main(one):
        await one.breaks("b#1")
        await one.pool.execute("INSERT INTO lanes (lane, broken_until) VALUES ('c', $1)", T0)
        async with one.pool.acquire() as connection:
            return await rerouting.broken(connection, T0)

    assert {"a", "b"} == stood(database, main, A)
