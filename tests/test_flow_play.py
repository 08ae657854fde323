"""`parley flow play`, driven through its input: what is typed is written, commands make the rest happen, and what is said and waits is shown."""

import re
import subprocess
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from parley_router.state import ContactState
from parley_router.tools import sources
from parley_router.tools.playing import HELP, Player
from parley_router.tools.rehearsal import Answer, Rehearsal, Unanswered
from tests.test_cli import PARLEY, environment, parley
from tests.test_flow_test import EXAMPLES, ROOT, write


@pytest.fixture(scope="module")
def flows(tmp_path_factory) -> sources.Flows:
    return sources.opened(write(tmp_path_factory.mktemp("page"), dict(EXAMPLES)))


def played(flows: sources.Flows, *typed: str, begin: str | None = None, read=None) -> list[str]:
    """What is shown, without what waits where nothing else happened."""
    shown: list[str] = []
    one = Rehearsal(flows.book, "acme", lambda wanted: player.answer(wanted), datetime(2026, 11, 25, 10, tzinfo=ZoneInfo("Asia/Seoul")))
    one.state = ContactState(language="en", channel=one.channel, addresses={one.channel: one.address}, received=1)
    player = Player(one, iter([f"{line}\n" for line in typed]), shown.append, read)
    if begin:
        player.begin(flows.book.shelves["acme"].flows[begin])
    player.play()
    return shown


def test_tea_is_played(flows):
    """Choices with numbers, where it comes from, what waits and how long."""
    assert [
        "  2026-11-25 10:00 · no flow waits",
        "> tea",
        "Which tea do you like?    (10:00, tea@1, step kind)",
        "  1 Green   2 Black",
        "  2026-11-25 10:00 · waits at tea/kind, in 1d at the latest",
        "> [Black]",
        "Strong. Noted.    (10:00, tea@1, step black)",
        "  * image https://acme.example/black.jpg",
        "  2026-11-25 10:00 · waits at tea/later, in 1d at the latest",
        "  2026-11-26 09:59 · waits at tea/later, in 1m at the latest",
        "Was it good? https://acme.example/tea    (10:00, tea@1, step 6)",
        "  2026-11-26 10:01 · no flow waits",
    ] == played(flows, "tea", "/tap 2", "/wait 23h59m", "/wait 2m", "/quit", "tea")


def test_events_and_clicks_happen(flows):
    """With properties, as JSON where they are; what is said at night says when it leaves."""
    shown = played(flows, "/wait 13h", '/event cart.abandoned cart_id="c 1" total=42000', "tea", "2", "/click", "/state")

    assert "> cart.abandoned cart_id=c 1 total=42000" in shown
    assert any("leaves at 2026-11-26 08:00" in line and "variant" in line for line in shown)
    assert "  * Sencha · https://acme.example/c/c 1" in shown
    assert '  tags: ["tea-lover"]' in shown


def test_services_are_asked_of_who_plays(flows):
    """JSON, a status, or nothing; the line that is typed is the answer, not a message."""
    found = played(flows, "parcel", "A1001", '{"status": "lost"}', "parcel", "A1001", "404", "parcel", "A1001", "500")

    assert "? the service orders was asked for GET /orders/A1001; JSON, a status such as 404, or nothing for an empty answer:" in found
    assert ["A1001 is lost.", "There is no such order.", "I cannot look right now."] == [
        line.partition("    ")[0] for line in found if "parcel@1, step" in line and "What is" not in line
    ]


def test_meanings_are_asked_of_who_plays(flows):
    """Where nobody reads messages; else it is shown what was understood."""
    asked = played(flows, "something warm", "tea-wanted")
    read = played(flows, "something warm", read=lambda wanted, today: Answer(body={"verdict": "sure", "intents": ["tea-wanted"]}))

    assert "? what 'something warm' means was asked; an intent, or nothing:" in asked
    assert "  (understood: sure tea-wanted)" in read
    assert all("Which tea do you like?    (10:00, tea@1, step kind)" in shown for shown in (asked, read))


def test_meanings_are_asked_where_none_can_be_read(flows):
    """It is said once why, and the play goes on."""

    def read(wanted, today):
        raise Unanswered("the understanding cannot be loaded")

    shown = played(flows, "something warm", "tea-wanted", "/quit", read=read)

    assert "! the understanding cannot be loaded" in shown
    assert "Which tea do you like?    (10:00, tea@1, step kind)" in shown


def test_people_and_state(flows):
    """A person takes over and resolves; what is known is shown when asked for."""
    shown = played(flows, "/profile name=Jisu", "agent", "/agent Here I am", "/resolve", "tea", "1", "/state")

    assert "  2026-11-25 10:00 · people of support have the conversation" in shown
    assert "Here I am    (10:00, the router)" in shown
    assert '  profile: {"name": "Jisu", "tea": "green"}' in shown
    assert '  timers: ["2026-11-26 10:00"]' in shown


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("/tap 1", "no choice '1' was offered"), ("/wait soon", "a length of time is written as"), ("/event", "an event is written as"),
        ("/event x y", "an event is written as"), ("/click", "nothing was said yet"), ("/agent hi", "no person has the conversation"),
        ("/dance", "there is no /dance; known: /tap, /wait"), ('/event x y="', "No closing quotation"),
    ],
)  # fmt: skip
def test_mistakes_are_said_and_it_goes_on(flows, typed, said):
    """Nothing ends by a slip."""
    shown = played(flows, typed, "tea")

    assert any(line.startswith("! ") and said in line for line in shown), shown
    assert "> tea" in shown


@pytest.mark.parametrize(
    ("flow", "first"), [("tea", "> tea"), ("offer", "> cart.abandoned"), ("anything", "> ?"), ("parcel", "> parcel")]
)  # fmt: skip
def test_flow_begins_by_what_begins_it(flows, flow, first):
    """By its keyword, its event, or a message that nothing else fits."""
    assert first == played(flows, "", "", begin=flow)[0]


def test_page_tells_every_command():
    """Those of `parley flow`, and what can be typed while it is played."""
    page = (ROOT / "docs" / "flows-tools.md").read_text(encoding="utf-8")
    commands = re.findall(r"│ ([a-z]+) ", parley("flow", "--help").stdout)

    assert {"check", "test", "play", "graph", "diff", "record", "schema", "learn", "misunderstood"} == set(commands)
    assert [] == [name for name in commands if f"parley flow {name}" not in page]
    assert [] == [name for name in re.findall(r"/[a-z]+", HELP) if f"`{name}" not in page]


def test_input_ends_in_the_middle_of_a_question(flows):
    """Then so does the play."""
    assert played(flows, "parcel", "A1001")[-1].startswith("? the service orders")


def piped(page, *words: str, typed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PARLEY, "flow", "play", *words, "--flows", str(page)],
        input=typed,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_command(flows):
    """Through a pipe, on a channel and in a language; what there is not is said."""
    done = piped(flows.directory, "tea", "--language", "en", "--channel", "whatsapp", typed="/tap black\n/quit\n")
    wrong = [parley("flow", "play", *words, "--flows", flows.directory) for words in (["nothing"], ["--language", "ko"], ["--tenant", "x"])]

    assert 0 == done.returncode, done.stderr
    assert "Strong. Noted." in done.stdout
    assert ["there is no flow 'nothing'", "acme does not speak 'ko'", "name the tenant with --tenant: acme"] == [
        one.stderr.removeprefix("parley: ").partition(";")[0].strip() for one in wrong
    ]
