"""An account that several tenants send through: who refuses there is heard by its owner, and the others heed it, on real PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from parley import database as db
from parley.contracts import Channel, ConsentState, Content, Envelope, MessageRequested, Purpose
from parley_sender import facts, intake, standing
from parley_sender.accept import accepted
from parley_sender.app import SERVICE
from parley_sender.consents import Agreement, agree
from tests.test_routes import SEOUL, account, law

pytestmark = pytest.mark.stack
T0 = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
CONTACT = UUID(int=7)
SHARED = law(account("a", also=frozenset({"other"})))


def said(state: ConsentState, tenant: str, hours: int, contact: UUID | None = None, channel: Channel = Channel.SMS) -> Agreement:
    return Agreement(contact or uuid4(), channel, Purpose.MARKETING, state, T0 + timedelta(hours=hours), tenant, SEOUL)


REFUSED = said(ConsentState.REVOKED, "acme", 2)
AGREED = said(ConsentState.GRANTED, "other", 1, CONTACT)


@pytest.mark.parametrize(
    "agreements, state",
    [
        ([AGREED], "granted"),
        ([AGREED, REFUSED], "revoked"),
        ([REFUSED, said(ConsentState.GRANTED, "other", 3, CONTACT)], "granted"),
        ([AGREED, said(ConsentState.GRANTED, "acme", 2)], "granted"),
        ([said(ConsentState.GRANTED, "acme", 2)], None),
        ([AGREED, said(ConsentState.REVOKED, "third", 2)], "granted"),
        ([AGREED, said(ConsentState.REVOKED, "acme", 2, channel=Channel.WHATSAPP)], "granted"),
    ],
)
def test_a_refusal_to_the_owner_holds_for_who_sends_through_its_account(database, agreements, state):
    """The latest word counts, and a yes to the owner is none to the others."""
    request = MessageRequested(
        contact_id=CONTACT, message_id=uuid4(), purpose="marketing", channels=("sms",), addresses={Channel.SMS: SEOUL}, content=Content(text="hi")
    )
    delivery = accepted(Envelope(id="e", source="test", time=T0, tenant="other", data=request), request, SHARED, b"s", "https://p.example")

    async def main():
        pool = await db.connect(database, "sender")
        await db.migrate(pool, "sender", *SERVICE.packages)
        async with pool.acquire() as connection, connection.transaction():
            await agree(connection, agreements, T0)
            await intake.insert(connection, [delivery])
            await standing.enter(connection, {request.message_id: "a"}, T0)
            found = await facts.asked(connection, [request.message_id], "acme")
        await pool.close()
        consent = found[request.message_id].candidate.consent
        return consent.state if consent else None

    assert state == asyncio.run(main())
