"""Why: a message's whole story, in order, in words, and without what is nobody's business."""

import asyncio
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.contracts import Channel, ConsentState, Content, DeliveryStatus, EngagementRecorded, Purpose
from parley_sender import questions
from parley_sender.engaged import first
from parley_sender.masking import BLOT, masked
from parley_sender.story import Found, first_line, story
from parley_sender.storywords import LANGUAGES, MOMENTS, PHRASES, REASONS, SUMMARIES, because
from tests.conftest import until
from tests.telling import Open, kinds

stack = pytest.mark.stack
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ROW = {
    "message_id": uuid4(), "contact_id": uuid4(), "conversation_id": None, "lane": "app", "channel": "inapp", "purpose": "reply", "notice": None, "campaign": None,
    "variant": None, "flow": None, "step": None, "segments": 1, "parts": 1, "parts_done": 0, "status": "queued", "reason": None, "requested_at": NOW, "due_at": NOW,
    "expires_at": None, "attempt": 0, "failures": 0, "provider_id": None, "changed_at": NOW, "instead_of": None, "price": None, "currency": None,
    "told_segments": None, "priority": 0, "timezone": None,
}  # fmt: skip


@pytest.fixture
def desk(settings, tmp_path, monkeypatch):
    return lambda **account: Open(settings, tmp_path, monkeypatch, **account)


# --- rules ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "To number +82 10-1234-5678 is not valid", "no such user jane.doe+x@shop.example.com", "call (415) 555-2671 now", "Authorization: Bearer s3cr3tvalue",
        "bad token a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6", "see https://api.example/x?key=1&to=82101234", "the text was: See you at nine", "device u-17 is gone",
    ],
)  # fmt: skip
def test_what_a_provider_says_of_people_is_blotted_out(words):
    """Numbers, addresses, secrets and the message's own words; the sentence around them stays."""
    said = masked(words, ["See you at nine", "u-17"])

    assert BLOT in said
    for secret in ("1234", "jane", "2671", "s3cr3t", "a1b2c3", "82101234", "nine", "u-17"):
        assert secret not in said


@pytest.mark.parametrize(
    "words", ["131050", "queue full (30001)", "unknown message 2c89ef27-6996-486d-b8c0-b3191e1e8603", "throttled: 4^2 seconds", None]
)
def test_what_says_nothing_of_people_stays(words):
    """Codes, times and ids of messages are what a story is read for."""
    assert words == masked(words, ["x", ""])


@given(st.text(max_size=40), st.text(min_size=3, max_size=40).filter(lambda one: len(one.strip()) >= 3), st.text(max_size=40))
def test_a_known_text_never_stays(before, text, after):
    """Wherever it stands, and whatever it is."""
    assume = text.strip()
    if assume not in BLOT:
        assert assume not in masked(before + text + after, [text]).replace(BLOT, "")


@pytest.mark.parametrize("table", [REASONS, SUMMARIES, MOMENTS, PHRASES])
def test_every_sentence_is_there_in_every_language(table):
    """With the same places to be filled in."""

    def places(text):
        return {part.partition("}")[0] for part in text.split("{")[1:]}

    assert set(LANGUAGES) == set(table)
    assert {name: places(text) for name, text in table["en"].items()} == {name: places(text) for name, text in table["ko"].items()}


@pytest.mark.parametrize("status", [one for one in DeliveryStatus if one not in (DeliveryStatus.QUEUED, DeliveryStatus.HELD)])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_end_has_a_first_line(status, language):
    """In every language."""
    assert first_line(Found({**ROW, "status": status, "reason": "no_consent"}), language)


@pytest.mark.parametrize(
    "change, queue, paused, line",
    [
        ({"status": "suppressed", "reason": "opted_out"}, None, None, "Not sent: the contact wants no messages of this kind here."),
        ({"status": "suppressed", "reason": "capped: 3 in a day"}, None, None, "Not sent: a frequency cap is reached: 3 in a day."),
        ({"status": "expired", "reason": "expired"}, None, None, "Not sent: its time was over."),
        ({"status": "failed", "reason": "provider:unreachable"}, None, None, "Failed: the provider says unreachable."),
        ({"reason": "quiet_hours"}, {"state": "timed", "due_at": NOW}, None,
         "Not sent yet: held until 2026-11-25 12:00:00 UTC, because it is quiet hours where the recipient is."),
        ({}, {"state": "behind", "due_at": NOW}, None, "Not sent yet: an earlier message of the same kind to this contact goes first."),
        ({}, {"state": "ready", "due_at": NOW}, "kim", "Not sent yet: its lane was paused by kim."),
        ({"status": "sent", "reason": "cancelled: stopped after part 1 of 3", "parts": 3, "parts_done": 1}, None, None,
         "Sent in part only: it was called back (stopped after part 1 of 3)."),
    ],
)  # fmt: skip
def test_the_first_line_says_why_not(change, queue, paused, line):
    """In a sentence."""
    assert line == first_line(Found({**ROW, **change}, queue=queue, paused_by=paused))


def test_a_reason_that_nobody_knows_is_told_as_it_is():
    """Rather than as nothing."""
    assert ["moon_phase", "…"] == [because("moon_phase"), because(None)]


@given(st.permutations([("held", 1), ("told", 2), ("clicked", 3), ("settled", 4)]))
def test_a_story_is_in_order_of_time(order):
    """In whatever order the notes were written."""
    details = {
        "held": {"until": NOW.isoformat(), "reason": "quiet_hours"},
        "told": {"status": "delivered"},
        "clicked": {"by": "human"},
        "settled": {"as": "sent", "by": "kim"},
    }
    notes = [{"at": NOW + timedelta(minutes=minute), "what": what, "detail": details[what]} for what, minute in order]

    assert ["asked", "route", "held", "told", "clicked", "settled"] == [one.what for one in story(Found(ROW, notes=notes))]


def test_of_opens_the_first_of_each_kind_counts():
    """By a person, and by a machine; in whatever order they come."""
    message, contact = uuid4(), uuid4()

    def opened(minute, by):
        return "acme", EngagementRecorded(message_id=message, contact_id=contact, kind="opened", by=by, at=NOW + timedelta(minutes=minute))

    found = first([opened(3, "human"), opened(1, "prefetch"), opened(2, "human"), opened(4, "scanner")])

    assert [
        (message, "acme", "opened", "human", NOW + timedelta(minutes=2)),
        (message, "acme", "opened", "machine", NOW + timedelta(minutes=1)),
    ] == found


@pytest.mark.parametrize("policy", questions.AFTER)
def test_questions_come_at_growing_distances_and_end(policy):
    """The first when the call can no longer be under way."""
    times = [questions.due(asked, NOW, policy) for asked in range(len(questions.AFTER[policy]) + 1)]
    pauses = [later - earlier for earlier, later in zip([NOW, *times], times[:-1], strict=False)]

    assert times[-1] is None and pauses == sorted(pauses) and pauses[0] >= timedelta(minutes=1)


# --- stories as they happen ----------------------------------------------------------------------------------------------------------------


@stack
def test_a_message_that_was_read_and_clicked_tells_everything(desk):
    """Who asked, the gate, the call, each receipt, also one that changed nothing, the price, the click; once however often it is opened."""

    async def main():
        async with desk().open() as one:
            number = await one.publish(message_id=uuid4(), content=Content(text="secret words"), flow="orders", step="thanks", campaign="spring")
            await one.ends(sent=1)
            await one.receipt("delivered", message_id=number, price="0.05", currency="EUR", segments=2)
            await one.ends(delivered=1)
            await one.receipt("sent", message_id=number)
            for by in ("human", "human", "prefetch"):
                await one.event(EngagementRecorded(message_id=number, contact_id=one.contact, kind="clicked", by=by, at=datetime.now(UTC)))
            await until(lambda: _notes(one, 4), "four notes")
            return await one.story(number)

    told = asyncio.run(main())

    assert ["asked", "route", "gate", "attempt"] == kinds(told)[:4]
    assert Counter(told=2, clicked=2, priced=1) == Counter(kinds(told)[4:])
    assert "Delivered." == told["summary"]
    assert "flow orders, step thanks, campaign spring" in told["story"][0]["said"]
    assert [("delivered", True), ("sent", False)] == [
        (one["detail"]["status"], one["detail"]["moved"]) for one in told["story"] if one["what"] == "told"
    ]
    assert {"human", "machine"} == {one["detail"]["by"] for one in told["story"] if one["what"] == "clicked"}
    assert ({"amount": "0.05", "currency": "EUR"}, 2) == (told["price"], told["provider_segments"])
    assert "secret" not in str(told) and "u1" not in str(told)


@stack
def test_a_message_that_was_not_sent_says_why_first(desk):
    """In the language that is asked for."""

    async def main():
        async with desk().open() as one:
            await one.agree(Purpose.MARKETING, ConsentState.REVOKED)
            (number,) = await one.ask("offer", purpose="marketing")
            await one.ends(suppressed=1)
            return await one.story(number), await one.story(number, "ko"), (await one.call("GET", f"/messages/{number}?language=xx")).status

    english, korean, refused = asyncio.run(main())

    assert "Not sent: the contact wants no messages of this kind here." == english["summary"]
    assert "보내지 않음: 고객이 이 채널에서 이런 메시지를 받지 않겠다고 했습니다." == korean["summary"]
    assert (["asked", "route", "ended"], 422) == (kinds(english), refused)


@stack
def test_the_command_tells_the_same(desk):
    """As lines, the first of them why; as JSON; one sentence and status 2 where there is no such message."""

    async def main():
        async with desk().open() as one:
            (number,) = await one.ask("hello")
            await one.ends(sent=1)
            return [await asyncio.to_thread(_why, one, *words) for words in ((number,), (number, "--json"), (number, "--lang", "ko"), (uuid4(),))]

    plain, json, korean, missing = asyncio.run(main())

    assert [0, 0, 0, 2] == [one.returncode for one in (plain, json, korean, missing)], plain.stderr
    assert plain.stdout.startswith("Sent (app); nothing is known of its arrival yet.\n")
    assert ["asked", "route", "gate", "attempt"] == [line.split()[3] for line in plain.stdout.splitlines()[3:]]
    assert '"summary":"Sent (app)' in json.stdout and korean.stdout.startswith("보냄")
    assert missing.stderr.startswith("parley: there is no message")


@stack
def test_a_receipt_that_came_before_its_message_stands_in_the_story(desk):
    """Joined with the answer to the call, under the time at which the provider said it."""

    async def main():
        async with desk().open(latency_ms=400) as one:
            (number,) = await one.ask("hello")
            await until(lambda: _called(one), "the call at the twin")
            (call,) = one.twin.inboxes.of("u1")
            await one.receipt("delivered", provider_id=call.provider_id)
            await one.ends(delivered=1)
            return await one.story(number)

    story = asyncio.run(main())

    assert ["delivered"] == [one["detail"]["status"] for one in story["story"] if one["what"] == "told"]


@stack
def test_a_provider_that_repeats_itself_fills_no_story(desk):
    """The first fifty receipts are told."""

    async def main():
        async with desk().open() as one:
            (number,) = await one.ask("hello")
            await one.ends(sent=1)
            for _ in range(60):
                await one.receipt("delivered", message_id=number)
            await one.receipt("read", message_id=number)
            await one.ends(read=1)
            return kinds(await one.story(number)).count("told")

    assert 50 == asyncio.run(main())


def _why(one, *words):
    settings = {"PARLEY_DATABASE": one.settings.database.get_secret_value(), "PATH": ""}
    command = [str(Path(sys.executable).with_name("parley")), "why", *map(str, words)]
    return subprocess.run(command, env=settings, capture_output=True, text=True, timeout=60, check=False)


async def _called(one):
    return one.twin.inboxes.of("u1")


async def _notes(one, count):
    return await one.one.context.pool.fetchval("SELECT count(*) FROM notes") >= count


def test_an_address_is_a_channel_away():
    """The story's own address is what is hidden, whatever the channel."""
    assert masked(f"{Channel.PUSH} token abc-def-ghi", ["abc-def-ghi"]) == f"push token {BLOT}"
