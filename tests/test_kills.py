"""The kill test, short: services and servers are killed while customers write, and nothing is lost or sent twice. The long one is `make chaos`."""

import asyncio
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.demo.evidence import Delivery, Evidence
from parley.settings import Settings
from parley.twin.behaviour import Behaviour, receipts
from parley.twin.ledger import Receipt, Request
from tests.chaos.faults import AWAY, CALM, LAST_RECEIPT, PROCESSES, USUAL, faults, moods
from tests.chaos.playing import CONFIG, PARTITIONS, Aftermath, Calls, plan, play
from tests.chaos.verdict import calls_after_doubt, doubts, judge
from tests.chaos.words import faults_told

SEED, KILLS, CUSTOMERS, SECONDS = 19, 6, 40, 16.0
"""With this seed the sender is killed while the provider takes messages and does not answer."""
ONE, CONTACT = UUID(int=1), UUID(int=2)
seeds = st.integers(0, 10**6)


def say(progress):
    print(progress, file=sys.stderr)  # noqa: T201


@pytest.fixture(scope="module")
def untouched(stack, tmp_path_factory):
    """The reference: the same customers with nobody in their way, on the servers of the whole run, in a database and topics of its own."""
    name = f"untouched_{uuid4().hex[:12]}"

    async def run(statement):
        connection = await asyncpg.connect(stack.database)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(run(f"CREATE DATABASE {name}"))
    database = f"{stack.database.rpartition('/')[0]}/{name}"
    settings = Settings(kafka=stack.kafka, database=database, config=CONFIG, prefix=f"{name}.", partitions=PARTITIONS)
    whole = plan(SEED, KILLS, CUSTOMERS, True, SECONDS)
    yield asyncio.run(play(whole.untouched, tmp_path_factory.mktemp("untouched"), say, settings))
    asyncio.run(run(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.mark.kills
@pytest.mark.stack
@pytest.mark.parametrize("honour_keys", [True, False])
def test_nothing_is_lost_or_sent_twice_whatever_is_killed(untouched, honour_keys):
    """With keys a doubtful call is made again and is the same; without, it is never made again, and counted as unknown until a receipt settles it."""
    whole = plan(SEED, KILLS, CUSTOMERS, honour_keys, SECONDS)
    with tempfile.TemporaryDirectory(prefix="parley-", ignore_cleanup_errors=True) as folder:  # not pytest's: see the fixture `stack`
        outcome = judge(whole, untouched, asyncio.run(play(whole, Path(folder), say)))
    found = outcome.as_json()

    assert (0, 0, 0, 0) == (found["lost"], found["twice"], found["sent_after_stop"], found["state_differences"]), "\n".join(faults_told(outcome))
    assert dict.fromkeys(PROCESSES, 1) == found["sigkill"]
    assert found["doubtful"]["messages"] > 0
    assert outcome.good, "\n".join(faults_told(outcome))


@given(seed=seeds, count=st.integers(8, 60), span=st.floats(10, 600))
def test_everything_is_killed_and_both_servers_are_restarted(seed, count, span):
    """A schedule of eight faults or more holds every one of them, each within the span and in order."""
    found = faults(seed, count, span)

    assert set(PROCESSES) == {one.process for one in found if one.kill}
    assert {"kafka", "postgres"} <= {one.process for one in found if not one.kill}
    assert count == len(found) and list(found) == sorted(found, key=lambda one: one.at)
    assert sum(one.process == "sender" for one in found) >= count // 9
    assert all(0 <= one.at <= span + 0.01 and AWAY[one.process][0] <= one.away <= AWAY[one.process][1] for one in found)


@given(seed=seeds, count=st.integers(1, 5))
def test_few_faults_strike_the_senders_first(seed, count):
    """Whoever says fewer than six gets SIGKILLs of those through which a message goes."""
    assert set(PROCESSES[:count]) == {one.process for one in faults(seed, count, 60) if one.kill}


@given(seed=seeds, span=st.floats(0, 600))
def test_a_schedule_is_a_function_of_its_seed(seed, span):
    """The same seed strikes the same at the same time; another one differs."""
    assert (faults(seed, 12, span), moods(seed, span)) == (faults(seed, 12, span), moods(seed, span))
    assert faults(seed, 12, 60) != faults(seed + 1, 12, 60)


@given(seed=seeds, span=st.floats(0, 600))
def test_the_provider_calms_down_at_the_end(seed, span):
    """Its last mood is calm, every one is a behaviour that the twin knows, and no receipt comes later than is waited for."""
    found = moods(seed, span)

    assert CALM == found[-1].behaviour
    assert max(due.after for due in receipts(Behaviour(**USUAL), seed, "acme-whatsapp", "any", True)) <= LAST_RECEIPT
    assert all(Behaviour(**one.behaviour) for one in found)
    assert list(found) == sorted(found, key=lambda one: one.at)


def test_customers_come_as_long_as_faults_strike():
    """Their scripts are those of the untouched run."""
    whole = plan(7, 20, 100, True)

    assert 100 < max(one.begins for one in whole.customers) < 120
    assert [one.steps for one in plan(7, 20, 100, False).untouched.customers] == [one.steps for one in whole.customers]


def request(n, verdict="accepted", status=201):
    return Request(n, float(n), "acme-sms", "twilio", verdict, status, f"OUT{n}", "+15", "hello", str(ONE), str(ONE))


def told(status="delivered"):
    return Receipt(5.0, "acme-sms", "OUT1", str(ONE), status, "acknowledged", 1, 204)


def evidence(status, requests, receipts=()):
    delivery = Delivery(ONE, CONTACT, "acme-sms", "sms", "+15", "reply", status)
    return Evidence(requests=requests, receipts=receipts, deliveries={ONE: delivery})


HUNG, DROPPED = request(1, "hung", None), request(1, "failed", None)
SEEN, UNSEEN = Calls(1, 1, {1: "unknown"}), Calls(1, 1, {})


@pytest.mark.parametrize(
    "status, requests, receipts, calls, where",
    [
        ("delivered", [request(1)], [told()], Calls(1, 1, {1: "accepted"}), None),
        ("unknown", [HUNG], [], SEEN, "unknown"),
        ("unknown", [], [], UNSEEN, "unknown"),
        ("unknown", [DROPPED], [], SEEN, "unknown"),
        ("delivered", [HUNG], [told()], SEEN, "settled"),
        ("delivered", [request(1)], [told()], UNSEEN, "settled"),
        ("sent", [HUNG], [], SEEN, "uncounted"),
        ("sent", [request(1)], [], UNSEEN, "uncounted"),
        ("suppressed", [HUNG], [], SEEN, "uncounted"),
        ("sent", [request(1), request(2, "replayed")], [], Calls(1, 1, {1: "accepted"}), "uncounted"),
    ],
)
def test_a_message_in_doubt_is_unknown_or_settled_by_proof(status, requests, receipts, calls, where):
    """Whatever else its delivery says is a fault; a call that was never begun by us is one, too."""
    found = doubts(evidence(status, requests, receipts), {str(ONE): calls}, honour_keys=False)

    assert ({where: 1} if where else {}) == {name: len(one) for name in ("unknown", "settled", "uncounted") if (one := getattr(found, name))}
    assert not found.resent


@pytest.mark.parametrize(
    "requests, calls, after",
    [
        ([request(1)], Calls(1, 1, {1: "accepted"}), None),
        ([request(1, "failed", 500), request(2)], Calls(2, 1, {1: "transient", 2: "accepted"}), None),
        ([request(1, "throttled", 429), request(2)], Calls(2, 1, {1: "throttled"}), 0),
        ([HUNG, request(2)], Calls(2, 1, {1: "unknown", 2: "accepted"}), 1),
        ([request(1), request(2)], Calls(3, 1, {2: "transient", 3: "accepted"}), 2),
    ],
)
def test_calls_after_a_doubtful_one_are_counted(requests, calls, after):
    """Doubtful is what was not answered, and a call whose end sender never saw."""
    assert after == calls_after_doubt(requests, calls)


def test_what_differs_makes_the_outcome_bad():
    """A run is good only if states agree, nothing ended by itself, and the reference itself was clean."""
    whole = plan(1, 6, 20, False)
    quiet = Aftermath(Evidence(), {CONTACT: {"status": "bot", "state": {"received": 2}}}, {}, 1.0)
    other = replace(quiet, states={CONTACT: {"status": "bot", "state": {"received": 3}}})
    resent = replace(quiet, evidence=evidence("unknown", [HUNG, request(2)]), calls={str(ONE): Calls(2, 1, {1: "unknown", 2: "accepted"})})

    assert judge(whole, quiet, quiet).good
    assert not judge(whole, quiet, other).good and not judge(whole, quiet, replace(quiet, ended=("sender ended",))).good
    assert not judge(whole, quiet, resent).good and not judge(whole, replace(quiet, restless="open"), quiet).good
    assert "received is 2 in the first run and 3 in the second" in "\n".join(faults_told(judge(whole, quiet, other)))
