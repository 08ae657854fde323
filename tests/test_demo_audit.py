"""The audit: each of the three faults is found when it is there, whatever it is, and nothing else is called one."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.demo.audit import FINAL, judge, sent_twice, state_differences
from parley.demo.evidence import Consent, Delivery, Evidence
from parley.demo.witness import Tail, Witness, percentile
from parley.twin.ledger import Heard, Receipt, Request, Said, line_of
from parley.wire import caused_id, natural_id

ADDRESS, CONTACT, ACCOUNT = "+821012345678", natural_id("contact", "acme", "phone", "+821012345678"), "acme-sms"
ACCOUNTS = {"acme-sms": ("acme", "sms"), "acme-whatsapp": ("acme", "whatsapp")}
moments = st.floats(0, 1000)


def said(at, text="hi"):
    return Said(at, ACCOUNT, ADDRESS, f"SM{at}", text)


def heard(one, outcome="acknowledged", status=204):
    return Heard(one.at + 0.1, ACCOUNT, one.provider_id, outcome, 1, one.at, status)


def answer_to(one, place=0):
    """The id of a message that the router asks for when it hears this."""
    return caused_id(str(natural_id("message", ACCOUNT, one.provider_id)), place)


def request(number, at, text="hello", verdict="accepted", n=1, account=ACCOUNT):
    return Request(n, at, account, "twilio", verdict, 201, f"OUT{number}", ADDRESS, text, str(number))


def delivery(number, status="delivered", notice=None, purpose="reply", account=ACCOUNT):
    return Delivery(number, CONTACT, account, ACCOUNTS[account][1], ADDRESS, purpose, status, notice)


def told(number, status="delivered", outcome="acknowledged"):
    return Receipt(5.0, ACCOUNT, f"OUT{number}", str(number), status, outcome, 1, 204)


def story(*conversations):
    """What there is when each of these messages was taken, applied and answered, and nothing went wrong."""
    answers = [answer_to(one) for one in conversations]
    return Evidence(
        said=conversations,
        heard=[heard(one) for one in conversations],
        requests=[request(number, one.at + 0.5) for number, one in zip(answers, conversations, strict=True)],
        receipts=[told(number, status) for number in answers for status in ("sent", "delivered")],
        accounts=ACCOUNTS,
        seen=frozenset(natural_id("message", ACCOUNT, one.provider_id) for one in conversations),
        contacts={("acme", ADDRESS): CONTACT},
        received={CONTACT: len(conversations)},
        requested=frozenset(answers),
        deliveries={number: delivery(number) for number in answers},
    )


TWO = (said(1.0), said(2.0))
FIRST = answer_to(TWO[0])
GOOD = story(*TWO)


def changed(**changes):
    return judge(replace(GOOD, **changes))


def reasons(offences):
    return [one.reason for one in offences]


# --- lost --------------------------------------------------------------------------------------------------------------------------------


def test_where_all_is_well_nothing_is_found():
    """No false alarm."""
    assert judge(GOOD).clean
    assert judge(Evidence()).clean


LOST = {
    "ingest never saw a message": ({"seen": frozenset(list(GOOD.seen)[1:])}, "ingest has never seen it"),
    "the router applied one less": ({"received": {CONTACT: 1}}, "2 of 2 messages were acknowledged, the router has applied 1"),
    "the router applied one twice": ({"received": {CONTACT: 3}}, "2 of 2 messages were acknowledged, the router has applied 3"),
    "the router knows nobody": ({"received": {}}, "the router has applied 0"),
    "nobody has the address": ({"contacts": {}, "consents": ()}, "nobody has this address"),
    "a webhook was refused": ({"heard": [heard(TWO[0], "refused", 401), heard(TWO[1])]}, "refused (HTTP 401)"),
    "a webhook was given up": ({"heard": [heard(TWO[0], "given_up", 503), heard(TWO[1])]}, "given up (HTTP 503)"),
    "a webhook is not settled": ({"heard": [heard(TWO[1])]}, "not settled"),
    "sender has no delivery": ({"requested": GOOD.requested | {UUID(int=7)}}, "asked for on the bus, and sender has no delivery"),
    "a delivery is queued": ({"deliveries": {**GOOD.deliveries, UUID(int=7): delivery(UUID(int=7), "queued")}}, "not come to an end: queued"),
    "a call is under way": ({"deliveries": {**GOOD.deliveries, UUID(int=7): delivery(UUID(int=7), "calling")}}, "not come to an end: calling"),
    "the provider never took it": ({"deliveries": {**GOOD.deliveries, UUID(int=7): delivery(UUID(int=7), "sent")}}, "the provider never took it"),
    "another account took it": ({"deliveries": {**GOOD.deliveries, FIRST: delivery(FIRST, account="acme-whatsapp")}}, "the provider never took it"),
    "it left though it should not": ({"deliveries": {**GOOD.deliveries, FIRST: delivery(FIRST, "suppressed")}}, "suppressed, and the provider took it"),
    "a receipt had no effect": ({"deliveries": {**GOOD.deliveries, FIRST: delivery(FIRST, "sent")}}, "'delivered' was acknowledged"),
    "a failure is not known": ({"receipts": [told(FIRST, "failed")], "deliveries": {**GOOD.deliveries, FIRST: delivery(FIRST, "sent")}}, "'failed'"),
    "a receipt belongs to nothing": ({"receipts": [*GOOD.receipts, told(UUID(int=9))]}, "there is no delivery that it belongs to"),
}  # fmt: skip


@pytest.mark.parametrize("case", LOST)
def test_what_was_lost_is_found(case):
    """Each link of the chain, when it alone is missing."""
    changes, reason = LOST[case]

    assert any(reason in one for one in reasons(changed(**changes).lost))
    assert not changed(**changes).clean


@given(st.integers(1, 6).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))))
def test_one_missing_message_among_many_is_found(which):
    """Whichever of them it is; and it alone."""
    size, missing = which
    whole = story(*(said(float(at)) for at in range(size)))
    number = natural_id("message", ACCOUNT, whole.said[missing].provider_id)

    assert [f"customer's message SM{float(missing)} on {ACCOUNT}"] == [one.what for one in judge(replace(whole, seen=whole.seen - {number})).lost]


@given(st.sampled_from(["queued", "calling", *sorted(FINAL)]))
def test_only_final_statuses_end_a_request(status):
    """A message that nobody will try again is at its end, whatever the end."""
    number = UUID(int=7)
    evidence = Evidence(
        accounts=ACCOUNTS, requested=frozenset([number]), deliveries={number: delivery(number, status)},
        requests=[request(number, 1.0)] if status in ("sent", "delivered", "read") else [],
    )  # fmt: skip

    assert (status in FINAL) == judge(evidence).clean


def test_a_message_that_hung_is_unknown_and_no_fault():
    """The provider took it and did not say so: counted, not called lost or sent twice."""
    found = changed(requests=[request(FIRST, 1.5, verdict="hung"), GOOD.requests[1]], receipts=[], deliveries={FIRST: delivery(FIRST, "unknown")} | {
        number: one for number, one in GOOD.deliveries.items() if number != FIRST})  # fmt: skip

    assert (True, [FIRST]) == (found.clean, found.unknown)


# --- sent twice --------------------------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["a", "b"]), st.sampled_from(["accepted", "hung", "replayed", "throttled", "failed"]))))
def test_sent_twice_is_the_same_content_taken_more_than_once(calls):
    """Only what the customer has counts: replays, refusals and failures are none, parts of one message are none."""
    found = list(sent_twice([request(UUID(int=number), 1.0, text, verdict) for number, text, verdict in calls]))
    taken = Counter((number, text) for number, text, verdict in calls if verdict in ("accepted", "hung"))

    assert sorted(times for times in taken.values() if times > 1) == sorted(int(one.reason.split()[-2]) for one in found)


# --- sent after STOP ---------------------------------------------------------------------------------------------------------------------


def stopped(message_at, start_at=None, told_at=2.0, purpose="reply", text="STOP", consents=()):
    """STOP at 1, its answer at `told_at`, START at `start_at`, and a message of ours at `message_at`."""
    stop, number = said(1.0, text), UUID(int=5)
    words = [stop, *([said(start_at, "start")] if start_at is not None else [])]
    answers = {answer_to(one, 3): notice for one, notice in zip(words, ("opted_out", "opted_in"), strict=False)}
    sent = [request(answer_to(stop, 3), told_at, "bye"), request(number, message_at, "buy!")]
    deliveries = {number: delivery(number, purpose=purpose)} | {one: delivery(one, notice=notice) for one, notice in answers.items()}
    return judge(replace(story(*words), requests=sent, receipts=[], deliveries=deliveries, requested=frozenset(), consents=consents)).sent_after_stop


@given(message_at=moments, start_at=st.none() | st.floats(1.5, 1000), told_at=st.floats(1.1, 1000))
def test_out_is_from_the_answer_to_stop_until_start(message_at, start_at, told_at):
    """Whatever the times: a message between the two is found, any other is not."""
    out = told_at < message_at < (start_at if start_at is not None else float("inf"))

    assert out == bool(stopped(message_at, start_at, told_at))


def test_stop_is_known_in_every_spelling():
    """The words are those that the router knows."""
    assert [1, 1] == [len(stopped(9.0, text=word)) for word in ("수신거부", "unsubscribe.")]


def test_the_answers_that_the_law_asks_for_do_not_count():
    """A second answer after the first is a notice, not a message."""
    stop, again = said(1.0, "STOP"), UUID(int=6)
    deliveries = {answer_to(stop, 3): delivery(answer_to(stop, 3), notice="opted_out"), again: delivery(again, notice="help")}
    sent = [request(answer_to(stop, 3), 2.0), request(again, 9.0)]

    assert [] == list(judge(replace(story(stop), requests=sent, receipts=[], deliveries=deliveries)).sent_after_stop)


def test_an_answer_that_comes_after_start_takes_nothing_back():
    """Both words were quicker than the first answer: who has said START is in, though the answer to STOP came later."""
    assert not stopped(9.0, start_at=3.0, told_at=5.0)


@pytest.mark.parametrize("at, purpose, offences", [(11.9, "marketing", 0), (12.1, "marketing", 1), (12.1, "reply", 0)])
def test_a_refusal_without_an_answer_holds_two_seconds_after_sender_knew_it(at, purpose, offences):
    """For its own purpose alone."""
    number = UUID(int=5)
    refusal = Consent(CONTACT, "sms", "marketing", "revoked", datetime.fromtimestamp(10.0, UTC))
    evidence = replace(
        story(said(1.0)), requests=[request(number, at)], receipts=[], deliveries={number: delivery(number, purpose=purpose)},
        requested=frozenset(), consents=[refusal],
    )  # fmt: skip

    assert offences == len(judge(evidence).sent_after_stop)


def test_stop_on_one_channel_does_not_close_the_other():
    """An address is out where it said so."""
    number, stop = UUID(int=5), said(1.0, "STOP")
    deliveries = {answer_to(stop, 3): delivery(answer_to(stop, 3), notice="opted_out"), number: delivery(number, account="acme-whatsapp")}
    sent = [request(answer_to(stop, 3), 2.0), request(number, 9.0, account="acme-whatsapp")]

    assert [] == list(judge(replace(story(stop), requests=sent, receipts=[], deliveries=deliveries)).sent_after_stop)


# --- states, the witness -----------------------------------------------------------------------------------------------------------------


def contact(**state):
    conversation = {"id": "c1", "opened_at": "2026-01-01T00:00:00Z", "last_at": "2026-01-01T00:00:01Z", "waiting": True}
    conversation |= {"promised": {"token": "p1", "due": "2026-01-01T00:30:00Z"}}
    consents = {"sms:reply": {"state": "granted", "at": "2026-01-01T00:00:00Z"}}
    return {CONTACT: {"status": "waiting", "state": {"received": 2, "conversation": conversation, "consents": consents, **state}}}


def test_states_differ_by_anything_but_times():
    """Times are left out, everything else is compared, and the difference says where."""
    later = {"id": "c1", "opened_at": "2027-01-01T00:00:00Z", "last_at": "2027-01-01T00:00:01Z", "waiting": True}
    later |= {"promised": {"token": "p1", "due": "2027-01-01T00:30:00Z"}}
    agreed = {"sms:reply": {"state": "granted", "at": "2027-01-01T00:00:00Z"}}

    assert [] == state_differences(contact(), contact(conversation=later, consents=agreed))
    assert [f"contact {CONTACT}: state.received is 2 in the first run and 3 in the second"] == state_differences(contact(), contact(received=3))
    assert [f"contact {CONTACT}: state.conversation.id is 'c1' in the first run and 'c2' in the second"] == state_differences(
        contact(), contact(conversation={**later, "id": "c2"})
    )
    assert [f"contact {CONTACT}: state.conversation.promised.token is 'p1' in the first run and 'p2' in the second"] == state_differences(
        contact(), contact(conversation={**later, "promised": {"token": "p2", "due": "2027-01-01T00:30:00Z"}})
    )
    assert [f"contact {CONTACT}: only in the first run"] == state_differences(contact(), {})


@pytest.mark.parametrize(("first", "second", "differ"), [
    ({"runs": [{"flow": "f", "due": "2027-01-01T00:00:00Z"}]}, {"runs": [{"flow": "f", "due": "2027-01-01T00:00:01Z"}]}, False),
    ({"runs": [{"flow": "f", "due": "2027-01-01T00:00:00Z"}]}, {"runs": [{"flow": "g", "due": "2027-01-01T00:00:00Z"}]}, True),
    ({"goals": [{"event": "e", "since": "2027-01-01T00:00:00Z"}]}, {"goals": [{"event": "e", "since": "2027-01-01T00:00:01Z"}]}, False),
    ({"happened": {"e": ["2027-01-01T00:00:00Z"]}}, {"happened": {"e": ["2027-01-01T00:00:01Z"]}}, False),
    ({"happened": {"message.clicked": ["2027-01-01T00:00:00Z"]}}, {}, False),
    ({"happened": {"e": ["2027-01-01T00:00:00Z"]}}, {"happened": {"e": ["2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z"]}}, True),
    ({"begun": {"f": "2027-01-01T00:00:00Z"}}, {"begun": {"f": "2027-01-01T00:00:01Z"}}, False),
    ({"begun": {"f": "2027-01-01T00:00:00Z"}}, {}, True),
])  # fmt: skip
def test_what_waits_differs_by_anything_but_times(first, second, differ):
    """What waits, what happened and what is watched for is compared, but not when."""
    assert differ is bool(state_differences(contact(**first), contact(**second)))


@given(st.permutations(range(6)))
def test_the_witness_does_not_mind_the_order_of_the_ledger(order):
    """An answer may stand before the end of the webhook that caused it: received, answered and the time between are the same."""
    first, second = TWO
    entries = [*TWO, heard(first), heard(second), request(answer_to(first, 1), 1.25), request(answer_to(first, 2), 1.5)]
    witness = Witness()
    for entry in sorted(entries, key=lambda one: (one.kind != "said", order[entries.index(one)] if one.at != 1.5 else 9)):
        witness.apply(entry)

    assert (2, 1, [0.25]) == (witness.received[ACCOUNT], witness.answered[ACCOUNT], witness.latencies[ACCOUNT])


def test_a_tail_reads_whole_lines_once(tmp_path):
    """What is being written is read when it is whole."""
    path = tmp_path / "ledger.jsonl"
    tail, line = Tail(path), line_of(TWO[0])
    found = [tail.news()]
    for part in (line, line[:9], line[9:] + line_of(heard(TWO[0]))):
        with path.open("ab") as file:
            file.write(part)
        found.append(tail.news())

    assert [[], [TWO[0]], [], [TWO[0], heard(TWO[0])]] == found


@given(st.lists(moments, min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_a_value_that_the_share_does_not_exceed(values, share):
    """The nearest rank."""
    found = percentile(values, share)

    assert found in values
    assert sum(one <= found for one in values) >= share * len(values) > sum(one < found for one in values)
