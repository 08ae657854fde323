"""Governed delivery at the provider's ledger: hours by a clock that is moved, caps under parallel campaigns, rates through takeovers. Long: `make governed`."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from parley.contracts import Channel, ConsentState, Content, MessageRequested, Purpose
from parley.twin.ledger import Request
from tests.conftest import until
from tests.governed import night
from tests.governed.audit import IN_THE_AIR, Delivery, Seen, Stopped, fullest, judge, possible
from tests.governed.lanes import LANES, Lane
from tests.governed.outcome import judged
from tests.governed.playing import Plan, play
from tests.governed.spans import Event, held
from tests.governed.strikes import Strike
from tests.governed.traffic import made
from tests.test_sender_lanes import Desk

EVENING = datetime(2026, 10, 31, 11, 0, tzinfo=UTC)
"""20:00 in Seoul; in New York the night that follows has an hour more."""
SHORT = (LANES[1], LANES[8])


@pytest.fixture
def credentials(monkeypatch):
    monkeypatch.setenv("NIGHT_SID", night.SID)
    monkeypatch.setenv("NIGHT_TOKEN", night.TOKEN)


@pytest.mark.stack
@pytest.mark.usefixtures("credentials")
def test_night(settings, tmp_path, run):
    """Through a night in Seoul and one in New York nothing leaves outside the hours of whoever gets it, and all of it in the morning."""
    seen = run(night.nights(settings, tmp_path, EVENING, 36, timedelta(hours=3)))

    assert [] == seen.offences
    assert {"Seoul", "New York"} == {place for place, _ in seen.left}
    assert (seen.asked, 0) == (len(seen.left), seen.open)
    assert night.OPEN == Counter(at.time() for _, at in seen.left).most_common(1)[0][0]


@pytest.mark.stack
@pytest.mark.usefixtures("credentials")
def test_caps_of_parallel_campaigns(settings, tmp_path, run):
    """Twenty campaigns that want the same people at once, over two lanes and two replicas, come to no more than the cap in any window, day after day."""
    morning, people = datetime(2026, 11, 24, 0, 0, tzinfo=UTC), [(uuid4(), f"+8210{number:08d}") for number in range(20)]
    caps = [{"purpose": "marketing", "per": "day", "most": 2}, {"purpose": "marketing", "per": "week", "most": 5}]

    async def main():
        got = []
        async with night.watch(settings, tmp_path, morning, caps) as now:
            await now.ask(*(night.consent(contact, address, morning - timedelta(days=1)) for contact, address in people))
            for turn, hours in enumerate((0, 10, 25, 50, 75), 1):
                now.hand.now = morning + timedelta(hours=hours)
                await now.ask(*(campaign(number, contact, address) for number in range(20) for contact, address in people))
                got += [(one.recipient, now.hand.now.timestamp()) for one in await now.rest(turn * 20 * len(people))]
        return got

    got = run(main())
    times = {address: sorted((at, 1) for to, at in got if to == address) for _, address in people}
    assert {2} == {fullest(some, 86_400) for some in times.values()}
    assert {5} == {fullest(some, 7 * 86_400) for some in times.values()}


def campaign(number, contact, address):
    return MessageRequested(
        contact_id=contact, message_id=uuid4(), purpose=Purpose.MARKETING, channels=(Channel.SMS,), account=night.ACCOUNTS[number % 2],
        addresses={Channel.SMS: address}, content=Content(text="Tea!"), campaign=f"campaign-{number}", priority=number % 3, timezone="Asia/Seoul",
    )  # fmt: skip


@pytest.mark.kills
@pytest.mark.stack
def test_takeovers(settings, tmp_path, run):
    """A replica that holds lanes is killed, another frozen: nothing is lost, sent twice, or after a STOP, and no lane is faster than its rate."""
    strikes = (Strike(2, "kill", 0.5), Strike(5, "freeze", 1.0))
    plan = Plan(1, 8, SHORT, made(1, SHORT, (), 8), strikes)
    outcome = judged(plan, run(play(plan, tmp_path, print, settings)))

    assert [] == [one for one in outcome.faults if not one.startswith(("too slow", "short", "too fast"))]


# --- the referee itself: a judge that sees nothing would find nothing ------------------------------------------------------------------


def test_fullest_window():
    """A window is half open: what is exactly a second later is in the next one."""
    assert 2 == fullest([(0.0, 1), (0.999, 1), (1.0, 1), (2.5, 1)], 1.0)
    assert 5 == fullest([(0.0, 2), (0.5, 3), (1.6, 1)], 1.0)


def test_spans_of_a_lane():
    """A lane counts from the empty second after a holder that was struck until its own is; one that was frozen has it again."""
    events = [
        Event(10, "taken", "a", "sms"), Event(20, "down", "a"), Event(22, "taken", "b", "sms"), Event(25, "down", "a"), Event(30, "down", "b"),
        Event(33, "up", "b"), Event(40, "taken", "a", "other"), Event(50, "down", "postgres"),
    ]  # fmt: skip

    assert [(11.1, 20), (23.1, 30), (34.1, 50)] == held("sms", events, 0, 100)
    assert [(12, 20), (23.1, 30), (34.1, 45)] == held("sms", events, 12, 45)


def test_a_lane_that_is_left_in_order_counts_without_a_gap():
    """However long it takes until another drives it: that is ours."""
    events = [Event(10, "taken", "a", "sms"), Event(20, "taken", "b", "sms"), Event(30, "down", "a"), Event(40, "down", "b")]

    assert [(11.1, 40)] == held("sms", events, 0, 100)


def test_what_texts_of_several_units_allow():
    """Of ten units a second threes leave one unused, fives none; what fills a hole does so only where it stands."""
    assert (1.0, 1.0) == (possible([1] * 100, 10), possible([5] * 100, 10))
    assert 0.9 == possible([3] * 300, 10)
    assert (1.0, 0.8) == (possible([3, 3, 1, 3] * 100, 10), round(possible([3, 1] * 300, 10), 2))
    assert 0.8 <= possible([1, 2, 3] * 100, 10)


def test_judge_sees_every_offence():
    """Lost, twice, after a STOP, past a cap, denied though it arrived, charged for a 429: each is found, and nothing where there is nothing."""
    fine, lost, twice, late, denied, charged = (str(uuid4()) for _ in range(6))
    contact, lane = uuid4(), Lane("app", "plain", "1/s")
    deliveries = {number: Delivery(uuid4(), "app", "marketing", "sent", None, 0, ("accepted",)) for number in (fine, lost, twice)} | {
        late: Delivery(contact, "app", "marketing", "sent", None, 0),
        denied: Delivery(uuid4(), "app", "marketing", "failed", "timeout", 1, ("unknown",)),
        charged: Delivery(uuid4(), "app", "marketing", "sent", None, 1, ("throttled", "accepted")),
    }
    requests = [request(place, number) for place, number in enumerate((fine, twice, twice, late, denied, charged))]
    seen = Seen(requests, frozenset(deliveries), deliveries, {(contact, "inapp"): Stopped(2.0, 2.5)})

    verdict = judge(seen, {"app": lane}, ("app", 1))

    counts = {kind: len(getattr(verdict, kind)) for kind in ("lost", "twice", "after_stop", "over_cap", "uncounted", "charged")}
    assert dict.fromkeys(counts, 1) == counts
    assert Counter() == Counter(one for kind in counts for one in getattr(verdict, kind) if fine in one)


@pytest.mark.parametrize(
    "at, counted",
    [(0.9, None), (1.5, "in_the_batch"), (3.0, "in_the_batch"), (3.0 + IN_THE_AIR, "in_the_air"), (3.01 + IN_THE_AIR, "after_stop")],
)
def test_a_stop_is_in_force_when_it_is_committed(at, counted):
    """Not from when the batch with it began, which may be seconds before: until the commit nobody can know of it."""
    contact, number = uuid4(), str(uuid4())
    deliveries = {number: Delivery(contact, "app", "marketing", "sent", None, 0, ("accepted",))}
    seen = Seen([request(at, number)], frozenset(deliveries), deliveries, {(contact, "inapp"): Stopped(1.0, 3.0)})

    verdict = judge(seen, {"app": Lane("app", "plain", "1/s")}, ("other", 1))
    found = {"in_the_batch": verdict.in_the_batch, "in_the_air": verdict.in_the_air, "after_stop": len(verdict.after_stop)}

    assert ({counted: 1} if counted else {}, 2.0) == ({name: count for name, count in found.items() if count}, verdict.longest_batch)


def request(at, reference):
    return Request(at + 1, float(at), "app", "plain", "accepted", 202, "id", "somebody", "tea", reference)


# --- what it found -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.stack
@pytest.mark.usefixtures("credentials")
def test_a_line_of_which_nobody_told_the_number(settings, tmp_path, run):
    """A lane that is told of too many lines to name, or hears again after it could not, finds also those that are new to it."""

    async def main():
        async with night.watch(settings, tmp_path, EVENING) as now:
            contact, address = uuid4(), "+821012345678"
            await now.ask(night.consent(contact, address, EVENING - timedelta(days=1)))
            pool = now.replicas[0].context.pool
            await until(lambda: pool.fetchval("SELECT EXISTS (SELECT FROM consents)"), "the consent is known")
            await pool.execute(
                """WITH line AS (INSERT INTO lines (part, purpose, tenant, campaign) VALUES ('night-a', 'marketing', 'acme', 'new') RETURNING line),
                        new AS (INSERT INTO deliveries (message_id, tenant, contact_id, lane, channel, address, purpose, campaign, content, segments,
                                status, due_at, requested_at)
                            VALUES ($1, 'acme', $1, 'night-a', 'sms', $2, 'marketing', 'new', '{"text": "tea"}', 1, 'queued', $3, $3) RETURNING *)
                   INSERT INTO queue (message_id, line, state, place, contact_id, chain, seq, units, due_at)
                   SELECT message_id, line, 'ready', nextval('places'), contact_id, 1, seq, 1, due_at FROM new, line""",
                contact, address, EVENING,
            )  # fmt: skip
            await pool.execute("SELECT pg_notify('parley_lanes', 'night-a ')")
            return await now.rest(1)

    assert ["+821012345678"] == [one.recipient for one in run(main())]


@pytest.mark.stack
def test_what_the_gate_stops_takes_no_time_of_a_slow_lane(settings, tmp_path, monkeypatch, run):
    """At two messages a second, sixty that may not leave are out of the way within seconds."""

    async def main():
        async with Desk(settings, tmp_path, monkeypatch, rate="2/s", burst=1).open() as desk:
            await desk.agree(Purpose.MARKETING, ConsentState.REVOKED)
            pool = desk.one.context.pool
            await until(lambda: pool.fetchval("SELECT EXISTS (SELECT FROM consents)"), "the refusal is known")
            for number in range(60):
                await desk.publish(message_id=uuid4(), purpose="marketing", content=Content(text="tea"), campaign=f"{number}")
            await until(lambda: pool.fetchval("SELECT count(*) = 60 FROM deliveries WHERE status = 'suppressed'"), "all are suppressed", 15)
            return desk.twin.ledger.book.requests

    assert 0 == run(main())
