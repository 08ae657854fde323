"""What the router does with scores: it keeps the latest, flows ask them, wait for the best hour, and write elsewhere. Then all of it, from facts to a message."""

from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from parley.contracts import (
    Channel,
    ConsentState,
    ContactErased,
    ContactMerged,
    ContactScored,
    MessageRequested,
    Purpose,
)
from parley.yamlfile import ConfigError
from parley_router.daytime import next_within
from parley_router.state import Agreement, ContactState
from tests.staging import CONTACT, NOON, Stage, book, texts

BRANCH = """\
start: {event: tea.new}
steps:
  - branch:
      - {when: {value: score.silent, above: 50}, go: rest}
  - say: {ko: 차, en: "Tea"}
  - end: true
  - id: rest
    tag: rest
"""
WAITS = 'start: {event: tea.new}\nurgent: true\nsteps:\n  - wait: {best_hour: true, at: "10:00"}\n  - say: {ko: 차, en: Tea}\n'
BEGINS = "start: {event: contact.scored, where: {value: event.fan, above: 60}}\nsteps:\n  - say: {ko: 팬, en: 'A fan of {{ score.fan }}'}\n"
ELSEWHERE = "start: {event: tea.new}\npurpose: PURPOSE\nsteps:\n  - {over: [line, email], say: {ko: '(광고) 차 수신거부', en: Tea. STOP to leave}}\n"


def scored(at: datetime = NOON, **scores) -> ContactScored:
    return ContactScored(**{"contact_id": CONTACT, "fan": 0, "silent": 0, "at": at, **scores})


# --- what is kept ----------------------------------------------------------------------------------------------------------------------


def test_the_latest_scores_count(tmp_path):
    """Whatever order they come in; a repeat begins nothing anew."""
    one = Stage(book(tmp_path, fan=BEGINS))
    said = [texts(one.happens(data)) for data in (scored(fan=70), scored(fan=70), scored(NOON - timedelta(hours=1), fan=90))]

    assert ([["A fan of 70"], [], []], 70) == (said, one.state.scores.fan)


def test_flows_ask_for_scores(tmp_path):
    """And go where their answer leads."""
    one = Stage(book(tmp_path, tea=BRANCH))
    before = one.event("tea.new")
    one.happens(scored(silent=60))

    assert (["Tea"], [], ("rest",)) == (before, one.event("tea.new"), one.state.tags)


@pytest.mark.parametrize(
    "asked, held", [("score.fan, below: 1", True), ("score.order_again, below: 1", False), ("score.best_hour, known: true", False)]
)
def test_who_was_never_scored(tmp_path, asked, held):
    """Is no fan and not silent; what else there is, is not known."""
    one = Stage(book(tmp_path, tea=BRANCH.replace("score.silent, above: 50", asked)))
    one.event("tea.new")

    assert held is ("rest" in one.state.tags)


def test_a_name_that_no_score_has_is_refused(tmp_path):
    """With the one that was meant."""
    with pytest.raises(ConfigError, match=r"score\.silnt.*nothing fills.*score\.silent"):
        book(tmp_path, tea=BRANCH.replace("score.silent", "score.silnt"))


def test_scores_are_forgotten_with_the_rest(tmp_path):
    """What was worked out before somebody was erased is not heard afterwards."""
    one = Stage(book(tmp_path, fan=BEGINS))
    one.happens(scored(fan=70))
    one.happens(ContactErased(contact_id=CONTACT, at=NOON + timedelta(hours=1)))
    one.happens(scored(NOON + timedelta(minutes=30), fan=70))

    assert one.state.scores is None


def test_the_scores_of_a_part_are_not_those_of_the_whole(tmp_path):
    """A contact that is part of another passes everything on but these."""
    one = Stage(book(tmp_path, fan=BEGINS))
    one.happens(ContactMerged(contact_id=CONTACT, into=UUID(int=8), version=1, at=NOON))

    assert [] == one.happens(scored(fan=70))


# --- the best hour ---------------------------------------------------------------------------------------------------------------------


def test_a_wait_goes_on_at_the_best_hour(tmp_path):
    """By the tenant's clock, at a minute of the contact's own; without scores at the time that stands there, by the contact's clock; at once, if it is that hour."""
    known, unknown, now = (Stage(book(tmp_path, tea=WAITS)) for _ in range(3))
    known.happens(scored(best_hour=19))
    now.happens(scored(best_hour=12))
    said = [one.event("tea.new") for one in (known, unknown, now)]

    assert [[], [], ["Tea"]] == said
    assert [NOON.replace(hour=19, minute=7), NOON.replace(day=26, hour=1)] == [next(iter(one.state.timers().values())) for one in (known, unknown)]


@pytest.mark.parametrize(
    "moment, hour, days, found",
    [
        ("2026-11-25 18:59", 19, None, "2026-11-25 19:07"),
        ("2026-11-25 19:59", 19, None, "2026-11-25 19:59"),
        ("2026-11-25 20:00", 19, None, "2026-11-26 19:07"),
        ("2026-11-25 19:30", 19, ("fri",), "2026-11-27 19:07"),
        ("2026-03-28 12:00", 2, None, "2026-03-29 03:07"),  # clocks skip that hour in Berlin
    ],
)
def test_the_next_time_within_an_hour(moment, hour, days, found):
    berlin = ZoneInfo("Europe/Berlin")
    begun = datetime.fromisoformat(moment).replace(tzinfo=berlin)

    assert datetime.fromisoformat(found).replace(tzinfo=berlin) == next_within(begun, hour, 7, days)


# --- another channel -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "purpose, agreed, channels",
    [
        ("transactional", (), ["email", "sms"]),
        ("marketing", ("email", "sms"), ["email", "sms"]),
        ("marketing", ("sms",), ["sms", "email"]),
    ],
)
def test_a_message_goes_over_another_channel(tmp_path, purpose, agreed, channels):
    """Of those that were named the ones on which the contact may be reached; marketing goes first where it was agreed to."""
    yes = {f"{one}:marketing": Agreement(state=ConsentState.GRANTED, at=NOON) for one in agreed}
    addresses = {Channel.SMS: "+821012345678", Channel.EMAIL: "a@acme.example"}
    one = Stage(
        book(tmp_path, tea=ELSEWHERE.replace("PURPOSE", purpose)), ContactState(addresses=addresses, channel=Channel.SMS, language="en", consents=yes)
    )
    one.event("tea.new")
    (request,) = one.of(MessageRequested)

    assert (Purpose(purpose), channels) == (request.purpose, list(request.channels))


def test_a_channel_that_was_refused_is_not_tried(tmp_path):
    """Whatever the flow would like better."""
    addresses = {Channel.SMS: "+821012345678", Channel.EMAIL: "a@acme.example"}
    no = {f"email:{one}": Agreement(state=ConsentState.REVOKED, at=NOON) for one in Purpose}
    one = Stage(
        book(tmp_path, tea=ELSEWHERE.replace("PURPOSE", "transactional")), ContactState(addresses=addresses, channel=Channel.SMS, consents=no)
    )
    one.event("tea.new")

    assert [Channel.SMS] == list(one.of(MessageRequested)[0].channels)
