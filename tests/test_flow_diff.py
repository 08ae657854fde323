"""`parley flow diff` and what it needs: recorded events, both versions on them, and only what customers would tell apart counts."""

import stat
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley import wire
from parley.bus import Bus
from parley.contracts import Envelope, MessageMisunderstood
from parley.yamlfile import ConfigError
from parley_router.state import ContactState, Wanted
from parley_router.tools import comparing, recording, sources, telling
from parley_router.tools.rehearsal import Answer, Rehearsal
from tests.test_cli import parley
from tests.test_flow_test import EXAMPLES, write

SEOUL = ZoneInfo("Asia/Seoul")
BEGUN = datetime(2026, 11, 25, 10, tzinfo=SEOUL)


@dataclass
class Recorder(Rehearsal):
    """A conversation whose events are kept, as Kafka has them: with the times that came and the answers that were given."""

    log: list[Envelope] = field(default_factory=list)

    def _decided(self, event: Envelope) -> None:
        self.log.append(event)
        super()._decided(event)


@pytest.fixture(scope="module")
def flows(tmp_path_factory) -> sources.Flows:
    return sources.opened(write(tmp_path_factory.mktemp("page"), dict(EXAMPLES)))


@pytest.fixture
def changed(tmp_path):
    """The page's flows with a change."""

    def make(name: str, *change: str) -> sources.Flows:
        return sources.opened(write(tmp_path, {**dict(EXAMPLES), name: dict(EXAMPLES)[name].replace(*change)}))

    return make


def recorder(flows: sources.Flows, contact: int = 1, begun: datetime = BEGUN) -> Recorder:
    def answering(wanted: Wanted) -> Answer:
        return Answer(body={"status": "lost"}) if wanted.kind == "http" else Answer(body={"verdict": "unknown"})

    return Recorder(
        flows.book, "acme", answering, begun, ContactState(profile={"name": "Jisu"}), contact=UUID(int=contact)
    )  # fmt: skip


def week(flows: sources.Flows) -> list[Envelope]:
    """Some conversations of a week: tea with time passing, a parcel, people, a click."""
    tea, parcel, people, click = (recorder(flows, number) for number in range(4))
    for one in (tea, click):
        one.event("customer.updated", {"name": "Jisu"})
        one.writes("tea")
        one.passes(timedelta(minutes=5))
        one.writes("1")
    tea.passes(timedelta(days=2))
    tea.writes("thanks")
    click.passes(timedelta(hours=2))
    click.clicks(click.spoken[-1].message)
    for _ in range(2):
        parcel.writes("parcel")
        parcel.writes("A1001")
    people.writes("agent")
    people.passes(timedelta(minutes=3))
    people.agent("reply", "Here I am")
    people.agent("resolve")
    people.writes("tea")
    return [event for one in (tea, parcel, people, click) for event in one.log]


def compared(log: list[Envelope], flows: sources.Flows, other: sources.Flows) -> comparing.Comparison:
    return comparing.compared(log, flows.book, other.book, flows.zones)


def shown(one: comparing.Difference) -> tuple[int, str, list[str], list[str]]:
    return one.contact.int, one.cause, [line.text for line in one.first], [line.text for line in one.second]


def test_same_flows_say_the_same(flows):
    """Of a week nothing differs, with times, services, people and clicks in it."""
    log = week(flows)
    found = compared(log, flows, flows)

    assert ([], [], 4, len(log)) == (found.differences, found.left_out, found.contacts, found.events)


@given(st.lists(st.sampled_from(["tea", "1", "2", "coffee", "parcel", "A1001", "agent", "stop", "start", "", "hm?"]), max_size=12), st.data())
def test_no_conversation_differs_from_itself(flows, words, data):
    """Whatever is written, and however long people take."""
    one = recorder(flows)
    for word in words:
        one.writes(word)
        one.passes(timedelta(minutes=data.draw(st.integers(0, 3000))))

    assert [] == compared(one.log, flows, flows).differences


def test_another_text_differs(flows, changed):
    """Each conversation once, with what both say; those that never come there do not count."""
    found = compared(week(flows), flows, changed("flows/parcel.yaml", "is {{ slot.status }}.", "has been {{ slot.status }}."))

    assert [(1, "A1001", ["A1001 is lost."], ["A1001 has been lost."])] == [shown(one) for one in found.differences]
    assert "parcel" == found.differences[0].flow


def test_another_time_differs(flows, changed):
    """A reminder that comes later is another one; what came of a click does not wait for it."""
    found = compared(week(flows), flows, changed("flows/tea.yaml", "wait: 1d", "wait: 2h"))
    tea = [one for one in found.differences if one.contact.int == 0]

    assert [("time passed", [("26 10:05", "Was it")], [("25 12:05", "Was it")])] == [
        (one.cause, *([(f"{line.at:%d %H:%M}", line.text[:6]) for line in side] for side in (one.first, one.second))) for one in tea
    ]


def test_other_choices_differ(flows, changed):
    """Also where the text is the same; and so does where it hands over."""
    found = compared(week(flows), flows, changed("flows/tea.yaml", "- {id: green, title: {en: Green}}", "- {id: green, title: {en: Green tea}}"))
    people = compared(week(flows), flows, changed("flows/person.yaml", "escalate: support", "escalate: sales"))

    assert {0, 2, 3} == {one.contact.int for one in found.differences}
    hands_over = (["One moment, please.", "(people of support take over)"], ["One moment, please.", "(people of sales take over)"])
    assert [(0, "thanks", *hands_over), (2, "agent", *hands_over)] == sorted(shown(one) for one in people.differences)


def test_what_the_log_cannot_answer(flows, changed):
    """The second version asks what the first never did: that is a difference, and there the contact ends."""
    found = compared(week(flows), flows, changed("flows/parcel.yaml", 'path: "/orders', 'path: "/v2/orders'))

    assert ["(the service orders was asked for GET /v2/orders/A1001, and the log does not say what is answered)"] == [
        line.text for one in found.differences for line in one.second
    ]


def test_what_the_log_does_not_hold(flows):
    """A call whose answer is not in the log leaves the contact out, and says why."""
    log = [event for event in week(flows) if getattr(event.data, "call", None) != "orders"]
    found = compared(log, flows, flows)

    assert [f"acme {UUID(int=1)}: the service orders was asked for GET /orders/A1001"] == found.left_out
    assert "; 1 contacts could not be compared to their end" in telling.summary(found)


def test_times_are_the_tenants(flows, changed):
    """Whatever zone the log has them in."""
    one = recorder(flows, begun=BEGUN.astimezone(UTC))
    one.writes("tea")
    one.passes(timedelta(minutes=1))
    one.writes("parcel")
    found = compared(one.log, flows, changed("flows/parcel.yaml", "What is the number", "Which number has"))

    assert ["2026-11-25 10:01"] == [f"{one.at:%Y-%m-%d %H:%M}" for one in found.differences]


def test_answers_come_in_their_order():
    """The last one again, where more is asked."""
    wanted = Wanted(kind="http", service="orders", path="/a")
    one = comparing.Recorded({comparing._key(wanted): [Answer(200), Answer(404)]})

    assert [200, 404, 404] == [one.answer(wanted).status for _ in range(3)]
    assert one.answer(Wanted(kind="http", service="orders", path="/b")) is None


def test_file_is_read_as_it_was_written(flows, tmp_path):
    """Every event, with its id, its times and its data."""
    log = week(flows)
    (tmp_path / "log").write_bytes(b"".join(map(recording.line, log)) + b"\n")

    assert log == list(recording.read(tmp_path / "log"))


@pytest.mark.parametrize(
    ("text", "said"), [("{", ":1: no event of parley.inbound"), ('{"id": "1"}', ":1: no event of parley.inbound"), (None, ": cannot be read")]
)
def test_file_that_is_none(tmp_path, text, said):
    """By file and line."""
    if text:
        (tmp_path / "log").write_text(text)
    with pytest.raises(ConfigError) as caught:
        list(recording.read(tmp_path / "log"))

    assert f"{tmp_path}/log{said}" in str(caught.value)


def test_command(flows, changed, tmp_path):
    """A table of the first, totals by flow, and exit status 0: differing is no fault."""
    other = changed("flows/tea.yaml", "Which tea do you like?", "Tea?").directory
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"".join(map(recording.line, week(flows))))
    done, few = (parley("flow", "diff", flows.directory, other, "--on", log, *words) for words in ([], ["--first", 1]))

    assert (0, 0) == (done.returncode, few.returncode), done.stderr
    assert f"4 contacts, {len(week(flows))} events: 3 conversations would go otherwise" in done.stdout
    assert (3, 1) == (done.stdout.count(" Tea?"), few.stdout.count(" Tea?"))


async def put(settings, events: list[Envelope]) -> None:
    """Events onto a bus of the test's own."""
    bus = Bus(settings, client="test")
    await bus.ensure_topics()
    await bus.publish([wire.encode(event) for event in events])
    await bus.stop()


@pytest.mark.stack
def test_recording_from_kafka(settings, run, flows, tmp_path):
    """Only what lies between the two times, and only its owner may read it; from there it can be compared."""
    log, until = week(flows), BEGUN + timedelta(hours=12)
    run(put(settings, log))
    count = run(recording.record(settings, BEGUN, until, tmp_path / "log"))

    assert count == sum(event.time < until for event in log) < len(log)
    assert sorted(event.id for event in log if event.time < until) == sorted(event.id for event in recording.read(tmp_path / "log"))
    assert 0o600 == stat.S_IMODE((tmp_path / "log").stat().st_mode)


@pytest.mark.stack
def test_listing_what_was_misunderstood(settings, run):
    """The most frequent first, with what it could mean and what was chosen."""
    told = [("hm", ("a", "b"), None), ("Where?", ("b",), "b"), ("where?", ("b",), "b")]
    data = [
        MessageMisunderstood(contact_id=UUID(int=1), text=text, language="en", suggestions=could, chosen=chosen, at=BEGUN)
        for text, could, chosen in told
    ]
    run(put(settings, [Envelope(id=str(number), source="/t", time=BEGUN, tenant="acme", data=one) for number, one in enumerate(data)]))
    found = run(recording.misunderstood(settings, BEGUN - timedelta(days=1)))

    assert data == found
    assert [["2", "1"], ["en", "en"], ["where?", "hm"], ["b", "a, b"], ["b 2", ""]] == [
        list(one.cells) for one in telling.misunderstood(found).columns
    ]


def test_kafka_must_be_named():
    """Both that read from it say so."""
    found = [parley("flow", *words, "--from", "2026-11-18T00:00:00Z") for words in (("record", "--out", Path("/dev/null")), ("misunderstood",))]

    assert [2, 2] == [one.returncode for one in found]
    assert all("PARLEY_KAFKA must be set" in one.stderr for one in found)
