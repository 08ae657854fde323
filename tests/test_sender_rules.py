"""The rules of sender, with values alone: statuses, the gate, the pace, whose turn it is, links, what the end of a call means."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.channels.shape import Account
from parley.channels.text import storable
from parley.config import Config, Tenant
from parley.contracts import Card, Channel, ConsentState, Content, DeliveryStatus, Envelope, MessageRequested, Purpose, ReceiptStatus
from parley.failures import Outcome
from parley.policies import Cap, Policies, Policy
from parley_sender import packs
from parley_sender.accept import accepted
from parley_sender.gate import LOOK, SETTLING, Candidate, Consent, Drop, Go, Hold, Rules, capped, gate
from parley_sender.law import Law
from parley_sender.links import LENGTH, code, tracked
from parley_sender.outcome import LONGEST_ID, LONGEST_WORD, Finished, doubtful, kept, of_parts, settled
from parley_sender.status import RANK, TOLD, Told, moved
from tests.conftest import CONFIG

T0 = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
MESSAGE = UUID(int=7)
KEYS, NO_KEYS = (Account("a", "acme", "plain", Channel.INAPP, "acme", honours_keys=one) for one in (True, False))


# --- statuses --------------------------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(sorted(set(TOLD.values()))), max_size=5))
def test_no_order_of_receipts_gives_another_end(told):
    """Whatever the order, cutting and repetition, a delivery ends where the highest of its receipts is, and never goes back."""

    def end(order: tuple[DeliveryStatus, ...]) -> str:
        status: str = DeliveryStatus.SENT
        for one in order:
            step = moved(status, [Told(one, None)])
            assert step is None or RANK[step.status] > RANK[status]
            status = step.status if step else status
        return status

    at_once = moved(DeliveryStatus.SENT, [Told(one, None) for one in told])

    assert {at_once.status if at_once else DeliveryStatus.SENT} == {end(order) for order in permutations(told)}


@pytest.mark.parametrize("status", [DeliveryStatus.SUPPRESSED, DeliveryStatus.EXPIRED])
def test_what_never_left_is_not_delivered(status):
    """No receipt moves what was suppressed."""
    assert moved(status, [Told(DeliveryStatus.READ, None)]) is None


def test_every_word_of_a_receipt_is_decided():
    """Those without a meaning for a status are named here."""
    assert {ReceiptStatus.QUEUED, ReceiptStatus.DEFERRED, ReceiptStatus.UNKNOWN} == set(ReceiptStatus) - set(TOLD)


# --- the gate --------------------------------------------------------------------------------------------------------------------------

ADS = Rules(needs_consent=True)
YES, NO, NOT_YET = (Consent(state, T0 - timedelta(days=700)) for state in (ConsentState.GRANTED, ConsentState.REVOKED, ConsentState.PENDING))
HOUR = timedelta(hours=1)


def candidate(purpose: Purpose = Purpose.REPLY, **more: object) -> Candidate:
    return replace(Candidate(uuid4(), uuid4(), "acme", purpose, Channel.SMS, "+821012345678", 1, T0), **more)


@pytest.mark.parametrize("before, wanted", [(6, None), (5, 8), (0, 8)])
def test_nobody_has_leave_beyond_the_open_hours(before, wanted):
    """What may leave for five seconds is let go up to five seconds before the hours end, and else in the morning."""
    account = Account("a", "acme", "plain", Channel.SMS, "acme")
    law = Law(Config({"acme": Tenant("acme", ZoneInfo("Asia/Seoul"), ("ko",))}, {"a": account}), Policies(), packs.load())
    now = datetime(2026, 11, 25, 21, tzinfo=ZoneInfo("Asia/Seoul")) - timedelta(seconds=before)
    rules, _ = law.of(candidate(Purpose.MARKETING), account, now)

    assert wanted == (rules.opens_at and rules.opens_at.astimezone(ZoneInfo("Asia/Seoul")).hour)


def test_what_was_called_back_leaves_no_more():
    """Whatever else speaks for it."""
    asked = [candidate(called_back=True), candidate(called_back=True, notice="opted_out"), candidate(called_back=True, expires_at=T0)]

    assert [Drop(DeliveryStatus.SUPPRESSED, "cancelled")] * 3 == [gate(one, Rules(), T0) for one in asked]


@pytest.mark.parametrize("purpose", Purpose)
def test_nothing_leaves_after_a_stop_but_its_answer(purpose):
    """A revoked consent suppresses every purpose; the legally required answer passes."""
    asked = candidate(purpose, consent=NO)

    assert Drop(DeliveryStatus.SUPPRESSED, "opted_out") == gate(asked, Rules(), T0)
    assert Go() == gate(replace(asked, notice="opted_out"), Rules(), T0)


def test_marketing_needs_a_yes():
    """Without one it waits a moment for a consent that is on its way, then it is suppressed; a reply needs none."""
    asked = candidate(Purpose.MARKETING)

    assert Hold(T0 + LOOK) == gate(asked, ADS, T0)
    assert Drop(DeliveryStatus.SUPPRESSED, "no_consent") == gate(asked, ADS, T0 + SETTLING)
    assert Go() == gate(replace(asked, consent=YES), ADS, T0)
    assert Drop(DeliveryStatus.SUPPRESSED, "no_consent") == gate(replace(asked, consent=NOT_YET), ADS, T0 + SETTLING)
    assert Go() == gate(candidate(Purpose.REPLY), Rules(), T0)


def test_a_yes_is_over_when_nobody_confirmed_it():
    """Two years in Korea: to the moment."""
    asked, rules = candidate(Purpose.MARKETING, consent=YES), Rules(needs_consent=True, consent_lives=timedelta(days=700))

    assert Drop(DeliveryStatus.SUPPRESSED, "consent_not_confirmed") == gate(asked, rules, T0)
    assert Go() == gate(asked, rules, T0 - timedelta(microseconds=1))


def test_what_is_too_late_does_not_leave():
    """Not even a notice."""
    assert Drop(DeliveryStatus.EXPIRED, "expired") == gate(candidate(expires_at=T0, notice="help"), Rules(), T0)


def test_the_night_is_waited_for_no_longer_than_the_message_lives():
    """Then it is looked at once more, and expires."""
    night = Rules(opens_at=T0 + 9 * HOUR)

    assert Hold(T0 + 9 * HOUR, "quiet_hours") == gate(candidate(), night, T0)
    assert Hold(T0 + HOUR, "quiet_hours") == gate(candidate(expires_at=T0 + HOUR), night, T0)


@pytest.mark.parametrize(
    "wrote, templated, goes",
    [(None, False, False), (None, True, True), (T0 - 25 * HOUR, False, False), (T0 - 23 * HOUR, False, True), (T0 - 24 * HOUR, False, False)],
)
def test_free_text_waits_for_the_customer_to_write(wrote, templated, goes):
    """Where the provider has a window: 24 hours after their last word; a template passes."""
    verdict = gate(candidate(wrote_at=wrote, templated=templated), Rules(window=24 * HOUR), T0)

    assert goes == isinstance(verdict, Go)
    assert goes or "window_closed" == verdict.reason


@given(st.lists(st.timedeltas(timedelta(0), timedelta(days=9)), max_size=12), st.integers(0, 3), st.integers(1, 4), st.integers(1, 8))
def test_a_cap_is_never_passed(ago, before, a_day, a_week):
    """Whoever goes makes no window of either cap fuller than it allows, and leaves the slots that higher priorities want."""
    caps = (Cap(Purpose.MARKETING, timedelta(days=1), a_day), Cap(Purpose.MARKETING, timedelta(days=7), a_week))
    times = [T0 - one for one in ago]
    verdict = capped(times, caps, before, T0)
    free = [cap.most - sum(one > T0 - cap.window for one in times) for cap in caps]

    assert isinstance(verdict, Go) == all(one > before for one in free)
    assert isinstance(verdict, Drop) == any(one <= 0 for one in free)


# --- links -----------------------------------------------------------------------------------------------------------------------------


def test_links_are_replaced_and_the_sentence_stays():
    """Also where a Korean particle or a full stop follows at once; our own links stay as they are."""
    text = "보기: https://a.example/x?y=1을 (http://b.example). https://p.example/l/abc"
    short, links = tracked(text, MESSAGE, b"s", "https://p.example")
    first, second = code(b"s", MESSAGE, 0), code(b"s", MESSAGE, 1)

    assert {first: "https://a.example/x?y=1", second: "http://b.example"} == links
    assert f"보기: https://p.example/l/{first}을 (https://p.example/l/{second}). https://p.example/l/abc" == short


@given(st.uuids(), st.uuids(), st.integers(0, 3))
def test_codes_differ_by_message_and_secret(one, other, place):
    """The same asked again is the same; nothing else is."""
    assert code(b"s", one, place) == code(b"s", one, place)
    assert (one == other) == (code(b"s", one, place) == code(b"s", other, place))
    assert code(b"t", one, place) != code(b"s", one, place)
    assert len(code(b"s", one, place)) == LENGTH


# --- the end of a call -----------------------------------------------------------------------------------------------------------------


def finished(kind: str | None, failures: int = 0, purpose: Purpose = Purpose.REPLY, **more: object) -> Finished:
    outcome = Outcome(kind, **more) if kind else None
    return Finished(MESSAGE, purpose, failures + 1, failures, 0, outcome, T0, T0)


@pytest.mark.parametrize(
    "call, account, status, failures",
    [
        (finished("accepted"), NO_KEYS, DeliveryStatus.SENT, 0),
        (finished("permanent", code="21211"), NO_KEYS, DeliveryStatus.FAILED, 0),
        (finished("opted_out"), NO_KEYS, DeliveryStatus.FAILED, 0),
        (finished("permanent", scope="account"), NO_KEYS, DeliveryStatus.QUEUED, 1),
        (finished("transient"), NO_KEYS, DeliveryStatus.QUEUED, 1),
        (finished("transient", failures=4), NO_KEYS, DeliveryStatus.FAILED, 5),
        (finished("throttled", failures=3), NO_KEYS, DeliveryStatus.QUEUED, 3),
        (finished("unknown"), NO_KEYS, DeliveryStatus.UNKNOWN, 0),
        (finished("unknown"), KEYS, DeliveryStatus.QUEUED, 1),
        (finished("unknown", failures=4), KEYS, DeliveryStatus.UNKNOWN, 5),
        (finished(None, failures=2), NO_KEYS, DeliveryStatus.QUEUED, 2),
    ],
)
def test_the_end_of_a_call(call, account, status, failures):
    """Which status follows, and whether it counts against the schedule."""
    after = settled(call, account, T0, Policy("acme"))

    assert (status, failures) == (after.status, after.failures)


def test_who_had_rather_be_told_twice_is():
    """Where the tenant's policy says so, what is in doubt is sent once more, by the schedule; where the provider can be asked, it is asked first."""
    again, silent = Policy("acme", unknown=dict.fromkeys(Purpose, "resend")), replace(NO_KEYS, provider="telegram")

    assert (DeliveryStatus.QUEUED, 1) == ((after := settled(finished("unknown"), silent, T0, again)).status, after.failures)
    assert DeliveryStatus.UNKNOWN == settled(finished("unknown"), NO_KEYS, T0, again).status
    assert (DeliveryStatus.QUEUED, DeliveryStatus.UNKNOWN) == (doubtful(silent, "resend"), doubtful(NO_KEYS, "resend"))


def test_a_pause_that_is_asked_for_is_kept():
    """Of a 429 as of an outage."""
    for kind in ("throttled", "transient"):
        assert settled(finished(kind, retry_after=timedelta(minutes=9)), NO_KEYS, T0, Policy("acme")).due_at >= T0 + timedelta(minutes=9)


def test_a_doubtful_call_is_repeated_only_under_a_key_that_counts():
    """Else nobody knows, and nobody sends again."""
    assert (DeliveryStatus.QUEUED, DeliveryStatus.UNKNOWN) == (doubtful(KEYS), doubtful(NO_KEYS))


def test_parts_end_as_the_last_one_made():
    """Under the provider's id of the first."""
    assert Outcome("transient", "503", provider_id="SM1") == of_parts([Outcome("accepted", provider_id="SM1"), Outcome("transient", "503")])


texts = st.none() | st.text(st.characters(), max_size=1500)


@given(texts, texts, texts, st.none() | st.timedeltas())
def test_whatever_a_provider_answers_can_be_kept(code, reason, provider_id, pause):
    """Texts as PostgreSQL and JSON hold them, an id whole or not at all, and a pause that ends; what was in order stays as it was."""
    found = kept(Outcome("transient", code, reason or "", provider_id, pause))
    said = "".join(one or "" for one in (found.code, found.reason, found.provider_id))

    assert "\0" not in said and len(said.encode()) <= 4 * 2 * LONGEST_WORD + LONGEST_ID
    assert found.provider_id in (None, "", storable(provider_id or ""))
    assert T0 + (found.retry_after or timedelta(0)) >= T0
    assert found == kept(found)


# --- taking a request ------------------------------------------------------------------------------------------------------------------


PACKS = packs.load()


@pytest.fixture(scope="module")
def config():
    from parley import config as configuration

    names = ("CHAT_SECRET", "TWILIO_SID", "TWILIO_TOKEN", "META_APP_SECRET", "META_ACCESS_TOKEN", "META_VERIFY_TOKEN", "KEY_SHOP", "KEY_STAFF")
    return configuration.load(CONFIG, {**{f"ACME_{one}": "x" for one in names}, "ACME_APP_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})


def taken(config, tenant: str = "acme", **more: object):
    request = MessageRequested(**{"contact_id": uuid4(), "message_id": MESSAGE, "purpose": "reply", "content": Content(text="hi"), **more})
    event = Envelope(id="e", source="test", time=T0, tenant=tenant, data=request)
    return accepted(event, request, Law(config, Policies(), PACKS), b"s", "https://p.example")


def test_a_message_goes_the_first_way_there_is(config):
    """The named account, else the first channel that the contact and the tenant both have."""
    both = {Channel.SMS: "+821012345678", Channel.WHATSAPP: "+821012345678"}

    assert "acme-whatsapp" == taken(config, account="acme-whatsapp", addresses=both).lane
    assert "acme-sms" == taken(config, channels=("telegram", "sms"), addresses=both).lane
    assert "acme-sms" == taken(config, account="gone", channels=("sms",), addresses=both).lane


def test_without_a_way_it_is_suppressed(config):
    """Also where the account is another tenant's: that one must not be used, nor seen."""
    for request in (taken(config, channels=("email",), addresses={Channel.EMAIL: "a@b.example"}),
                    taken(config, "other", account="acme-sms", channels=("sms",), addresses={Channel.SMS: "+821012345678"})):  # fmt: skip
        assert (DeliveryStatus.SUPPRESSED, "no_route") == (request.status, request.reason)


def test_links_are_tracked_for_campaigns_alone(config):
    """And the price is that of the text as it leaves."""
    common = {"channels": ("sms",), "addresses": {Channel.SMS: "+821012345678"}, "content": Content(text="see https://a.example/" + "x" * 200)}
    plain, campaign = taken(config, **common), taken(config, **common, campaign="c", purpose="marketing")

    assert ({}, 2) == (plain.links, plain.units)
    assert (["https://a.example/" + "x" * 200], 1) == (list(campaign.links.values()), campaign.units)


def test_links_of_cards_are_tracked(config):
    """Each card's link is one more of the message's, in order, beside those of the text."""
    cards = (Card(title="Tea", url="https://a.example/tea"), Card(title="None"), Card(title="Cup", url="https://a.example/cup"))
    content = Content(text="see https://a.example", cards=cards)
    found = taken(config, channels=("sms",), addresses={Channel.SMS: "+821012345678"}, content=content, campaign="c", purpose="marketing")

    assert ["https://a.example", "https://a.example/tea", "https://a.example/cup"] == list(found.links.values())
    assert [list(found.links)[1], "", list(found.links)[2]] == [(one.url or "").rpartition("/")[2] for one in found.content.cards]
