"""Addresses to which nothing leaves: put on the list, looked up, taken off; by people, by imports, by bounces and complaints."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.contracts import Content, EngagementRecorded, ReceiptReceived
from parley_sender import suppressions
from parley_sender.bounces import lost
from parley_sender.suppressions import Entry
from tests.conftest import until
from tests.telling import Open

stack = pytest.mark.stack
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
HERE = {"channel": "inapp", "address": "u1"}


@pytest.fixture
def desk(settings, tmp_path, monkeypatch):
    return lambda **account: Open(settings, tmp_path, monkeypatch, **account)


def receipt(code, failure="permanent", status="failed"):
    return ReceiptReceived(account="mail", status=status, provider_id="1", code=code, failure=failure, at=NOW)


# --- which failures mean that an address is gone -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    ["5.1.1", "5.1.10", "5.2.1", "5.0.0", "550", "605", "General", "NoEmail", "OnAccountSuppressionList", "Bounced Address", "suppress-bounce"],
)
def test_a_hard_bounce_loses_the_address(code):
    """On e-mail, and nowhere else."""
    assert ["bounced", None] == [lost(receipt(code), channel) for channel in ("email", "sms")]


@pytest.mark.parametrize(
    "code", ["5.7.1", "5.1.7", "5.1.8", "5.6.0", "5.3.4", "4.2.2", "552", "554", "Spam Content", "Bad content", "MessageTooLarge", "", None]
)
def test_a_refused_message_does_not(code):
    """Its content, its size, its sender, a rule: another message may arrive."""
    assert lost(receipt(code), "email") is None


@given(st.text(max_size=20))
def test_only_what_failed_for_good_loses_an_address(code):
    """Whatever the code."""
    assert {None} == {
        lost(receipt(code, failure, status), "email") for failure, status in (("transient", "failed"), (None, "failed"), ("permanent", "deferred"))
    }


def test_who_called_mail_spam_before_is_listed_so():
    """Mailgun tells that it sent nothing."""
    assert "complained" == lost(receipt("607"), "email")


# --- over HTTP -----------------------------------------------------------------------------------------------------------------------------------


@stack
def test_nothing_leaves_to_a_listed_address_until_it_is_taken_off(desk):
    """The reason of the list stands in the story."""

    async def main():
        async with desk().open() as one:
            added = await one.call("PUT", "/suppressions", {**HERE, "note": "asked by phone"})
            again = await one.call("PUT", "/suppressions", {**HERE, "reason": "lawyer"})
            (number,) = await one.ask("never")
            await one.ends(suppressed=1)
            story = await one.story(number)
            removed = [(await one.call("DELETE", "/suppressions?channel=inapp&address=u1")).status for _ in range(2)]
            await one.ask("now")
            await one.ends(suppressed=1, sent=1)
            return added, again, story, removed, one.received()

    added, again, story, removed, received = asyncio.run(main())

    assert (201, 200) == (added.status, again.status)
    assert ("asked", "asked by phone", "people", "tenant") == tuple(added.body[name] for name in ("reason", "note", "by", "scope"))
    assert added.body["since"] == again.body["since"]
    assert "Not sent: lawyer." == story["summary"]
    assert ([204, 404], ["now"]) == (removed, received)


@stack
def test_what_holds_for_everybody_needs_a_scope_of_its_own(desk):
    """Every tenant sees that it concerns an address of theirs; only such a key takes it off."""

    async def main():
        async with desk().open() as one:
            wanted = {**HERE, "scope": "global"}
            statuses = [(await one.call("PUT", "/suppressions", wanted, key=key)).status for key in ("people", "root")]
            await one.ask("never")
            await one.ends(suppressed=1)
            seen = (await one.call("GET", "/suppressions?address=u1")).body["suppressions"]
            own = (await one.call("GET", "/suppressions")).body["suppressions"]
            gone = [(await one.call("DELETE", "/suppressions?channel=inapp&address=u1&scope=global", key=key)).status for key in ("people", "root")]
            return statuses, [entry["scope"] for entry in seen], own, gone

    assert ([403, 201], ["global"], [], [403, 204]) == asyncio.run(main())


@stack
def test_the_list_of_an_account_holds_for_that_account(desk):
    """An account that is not there, or has another channel, is refused."""

    async def main():
        async with desk().open() as one:
            asked = [{"account": "app"}, {"account": "other"}, {}, {"account": "app", "channel": "sms", "address": "+821012345678"}]
            found = [await one.call("PUT", "/suppressions", {**HERE, "scope": "account", **more}) for more in asked]
            await one.ask("never")
            await one.ends(suppressed=1)
            return [one.status for one in found], found[0].body["account"]

    assert ([201, 422, 422, 422], "app") == asyncio.run(main())


@stack
def test_addresses_are_known_in_their_normal_form(desk):
    """However they are written, when they are listed, looked up and taken off; and another tenant's list is not seen."""

    async def main():
        async with desk().open() as one:
            put = await one.call("PUT", "/suppressions", {"channel": "sms", "address": "+82 10-1234-5678"})
            seen = await one.call("GET", "/suppressions?channel=sms&address=%2B82%2010%201234%205678")
            faults = [(await one.call(*asked)).status for asked in (
                ("PUT", "/suppressions", {"channel": "sms", "address": "010"}), ("PUT", "/suppressions", {"channel": "pigeon", "address": "x"}),
                ("PUT", "/suppressions", {**HERE, "reason": "Bad Reason"}), ("GET", "/suppressions?channel=pigeon&address=x"),
                ("GET", "/suppressions?limit=0"), ("GET", "/suppressions?after=x"), ("DELETE", "/suppressions?channel=sms"),
            )]  # fmt: skip
            lacking = (await one.call("GET", "/suppressions", key="staff-key")).status
            return put.body["address"], [entry["address"] for entry in seen.body["suppressions"]], faults, lacking

    assert ("+821012345678", ["+821012345678"], [422] * 7, 403) == asyncio.run(main())


@stack
def test_an_import_takes_what_it_can(desk):
    """As a list or a line each; what cannot be taken is told by its place; twice is the same as once; pages show all of it, the newest first."""
    good = [{"channel": "inapp", "address": f"u{number:05}", "reason": "imported"} for number in range(1200)]
    bad = [{"channel": "sms", "address": "010"}, {"channel": "inapp"}, "x", {**good[0], "scope": "global"}]
    lines = b"\n".join(map(orjson.dumps, good[:3]))

    async def main():
        async with desk().open() as one:
            answers = [
                await one.call("POST", "/suppressions/import", body) for body in ([*good, *bad], good, lines, bad, [], b"{", [good[0]] * 10_001)
            ]
            listed, after = [], ""
            while after is not None:
                page = (await one.call("GET", f"/suppressions?limit=200{after and '&after=' + after}")).body
                listed += [entry["address"] for entry in page["suppressions"]]
                after = page["next"]
            return answers, listed

    answers, listed = asyncio.run(main())

    assert [200, 200, 200, 422, 422, 400, 422] == [one.status for one in answers]
    assert [(1200, 0), (0, 1200), (0, 3)] == [(one.body["new"], one.body["known"]) for one in answers[:3]]
    assert [1200, 1201, 1202, 1203] == [one["place"] for one in answers[0].body["refused"]]
    assert sorted(entry["address"] for entry in good) == sorted(listed)


# --- by events -----------------------------------------------------------------------------------------------------------------------------------


@stack
def test_bounces_and_complaints_list_the_address_for_the_tenant(desk):
    """A hard bounce of e-mail by its receipt, a complaint by what was recorded; whatever a person said of the address before stays."""

    async def main():
        async with desk().open() as one:
            pool = one.one.context.pool
            numbers = [await one.publish(message_id=_id(n), content=Content(text="hi"), addresses={"inapp": f"u{n}"}) for n in range(3)]
            await one.ends(sent=3)
            await pool.execute(
                "UPDATE deliveries SET channel = 'email', address = address || '@shop.example' WHERE message_id = ANY($1::uuid[])", numbers
            )
            async with pool.acquire() as connection, connection.transaction():
                await suppressions.put(connection, [Entry("acme", "", "email", "u2@shop.example", "lawyer")], NOW)
            for number in (numbers[0], numbers[2]):
                await one.receipt("failed", message_id=number, code="5.1.1", failure="permanent")
            await one.event(EngagementRecorded(message_id=numbers[1], contact_id=one.contact, kind="complained", by="human", at=NOW))
            await until(lambda: _listed(pool, 3), "three addresses on the list")
            await one.ends(failed=2, sent=1)
            return [tuple(row) for row in await pool.fetch("SELECT tenant, account, address, reason FROM suppressions ORDER BY address")]

    assert [
        ("acme", "", "u0@shop.example", "bounced"), ("acme", "", "u1@shop.example", "complained"), ("acme", "", "u2@shop.example", "lawyer"),
    ] == asyncio.run(main())  # fmt: skip


def _id(number):
    return UUID(int=number + 1)


async def _listed(pool, count):
    return await pool.fetchval("SELECT count(*) FROM suppressions") >= count
