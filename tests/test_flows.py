"""The language of flows: what the files may say, what is wrong with one by file and line, and how the engine walks it."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.contracts import Channel, Purpose
from parley.templates import Texts, Unfilled
from parley.yamlfile import ConfigError
from parley_router import engine
from parley_router.catalogue import Book, load
from parley_router.conditions import Asked, Condition, find, holds
from parley_router.flow import Flow
from parley_router.language import plain, recognised, spoken
from parley_router.state import ContactState
from parley_router.stepping import MAX_STEPS
from parley_router.walk import Escalated, Failed, Said, Scene, Walk, variant_of

TENANTS = {"acme": ("ko", "en")}
CONTACT = UUID(int=7)
T0 = datetime(2026, 11, 25, 10, tzinfo=UTC)
HEAD = "flow: f\nversion: 1\ntenant: acme\nstart: {keywords: {en: [go]}}\n"


def book(tmp_path: Path, **files: str) -> Book:
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    return load(tmp_path, TENANTS)


def begun(tmp_path: Path, steps: str, state: ContactState | None = None, event: dict[str, object] | None = None, **more: str) -> Walk:
    made = book(tmp_path, f=HEAD + "steps:\n" + steps, **more)
    return engine.begin(scene(made, state or ContactState(addresses={Channel.SMS: "+1"})), "f", event)


def scene(made: Book, state: ContactState, text: str = "", tapped: str | None = None) -> Scene:
    return Scene(made, made.shelves["acme"], CONTACT, state, T0, "cause", text, tapped)


def after(walk: Walk) -> ContactState:
    return engine.state_after(walk, walk.scene.state, misses=0)


def texts_of(walk: Walk) -> list[str]:
    return [one.content.text for one in walk.effects if isinstance(one, Said)]


# --- what is wrong with a file ---------------------------------------------------------------------------------------------------------

T = "{ko: 가, en: a}"
STEPS = HEAD + "steps:\n"
BROKEN = {
    "not YAML": ("flow: [", "f.yaml:1: not YAML"),
    "a key twice": ("flow: f\nflow: g\n", "f.yaml:2: not YAML: the key `flow` stands twice"),
    "an unknown key": (HEAD + "stepps: []\nsteps: [{end: true}]\n", "f.yaml:5: stepps: Extra inputs are not permitted"),
    "an unknown step": (STEPS + "  - {shout: hello}\n", "f.yaml:6: steps.0: a step is one of ask, set, tag"),
    "a typo in a step": (STEPS + f"  - say: {T}\n    chioces: []\n", "f.yaml:7: steps.0.(say).chioces: Extra inputs are not permitted"),
    "no steps": (HEAD + "steps: []\n", "f.yaml:5: steps: there must be at least one"),
    "no such step": (STEPS + "  - {go: nowhere}\n", "f.yaml:6: steps.0: leads to the step 'nowhere', which there is not"),
    "no such flow": (STEPS + "  - {go: flow/nowhere}\n", "f.yaml:6: steps.0: leads to the flow 'nowhere', which there is not; known: f"),
    "never reached": (STEPS + f"  - {{end: true}}\n  - {{say: {T}}}\n", "f.yaml:7: steps.1: no step leads here"),
    "an id twice": (STEPS + f"  - {{id: a, say: {T}}}\n  - {{id: a, say: {T}}}\n", "f.yaml:1: the file: two steps have the id a"),
    "a language missing": (STEPS + "  - say: {en: a}\n", "f.yaml:6: steps.0.say: the text is missing in ko"),
    "a language missing in a choice": (
        STEPS + f"  - ask: x\n    say: {T}\n    choices:\n      - {{id: a, title: {{ko: 가}}}}\n",
        "f.yaml:9: steps.0.choices.0.title: the text is missing in en",
    ),
    "a language too many": (STEPS + "  - say:\n      ko: 가\n      en: a\n      fr: b\n", "f.yaml:9: steps.0.say.fr: acme does not speak 'fr'"),
    "an empty text": (STEPS + "  - say: {ko: 가, en: ''}\n", "f.yaml:6: steps.0.(say).say.en: String should have at least 1 character"),
    "no Liquid": (STEPS + "  - say:\n      ko: 가\n      en: '{{ slot.x'\n", "f.yaml:8: steps.0.say.en: the text is no Liquid"),
    "an unknown filter": (
        STEPS + "  - say:\n      ko: 가\n      en: '{{ profile.name | shout }}'\n",
        "f.yaml:8: steps.0.say.en: the text uses the filter 'shout'",
    ),
    "a filter that reads the clock": (
        STEPS + "  - say:\n      ko: 가\n      en: \"{{ 'now' | date: '%Y' }}\"\n",
        "f.yaml:8: steps.0.say.en: the text uses the filter 'date'",
    ),
    "an unknown group": (STEPS + "  - say:\n      ko: 가\n      en: '{{ weather.today }}'\n", "f.yaml:8: steps.0.say.en: names 'weather.today'"),
    "an unknown slot": (
        STEPS + f"  - {{ask: number, say: {T}}}\n  - say:\n      ko: 가\n      en: '{{{{ slot.numbr }}}}'\n",
        "f.yaml:9: steps.1.say.en: names 'slot.numbr', which nothing fills; known: slot.number",
    ),
    "an event without one": (STEPS + "  - say:\n      ko: 가\n      en: '{{ event.id }}'\n", "f.yaml:8: steps.0.say.en: names 'event.id'"),
    "an unknown name in a condition": (
        STEPS + "  - branch:\n      - {when: {value: profil.name, known: true}, go: a}\n  - {id: a, end: true}\n",
        "f.yaml:7: steps.0.branch.0.when: names 'profil.name'",
    ),
    "a condition of two kinds": (
        STEPS + "  - branch:\n      - {when: {value: profile.name, known: true, is: x}, go: a}\n  - {id: a, end: true}\n",
        "f.yaml:7: steps.0.(branch).branch.0.when: `value` needs one of `is`, `in`, `known`, `above`, `below`, `contains`",
    ),
    "an unknown name to remember": (STEPS + "  - set: {name: x}\n", "f.yaml:6: steps.0.(set).set.name"),
    "a bad pattern": (STEPS + f"  - {{ask: x, say: {T}, pattern: '['}}\n", "f.yaml:6: steps.0.(ask).pattern: '[' is no regular expression"),
    "a pattern that everything fits": (
        STEPS + f"  - {{ask: x, say: {T}, pattern: '[0-9]*'}}\n",
        "f.yaml:6: steps.0.(ask).pattern: '[0-9]*' fits an empty answer too",
    ),
    "choices and a pattern": (
        STEPS + f"  - {{ask: x, say: {T}, pattern: a, choices: [{{id: a, title: {T}}}]}}\n",
        "f.yaml:6: steps.0.(ask): an ask step has either `choices` or `pattern`",
    ),
    "two choices alike": (
        STEPS + f"  - {{ask: x, say: {T}, choices: [{{id: a, title: {T}}}, {{id: b, title: {T}}}]}}\n",
        "f.yaml:6: steps.0.choices.1.title.ko: two choices read '가'",
    ),
    "a choice that opts out": (
        STEPS + f"  - {{ask: x, say: {T}, choices: [{{id: a, title: {{ko: 중단, en: a}}}}]}}\n",
        "f.yaml:6: steps.0.choices.0.title.ko: who writes '중단' opts out",
    ),
    "a hint that leads nowhere": (
        STEPS + f"  - {{say: {T}, choices: [{{id: a, title: {{ko: go, en: nowhere}}}}]}}\n",
        "f.yaml:6: steps.0.choices.0.title.en: 'nowhere' is no keyword of a flow",
    ),
    "a say step that leads": (
        STEPS + f"  - {{say: {T}, choices: [{{id: a, title: {T}, go: b}}]}}\n",
        "f.yaml:6: steps.0.(say).choices.0.go: Extra inputs are not permitted",
    ),
    "an unknown variant": (STEPS + f"  - variants: {{a: {T}}}\n", "f.yaml:6: steps.0.variants.a: the flow has no variant 'a'"),
    "a variant without text": (
        f"{HEAD}campaign: c\nvariants: {{a: 1, b: 1}}\nsteps:\n  - variants: {{a: {T}}}\n",
        "f.yaml:8: steps.0.variants: there is no text for the variant b",
    ),
    "variants without a campaign": (HEAD + "variants: {a: 1}\nsteps: [{end: true}]\n", "f.yaml:1: the file: a flow with variants needs a campaign"),
    "a text and variants": (
        f"{HEAD}campaign: c\nvariants: {{a: 1}}\nsteps:\n  - {{say: {T}, variants: {{a: {T}}}}}\n",
        "f.yaml:8: steps.0.(say): a say step has either `say` or `variants`",
    ),
    "an unknown tenant": (STEPS.replace("acme", "nobody") + "  - {end: true}\n", "f.yaml:3: tenant: there is no tenant 'nobody'; known: acme"),
    "no start": (STEPS.replace("start: {keywords: {en: [go]}}\n", "") + "  - {end: true}\n", "f.yaml:1: start: nothing starts this flow"),
    "an opt word as keyword": (STEPS.replace("[go]", "[go, stop]") + "  - {end: true}\n", "f.yaml:4: start.keywords.en.1: the word 'stop' never"),
    "a keyword without letters": (STEPS.replace("[go]", "['?!']") + "  - {end: true}\n", "f.yaml:4: start.keywords.en.0: the word '?!' has no"),
    "a keyword twice": (STEPS.replace("[go]", "[go, GO]") + "  - {end: true}\n", "f.yaml:4: start.keywords.en.1: the word 'GO' stands twice"),
    "an event and a keyword": (
        STEPS.replace("{keywords:", "{event: a, keywords:") + "  - {end: true}\n",
        "f.yaml:4: start: a flow that begins by itself is begun by nothing that a customer says",
    ),
}


@pytest.mark.parametrize(("text", "said"), BROKEN.values(), ids=BROKEN)
def test_broken_file(tmp_path, text, said):
    """A broken flow is refused with file, line, place and reason."""
    with pytest.raises(ConfigError) as caught:
        book(tmp_path, f=text)

    assert said in str(caught.value)


OTHER = f"flow: g\nversion: 1\ntenant: acme\nstart: {{keywords: {{ko: [가자], en: [Go!]}}, welcome: true}}\nsteps:\n  - say: {T}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (STEPS + "  - {end: true}\n", "f.yaml:4: start.keywords.en.0: the word 'go' also starts g"),
        (STEPS.replace("{en: [go]}", "{en: [x]}, welcome: true") + "  - {end: true}\n", "f.yaml:4: start.welcome: g starts by the same welcome"),
        (STEPS.replace("flow: f", "flow: g").replace("[go]", "[x]") + "  - {end: true}\n", "f.yaml:1: flow: two files hold a flow 'g'"),
    ],
)
def test_flows_in_each_others_way(tmp_path, text, said):
    """Two flows that claim the same are both refused."""
    with pytest.raises(ConfigError) as caught:
        book(tmp_path, f=text, g=OTHER)

    assert said in str(caught.value)


def test_all_complaints_at_once(tmp_path):
    """Every file's complaints come together, not one at a time."""
    wrong = STEPS + "  - {go: nowhere}\n  - {say: {en: a}}\n"
    with pytest.raises(ConfigError) as caught:
        book(tmp_path, f=wrong, g="nonsense: 1")
    places = {":".join(line.removeprefix(f"{tmp_path}/").split(":")[:2]) for line in str(caught.value).splitlines()}

    assert {"f.yaml:6", "f.yaml:7", "g.yaml:1"} == places


@pytest.mark.parametrize(
    ("name", "said"), [("f.yml", "f.yml:1: the file: it is not read; its name must end in .yaml"), (None, "there is no such directory")]
)
def test_flows_that_would_not_be_read(tmp_path, name, said):
    """A file by another ending and a directory that is not there are said, not passed over."""
    if name:
        (tmp_path / name).write_text("flow: f")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path if name else tmp_path / "flows", TENANTS)

    assert said in str(caught.value)


# --- how it is walked ------------------------------------------------------------------------------------------------------------------


def test_circle_ends_with_its_reason(tmp_path):
    """A flow that leads in circles, here by a wait for a day that has passed, ends after the limit and says where."""
    walk = begun(tmp_path, "  - {id: a, wait: {until: '2020-01-01'}}\n  - {go: a}\n")

    assert Failed("f", f"flow f@1, step a: more than {MAX_STEPS} steps for one event; does it lead in a circle?", True) == walk.effects[-1]
    assert after(walk).position is None


def test_text_without_its_value(tmp_path):
    """What was said before stays said, the text that lacks a value is not sent, and the flow has ended."""
    walk = begun(tmp_path, "  - say: {ko: 가, en: a}\n  - say: {ko: '{{ profile.name }}', en: '{{ profile.name }}'}\n")

    assert (["가"], "flow f@1, step 2: profile.name is undefined") == (texts_of(walk), walk.effects[-1].reason)


def test_remembered_values(tmp_path):
    """Profile values stay with the contact, slots with the flow, and texts name both."""
    steps = """\
  - set: {profile.tea: "{{ event.tea | upcase }}", slot.cup: "2"}
  - ask: more
    say: {ko: "{{ slot.cup }} {{ profile.tea }}", en: x}
"""
    made = book(tmp_path, f=HEAD.replace("{keywords: {en: [go]}}", "{event: tea.chosen}") + "steps:\n" + steps)
    walk = engine.begin(scene(made, ContactState()), "f", {"tea": "sencha"})

    assert (["2 SENCHA"], {"tea": "SENCHA"}, {"cup": "2"}) == (texts_of(walk), after(walk).profile, after(walk).position.slots)


def test_media_beside_a_text(tmp_path):
    """A picture goes with the text, its address filled in."""
    walk = begun(
        tmp_path,
        "  - say: {ko: 가, en: a}\n    media: [{kind: image, url: 'https://acme.example/{{ language }}.png'}]\n",
        ContactState(language="en"),
    )

    assert ["https://acme.example/en.png"] == [one.url for one in walk.effects[0].content.media]


def test_branch_by_tag(tmp_path):
    """A tag of the contact decides where a branch leads."""
    steps = "  - branch: [{when: {value: tag.vip, known: true}, go: vip}]\n  - {end: true}\n  - {id: vip, say: {ko: 귀빈, en: vip}}\n"

    assert (["귀빈"], []) == (
        texts_of(begun(tmp_path, steps, ContactState(tags=("vip",)))), texts_of(begun(tmp_path, steps, ContactState(tags=("new",)))),
    )  # fmt: skip


def test_slots_go_along_to_another_flow(tmp_path):
    """What is known in a flow is known in the one it goes to."""
    other = "flow: g\nversion: 3\ntenant: acme\nsteps:\n  - escalate: tea\n    say: {ko: '{{ slot.cup }}잔', en: x}\n"
    walk = begun(tmp_path, "  - set: {slot.cup: '2'}\n  - go: flow/g\n", g=other)

    assert (["2잔"], Escalated("tea", "g")) == (texts_of(walk), walk.effects[-1])


def test_variant_is_of_the_flow_that_speaks(tmp_path):
    """A flow that another goes to draws its own variant."""
    other = f"flow: g\nversion: 1\ntenant: acme\ncampaign: c\nvariants: {{a: 1}}\nsteps:\n  - variants: {{a: {T}}}\n"
    walk = begun(tmp_path, "  - go: flow/g\n", g=other)

    assert [("g", "a")] == [(one.flow.flow, one.variant) for one in walk.effects if isinstance(one, Said)]


def test_question_is_taken_back_with_its_version(tmp_path):
    """A question of a version that is no more is not taken as asked."""
    walk = begun(tmp_path, f"  - {{ask: x, say: {T}}}\n")
    newer = book(tmp_path, f=HEAD.replace("version: 1", "version: 2") + f"steps:\n  - {{ask: x, say: {T}}}\n")

    assert engine.question(scene(walk.scene.book, after(walk))) is not None
    assert engine.replied(scene(newer, after(walk), "tea")) is None


def test_question_asked_again_lacks_a_value(tmp_path):
    """Where asking again cannot be filled in, the flow ends with its reason."""
    walk = begun(tmp_path, f"  - {{ask: x, say: {T}, pattern: a, again: {{ko: '{{{{ slot.x }}}}', en: b}}}}\n")
    again = engine.missed(scene(walk.scene.book, after(walk)))

    assert [Failed("f", "flow f@1, step 1: slot.x is undefined", True)] == list(again.effects)


@pytest.mark.parametrize(("said", "tapped", "kept"), [
    ("", "tea", "tea"), ("2", None, "coffee"), ("커피", None, "coffee"), ("COFFEE!", None, "coffee"), ("tea", None, "tea"), ("３", None, None),
    ("", None, None), ("!", None, None), ("tea", "gone", None), ("0", None, None),
])  # fmt: skip
def test_choices_by_tap_number_and_title(tmp_path, said, tapped, kept):
    """A choice is meant by tapping it, by its number, its id, or its title in any language."""
    walk = begun(
        tmp_path,
        "  - ask: x\n    say: {ko: 가, en: a}\n    choices: [{id: tea, title: {ko: 차, en: Tea}}, {id: coffee, title: {ko: 커피, en: Coffee}}]\n",
    )
    walk = engine.replied(scene(walk.scene.book, after(walk), said, tapped))

    assert kept == (walk.slots["x"] if walk else None)


# --- its parts -------------------------------------------------------------------------------------------------------------------------


def experiment(weights: dict[str, int], campaign: str = "c") -> Flow:
    return Flow.model_validate({"flow": "f", "version": 1, "tenant": "acme", "campaign": campaign, "variants": weights, "steps": [{"end": True}]})


weights = st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), st.integers(1, 1000), min_size=1)


@given(st.uuids(), weights)
def test_variant_is_sticky(contact, weights):
    """A contact always has the same variant of a campaign, whatever else the flow says, and it is one of them."""
    chosen = variant_of(experiment(weights), contact)

    assert (chosen, True) == (variant_of(experiment(weights).model_copy(update={"version": 2, "flow": "g"}), contact), chosen in weights)


@given(st.integers(1, 9), st.integers(1, 9), st.uuids(version=4))
def test_variants_have_their_weights(a, b, seed):
    """Of many contacts each variant has its share, within five standard deviations."""
    flow, n = experiment({"a": a, "b": b}, campaign=f"c{seed.hex[:8]}"), 1000
    share = sum(variant_of(flow, UUID(int=seed.int ^ one)) == "a" for one in range(n)) / n
    wanted = a / (a + b)

    assert abs(share - wanted) < 5 * (wanted * (1 - wanted) / n) ** 0.5


def test_campaigns_draw_apart():
    """Who has variant a in one campaign has either in another: the draws are independent."""
    one, two = experiment({"a": 1, "b": 1}, "spring"), experiment({"a": 1, "b": 1}, "summer")
    both = sum(variant_of(one, UUID(int=number)) == variant_of(two, UUID(int=number)) for number in range(1000))

    assert 420 < both < 580


@pytest.mark.parametrize(("condition", "wanted"), [
    ({"value": "profile.name", "is": "mina"}, True), ({"value": "profile.name", "is": "jin"}, False), ({"value": "profile.age", "is": 30}, True),
    ({"value": "profile.name", "in": ["Jin", "Mina"]}, True), ({"value": "profile.name", "known": True}, True),
    ({"value": "profile.city", "known": True}, False), ({"value": "profile.city", "known": False}, True),
    ({"value": "profile.city", "is": "Seoul"}, False), ({"value": "profile.empty", "known": True}, False),
    ({"not": {"value": "profile.city", "is": "Seoul"}}, True),
    ({"all": [{"value": "profile.name", "known": True}, {"value": "profile.city", "known": True}]}, False),
    ({"any": [{"value": "profile.name", "known": True}, {"value": "profile.city", "known": True}]}, True),
])  # fmt: skip
def test_conditions(condition, wanted):
    """A condition holds or not; what is unknown equals nothing."""
    known = {"profile": {"name": "Mina", "age": 30, "empty": ""}}
    asked = Asked(lambda name: find(known, name), lambda _: (), lambda *_: None, None, (), lambda: T0)

    assert wanted is holds(Condition.model_validate(condition), asked)


@pytest.mark.parametrize(("text", "language"), [
    ("안녕하세요", "ko"), ("hello", "en"), ("A1001", None), ("AB1001", None), ("mina@acme.example", None), ("https://acme.example/x", None), ("👍", None),
    ("", None), (None, None), ("1", None), ("iPhone 주문", "ko"), ("ㅇㅇ", "ko"), ("Привет", None), ("café", "en"), ("Hi, order A1001", "en"),
])  # fmt: skip
def test_language_by_letters(text, language):
    """Hangul is Korean, Latin letters are English, and signs, numbers and addresses say nothing."""
    assert language == recognised(text, ("ko", "en"))


def test_language_of_the_tenant_only():
    """A language that the tenant does not speak is not recognised; its texts come in its first."""
    assert (None, None, "a") == (recognised("안녕", ("en",)), recognised("hello", ("ko",)), spoken({"ko": "가", "en": "a"}, None, ("en", "ko")))


@given(st.text())
def test_plain_is_stable(text):
    """A text in its plain form is its own plain form."""
    assert plain(plain(text)) == plain(text)


@pytest.mark.parametrize("text", ["{{ event.a | divided_by: 0 }}", "{{ event.gone }}"])
def test_text_that_cannot_be_filled_in(text):
    """Whatever goes wrong in a text, it is said by one kind of error, and nothing of it is sent."""
    texts = Texts()
    complaints = list(texts.parse(text))
    with pytest.raises(Unfilled):
        texts.render(text, {"event": {"a": 1, "list": [{}]}})

    assert [] == complaints


@pytest.mark.parametrize(("text", "said"), [
    ("{% for i in (1..1000) %}{{ i }}{% endfor %}", "at most 200 of them"), ("{% render 'other' %}", "unexpected tag 'render'"),
])  # fmt: skip
def test_text_that_asks_too_much(text, said):
    """It is refused when it is read."""
    assert said in next(iter(Texts().parse(text)))


def test_purposes_default():
    """A flow speaks for the service it is, unless it says that it is marketing."""
    assert Purpose.TRANSACTIONAL is experiment({"a": 1}).purpose
