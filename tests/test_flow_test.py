"""`parley flow test`: the page that explains it, run; what a test that fails says; what is counted as covered; CI's files and exit statuses."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest

from parley import yamlfile
from parley.yamlfile import ConfigError
from parley_router.tools import sources, testing
from parley_router.tools.coverage import share
from parley_router.tools.entries import KEYS, Meaning, Message, Served
from parley_router.tools.judging import judged
from parley_router.tools.rehearsal import Answer, Endless, Rehearsal, Unanswered
from parley_router.tools.staging import reads_like
from parley_router.tools.talks import Contact, Test
from tests.test_cli import parley

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "flows-testing.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)


def write(folder: Path, files: dict[str, str]) -> Path:
    """A directory of configuration; gives that of its flows."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "flows"


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    """The flows of the page, with their tests."""
    return write(tmp_path_factory.mktemp("page"), dict(EXAMPLES))


@pytest.fixture(scope="module")
def flows(page) -> sources.Flows:
    return sources.opened(page)


def verdict(flows: sources.Flows, text: str) -> testing.Result:
    """How a test of the page's flows goes."""
    test = yamlfile.parse(text, Test, "t.yaml")
    written = testing.Written(Path("t.yaml"), test, "acme", (), yamlfile.Lines(text))
    return next(iter(testing.run(flows, [written])))


def talk(*entries: str, head: str = "test: t") -> str:
    return "\n".join([head, "talk:", *(f"  - {one}" for one in entries)])


# --- the page ----------------------------------------------------------------------------------------------------------------------------


def test_examples_of_the_page(flows):
    """Every conversation on the page goes as it is written, and together they take every step and every way."""
    results = list(testing.run(flows, testing.read(flows)))
    found = testing.covered(flows, results)

    assert [] == [testing.failure(one) for one in results if one.verdict.fault]
    assert [] == testing.missing(found)
    assert 100.0 == share(one for _, _, one in found)
    assert len(results) == sum(text.count("test: ") for name, text in EXAMPLES if "/tests/" in name) == 16


@pytest.mark.parametrize("entry", KEYS.values(), ids=KEYS)
def test_page_has_an_example_of_every_entry(entry):
    """Each stands in a table and in a conversation that is run, and says what it is."""
    examples = "".join(text for name, text in EXAMPLES if "/tests/" in name)

    assert entry.__doc__
    assert re.search(rf"`{entry.key}\b", PAGE)
    assert re.search(rf"- \{{?{entry.key}\b", examples), entry.key


@pytest.mark.parametrize("model", [Contact, Message, Served, Meaning])
def test_page_tells_every_key(model):
    """Also the keys inside of entries."""
    names = {field.alias or name for name, field in model.model_fields.items()}

    assert set() == {name for name in names if not re.search(rf"[`{{ ,]{name}[`:]", PAGE)}


# --- what fails --------------------------------------------------------------------------------------------------------------------------

ASKED, TAPPED = "bot: Which tea*", "bot: Strong*"
FAILING = {
    "another text": (
        ["says: tea", "bot: Which coffee*"], 4,
        ["something else was said", '- "Which coffee*"', '+ "Which tea do you like?"', "tea@1, step kind; choices green, black"],
    ),
    "a text without its value": (
        ["says: tea", ASKED, "tap: Green", "bot: Noted*"], 6, ['+ "I am handing you over', "could not be done: flow tea@1, step 2: profile.name is undefined"],
    ),
    "said too little": (["says: tea", ASKED, "bot: more"], 5, ['= "Which tea do you like?"', '- "more"']),
    "nothing said": (["event: unknown.thing", "bot: more"], 4, ["expected, but nothing was said", '- "more"']),
    "said too much": (["says: tea"], 3, ["said, but not expected", '+ "Which tea do you like?"']),
    "silence expected": (["says: tea", "nothing"], 3, ["said, but not expected"]),
    "in another order": (["says: tea", ASKED, "tap: black", "bot: x", TAPPED], 6, ['- "x"', '= "Strong. Noted."']),
    "expected too late": (["says: tea", "after: 1s", ASKED], 3, ["said, but not expected"]),
    "to the letter": (["says: tea", "bot: {is: Which tea*}"], 4, ['- is: "Which tea*"', "text, to the letter"]),
    "a part": (["says: tea", "bot: {contains: [Which, coffee]}"], 4, ["does not contain 'coffee'"]),
    "choices": (["says: tea", "bot: {choices: [green]}"], 4, ["choices: expected green; offered green (Green), black (Black)"]),
    "media": (["says: tea", ASKED, "tap: black", "bot: {media: []}"], 6, ["media: expected none; there are https://acme.example/black.jpg"]),
    "cards": (["says: tea", "bot: {cards: x}"], 4, ["cards: expected x; there are none"]),
    "purpose": (["says: tea", "bot: {purpose: marketing}"], 4, ["purpose: expected marketing, is reply"]),
    "step": (["says: tea", "bot: {step: tea/black}"], 4, ["step: expected tea/black, is tea/kind"]),
    "daytime": (["says: tea", "bot: {not_before: 2026-03-03 08:00}"], 4, ["not_before: expected 2026-03-03 08:00:00, is none"]),
    "consent": (["says: stop", "bot: You are*", "consent: {marketing: granted}"], 5, ["consent marketing: expected granted, is revoked"]),
    "a consent never given": (["event: x", "consent: {marketing: granted}"], 4, ["consent marketing: expected granted, is unknown"]),
    "tags": (["event: x", "tags: [vip]"], 4, ["tags: expected vip, is none"]),
    "a tag too many": (["{event: customer.updated, with: {tags: [a, b]}}", "tags: [a]"], 4, ["tags: expected a, is a, b"]),
    "profile": (["event: x", "profile: {tea: green}"], 4, ["profile.tea: expected green, is unknown"]),
    "language": (["event: x", "language: ko"], 4, ["language: expected ko, is en"]),
    "escalated": (["event: x", "escalated: support"], 4, ["escalated to: expected support, is unknown"]),
    "to another team": (["says: agent", "bot: '*'", "escalated: sales"], 5, ["escalated to: expected sales, is support"]),
    "ended": (["says: tea", ASKED, "ended"], 5, ["flows that wait: expected none, is tea/kind"]),
    "waits": (["says: tea", ASKED, "waits: tea/later"], 5, ["waits at: expected tea/later, is tea/kind"]),
    "goal": (["event: order.placed", "goal: order.placed"], 4, ["goal: expected order.placed, is none"]),
    "no trouble": (["event: x", "trouble: '*'"], 4, ["trouble: expected *, is none"]),
    "a trouble": (["event: cart.abandoned"], 3, ["could not be done: flow offer@1, step 2: event.cart_id is undefined"]),
    "nothing to tap": (["tap: green"], 3, ["nobody can tap 'green': nothing was offered to tap"]),
    "no such choice": (["says: tea", ASKED, "tap: white"], 5, ["nobody can tap 'white': offered were green (Green), black (Black)"]),
    "nothing to click": (["clicks"], 3, ["no message reads like '*'"]),
    "nobody to reply": (["agent: hello"], 3, ["no person has the conversation: put what escalates before it"]),
    "time runs back": (["at: 2026-03-01 10:00"], 3, ["it is 2026-03-02 10:00 by now: time does not run back"]),
    "nobody answers": (
        ["says: parcel", "bot: '*'", "says: A1001"], 5, ["the service orders was asked for GET /orders/A1001, and the test does not say what is answered"],
    ),
    "no answer of the model": (
        ["says: Why is the sky blue?"], 3, ["the language model was asked to answer 'Why is the sky blue?'"],
    ),
    "another path": (["service: {orders: {path: /orders/B*}}", "says: parcel", "bot: '*'", "says: A1001"], 6, ["GET /orders/A1001"]),
}  # fmt: skip


@pytest.mark.parametrize(("entries", "line", "said"), FAILING.values(), ids=FAILING)
def test_failure_says_where_and_what(flows, entries, line, said):
    """By the line of the test's file, with expected and said."""
    text = testing.failure(verdict(flows, talk(*entries)))

    assert [] == [one for one in said if one not in text], text
    assert text.startswith(f"t.yaml:{line}: t\n")


@pytest.mark.parametrize("entry", ["says: 5", "says: 5.5", "says: true", "says: 2026-11-25", "{says: 7, channel: whatsapp}"])
def test_text_needs_no_quotes(entry):
    """What people write may be a number, a day or a word that YAML takes for something else."""
    one = yamlfile.parse(talk(entry, "bot: {contains: handing}"), Test, "t.yaml")

    assert isinstance(one.talk[0].says, str)


@pytest.mark.parametrize(
    ("contact", "said"),
    [
        ("{variants: {nothing: a}}", "no flow has an experiment 'nothing'; known: cart, reminder"),
        ("{variants: {cart: huge}}", "the experiment 'cart' has no variant 'huge'; known: short, long"),
    ],
)
def test_contact_that_cannot_be(flows, contact, said):
    """An experiment or a variant that there is not, before anything is said."""
    assert f"t.yaml:1: t\n  {said}" == testing.failure(verdict(flows, talk("nothing", head=f"test: t\ncontact: {contact}")))


BROKEN = {
    "an unknown entry": (talk("shouts: hello"), "3: talk.0: an entry of a talk is one of says, tap, sends"),
    "an unknown word": (talk("silence"), "3: talk.0: an entry of a talk is one of"),
    "a typo": (talk("{says: hello, chanel: sms}"), "3: talk.0.(says).chanel: Extra inputs are not permitted"),
    "no talk": ("test: t\ntalk: []", "2: talk: there must be at least one"),
    "a text without quotes": (talk("{says: Really?}"), "3: not YAML: expected ',' or '}', but got '?'; a text with one of"),
    "a time without quotes": (talk("at: 9:30"), "3: talk.0.(at).at: a moment is written as 2026-11-25 10:00"),
    "no such day": ("test: t\nat: 2026-02-30 10:00\ntalk: [nothing]", "2: at: a moment is written as"),
    "no length of time": (talk("after: soon"), "3: talk.0.(after).after: a length of time is written as"),
    "two things sent": (talk("sends: {image: a, video: b}"), "3: talk.0.(sends).sends: one of `image`"),
    "no such purpose": ("test: t\ncontact: {consents: {sales: granted}}\ntalk: [nothing]", "2: contact.consents.sales"),
    "no such tenant": ("test: t\ntenant: nobody\ntalk: [nothing]", "2: there is no tenant 'nobody'; known: acme"),
    "several, one broken": ("tests:\n  - test: a\n    talk: [nothing]\n  - test: b\n    talk: [{bot: []}]", "5: tests.1.talk.0"),
}


@pytest.mark.parametrize(("text", "said"), BROKEN.values(), ids=BROKEN)
def test_broken_test_file(tmp_path, page, text, said):
    """A file that is no test is refused with file, line and reason, beside those of all others."""
    broken = write(tmp_path, {**dict(EXAMPLES), "flows/tests/z.yaml": text, "flows/tests/zz.yaml": "test: [", "flows/tests/y.yml": text})
    with pytest.raises(ConfigError) as caught:
        testing.read(sources.opened(broken))

    assert f"z.yaml:{said}" in str(caught.value)
    assert "zz.yaml:1: not YAML" in str(caught.value)
    assert "y.yml:1: the file: it is not read; its name must end in .yaml" in str(caught.value)


def test_tenant_is_named_where_there_are_several(tmp_path):
    """A test without one could be of either."""
    files = {**dict(EXAMPLES), "accounts.yaml": "tenants: {acme: {languages: [en]}, other: {languages: [en]}}"}
    with pytest.raises(ConfigError) as caught:
        testing.read(sources.opened(write(tmp_path, files)))

    assert "tea.yaml:1: `tenant` is missing, and there are several; known: acme, other" in str(caught.value)


def test_flows_without_their_tenants(tmp_path):
    """What is missing is said, and how to name it."""
    files = {name: text for name, text in EXAMPLES if name != "accounts.yaml"}
    with pytest.raises(ConfigError) as caught:
        sources.opened(write(tmp_path, files))

    assert "there is no accounts.yaml in" in str(caught.value) and "--config names its directory" in str(caught.value)


# --- coverage ----------------------------------------------------------------------------------------------------------------------------


def test_what_no_test_takes(flows):
    """Steps, and of those that were taken the ways out, each by file and line; of a flow that nobody began only itself."""
    one = verdict(flows, talk("says: tea", ASKED, "tap: black", TAPPED))
    found = testing.covered(flows, [one])
    gaps = [line.removeprefix(f"{flows.directory}/") for line in testing.missing(found) if "tea.yaml" in line or "offer.yaml" in line]

    assert {
        "offer.yaml:1: the flow offer",
        "tea.yaml:10: step kind: Green → step 2",
        "tea.yaml:13: step kind: otherwise → flow/person",
        "tea.yaml:15: step kind: late: 1d → step forgotten",
        "tea.yaml:16: step 2 (say Noted, {{ profile.name }}: {{ profile.tea }}.)",
        "tea.yaml:22: step later: 1d → step 6",
        "tea.yaml:23: step later: click → step seen",
    } <= set(gaps)
    assert [(3, 12), (0, 6)] == [
        one.steps for _, _, one in sorted(found, key=lambda item: item[2].flow.flow, reverse=True) if one.flow.flow in ("tea", "offer")
    ]


LEAVING = """\
flow: leaving
version: 1
tenant: acme
start: {keywords: {en: [ask me]}}
left: bye
steps:
  - {ask: one, say: {en: One}}
  - {ask: two, say: {en: Two}}
  - {id: bye, say: {en: Bye}}
"""


def test_leaving_a_question_is_a_way(tmp_path):
    """One of the flow, from whichever question."""
    files = {"accounts.yaml": dict(EXAMPLES)["accounts.yaml"], "flows/leaving.yaml": LEAVING}
    flows = sources.opened(write(tmp_path, files))
    through = verdict(flows, talk("says: ask me", "bot: One", "says: a", "bot: Two", "says: b", "bot: Bye"))
    left = verdict(flows, talk("says: ask me", "bot: One", "says: a", "bot: Two", "says: never mind", "bot: Bye"))
    gap = f"{flows.directory}/leaving.yaml:5: any question: left by an escape word → step bye"

    assert [gap] == testing.missing(testing.covered(flows, [through]))
    assert [] == testing.missing(testing.covered(flows, [through, left]))


def test_share_is_all_only_when_it_is():
    """One way less of a great many is no 100 %."""

    class Part:
        taken, all = 9999, 10000

    assert (99.9, 100.0) == (share([Part]), share([]))


# --- the rehearsal -----------------------------------------------------------------------------------------------------------------------


def test_same_things_say_the_same(flows):
    """To the byte, whenever it is run."""
    test = yamlfile.parse(dict(EXAMPLES)["flows/tests/tea.yaml"], Test, "t")
    first, second = (judged(test, "acme", flows.book, flows.zones["acme"]) for _ in range(2))

    assert first == second
    assert first.trail


def rehearsal(flows: sources.Flows, answering=lambda wanted: None) -> Rehearsal:
    return Rehearsal(flows.book, "acme", answering, datetime(2026, 11, 25, 10, tzinfo=ZoneInfo("Asia/Seoul")))


def test_times_come_in_their_order(flows):
    """However long passes at once: each is decided at its own moment."""
    one = rehearsal(flows)
    for _ in range(3):
        one.event("cart.abandoned", {"cart_id": "c"})
        one.passes(timedelta(hours=1))
    begun = list(one.spoken)
    one.passes(timedelta(days=30))

    assert sorted(spoken.at for spoken in one.spoken) == [spoken.at for spoken in one.spoken]
    assert datetime(2026, 12, 25, 13, tzinfo=ZoneInfo("Asia/Seoul")).astimezone(UTC) == one.now.astimezone(UTC)
    assert 3 == len(begun)
    assert {} == one.state.timers()


def test_call_without_an_answer(flows):
    """Nothing is made up: it says what was asked."""
    one = rehearsal(flows)
    one.writes("parcel")
    with pytest.raises(Unanswered) as caught:
        one.writes("A1001")

    assert "the service orders was asked for GET /orders/A1001" == str(caught.value)


ENDLESS = """\
flow: endless
version: 1
tenant: acme
start: {keywords: {en: [calls]}}
steps:
  - {id: a, call: orders, path: /x}
  - {go: a}
"""


def test_endless_flows_end(tmp_path):
    """A flow that asks or waits in a circle is stopped with its reason."""
    waits = ENDLESS.replace("endless", "waiting").replace("calls", "waits").replace("call: orders, path: /x", "wait: 1s")
    flows = sources.opened(write(tmp_path, {"accounts.yaml": dict(EXAMPLES)["accounts.yaml"], "flows/a.yaml": ENDLESS, "flows/b.yaml": waits}))
    calls, times = rehearsal(flows, lambda wanted: Answer()), rehearsal(flows)
    times.writes("waits")

    with pytest.raises(Endless, match="more than 50 calls"):
        calls.writes("calls")
    with pytest.raises(Endless, match="more than 2000 times"):
        times.passes(timedelta(days=1))


@pytest.mark.parametrize(
    ("pattern", "text", "alike"),
    [
        ("*", "", True), ("a*c", "abc", True), ("a*c", "a\nc", True), (" abc ", "abc", True), ("abc", "ABC", False), ("[ab]", "a", False), ("[ab]", "[ab]", True),
        ("a?", "ab", False), ("really?", "really?", True), ("*bold*", "*bold*", True), ("*b*", "abc", True), ("b*", "abc", False), ("!", "!", True),
    ],
)  # fmt: skip
def test_asterisk_stands_for_anything(pattern, text, alike):
    """And nothing else has a meaning of its own."""
    assert alike is reads_like(pattern, text)


# --- the command -------------------------------------------------------------------------------------------------------------------------


def test_command_in_ci(tmp_path, page):
    """Exit status 1 for a conversation that goes otherwise, with JUnit's file; 2 for what cannot be read."""
    one = write(tmp_path, {**dict(EXAMPLES), "flows/tests/wrong.yaml": talk("says: tea", "bot: Which coffee*")})
    good, bad = parley("flow", "test", page, "--min-coverage", 100), parley("flow", "test", one, "--junit", tmp_path / "j.xml")
    suites = ElementTree.parse(tmp_path / "j.xml").getroot()
    failure = suites.find("./testsuite[@failures='1']/testcase/failure")

    assert (0, 1) == (good.returncode, bad.returncode), good.stdout + good.stderr
    assert "16 passed, 0 failed, 100 % covered" in good.stdout
    assert f"{one}/tests/wrong.yaml:4: t" in bad.stdout
    assert ("17", "1") == (suites.get("tests"), suites.get("failures"))
    assert '+ "Which tea do you like?"' in failure.text and "something else was said" in failure.get("message")


def test_command_asks_for_coverage(page):
    """Too little fails, though all went well; only some of the tests can be held."""
    few = parley("flow", "test", page, "--only", "click before", "--min-coverage", 90)
    none = parley("flow", "test", page, "--only", "nothing of that name")

    assert (1, 2) == (few.returncode, none.returncode)
    assert "1 passed, 0 failed" in few.stdout and "not 90 %" in few.stdout
    assert "no test has 'nothing of that name' in its name" in none.stderr


def test_hundreds_of_conversations_in_seconds(flows):
    """As many as a big tenant has."""
    tests = testing.read(flows) * 14
    results = list(testing.run(flows, tests))

    assert len(tests) == sum(one.verdict.fault is None for one in results) >= 200
    assert sum(one.seconds for one in results) < 10
