"""What may be asked of conversations, what is answered, and that what the router tells is what is counted."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley import config, web
from parley.bus import Bus
from parley.contracts import AgentActed, ContactErased, ConversationChanged, Envelope
from parley.metrics import Metrics
from parley.service import Context
from parley_analytics import talks_api
from parley_analytics.query import Unclear
from parley_analytics.talks import CLOSED, TIMES, gather
from parley_analytics.talks_api import PARAMETERS, understood
from parley_analytics.talks_report import Asked
from tests.ingesting import OTHER_KEY, write_accounts
from tests.staging import CONTACT, NOON, Stage, book
from tests.test_talks import TALKS, apply, step, tables

__all__ = ["tables"]
NOW = datetime(2026, 11, 24, 9, 31, 7, tzinfo=UTC)
SEOUL = ZoneInfo("Asia/Seoul")
CARE = "start: {keywords: {en: [care]}}\nsteps:\n  - say: {ko: 잠시만요., en: One moment.}\n  - escalate: care\n"
HOURS = "start: {keywords: {en: [hours]}}\nsteps:\n  - say: {ko: 아홉 시부터., en: From nine to five.}\n"


def test_a_summary_without_parameters_is_of_the_last_thirty_days():
    """Until the end of the quarter of an hour that is running, in one."""
    until = datetime(2026, 11, 24, 9, 45, tzinfo=UTC)

    assert Asked(until - timedelta(days=30), until, SEOUL) == understood({}, SEOUL, NOW)


def test_what_is_asked_is_understood():
    """Days are the tenant's; `none` is what has no value."""
    day = datetime(2026, 11, 22, 15, tzinfo=UTC)
    given = {"from": "2026-11-23", "to": "2026-11-24", "group_by": "team", "bucket": "hour", "team": "none"}

    assert Asked(day, day + timedelta(days=1), SEOUL, "team", "hour", ("team", "")) == understood(given, SEOUL, NOW)


@pytest.mark.parametrize(
    "parameters, sentence",
    [
        ({"group_by": "campaign"}, "`group_by` cannot be 'campaign'; known: channel, flow, team, agent, one of them."),
        ({"group_by": "team,flow"}, "`group_by` cannot be 'team,flow'"),
        ({"bucket": "year"}, "`bucket` cannot be 'year'; known: hour, day, week, month."),
        (
            {"team": "care", "flow": "faq"},
            "Conversations are counted by one dimension at a time: ask for flow alone, without another filter or `group_by`.",
        ),
        ({"team": "care", "group_by": "agent"}, "ask for team alone"),
        ({"variant": "a"}, "There is no parameter `variant`; known: group_by, bucket, from, to, channel, flow, team, agent."),
        ({"from": "2025-01-01", "to": "2026-06-01", "bucket": "day"}, "`from` and `to` may be 371 days apart at most here"),
        ({"from": "2026-10-01", "to": "2026-11-02", "bucket": "day", "group_by": "agent"}, "31 days apart at most"),
        ({"from": "2025-10-01", "to": "2026-11-24", "group_by": "agent"}, "400 days apart at most"),
        ({"agent": "a\x00b"}, "`agent` must be a text of at most 200 characters"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_explained(parameters, sentence):
    """Which one, why, and what would do."""
    with pytest.raises(Unclear) as error:
        understood(parameters, SEOUL, NOW)

    assert sentence in str(error.value)


@given(st.dictionaries(st.sampled_from(PARAMETERS), st.one_of(st.text(), st.sampled_from(["team", "hour", "none", "2026-11-24"])), max_size=4))
def test_any_parameters_are_a_question_or_a_sentence(parameters):
    """Nothing that stands in an address breaks the service."""
    try:
        said = None if understood(parameters, SEOUL, NOW).until.tzinfo is UTC else "a question without a zone"
    except Unclear as error:
        said = None if str(error).endswith(".") else str(error)

    assert said is None


@pytest.fixture
def ask(tables, settings, tmp_path):
    """Gives a function that counts conversations and asks the API."""
    runner, pool = tables
    context = Context(settings, config.load(write_accounts(tmp_path)), pool, Bus(settings, client="test"), Metrics(), lambda: NOW)
    application = web.application(talks_api.routes(context), [], context.metrics, 60)

    async def main(events, query, key):
        async with pool.acquire() as connection:
            await apply(connection, events)
        headers = {"authorization": f"Bearer {key}"} if key else {}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://here", headers=headers) as client:
            return await client.get(talks_api.PATH + query)

    def asked(events, query="", key=OTHER_KEY):
        answer = runner.run(main(events, query, key))
        return answer.status_code, orjson.loads(answer.content)

    return asked


def handed_over(number=0):
    """Answered at once, handed over to care after a minute, answered by a person after two more, resolved after an hour, rated."""
    at = NOW - timedelta(days=1)
    after = {
        name: at + timedelta(seconds=one) for name, one in (("answered", 1), ("escalated", 60), ("replied", 180), ("resolved", 3600), ("rated", 4000))
    }
    said = {"resolved": {"agent": "kim", "by": "person"}, "replied": {"agent": "kim", "by": "person"}, "rated": {"score": 4}}
    steps = [step(TALKS[number], change, when, team="care", **said.get(change, {})) for change, when in after.items()]
    return [step(TALKS[number], "opened", at, channel="sms"), *steps]


@pytest.mark.stack
def test_conversations_are_answered_with_rates_times_and_ratings(ask):
    """By agent, and in total."""
    alone = [step(TALKS[1], "opened", NOW - timedelta(days=2)), step(TALKS[1], "answered", NOW - timedelta(days=2))]
    status, found = ask([*handed_over(), *alone], "?group_by=agent")
    total, kim = found["totals"], found["rows"][1]

    assert (200, ["kim", None], False) == (status, sorted((row["agent"] for row in found["rows"]), key=str, reverse=True), found["truncated"])
    assert (2, 1, 1, 0.5, 0.5) == (
        total["opened"],
        total["automated"],
        total["resolved"],
        *(total["rates"][one]["value"] for one in ("automated", "escalated")),
    )
    assert {"value", "low", "high"} == total["rates"]["automated"].keys() and total["rates"]["overdue"]["value"] == 0
    assert [1, 120, 3600] == pytest.approx([kim["seconds"][one]["median"] for one in ("first_answer", "first_reply", "resolution")], rel=0.102)
    assert {"people": 1, "mean": 4.0} == kim["rating"]


@pytest.mark.stack
def test_buckets_begin_by_the_tenants_clock(ask):
    """And a filter leaves one value alone."""
    status, found = ask([*handed_over(0), *handed_over(1)], "?bucket=day&team=care")

    assert (200, [("2026-11-23T00:00:00+00:00", 2)]) == (status, [(row["bucket"], row["resolved"]) for row in found["rows"]])
    assert 0 == ask([], "?team=none")[1]["totals"]["opened"]


@pytest.mark.stack
@pytest.mark.parametrize(
    "query, key, status, sentence",
    [("", None, 401, ""), ("", "shop-key", 403, "rates:read"), ("?bucket=never", OTHER_KEY, 400, "`bucket` cannot be 'never'")],
)
def test_who_may_not_or_asks_wrongly_is_told_so(ask, query, key, status, sentence):
    """Problem documents."""
    found = ask([], query, key)

    assert (status, True) == (found[0], sentence in found[1].get("detail", ""))


def told(stage: Stage):
    """What is counted of all that the router told."""
    events = [Envelope(id="e", source="router", time=NOON, tenant="acme", data=one) for one in stage.of(ConversationChanged)]
    return list(gather(events).values())


def test_what_the_bot_answers_alone_names_its_channel_and_flow(tmp_path):
    """From the router's own words."""
    stage = Stage(book(tmp_path, hours=HOURS))
    stage.says("hours")
    (talk,) = told(stage)

    assert ("sms", "hours", ["opened_at", "answered_at"]) == (talk.said["channel"].said, talk.said["flow"].said, happened(talk))


@pytest.mark.parametrize("scale, told_of", [("", [4]), ("    min: 0\n    max: 5\n", []), ("    max: 10\n", [])])
def test_points_of_five_are_a_rating(tmp_path, scale, told_of):
    """On another scale the answer is the flow's alone."""
    asking = (
        "start: {keywords: {en: [rate]}}\nsteps:\n  - ask: score\n    type: rating\n" + scale + "    say: {ko: 점수를 주세요., en: Please rate us.}\n"
    )
    stage = Stage(book(tmp_path, rating=asking))
    stage.says("rate")
    stage.says("4")
    found = [one.score for one in stage.of(ConversationChanged) if one.change == "rated"]

    assert told_of == found


def test_a_person_resolves_and_an_erasure_does_not(tmp_path):
    """Both end the conversation; the router says by whom."""
    ended = {}
    for name, act in {
        "person": lambda talk: AgentActed(contact_id=CONTACT, conversation_id=talk.id, action="resolve", agent="kim", at=NOON),
        "system": lambda talk: ContactErased(contact_id=CONTACT, at=NOON),
    }.items():
        stage = Stage(book(tmp_path / name, care=CARE))
        stage.says("care")
        stage.happens(act(stage.state.conversation))
        (talk,) = told(stage)
        ended[name] = (happened(talk)[-1], talk.said["team"].said, talk.said["agent"].said if "agent" in talk.said else None)

    assert {"person": ("resolved_at", "care", "kim"), "system": (TIMES[CLOSED], "care", None)} == ended


def happened(talk) -> list[str]:
    return [name for name, at in zip(TIMES, talk.times, strict=True) if at is not None]
