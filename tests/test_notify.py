"""Webhooks to tenants on real PostgreSQL and a real receiver: noted once, signed, told at least once under one id, and slow or dead ones hold nobody up."""

import asyncio
import signal
import sys
from datetime import timedelta
from uuid import uuid4

import orjson
import pytest
from aiohttp import web
from standardwebhooks import Webhook

from parley.contracts import ErasureRequested
from parley.cursor import Place
from parley.outside import Guarded, Refused
from parley.step import Arrived
from parley_sender import erasing
from parley_sender.notify import call, rows
from parley_sender.notify import worker as worker_module
from parley_sender.notify.rows import EACH, FAILING, LEASE
from parley_sender.notify.schedule import GIVEN_UP, LASTING, PAUSES
from tests.conftest import until
from tests.notifying import CONTACT, NOW, Hooks, consent, delivery, event, hangs, hooks, receiver, says
from tests.test_start_stop import environment

pytestmark = pytest.mark.stack


# --- noting ----------------------------------------------------------------------------------------------------------------------------


def test_an_event_is_noted_once_for_each_webhook_that_wants_it(settings, run):
    """By its type or its family, of its tenant alone, however often it comes, in one batch or in several."""

    async def main():
        async with hooks(settings) as one:
            all_of_it, failures = await one.make("http://127.0.0.1/a"), await one.make("http://127.0.0.1/b", "delivery.failed", "consent.*")
            await one.make("http://127.0.0.1/c", tenant="other")
            sent, failed = event(delivery("sent"), "e1"), event(delivery("failed"), "e2")
            await one.happen(sent, failed, sent)
            await one.happen(failed, event(consent(), "e3"))
            return {"all": all_of_it, "failures": failures}, [(row["webhook_id"], row["event_id"], row["type"]) for row in await one.posts()]

    names, found = run(main())
    wanted = [
        ("all", "e1", "delivery.sent"),
        ("all", "e2", "delivery.failed"),
        ("failures", "e2", "delivery.failed"),
        ("failures", "e3", "consent.granted"),
    ]

    assert sorted((names[name], *rest) for name, *rest in wanted) == sorted(found)


def test_what_was_before_a_webhook_is_not_told_to_it(settings, run):
    """A stage that is behind does not fill a new webhook with the past."""

    async def main():
        async with hooks(settings) as one:
            await one.make("http://127.0.0.1/a")
            await one.happen(event(delivery(), "before", at=NOW - timedelta(seconds=1)), event(delivery(), "since"))
            return [row["event_id"] for row in await one.posts()]

    assert ["since"] == run(main())


@pytest.mark.parametrize(
    "reason, since, noted",
    [("asked", timedelta(days=6), 1), ("failing", timedelta(days=6), 1), ("asked", timedelta(days=8), 0), ("gone", timedelta(), 0)],
)
def test_a_disabled_webhook_misses_nothing_for_a_week(settings, run, reason, since, noted):
    """But one that said it is gone, which wants nothing any more."""

    async def main():
        async with hooks(settings) as one:
            number = await one.make("http://127.0.0.1/a")
            await one.context.pool.execute("UPDATE webhooks SET disabled_at = $2, disabled_reason = $3 WHERE id = $1", number, NOW, reason)
            await one.happen(event(delivery(), at=NOW + since))
            async with one.posting() as worker:
                return len(await one.posts()), await one.turns(worker, after=since)

    assert (noted, 0) == run(main())


# --- posting ---------------------------------------------------------------------------------------------------------------------------


def test_a_post_is_signed_and_says_what_happened(settings, run):
    """The reference implementation of Standard Webhooks believes it; the body is type, timestamp and the event's data."""

    async def main():
        async with hooks(settings) as one, receiver() as there, one.posting() as worker:
            one.clock[0] = await one.context.pool.fetchval("SELECT now()")  # the reference implementation looks at the clock
            number, said = await one.make(there.base + "/in"), delivery("failed", reason="30003")
            await one.happen(event(said, "e1", at=one.clock[0]))
            await one.turns(worker)
            (got,), (row,) = there.got, await one.posts()
            return Webhook(one.secret(number)).verify(got.body, got.headers), got, said, one.clock[0], row

    read, got, said, at, row = run(main())

    assert {"type": "delivery.failed", "timestamp": at.isoformat(), "data": orjson.loads(said.model_dump_json(exclude_none=True))} == read
    assert ("/in", "e1", "application/json") == (got.path, got.id, got.headers["content-type"])
    assert ("sent", 1, 204) == (row["state"], row["attempt"], row["answers"][0]["status"])


def test_both_secrets_sign_while_one_is_rotated(settings, run):
    """A receiver that knows either believes it; afterwards only the new one does."""

    async def main():
        async with hooks(settings) as one, receiver() as there, one.posting() as worker:
            one.clock[0] = now = await one.context.pool.fetchval("SELECT now()")
            number = await one.make(there.base)
            await one.context.pool.execute("UPDATE webhooks SET generation = 2, previous_until = $2 WHERE id = $1", number, now + timedelta(hours=1))
            await one.happen(event(delivery(), at=now))
            await one.turns(worker)
            for generation in (1, 2):
                Webhook(one.secret(number, generation)).verify(there.got[0].body, there.got[0].headers)
            await one.context.pool.execute("UPDATE webhooks SET previous_until = $2 WHERE id = $1", number, now)
            await one.happen(event(delivery(), at=now))
            await one.turns(worker)
            return [len(got.headers["webhook-signature"].split()) for got in there.got]

    assert [2, 1] == run(main())


def test_a_failure_is_told_again_by_the_schedule_and_then_has_failed(settings, run):
    """Ten tries over two and a half days, all under one id, none before its time; each answer is kept."""

    async def main():
        async with hooks(settings) as one, receiver(says(500, b"broken")) as there, one.posting() as worker:
            await one.make(there.base)
            await one.happen(event(delivery(), "e1"))
            early = 0
            for pause in (0, *PAUSES):
                one.clock[0] += timedelta(seconds=pause * 0.79)
                early += await one.turns(worker) if pause else 0
                one.clock[0] += timedelta(seconds=pause * 0.42)
                await one.turns(worker)
            return early, there.got, await one.posts(), one.context.metrics.webhook_posts.labels("due")._value.get()

    early, got, (row,), again = run(main())

    assert (0, len(PAUSES) + 1, {"e1"}) == (early, len(got), {one.id for one in got})
    assert len({one.headers["webhook-timestamp"] for one in got}) == len(got)
    assert ("failed", list(range(1, 11)), {(500, "broken")}) == (
        row["state"], [one["attempt"] for one in row["answers"]], {(one["status"], one["body"]) for one in row["answers"]}
    )  # fmt: skip
    assert len(PAUSES) == again


def test_of_many_answers_the_last_twelve_are_kept(settings, run):
    """A post that is sent again and again does not grow for ever."""

    async def main():
        async with hooks(settings) as one, receiver() as there, one.posting() as worker:
            await one.make(there.base)
            await one.happen(event(delivery()))
            for _ in range(14):
                await one.turns(worker)
                await one.context.pool.execute("UPDATE webhook_posts SET state = 'due', due_at = $1", NOW)
            return [said["attempt"] for said in (await one.posts())[0]["answers"]]

    assert list(range(3, 15)) == run(main())


def test_retry_after_holds_for_everything_of_its_webhook(settings, run):
    """429 and 503 speak of the system, not of one message; another webhook goes on."""

    async def main():
        async with hooks(settings) as one, receiver(says(503, retry_after="3600")) as there, receiver() as other, one.posting() as worker:
            await one.make(there.base)
            await one.happen(event(delivery(), "e1"))
            await one.turns(worker)
            await one.make(other.base)
            await one.happen(event(delivery(), "e2"))
            there.answer = says(204)
            await one.turns(worker, after=timedelta(seconds=3500))
            waited = [got.id for got in there.got]
            await one.turns(worker, after=timedelta(seconds=101))
            return waited, sorted(got.id for got in there.got), [got.id for got in other.got]

    assert (["e1"], ["e1", "e1", "e2"], ["e2"]) == run(main())


async def drips(request: web.BaseRequest) -> web.StreamResponse:
    """Says 200 and then far more than anybody wants."""
    answer = web.StreamResponse(headers={"content-type": "text/plain"})
    await answer.prepare(request)
    for _ in range(1000):
        await answer.write(b"x" * 65_536)
    return answer


@pytest.mark.parametrize(
    "answer, state, said",
    [
        (says(200, b"fine"), "sent", {"status": 200, "body": "fine"}),
        (says(204), "sent", {"status": 204}),
        (says(302, location="http://127.0.0.1:1/secret"), "due", {"status": 302}),
        (says(404, b"a\0b\xff"), "due", {"status": 404, "body": "ab\N{REPLACEMENT CHARACTER}"}),
        (says(200, b"\x1f\x8b", content_encoding="gzip"), "sent", {"status": 200, "body": "\x1f\N{REPLACEMENT CHARACTER}"}),
        (drips, "sent", {"status": 200, "body": "x" * call.KEPT}),
    ],
)
def test_what_an_answer_means(settings, run, answer, state, said):
    """2xx is done; nothing is followed; of a body only its beginning is read."""

    async def main():
        async with hooks(settings) as one, receiver(answer) as there, one.posting() as worker:
            await one.make(there.base)
            await one.happen(event(delivery()))
            await one.turns(worker)
            return len(there.got), (await one.posts())[0]

    count, row = run(main())
    (found,) = row["answers"]

    assert (1, state, said) == (count, row["state"], {name: found[name] for name in ("status", "body", "error") if name in found})


def test_who_hangs_is_left_after_a_time(settings, run, monkeypatch):
    """And is told again."""
    monkeypatch.setattr(call, "WITHIN", 0.2)

    async def main():
        async with hooks(settings) as one, receiver(hangs(asyncio.Event())) as there, one.posting() as worker:
            await one.make(there.base)
            await one.happen(event(delivery()))
            await one.turns(worker)
            return (await one.posts())[0]

    row = run(main())

    assert ("due", "no answer within 0.2 s") == (row["state"], row["answers"][0]["error"])


# --- where it may go -------------------------------------------------------------------------------------------------------------------


async def _private(host: str, port: int) -> list[str]:
    return ["8.8.8.8", "127.0.0.1"]


@pytest.mark.parametrize(
    "url, local, why",
    [
        ("https://hooks.example/", "off", "refused: hooks.example is no public address (loopback)"),
        ("https://10.0.0.1/", "off", "refused: 10.0.0.1 is no public address (private)"),
        ("https://[::ffff:127.0.0.1]/", "off", "refused: ::ffff:7f00:1 is no public address (an IPv4 address in disguise)"),
        ("BASE/", "off", "refused: only https is fetched, and only from its own port"),
        ("https://hooks.example/", "on", "refused: hooks.example is no public address (loopback)"),
        ("http://hooks.example/", "on", "refused: only https is fetched, and only from its own port"),
        ("http://127.0.0.1:1/", "on", "nobody listens there"),
    ],
)
def test_nothing_within_is_asked(settings, run, url, local, why):
    """Whatever stands in the row: it is looked at again before each connection, by the address that the connection is made to."""

    async def main():
        async with hooks(settings, webhooks_local=local) as one, receiver() as there, one.posting(_private) as worker:
            await one.make(url.replace("BASE", there.base))
            await one.happen(event(delivery()))
            await one.turns(worker)
            return there.got, (await one.posts())[0]

    got, row = run(main())

    assert ([], "due", why) == (got, row["state"], row["answers"][0]["error"])


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost.", "[::1]", "[::ffff:7f00:1]"])
def test_no_way_of_writing_this_machine_leads_to_it(settings, run, host):
    """By the system's own resolver, which reads numbers in ways that few expect."""

    async def main():
        async with hooks(settings, webhooks_local="off") as one, one.posting() as worker:
            await one.make(f"https://{host}/")
            await one.happen(event(delivery()))
            await one.turns(worker)
            return (await one.posts())[0]["answers"][0]["error"]

    assert run(main()).startswith(("refused: ", "the host has no address"))  # the last where the system knows no such name


def test_a_name_is_looked_at_for_every_connection(run):
    """One that was public and is not any more (DNS rebinding) is left at the second one; the first goes to the very address that was looked at."""
    answers = [["8.8.8.8"], ["127.0.0.1"]]

    async def lookup(host: str, port: int) -> list[str]:
        return answers.pop(0)

    async def main():
        guarded = Guarded(lookup)
        first = await guarded.resolve("hooks.example", 443)
        with pytest.raises(Refused, match="loopback"):
            await guarded.resolve("hooks.example", 443)
        return [one["host"] for one in first]

    assert ["8.8.8.8"] == run(main())


def test_this_machine_is_asked_by_name_where_that_is_allowed(settings, run):
    """By whatever name of it."""

    async def main():
        async with hooks(settings) as one, receiver() as there, one.posting() as worker:
            await one.make(there.base.replace("127.0.0.1", "localhost"))
            await one.happen(event(delivery()))
            await one.turns(worker)
            return len(there.got)

    assert 1 == run(main())


# --- health ----------------------------------------------------------------------------------------------------------------------------


def test_a_webhook_that_is_gone_is_disabled_and_the_others_hear_of_it(settings, run):
    """410: at once, with what waits for it; those of the tenant that want `webhook.disabled` are told."""

    async def main():
        async with hooks(settings) as one, receiver(says(410)) as there, receiver() as other, one.posting() as worker:
            gone = await one.make(there.base)
            await one.make(other.base, "webhook.disabled")
            await one.happen(event(delivery()), event(delivery()))
            await one.turns(worker, 3)
            await one.happen(event(delivery()))
            await one.turns(worker, after=timedelta(days=1))
            return gone, await one.webhook(gone), len(there.got), [orjson.loads(got.body) for got in other.got], there.base

    gone, row, asked, (told,), url = run(main())

    assert (NOW, "gone", 2) == (row["disabled_at"], row["disabled_reason"], asked)
    assert ("webhook.disabled", {"webhook_id": str(gone), "url": url, "reason": "gone"}) == (told["type"], told["data"])


async def _failing(one: Hooks, worker, days: float) -> None:
    """A day's events, again and again, until so many days are over."""
    for _ in range(int(days * 2)):
        await one.happen(event(delivery(), at=one.clock[0]))
        await one.turns(worker, after=timedelta(hours=12))


@pytest.mark.parametrize("days, reason", [(4, None), (6, "failing")])
def test_a_webhook_that_fails_for_days_is_disabled(settings, run, days, reason):
    """Five without any success; enabled again, what waited is told."""

    async def main():
        async with hooks(settings) as one, receiver(says(500)) as there, one.posting() as worker:
            number = await one.make(there.base)
            await _failing(one, worker, days)
            return await one.webhook(number)

    row = run(main())

    assert reason == row["disabled_reason"]
    assert NOW + timedelta(hours=12) == row["failing_since"]


def test_a_success_between_begins_a_clean_record(settings, run):
    async def main():
        async with hooks(settings) as one, receiver(says(500)) as there, one.posting() as worker:
            number = await one.make(there.base)
            await _failing(one, worker, 4)
            there.answer = says(200)
            await one.turns(worker, after=timedelta(days=1))
            working = (await one.webhook(number))["failing_since"]
            there.answer = says(500)
            await _failing(one, worker, 4)
            return working, (await one.webhook(number))["disabled_at"]

    assert (None, None) == run(main())


def test_one_bad_moment_long_after_another_disables_nothing(settings, run):
    """A webhook that hears little: what fails has to have waited for long itself."""

    async def main():
        async with hooks(settings) as one, receiver(says(500)) as there, one.posting() as worker:
            number = await one.make(there.base)
            await one.context.pool.execute("UPDATE webhooks SET failing_since = $2 WHERE id = $1", number, NOW - 2 * GIVEN_UP)
            await one.happen(event(delivery()))
            await one.turns(worker)
            early = (await one.webhook(number))["disabled_reason"]
            await one.turns(worker, after=LASTING)
            return early, (await one.webhook(number))["disabled_reason"]

    assert (None, "failing") == run(main())


def test_an_address_that_was_changed_meanwhile_keeps_its_clean_record(settings, run):
    """The 410 of the old one says nothing of the new one."""

    async def main():
        gate = asyncio.Event()
        async with hooks(settings) as one, receiver(hangs(gate, 410)) as there, one.posting() as worker:
            number = await one.make(there.base)
            await one.happen(event(delivery()))
            await worker.turn(NOW)
            await one.context.pool.execute("UPDATE webhooks SET url = 'https://new.example/'")
            gate.set()
            await worker.quiet()
            await worker.turn(NOW)
            return await one.webhook(number)

    row = run(main())

    assert (None, None) == (row["disabled_at"], row["failing_since"])


# --- many at once ----------------------------------------------------------------------------------------------------------------------


def test_a_slow_webhook_holds_up_no_other_and_is_not_crowded(settings, run):
    """Forty posts hang at one, never more than its room; the other's are all told meanwhile."""

    async def main():
        gate = asyncio.Event()
        async with hooks(settings) as one, receiver(hangs(gate)) as slow, receiver() as quick, one.posting() as worker:
            await one.make(slow.base, "delivery.sent")
            await one.make(quick.base, "delivery.failed")
            await one.happen(*[event(delivery(status)) for status in ("sent", "failed") for _ in range(40)])

            async def told() -> bool:
                await worker.turn(one.clock[0])
                return len(quick.got) == 40

            await until(told, "the quick one to be told of everything")
            during = slow.now, slow.most
            gate.set()
            await one.turns(worker, 20)
            return during, slow.most, len(slow.got), {row["state"] for row in await one.posts()}

    assert ((EACH, EACH), EACH, 40, {"sent"}) == run(main())


@pytest.mark.parametrize("crowded", [0, 1])
def test_where_there_is_little_room_it_is_for_those_with_fewest_calls(settings, run, monkeypatch, crowded):
    """One place is left of all: the webhook that has nothing under way gets it."""
    monkeypatch.setattr(rows, "ALL", EACH)

    async def main():
        async with hooks(settings) as one:
            numbers = [await one.make("http://127.0.0.1:1/") for _ in range(2)]
            await one.happen(*[event(delivery()) for _ in range(5)])
            return numbers, [post.webhook_id for post in await rows.take(one.context.pool, {numbers[crowded]: EACH - 1}, NOW)]

    numbers, taken = run(main())

    assert [numbers[1 - crowded]] == taken


def test_a_webhook_that_fails_is_asked_by_one_call_at_a_time(settings, run):
    """Dead ones must not take the room of those that live, nor be run over when they come back."""

    async def main():
        async with hooks(settings) as one, receiver(says(500)) as there, one.posting() as worker:
            await one.make(there.base)
            await one.happen(*[event(delivery()) for _ in range(20)])
            first = await worker.turn(NOW)
            await worker.quiet()
            return first, await worker.turn(NOW)

    assert (EACH, FAILING) == run(main())


def test_two_replicas_never_take_the_same_post(settings, run):
    """While one is about to take, the other takes what is left, and does not wait for it."""

    async def main():
        async with hooks(settings) as one:
            await one.make("http://127.0.0.1:1/")
            await one.happen(*[event(delivery()) for _ in range(2 * EACH)])
            async with one.context.pool.acquire() as busy, busy.transaction():
                first = await rows.take(busy, {}, NOW)
                second = await asyncio.wait_for(rows.take(one.context.pool, {}, NOW), 10)
            return first, second, await rows.take(one.context.pool, {}, NOW)

    first, second, third = run(main())

    assert (EACH, EACH, []) == (len(first), len(second), third)
    assert 2 * EACH == len({post.event_id for post in [*first, *second]})


def test_two_replicas_together_tell_everything_once(settings, run):
    """Side by side, until nothing is left."""

    async def main():
        async with hooks(settings) as one, receiver() as there, one.posting() as left, one.posting() as right:
            for _ in range(5):
                await one.make(there.base)
            await one.happen(*[event(delivery()) for _ in range(20)])
            while sum(await asyncio.gather(left.turn(NOW), right.turn(NOW))):
                await asyncio.gather(left.quiet(), right.quiet())
            return len(there.got), {(row["state"], row["attempt"]) for row in await one.posts()}

    assert (100, {("sent", 1)}) == run(main())


# --- kills -----------------------------------------------------------------------------------------------------------------------------


KILLED = """
import asyncio
from parley.settings import Settings
from parley_sender.notify.worker import Posting
from tests.notifying import hooks

async def main():
    async with hooks(Settings()) as one:
        await Posting(one.context).run(asyncio.Event())

asyncio.run(main())
"""


def test_killed_between_call_and_record_it_is_told_again_under_its_id(settings, run):
    """By SIGKILL, once the receiver has it all: not before the lease is over, and there is still one row; the receiver knows the repeat by its id."""

    async def main():
        gate = asyncio.Event()
        async with hooks(settings) as one, receiver(hangs(gate)) as there:
            await one.make(there.base)
            await one.happen(event(delivery(), "e1"))
            killed = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, env=environment(settings))
            await until(lambda: _true(len(there.got) == 1), "the call of another process", 60)
            killed.send_signal(signal.SIGKILL)
            await killed.wait()
            gate.set()
            async with one.posting() as worker:
                early = await one.turns(worker, after=LEASE - timedelta(seconds=1))
                late = await one.turns(worker, after=timedelta(seconds=1))
            return early, late, [(got.id, got.body) for got in there.got], await one.posts()

    early, late, (first, second), posts = run(main())

    assert (0, 1, "e1", first) == (early, late, first[0], second)
    assert [("sent", 2, [2])] == [(row["state"], row["attempt"], [said["attempt"] for said in row["answers"]]) for row in posts]


def test_cancelled_in_its_call_it_is_told_again(settings, run, monkeypatch):
    """A stop waits for a moment only; what it cut off is nobody's until its lease is over."""
    monkeypatch.setattr(worker_module, "STOP_WITHIN", 0.05)

    async def main():
        async with hooks(settings) as one, receiver(hangs(asyncio.Event())) as there:
            await one.make(there.base)
            await one.happen(event(delivery(), "e1"))
            async with one.posting() as stopped:
                await stopped.turn(NOW)
                await until(lambda: _true(len(there.got) == 1), "the call")
            there.answer = says(204)
            async with one.posting() as worker:
                await one.turns(worker, after=LEASE)
            return [got.id for got in there.got], [(row["state"], row["attempt"]) for row in await one.posts()]

    assert (["e1", "e1"], [("sent", 2)]) == run(main())


@pytest.mark.parametrize("first", ["slow", "next"])
def test_who_was_thought_dead_writes_nothing_over_the_next_one(settings, run, first):
    """Its answer comes after somebody else has taken the post, whether that one has its own already or not: theirs counts."""

    async def main():
        gates = {"slow": asyncio.Event(), "next": asyncio.Event()}
        async with hooks(settings) as one, receiver(hangs(gates["slow"], 500)) as there, one.posting() as slow, one.posting() as other:
            await one.make(there.base)
            await one.happen(event(delivery(), "e1"))
            await slow.turn(NOW)
            await until(lambda: _true(len(there.got) == 1), "the first call")
            there.answer = hangs(gates["next"], 204)
            await other.turn(NOW + LEASE)
            for name in (first, *(gates.keys() - {first})):
                gates[name].set()
                worker = slow if name == "slow" else other
                await worker.quiet()
                await worker.turn(NOW + LEASE)
            return [(row["state"], row["attempt"], [said["status"] for said in row["answers"]]) for row in await one.posts()]

    assert [("sent", 2, [204])] == run(main())


async def _true(value: bool) -> bool:
    return value


def test_an_answer_that_cannot_be_written_down_now_is_written_down_later(settings, run):
    """PostgreSQL refuses while the answer comes: nothing is called a second time for that."""

    async def main():
        async with hooks(settings) as one, receiver() as there, one.posting() as worker:
            await one.make(there.base)
            await one.happen(event(delivery()))
            await worker.turn(NOW)
            await worker.quiet()
            await one.context.pool.execute("ALTER TABLE webhook_posts RENAME TO away")
            with pytest.raises(worker_module.AWAY):
                await worker.turn(NOW)
            await one.context.pool.execute("ALTER TABLE away RENAME TO webhook_posts")
            begun = await worker.turn(NOW)
            return begun, len(there.got), [(row["state"], row["attempt"]) for row in await one.posts()]

    assert (0, 1, [("sent", 1)]) == run(main())


# --- age and erasure -------------------------------------------------------------------------------------------------------------------


def test_old_posts_go_a_few_at_a_time(settings, run):
    """Also those of a webhook that is gone."""

    async def main():
        async with hooks(settings) as one, one.posting() as worker:
            await one.make("http://127.0.0.1:1/")
            await one.happen(*[event(delivery()) for _ in range(5)])
            one.clock[0] += timedelta(days=3)
            await one.happen(event(delivery(), "young", at=one.clock[0]))
            await one.context.pool.execute("DELETE FROM webhooks")
            few = await rows.forget(one.context.pool, NOW + timedelta(days=1), limit=2)
            await worker.look_after(NOW + rows.KEPT + timedelta(days=1))
            return few, [row["event_id"] for row in await one.posts()]

    assert (2, ["young"]) == run(main())


def test_the_gauges_say_how_webhooks_are(settings, run):
    """Those that work, fail, are disabled; and how late the first is told."""

    async def main():
        async with hooks(settings) as one, one.posting() as worker:
            for state in ("failing_since", "disabled_at"):
                number = await one.make("http://127.0.0.1:1/")
                await one.context.pool.execute(f"UPDATE webhooks SET {state} = $2 WHERE id = $1", number, NOW)
            await one.make("http://127.0.0.1:1/")
            await one.happen(event(delivery()))
            await worker.look_after(NOW + timedelta(seconds=9))
            metrics = one.context.metrics
            return [
                metrics.webhooks.labels(state)._value.get() for state in ("working", "failing", "disabled")
            ], metrics.webhook_late_seconds._value.get()

    assert ([1, 1, 1], 9) == run(main())


def test_what_says_more_of_a_person_goes_with_them(settings, run):
    """The consent with its address goes; that a message was delivered stays."""

    async def main():
        async with hooks(settings) as one:
            await one.make("http://127.0.0.1:1/", "delivery.*", "consent.*")
            await one.happen(event(delivery(), "d"), event(consent(), "c"), event(consent(contact_id=uuid4()), "other"))
            gone = event(ErasureRequested(contact_id=CONTACT, at=NOW))
            async with one.context.pool.acquire() as connection, connection.transaction():
                await erasing.erase(connection, [Arrived(gone, Place("t", 0), 0, None)], b"key", NOW)
            return [row["event_id"] for row in await one.posts()]

    assert ["d", "other"] == run(main())
