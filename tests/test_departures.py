"""What is claimed and waits for its moment: nothing more is asked for than may be claimed, and nothing leaves that a stop may have called off."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from parley.contracts import Content, Purpose
from parley_sender.bucket import Bucket
from parley_sender.claims import Claimed
from parley_sender.departures import AGED, Departures
from parley_sender.pace import Pace
from parley_sender.standing import of_tenant
from parley_sender.stops import BEAT, FROZEN, Stops

T0 = datetime(2026, 11, 25, 12, tzinfo=UTC)
WHOSE = {"u1": UUID(int=1)}


def claimed() -> Claimed:
    return Claimed(uuid4(), uuid4(), Purpose.MARKETING, "u1", Content(text="tea"), 1, 1, 0, 0, 0, None, None, None, "{}", 1, 1, "acme")


def test_a_slow_lane_does_not_ask_again_and_again(run):
    """At three a second one message is all that is claimed ahead; while it waits nobody is woken, nor by a turn that claimed nothing."""
    asked: list[bool] = []

    async def main() -> None:
        now = asyncio.get_running_loop().time()
        departures = Departures(Pace(Bucket.empty(3.0, 1, 1.0, now)), lambda: T0, lambda *_: None, lambda _: None, lambda: asked.append(True))
        departures.stops.listens(0.0)
        departures.add([claimed()], now)
        running = asyncio.create_task(departures.run())
        for _ in range(5):
            departures.add([], now)
            await asyncio.sleep(0)
        running.cancel()

    run(main())

    assert [] == asked


def leaving() -> tuple[Departures, list[Claimed], list[Claimed]]:
    """Departures at a pace that lets all of these go at once, with who went and who stayed."""
    went: list[Claimed] = []
    stayed: list[Claimed] = []
    pace, stops = Pace(Bucket(1000.0, 1000, 1.0)), Stops()
    stops.listens(0.0)
    return Departures(pace, lambda: T0, lambda one, _: went.append(one), stayed.append, lambda: None, stops, WHOSE.get), went, stayed


def test_a_stop_at_an_address_holds_for_whichever_contact_has_it(run):
    """What was claimed before it goes back to the gate; what was claimed after it, and was asked there since, leaves."""
    before, after = claimed(), claimed()

    async def main() -> tuple[list[Claimed], list[Claimed]]:
        departures, went, stayed = leaving()
        now = asyncio.get_running_loop().time()
        departures.add([before], now)
        departures.stops.hear(WHOSE["u1"], now)
        departures.add([after], asyncio.get_running_loop().time() + 0.001)
        running = asyncio.create_task(departures.run())
        await asyncio.sleep(0)
        running.cancel()
        return went, stayed

    assert ([after], [before]) == run(main())


@pytest.mark.parametrize("name", [lambda one: one.message_id, lambda one: of_tenant(one.tenant)], ids=["message", "tenant"])
def test_a_message_is_called_off_by_whatever_names_it(run, name):
    """Itself, or all that its tenant sends; what another tenant sends leaves."""
    before, another = claimed(), replace(claimed(), tenant="other")

    async def main() -> tuple[list[Claimed], list[Claimed]]:
        departures, went, stayed = leaving()
        now = asyncio.get_running_loop().time()
        departures.add([before, another], now)
        departures.stops.hear(name(before), now)
        running = asyncio.create_task(departures.run())
        await asyncio.sleep(0)
        running.cancel()
        return went, stayed

    assert ([another], [before]) == run(main())


def test_a_stop_that_came_while_the_claim_was_committed_is_heard(run):
    """The gate was asked before it, and the message is only known here after it."""
    one = claimed()

    async def main() -> tuple[list[Claimed], list[Claimed]]:
        departures, went, stayed = leaving()
        asked_at = asyncio.get_running_loop().time()
        departures.stops.hear(one.contact_id, asked_at)
        departures.add([one], asked_at)
        running = asyncio.create_task(departures.run())
        await asyncio.sleep(0)
        running.cancel()
        return went, stayed

    assert ([], [one]) == run(main())


def test_what_is_claimed_for_long_is_asked_again(run, monkeypatch):
    """Whoever was passed by others for seconds may have lost their leave meanwhile."""
    one = claimed()

    async def main() -> tuple[list[Claimed], list[Claimed]]:
        departures, went, stayed = leaving()
        loop = asyncio.get_running_loop()
        departures.add([one], loop.time())
        later = loop.time() + AGED
        monkeypatch.setattr(loop, "time", lambda: later)
        running = asyncio.create_task(departures.run())
        await asyncio.sleep(0)
        running.cancel()
        return went, stayed

    assert ([], [one]) == run(main())


def lost(departures: Departures, now: float) -> float:
    """The connection that hears of stops is lost."""
    departures.stops.deaf()
    return now


def made_anew(departures: Departures, now: float) -> float:
    """And made anew: what was recorded between is told to nobody."""
    departures.stops.deaf()
    departures.stops.listens(now + 0.01)
    return now + 0.02


def frozen(departures: Departures, now: float) -> float:
    """The process stood still, though not for so long that everything is asked again because of its age."""
    return now + BEAT + FROZEN + 0.01


def asleep(departures: Departures, now: float) -> float:
    """The machine slept: its loop's clock as well, but not the other one."""
    departures.clock = lambda: T0 + timedelta(minutes=5)
    return now


@pytest.mark.parametrize("passed", [lost, made_anew, frozen, asleep], ids=lambda one: one.__name__)
def test_who_may_have_missed_a_stop_asks_again(run, monkeypatch, passed: Callable[[Departures, float], float]):
    """Nothing that was asked at the gate before leaves unasked, whoever it goes to; neither what waits nor what is about to be written."""
    one = claimed()

    async def main() -> tuple[list[bool], list[Claimed], list[Claimed]]:
        departures, went, stayed = leaving()
        loop = asyncio.get_running_loop()
        now = loop.time()
        departures.stops.beat(now, T0)
        departures.add([one], now)
        before = departures.called_off(one, now)
        later = passed(departures, now)
        monkeypatch.setattr(loop, "time", lambda: later)
        after = departures.called_off(one, now)
        running = asyncio.create_task(departures.run())
        await asyncio.sleep(0)
        running.cancel()
        return [before, after], went, stayed

    assert ([False, True], [], [one]) == run(main())


def test_what_leaves_late_is_counted_late():
    """A burst that was let go before its process stood still fills the second in which it arrives."""
    pace = Pace(Bucket(10.0))
    for _ in range(10):
        pace.take(1, "u1", True, 0.0)
    for _ in range(10):
        pace.begun(1, 0.0, 0.5)

    assert pace.at(1, 1.1) > 1.5


def test_a_call_that_begins_at_once_is_counted_once():
    """Nor is what was let go forgotten: the window holds ten and no more, whether or not they began late."""
    pace = Pace(Bucket(10.0))
    for number in range(10):
        pace.take(1, "u1", True, number / 10)
        pace.begun(1, number / 10, number / 10 + (0.05 if number % 2 else 0.0))

    assert 1.0 < pace.at(1, 1.0) < 1.06


def test_the_empty_second_saves_nothing_up():
    """Who takes a lane over sends one message when the second is over, not a burst."""
    pace = Pace(Bucket.empty(60.0, 1, 1.0, 0.0))
    pace.take(1, "u1", True, pace.at(1, 0.0))

    assert pace.at(1, 1.01) > 1.02


def test_a_slower_rate_after_a_takeover_begins_with_the_next_second():
    """What people set for a lane when it was just taken over is no debt of the rate before."""
    bucket = Bucket.empty(100_000.0, 1, 1.0, 0.0)
    bucket.set(100.0, 1.0, 0.1)

    assert bucket.at(1, 0.1) < 1.1


def test_more_is_claimed_ahead_while_turns_take_long():
    """Three times as long as the longest of late, between a quarter of a second and six tenths; forgotten soon after."""
    departures, *_ = leaving()
    found = []
    for seconds in (0.01, 0.1, 5.0, *[0.01] * 30):
        departures.turned(seconds)
        found.append(departures.horizon)

    assert ([0.25, 0.3, 0.6], 0.25) == ([round(one, 9) for one in found[:3]], found[-1])
