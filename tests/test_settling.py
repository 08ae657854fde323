"""What nobody knows of is settled: by people, by asking the provider, by policy; once, told to the bus, and never sent again silently."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import orjson
import pytest

from parley import history
from parley.channels.shape import Receipt
from parley.contracts import Channel, Content, DeliveryStatus, ErasureRequested, ReceiptStatus
from parley.twin.behaviour import Behaviour
from parley_sender import questions
from parley_sender.call import calls
from parley_sender.inquiring import Inquiring
from parley_sender.law import Law
from parley_sender.outbox import Outbox
from parley_sender.questions import Verdict, heard, unanswered
from parley_sender.settling import settle
from tests.conftest import until
from tests.telling import Open, kinds

stack = pytest.mark.stack
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
TAKEN = {"hang_after_accepting": 1.0, "hang_ms": 20}
"""The provider takes messages, and its answer never comes."""
LOST = {"drop_before": 1.0}
"""The connection ends before it takes them."""


@pytest.fixture
def desk(settings, tmp_path, monkeypatch):
    return lambda **account: Open(settings, tmp_path, monkeypatch, **{"honours_keys": False, **account})


async def doubt(one, count=1):
    """So many messages, to as many contacts, of which nobody knows whether they left; from then on the provider is well."""
    numbers = [await one.publish(message_id=uuid4(), contact_id=uuid4(), content=Content(text=f"{n}")) for n in range(count)]
    await one.ends(unknown=count)
    one.twin.behave({"*": Behaviour(receipts=False)})
    return numbers


async def heard_by_all(one, number):
    """The statuses that the bus was told of a message, in order."""
    found = []
    async for stretch in history.read(one.settings, "parley.deliveries"):
        found += [data["status"] for record in stretch.records if (data := orjson.loads(record.value))["message_id"] == str(number)]
    return found


async def ask(one, later=timedelta(minutes=2), **account):
    """Looks once at what is due, so much later."""
    context = one.one.context
    accounts = {name: replace(each, **account) for name, each in context.config.accounts.items()}
    context = replace(context, clock=lambda: datetime.now(UTC) + later, config=replace(context.config, accounts=accounts))
    async with calls(context) as clients:
        await Inquiring(context, Law.load(context.config, one.one.context.settings), Outbox(context)).look(clients)


# --- rules -----------------------------------------------------------------------------------------------------------------------------------


def answer(status, code=None):
    return Receipt(Channel.SMS, status, "p1", code=code)


@pytest.mark.parametrize(
    "said, done, parts, status, another",
    [
        (answer(ReceiptStatus.QUEUED), 0, 1, "sent", True), (answer(ReceiptStatus.DELIVERED), 0, 1, "delivered", True),
        (answer(ReceiptStatus.FAILED, "30003"), 0, 1, "failed", False), ("never", 0, 1, "queued", False),
        (answer(ReceiptStatus.DELIVERED), 0, 3, "queued", True), (answer(ReceiptStatus.SENT), 2, 3, "sent", True), ("never", 1, 3, "queued", False),
        (answer(ReceiptStatus.FAILED), 1, 3, "failed", False),
    ],
)  # fmt: skip
def test_what_an_answer_means(said, done, parts, status, another):
    """What the provider has is sent; what it never got is called for; of a message in parts the rest follows. No doubt stays."""
    verdict = heard(said, done, parts)

    assert (status, another, True) == (verdict.status, verdict.another_part, verdict.surely)


def test_no_answer_means_nothing():
    """It is asked again."""
    assert heard(None, 0, 1) is None


@pytest.mark.parametrize(
    "policy, resent, expires_at, again",
    [
        ("hold", False, None, False),
        ("resend", False, None, True),
        ("resend", True, None, False),
        ("resend", False, NOW, False),
        ("resend", False, NOW + timedelta(1), True),
    ],
)
def test_policy_sends_once_more_at_most(policy, resent, expires_at, again):
    """And never what is over. The doubt stays with it."""
    verdict = unanswered(policy, told_again=resent, expires_at=expires_at, now=NOW)

    assert again == (verdict is not None)
    assert verdict is None or not verdict.surely


# --- by people ---------------------------------------------------------------------------------------------------------------------------------


@stack
@pytest.mark.parametrize("word, status, times", [("sent", "sent", 1), ("failed", "failed", 1), ("resend", "sent", 2)])
def test_a_person_decides_once(desk, word, status, times):
    """By whom and why stands in the story; the bus hears it; a second decision finds that there is nothing to decide."""

    async def main():
        async with desk().open(**TAKEN) as one:
            (number,) = await doubt(one)
            first = await one.call("POST", f"/messages/{number}/settle", {"as": word, "note": "asked the operator"})
            await one.ends(**{status: 1})
            second = await one.call("POST", f"/messages/{number}/settle", {"as": "failed", "note": "again"})
            await until(lambda: _nothing_to_say(one), "an empty outbox")
            return first, second, await one.story(number), one.received(), await heard_by_all(one, number)

    first, second, story, received, told = asyncio.run(main())
    (settled,) = [one for one in story["story"] if one["what"] == "settled"]

    assert (200, 409) == (first.status, second.status)
    assert {"as": word, "by": "people", "note": "asked the operator"} == settled["detail"]
    assert ["0"] * times == received
    assert times == len(story["attempts"])
    assert ["queued", "unknown", *(["queued"] if word == "resend" else []), status] == told


@stack
def test_of_many_who_decide_at_once_one_does(desk):
    """The others hear that it is settled; it is sent once more, once."""

    async def main():
        async with desk().open(**TAKEN) as one:
            (number,) = await doubt(one)
            body = {"as": "resend", "note": "sure"}
            answers = await asyncio.gather(*(one.call("POST", f"/messages/{number}/settle", body) for _ in range(8)))
            await one.ends(sent=1)
            return sorted(each.status for each in answers), one.received()

    assert ([200, *[409] * 7], ["0", "0"]) == asyncio.run(main())


@stack
def test_what_is_sent_once_more_is_asked_at_the_gate_and_stays_in_doubt(desk):
    """Somebody who refused meanwhile gets nothing, and it is unknown again; never suppressed, for it may have arrived."""

    async def main():
        async with desk().open(**TAKEN) as one:
            (number,) = await one.ask("maybe")
            await one.ends(unknown=1)
            await one.agree("reply", "revoked")
            await until(lambda: _refused(one), "the refusal")
            await one.call("POST", f"/messages/{number}/settle", {"as": "resend", "note": "sure"})
            await until(lambda: _queue_empty(one), "an end at the gate")
            return await one.story(number), one.received()

    story, received = asyncio.run(main())

    assert ("unknown", "opted_out", ["maybe"]) == (story["status"], story["reason"], received)


@stack
def test_it_takes_its_turn_among_what_came_after(desk):
    """And what is asked for behind it keeps its order."""

    async def main():
        async with desk().open(**TAKEN) as one:
            (number,) = await one.ask("first")
            await one.ends(unknown=1)
            one.twin.behave({"*": Behaviour(receipts=False)})
            await one.call("PATCH", "/lanes/app", {"paused": True})
            await one.ask("second", "third")
            await until(lambda: _queued(one, 2), "both in the queue")
            await one.call("POST", f"/messages/{number}/settle", {"as": "resend", "note": "sure"})
            await one.call("PATCH", "/lanes/app", {"paused": False})
            await one.ends(sent=3)
            return one.received()

    received = asyncio.run(main())

    assert ["first", "first", "second", "third"] == sorted(received) and received.index("second") < received.index("third")


@stack
def test_a_message_under_a_cap_keeps_its_slot(desk):
    """What was called for once already is not stopped by itself."""

    async def main():
        one = desk()
        one.policies = {"tenants": {"acme": {"caps": [{"purpose": "reply", "per": "day", "most": 1}]}}}
        async with one.open(**TAKEN):
            (number,) = await doubt(one)
            await one.call("POST", f"/messages/{number}/settle", {"as": "resend", "note": "sure"})
            await one.ends(sent=1)
            return one.received()

    assert ["0", "0"] == asyncio.run(main())


@stack
def test_what_is_unknown_is_listed_and_settled_by_lane(desk):
    """By pages, the longest first; by lane and age; all of a lane with one word, and those that are nobody's business stay."""

    async def main():
        async with desk().open(**TAKEN) as one:
            numbers = await doubt(one, 5)
            listed, after = [], ""
            while after is not None:
                page = (await one.call("GET", f"/unknown?limit=2{after and '&after=' + after}")).body
                listed += [each["message_id"] for each in page["unknown"]]
                after = page["next"]
            none = [len((await one.call("GET", f"/unknown?{query}")).body["unknown"]) for query in ("lane=app", "lane=x", "older_than=1h")]
            lane = (await one.call("GET", "/lanes")).body["lanes"][0]["unknown"]
            early = await one.call("POST", "/unknown/settle", {"lane": "app", "as": "sent", "note": "n", "before": "2020-01-01T00:00:00Z"})
            done = await one.call("POST", "/unknown/settle", {"lane": "app", "as": "sent", "note": "n"})
            await until(lambda: _nothing_to_say(one), "an empty outbox")
            return numbers, listed, none, lane, early.body, done.body, [await heard_by_all(one, number) for number in numbers], await one.statuses()

    numbers, listed, none, lane, early, done, told, statuses = asyncio.run(main())

    assert (sorted(map(str, numbers)), 5) == (sorted(listed), lane)
    assert [5, 0, 0] == none
    assert ({"settled": 0, "more": False}, {"settled": 5, "more": False}, {"sent": 5}) == (early, done, dict(statuses))
    assert [["queued", "unknown", "sent"]] * 5 == told


@stack
def test_who_may_not_and_what_cannot_be_is_refused(desk):
    """Another tenant's message does not exist; a decision says why; what is over is not sent once more."""

    async def main():
        async with desk().open(**TAKEN) as one:
            (number,) = await doubt(one)
            path, body = f"/messages/{number}/settle", {"as": "sent", "note": "n"}
            answers = [
                await one.call("POST", path, body, key="staff-key"), await one.call("POST", path, body, key="nobody"),
                await one.call("POST", f"/messages/{uuid4()}/settle", body), await one.call("POST", "/messages/x/settle", body),
                await one.call("POST", path, {"as": "sent", "note": " "}), await one.call("POST", path, {"as": "lost", "note": "n"}),
                await one.call("POST", "/unknown/settle", {**body, "lane": "nowhere"}), await one.call("GET", "/unknown?after=x"),
                await one.call("GET", "/unknown?older_than=old"),
            ]  # fmt: skip
            await one.one.context.pool.execute("UPDATE deliveries SET expires_at = now() - interval '1 minute'")
            answers.append(await one.call("POST", path, {"as": "resend", "note": "n"}))
            return [each.status for each in answers], all(each.body["detail"] for each in answers), await one.statuses()

    statuses, said, stands = asyncio.run(main())

    assert [403, 401, 404, 400, 422, 422, 404, 422, 422, 409] == statuses
    assert (True, {"unknown": 1}) == (said, dict(stands))


@stack
def test_a_process_that_dies_after_the_commit_is_spoken_for(desk):
    """Whatever is settled is told, by whoever finds it in the outbox."""

    async def main():
        async with desk().open(**TAKEN) as one:
            (number,) = await doubt(one)
            async with one.one.context.pool.acquire() as connection, connection.transaction():
                verdicts = {number: Verdict(DeliveryStatus.FAILED, "kim", note="gone")}
                await settle(connection, verdicts, one.one.context.config, datetime.now(UTC))  # and nobody says it
            await until(lambda: _nothing_to_say(one), "an empty outbox")
            return await heard_by_all(one, number)

    assert ["queued", "unknown", "failed"] == asyncio.run(main())


@stack
def test_what_people_wrote_of_somebody_goes_with_them(desk):
    """Who decided what, and when, stays."""

    async def main():
        async with desk().open(**TAKEN) as one:
            (number,) = await one.ask("maybe")
            await one.ends(unknown=1)
            await one.call("POST", f"/messages/{number}/settle", {"as": "sent", "note": "Kim says so"})
            await one.event(ErasureRequested(contact_id=one.contact, at=datetime.now(UTC)))
            await until(lambda: _erased(one), "the erasure")
            return [each["detail"] for each in (await one.story(number))["story"] if each["what"] == "settled"]

    assert [{"as": "sent", "by": "people"}] == asyncio.run(main())


# --- by asking the provider ------------------------------------------------------------------------------------------------------------------------


@stack
@pytest.mark.parametrize("fate, times", [(TAKEN, 1), (LOST, 1)])
def test_the_provider_is_asked_and_nothing_is_sent_twice(desk, fate, times):
    """What it took is sent, under its id; what it never got is sent now. The doubt is over in both."""

    async def main():
        async with desk().open(**fate) as one:
            (number,) = await doubt(one)
            await ask(one)
            await one.ends(sent=1)
            return await one.story(number), one.received(), one.twin.ledger.book.summary()["total"]["sent_twice"]

    story, received, twice = asyncio.run(main())

    assert (["0"] * times, 0) == (received, twice)
    assert "inquired" in kinds(story) and story["provider_id"] is not None
    assert {"own": True, "by": "provider"}.items() <= next(one["detail"] for one in story["story"] if one["what"] == "settled").items()


@stack
def test_what_is_found_may_be_another_message(desk):
    """Twilio's list knows no id of ours: the same text to the same person is found, and belongs to the message that has its id already. The doubt stays."""

    async def main():
        async with desk().open(**TAKEN) as one:
            await doubt(one)
            (other,) = await one.ask("1")
            await one.ends(unknown=1, sent=1)
            (taken, *_) = [entry.provider_id for entry in one.twin.ledger.book.entries if entry.kind == "request"]
            await one.one.context.pool.execute("UPDATE deliveries SET provider_id = $1 WHERE message_id = $2", taken, other)
            await ask(one)
            return await one.statuses(), await one.one.context.pool.fetchval("SELECT asked FROM inquiries")

    assert ({"unknown": 1, "sent": 1}, 1) == asyncio.run(main())


@stack
def test_it_is_not_asked_too_early(desk):
    """While the call may still be under way there, no answer would prove anything."""

    async def main():
        async with desk().open(**LOST) as one:
            await doubt(one)
            await ask(one, timedelta(seconds=60))
            return await one.one.context.pool.fetchval("SELECT asked FROM inquiries"), await one.statuses()

    assert (0, {"unknown": 1}) == asyncio.run(main())


@stack
def test_a_receipt_that_came_before_its_id_was_known_is_joined(desk):
    """By the id that the answer brings."""

    async def main():
        async with desk().open(**TAKEN) as one:
            (number,) = await doubt(one)
            (call,) = one.twin.inboxes.of("u1")
            await one.receipt("delivered", provider_id=call.provider_id)
            await until(lambda: _parked(one), "the receipt in its place")
            await ask(one)
            await one.ends(delivered=1)
            return await one.one.context.pool.fetchval("SELECT count(*) FROM parked"), (await one.story(number))["provider_id"] == call.provider_id

    assert (0, True) == asyncio.run(main())


@stack
@pytest.mark.parametrize("policy, end", [("hold", {"unknown": 1}), ("resend", {"sent": 1})])
def test_after_the_last_question_the_policy_holds(desk, policy, end):
    """A provider that does not answer is asked again and again, then the tenant's word counts; once."""

    async def main():
        one = desk()
        one.policies = {"tenants": {"acme": {"unknown": {"reply": policy}}}}
        async with one.open(**TAKEN):
            (number,) = await doubt(one)
            for later in questions.AFTER[policy]:
                await ask(one, timedelta(seconds=later + 30), base_url="http://127.0.0.1:9")
            await one.ends(**end)
            asked = await one.one.context.pool.fetchrow("SELECT asked, next_at, resent FROM inquiries")
            return tuple(asked), kinds(await one.story(number)).count("inquired"), len(one.received())

    many = len(questions.AFTER[policy])
    assert ((many, None, policy == "resend"), many, 2 if policy == "resend" else 1) == asyncio.run(main())


# --- what is looked at -----------------------------------------------------------------------------------------------------------------------------


async def _nothing_to_say(one):
    return not await one.one.context.pool.fetchval("SELECT count(*) FROM outbox")


async def _queue_empty(one):
    return not await one.one.context.pool.fetchval("SELECT count(*) FROM queue")


async def _queued(one, count):
    return await one.one.context.pool.fetchval("SELECT count(*) FROM queue") == count


async def _refused(one):
    return await one.one.context.pool.fetchval("SELECT count(*) FROM consents")


async def _parked(one):
    return await one.one.context.pool.fetchval("SELECT count(*) FROM parked")


async def _erased(one):
    return await one.one.context.pool.fetchval("SELECT count(*) FROM deliveries WHERE address = 'erased'")
