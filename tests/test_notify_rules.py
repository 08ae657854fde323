"""The rules of webhooks as values: when one is told again, what an answer says of it, how it is signed, and what there is to hear of."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from parley.contracts import ConversationChanged, GoalChanged, LinkMinted
from parley.failures import JITTER
from parley_sender.notify import kinds, signing
from parley_sender.notify.kinds import TYPES, family_of, told, type_of, unknown
from parley_sender.notify.schedule import GONE, LASTING, LONGEST_PAUSE, PAUSES, Answer, health, retry_after, verdict
from tests.notifying import CONTACT, NOW, consent, delivery, event

HOOK = UUID(int=3)
STATUSES = st.integers(300, 599).filter(lambda status: status != GONE)
FAILURES = st.builds(Answer, status=st.none() | STATUSES, retry_after=st.none() | st.timedeltas(timedelta(), timedelta(days=400)))


# --- the schedule ----------------------------------------------------------------------------------------------------------------------


@given(FAILURES, st.integers(1, len(PAUSES)), st.text(max_size=5))
def test_a_failure_is_tried_again_near_its_time(answer, tries, seed):
    """Property: not before the pause less a fifth nor before Retry-After, and not after both."""
    found, pause = verdict(answer, tries, NOW, seed), timedelta(seconds=PAUSES[tries - 1])
    asked = min(answer.retry_after or timedelta(), LONGEST_PAUSE)

    assert "due" == found.state
    assert max(pause * (1 - JITTER), asked) <= found.due_at - NOW <= max(pause * (1 + JITTER), asked)


@given(FAILURES, st.integers(len(PAUSES) + 1, 1000))
def test_after_the_last_try_it_has_failed(answer, tries):
    """Property: whatever is asked for; also where kills have used up tries."""
    assert "failed" == verdict(answer, tries, NOW, "").state


@given(st.integers(200, 299), st.integers(1, 1000))
def test_two_hundreds_are_done(status, tries):
    """Property: at any try."""
    assert "sent" == verdict(Answer(status), tries, NOW, "").state


def test_the_tries_go_over_days():
    """The first five within three hours, the rest over two days and a half, each pause at least as long as the one before."""
    assert sorted(PAUSES) == list(PAUSES)
    assert timedelta(hours=3) > timedelta(seconds=sum(PAUSES[:4]))
    assert timedelta(days=2.5) < timedelta(seconds=sum(PAUSES)) < timedelta(days=3)


def test_what_failed_together_does_not_come_back_together():
    """A hundred posts of one moment are spread over two fifths of the pause."""
    due = [verdict(Answer(500), 2, NOW, str(number)).due_at for number in range(100)]

    assert timedelta(seconds=PAUSES[1] * JITTER) < max(due) - min(due)


def test_gone_is_the_end_of_it():
    assert "failed" == verdict(Answer(GONE), 1, NOW, "").state


@pytest.mark.parametrize(
    "text, pause",
    [
        (None, None), ("", None), ("0", None), ("120", timedelta(minutes=2)), ("99999999999999999999", LONGEST_PAUSE), ("-5", None), ("1.5", None), ("soon", None),
        ("١٢", None), ("Wed, 25 Nov 2026 09:40:00 GMT", timedelta(minutes=10)), ("Wed, 25 Nov 2026 09:20:00 GMT", None), ("Fri, 25 Nov 2061 09:40:00 GMT", LONGEST_PAUSE),
        ("Wed, 25 Nov 2026 18:40:00 +0900", timedelta(minutes=10)), ("Wed, 99 Nov 2026 09:40:00 GMT", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(text, pause):
    """Never more than a day, never in the past."""
    assert pause == retry_after(text, NOW)


@given(st.text(max_size=40))
def test_any_retry_after_is_read(text):
    """Property: what a server may write there is a pause or nothing."""
    found = retry_after(text, NOW)

    assert found is None or timedelta() < found <= LONGEST_PAUSE


# --- health ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answers, waited, good, gone, lasting, paused",
    [
        ([Answer(500), Answer(200)], timedelta(), True, False, False, None),
        ([Answer(500), Answer(200)], LASTING, True, False, False, None),
        ([Answer(500)], timedelta(), False, False, False, None),
        ([Answer(error="nobody listens there")], LASTING, False, False, True, None),
        ([Answer(200), Answer(410)], timedelta(), True, True, False, None),
        (
            [Answer(429, retry_after=timedelta(hours=1)), Answer(503, retry_after=timedelta(hours=2))],
            timedelta(),
            False,
            False,
            False,
            timedelta(hours=2),
        ),
        ([Answer(500, retry_after=timedelta(hours=1)), Answer(429)], timedelta(), False, False, False, None),
        ([Answer(503, retry_after=timedelta(days=9))], timedelta(), False, False, False, LONGEST_PAUSE),
    ],
)
def test_what_answers_say_of_their_webhook(answers, waited, good, gone, lasting, paused):
    """Together: one success is a sign of life, 410 is said on purpose, Retry-After counts where it speaks of the whole system."""
    found = health([(one, NOW - waited) for one in answers], NOW)

    assert (good, gone, lasting, paused) == (found.good, found.gone, found.lasting, found.paused_until and found.paused_until - NOW)


# --- secrets and signatures ------------------------------------------------------------------------------------------------------------


@given(st.uuids(), st.uuids(), st.integers(1, 5), st.integers(1, 5))
def test_every_secret_is_another(one, other, first, second):
    """Property: by webhook, by generation and by installation; the same asked again is the same."""
    same = (one, first) == (other, second)

    assert same == (signing.secret(b"k", one, first) == signing.secret(b"k", other, second))
    assert signing.secret(b"k", one, first) != signing.secret(b"l", one, first)


@given(st.text(min_size=1, max_size=20), st.integers(1, 3))
def test_the_reference_believes_what_is_signed(text, generation):
    """Property: the library of Standard Webhooks reads any body and any secret of ours, and believes no other."""
    body, now = orjson.dumps({"text": text}), datetime.now(UTC)
    key = signing.secret(b"k", HOOK, generation)
    headers = signing.headers([key], "e1", now, body)

    assert {"text": text} == Webhook(key).verify(body, headers)
    with pytest.raises(Exception, match="signature"):
        Webhook(signing.secret(b"k", HOOK, generation + 1)).verify(body, headers)


@pytest.mark.parametrize(
    "generation, until, count", [(1, None, 1), (1, NOW + timedelta(1), 1), (2, None, 1), (2, NOW, 1), (2, NOW + timedelta(seconds=1), 2)]
)
def test_the_secret_before_signs_until_its_time_is_over(generation, until, count):
    """The first one has none before it."""
    found = signing.secrets(b"k", HOOK, generation, until, NOW)

    assert [signing.secret(b"k", HOOK, generation - place) for place in range(count)] == found


# --- what there is to hear of ----------------------------------------------------------------------------------------------------------

CHANGED = ConversationChanged(conversation_id=UUID(int=1), contact_id=CONTACT, change="escalated", at=NOW)
REACHED = GoalChanged(contact_id=CONTACT, change="reached", goal="order.placed", flow="f", step="s", until=NOW, at=NOW)


@pytest.mark.parametrize(
    "data, kind, personal",
    [
        (delivery("failed"), "delivery.failed", None), (CHANGED, "conversation.escalated", None), (consent(state="revoked"), "consent.revoked", CONTACT),
        (REACHED, "goal.reached", CONTACT),
    ],
)  # fmt: skip
def test_an_event_has_the_type_of_what_it_says(data, kind, personal):
    """And is remembered as a person's where it says more of them than an id."""
    found = told(event(data, "e1"), kind)

    assert kind == type_of(data)
    assert {kind, family_of(kind)} <= TYPES
    assert ("e1", personal, kind) == (found.id, found.personal, orjson.loads(found.body)["type"])


def test_what_is_not_for_others_has_no_type():
    """A link's code lets whoever has it count a click."""
    assert None is type_of(LinkMinted(contact_id=CONTACT, code="c", url="u", message_id=CONTACT, at=NOW))


@pytest.mark.parametrize(
    "types, said",
    [
        (["delivery.*", "delivery.failed", "webhook.disabled"], None), (["delivery.fialed"], "did you mean 'delivery.failed'?"), (["*"], "no type of event"),
        (["delivery.sent", "nonsense"], "'nonsense'"), (["webhook.test"], "no type of event"),
    ],
)  # fmt: skip
def test_a_type_that_there_is_not_is_said_with_what_was_meant(types, said):
    found = unknown(types)

    assert found == said or (said is not None and said in found)


def test_the_usual_types_are_types():
    assert None is unknown(kinds.USUAL)
