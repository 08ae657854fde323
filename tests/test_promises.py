"""What teams promise to who waits for a person: how its time is counted, and that it is told once when nobody kept it."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley import config
from parley.contracts import AgentActed, ContactErased, ConversationChanged, TimerFired
from parley.teams import Promise
from parley.yamlfile import ConfigError
from tests.staging import CONTACT, NOON, Stage, book

SEOUL, BERLIN = ZoneInfo("Asia/Seoul"), ZoneInfo("Europe/Berlin")
HALF, HOUR, DAY = timedelta(minutes=30), timedelta(hours=1), timedelta(days=1)
OFFICE = {"opens": 9 * HOUR, "closes": 18 * HOUR, "days": frozenset(range(5))}
CARE = "start: {keywords: {en: [care]}}\nsteps:\n  - say: {ko: 잠시만요., en: One moment.}\n  - escalate: care\n"


# --- how the time is counted -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "promise, at, due",
    [
        (Promise(HALF), "2026-11-25 23:50", "2026-11-26 00:20"),
        (Promise(HALF, **OFFICE), "2026-11-25 10:00", "2026-11-25 10:30"),  # a Wednesday
        (Promise(HALF, **OFFICE), "2026-11-25 17:50", "2026-11-26 09:20"),
        (Promise(HALF, **OFFICE), "2026-11-27 17:30", "2026-11-27 18:00"),
        (Promise(HALF, **OFFICE), "2026-11-27 18:00", "2026-11-30 09:30"),
        (Promise(HALF, **OFFICE), "2026-11-28 12:00", "2026-11-30 09:30"),
        (Promise(18 * HOUR, **OFFICE), "2026-11-27 09:00", "2026-11-30 18:00"),
        (Promise(7 * DAY, 23 * HOUR, DAY, frozenset({6})), "2026-11-25 00:00", "2030-02-11 00:00"),
    ],
)
def test_a_promise_is_counted_in_the_hours_of_the_team(promise, at, due):
    """By the tenant's clock; over nights and weekends it stands still."""
    assert moment(due) == promise.due(moment(at), SEOUL)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SEOUL)


def test_an_hour_that_is_skipped_is_no_hour_of_work():
    """In Berlin clocks go from 2 to 3 on the 29th of March 2026, and in October they show 2 to 3 twice."""
    night = Promise(2 * HOUR, HOUR, 4 * HOUR)
    spring, autumn = (datetime(2026, month, day, 0, 0, tzinfo=BERLIN) for month, day in ((3, 29), (10, 25)))

    assert [time(4), time(2)] == [night.due(at, BERLIN).astimezone(BERLIN).time() for at in (spring, autumn)]


clocks = st.integers(0, 23).flatmap(lambda opens: st.tuples(st.just(opens * HOUR), st.integers(opens + 1, 24).map(lambda closes: closes * HOUR)))
promised = st.builds(
    lambda minutes, clock, days: Promise(timedelta(minutes=minutes), *clock, days),
    st.integers(1, 600), clocks, st.frozensets(st.integers(0, 6), min_size=1),
)  # fmt: skip


@given(promised, st.integers(0, 60 * 24 * 60), st.sampled_from([SEOUL, BERLIN, ZoneInfo("UTC")]))
def test_as_many_minutes_of_work_lie_before_it_as_were_promised(promise, minute, zone):
    """Counted one by one, by what the clock on the wall shows."""
    at = datetime(2026, 10, 1, tzinfo=UTC) + timedelta(minutes=minute)
    due = promise.due(at, zone)
    walls = ((at + timedelta(minutes=count)).astimezone(zone) for count in range(int((due - at) / timedelta(minutes=1))))
    worked = sum(
        wall.weekday() in promise.days and promise.opens <= timedelta(hours=wall.hour, minutes=wall.minute) < promise.closes for wall in walls
    )

    assert promise.within == timedelta(minutes=worked)


@pytest.mark.parametrize(
    "text, told",
    [
        ("{answers_within: 30m}", Promise(HALF)),
        ('{answers_within: 2h, hours: ["09:00", "18:00"], days: [mon, tue, wed, thu, fri]}', Promise(2 * HOUR, **OFFICE)),
    ],
)
def test_a_team_says_what_it_promises(tmp_path, text, told):
    """In accounts.yaml; without hours it is around the clock."""
    (tmp_path / "accounts.yaml").write_text(f"tenants: {{acme: {{teams: {{care: {text}}}}}}}")

    assert {"care": told} == config.load(tmp_path).tenants["acme"].teams


@pytest.mark.parametrize(
    "text, why",
    [
        ("{answers_within: 8d}", "within a week at most; not in 8 days"),
        ("{answers_within: soon}", "a length of time is written as"),
        ('{answers_within: 1h, hours: ["18:00", "09:00"]}', "the hours of a team are of one day, an hour at least"),
        ("{answers_within: 1h, days: []}", "days"),
    ],
)
def test_a_promise_that_cannot_be_kept_is_refused(tmp_path, text, why):
    """With what is meant."""
    (tmp_path / "accounts.yaml").write_text(f"tenants: {{acme: {{teams: {{care: {text}}}}}}}")

    with pytest.raises(ConfigError, match=why):
        config.load(tmp_path)


# --- when it is overdue ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stage(tmp_path):
    """A contact who asked for a person of a team that promises half an hour."""
    found = Stage(book(tmp_path, teams={"care": Promise(HALF)}, care=CARE))
    found.says("care")
    return found


def changes(stage: Stage) -> list[str]:
    return [one.change for one in stage.of(ConversationChanged)]


def agent(stage: Stage, action: str) -> None:
    number = stage.state.conversation.id
    stage.happens(AgentActed(contact_id=CONTACT, conversation_id=number, action=action, agent="kim", text="Hello!", at=stage.at))


def test_who_waits_for_too_long_is_told_of_once(stage):
    """As of the time by which an answer was promised, with the team, and by nobody; what the customer writes meanwhile puts nothing off."""
    stage.passes("20m")
    stage.says("anybody?")
    stage.passes("2d")
    (overdue,) = [one for one in stage.of(ConversationChanged) if one.change == "overdue"]

    assert ("care", NOON + HALF, None, "sms") == (overdue.team, overdue.at, overdue.by, overdue.channel)
    assert stage.state.waiting


def test_a_time_that_comes_again_is_not_told_again(stage):
    """As after a kill between the bus and the row."""
    (token,) = stage.state.timers()
    stage.passes("1h")
    again = stage.happens(TimerFired(contact_id=CONTACT, timer="flow", token=token, due_at=NOON + HALF))

    assert [] == again


@pytest.mark.parametrize("action", ["reply", "resolve"])
def test_who_is_answered_in_time_is_not_overdue(stage, action):
    """Neither by a reply nor where the conversation ends without one."""
    stage.passes("29m")
    agent(stage, action)
    stage.passes("2d")

    assert "overdue" not in changes(stage) and {} == stage.state.timers()


def test_who_wants_no_answer_any_more_waits_for_none(stage):
    """STOP on the channel on which one would be given."""
    stage.says("STOP")
    stage.passes("1h")

    assert "overdue" not in changes(stage)


def test_who_was_erased_waits_for_nobody(stage):
    """The time goes with all the rest."""
    stage.happens(ContactErased(contact_id=CONTACT, at=stage.at))

    assert {} == stage.state.timers()


@pytest.fixture(scope="module")
def flows(tmp_path_factory):
    return book(tmp_path_factory.mktemp("flows"), teams=dict.fromkeys(("care", "support"), Promise(HALF)), care=CARE)


@given(st.lists(st.sampled_from(["care", "hello", "reply", "resolve", "10m", "29m", "30m", "2h"]), max_size=25))
def test_overdue_are_those_who_had_no_answer_in_time(flows, history):
    """Property: whatever the customer and the agent do, in any order and at any time; each conversation once."""
    stage, asked, ended = Stage(flows), {}, {}
    for one in history:
        talk = stage.state.conversation
        if one[0].isdigit():
            stage.passes(one)
        elif one in ("care", "hello"):
            stage.says(one)
            if stage.state.waiting:
                asked.setdefault(stage.state.conversation.id, stage.at)
        elif talk is not None and talk.waiting:
            ended.setdefault(talk.id, stage.at)
            agent(stage, one)
    late = {talk: at + HALF for talk, at in asked.items() if at + HALF <= min(ended.get(talk, stage.at), stage.at)}

    assert list(late.items()) == [(one.conversation_id, one.at) for one in stage.of(ConversationChanged) if one.change == "overdue"]


def test_a_team_that_promises_nothing_is_never_late(tmp_path):
    """No time is waited for."""
    stage = Stage(book(tmp_path, teams={"sales": Promise(HALF)}, care=CARE))
    stage.says("care")

    assert ({}, True) == (stage.state.timers(), stage.state.waiting)
