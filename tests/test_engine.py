"""The engine, conversation by conversation: waits, experiments, services, bookings, goals, sub-flows, versions, meanings, leaving."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import settings as options
from hypothesis import strategies as st

from parley.contracts import (
    Channel,
    ConsentChanged,
    ConsentState,
    ContactDrawn,
    ConversationChanged,
    GoalChanged,
    MessageMisunderstood,
    MessageRequested,
    Purpose,
)
from parley_router.catalogue import Meaning, bound
from parley_router.phrases import PHRASES
from parley_router.state import Wanted
from tests.staging import HEAD, LANGUAGES, NOON, Stage, book, texts

WORD = "start: {keywords: {en: [go]}}\n"


def say(text: str) -> str:
    return f"{{ko: '{text}', en: '{text}'}}"


@pytest.fixture
def stage(tmp_path):
    """A stage with these flows; `f` is begun by the word go, unless it says how."""

    def made(steps: str = "", /, start: str = WORD, **more: str) -> Stage:
        meanings = more.pop("meanings", None)
        flows = {"f": f"{start}steps:\n{steps}"} if steps else {}
        return Stage(book(tmp_path / "flows", meanings, **flows, **more))

    return made


# --- waiting ---------------------------------------------------------------------------------------------------------------------------


def test_a_wait_ends_when_its_time_has_come(stage):
    """Not before, once, and what comes after it is said on our own."""
    one = stage(f"  - wait: 2h\n  - say: {say('later')}\n")

    assert ([], [], ["later"], []) == (one.says("go"), one.passes("1h"), one.passes("1h"), one.passes("3d"))
    assert [Purpose.TRANSACTIONAL] == [each.purpose for each in one.of(MessageRequested)]


def test_a_timer_that_comes_twice_or_late_means_nothing(stage):
    """Its token is spent by the first, and by whatever ended the wait before it."""
    one = stage(
        f"  - wait: 2h\n    events: [{{name: order.placed, go: thanks}}]\n  - say: {say('later')}\n  - end: true\n  - {{id: thanks, say: {say('thanks')}}}\n"
    )
    one.says("go")
    (token,) = one.state.timers()

    assert (["thanks"], [], {}) == (one.event("order.placed"), one.fires(token), one.state.timers())


def test_whichever_comes_first(stage):
    """A wait for a time, an event, a reply and a click goes where the first of them leads."""
    steps = (
        f"  - say: {say('look')}\n  - wait: 1d\n    events: [{{name: order.placed, where: {{value: event.total, above: 10}}, go: bought}}]\n"
        f"    reply: {{go: wrote}}\n    click: {{go: clicked}}\n  - say: {say('time')}\n  - end: true\n"
        f"  - {{id: bought, say: {say('bought {{ event.total }}')}}}\n  - end: true\n  - {{id: wrote, say: {say('wrote {{ slot.reply }}')}}}\n  - end: true\n"
        f"  - {{id: clicked, say: {say('clicked')}}}\n"
    )
    found = {}
    for name, happens in {
        "event": lambda one: one.event("order.placed", total=11), "reply": lambda one: one.says("hm"), "time": lambda one: one.passes("1d"),
        "other event": lambda one: one.event("order.placed", total=9),
        "click": lambda one: one.event("message.clicked", message_id=str(one.of(MessageRequested)[0].message_id)),
        "click on something else": lambda one: one.event("message.clicked", message_id=str(one.state.runs[0].token)),
    }.items():  # fmt: skip
        one = stage(steps)
        one.says("go")
        found[name] = happens(one)

    assert {
        "event": ["bought 11"], "reply": ["wrote hm"], "time": ["time"], "other event": [], "click": ["clicked"], "click on something else": [],
    } == found  # fmt: skip


@pytest.mark.parametrize(("wait", "due"), [
    ('{at: "15:30"}', datetime(2026, 11, 25, 15, 30, tzinfo=UTC)), ('{at: "09:00"}', datetime(2026, 11, 26, 9, tzinfo=UTC)),
    ('{for: 2d, at: "09:00"}', datetime(2026, 11, 28, 9, tzinfo=UTC)), ('{at: "09:00", days: [mon]}', datetime(2026, 11, 30, 9, tzinfo=UTC)),
    ('{until: "2026-12-24", before: 1d}', datetime(2026, 12, 23, tzinfo=UTC)), ('{until: "2026-12-24T10:30:00+09:00"}', datetime(2026, 12, 24, 1, 30, tzinfo=UTC)),
])  # fmt: skip
def test_waits_until_a_time_of_day(stage, wait, due):
    """In the contact's zone, on the days that are named, counted back from a date where that is said."""
    one = stage(f"  - wait: {wait}\n  - say: {say('now')}\n")
    one.state = one.state.but(profile={"timezone": "UTC"})
    one.says("go")

    assert [due] == list(one.state.timers().values())


def test_times_of_day_are_the_contacts_own(stage):
    """A profile that tells its zone is believed."""
    one = stage(f'  - wait: {{at: "09:00"}}\n  - say: {say("now")}\n')
    one.state = one.state.but(profile={"timezone": "America/New_York"})
    one.says("go")

    assert [datetime(2026, 11, 25, 14, tzinfo=UTC)] == list(one.state.timers().values())


def test_a_moment_that_has_passed_is_not_waited_for(stage):
    """What was to be waited for is over: it goes on at once. A text that is no moment ends the flow with its reason."""
    one = stage(
        f'  - wait: {{until: "2026-11-24"}}\n  - say: {say("over")}\n',
        g=f"start: {{keywords: {{en: [gone]}}}}\nsteps:\n  - wait: {{until: soon}}\n  - say: {say('x')}\n",
    )

    assert ["over"] == one.says("go")
    one.says("gone")
    assert ["flow g@1, step 1: 'soon' is no date or moment: write it as 2026-11-25 or 2026-11-25T10:00"] == one.troubles


def test_what_we_say_on_our_own_waits_for_the_morning(stage):
    """At night `not_before` is the next morning of the contact; a reply is not held, nor is what is urgent."""
    event = "start: {event: order.shipped}\n"
    found = []
    for more in ("", "urgent: true\n"):
        one = stage(f"  - say: {say('shipped')}\n", start=more + event)
        one.at = datetime(2026, 11, 25, 13, tzinfo=UTC)  # 22:00 in Seoul, where the number belongs
        one.event("order.shipped")
        found += [each.not_before for each in one.of(MessageRequested)]

    assert [datetime(2026, 11, 25, 23, tzinfo=UTC), None] == found


def test_several_flows_wait_beside_each_other(stage):
    """A question, a reminder and a journey do not end each other."""
    one = stage(
        f"  - ask: name\n    say: {say('who?')}\n  - say: {say('hi {{ slot.name }}')}\n",
        tea=f"start: {{event: tea.seen}}\nsteps:\n  - wait: 1h\n  - say: {say('tea?')}\n",
        cup=f"start: {{event: cup.seen}}\nsteps:\n  - wait: 2h\n  - say: {say('cup?')}\n",
    )
    one.says("go")
    one.event("tea.seen")
    one.event("cup.seen")

    assert (["tea?"], ["hi Mina"], ["cup?"]) == (one.passes("90m"), one.says("Mina"), one.passes("1h"))


def test_while_people_talk_the_bot_is_silent(stage):
    """A timer that comes then is looked at again later; STOP ends what would have been said for good."""
    one = stage(f"  - wait: 1h\n  - say: {say('later')}\n", h="start: {keywords: {en: [person]}}\nsteps:\n  - escalate: support\n")
    one.says("go")
    one.says("person")

    assert [] == one.passes("2h")
    one.state = one.state.but(conversation=None)
    assert ["later"] == one.passes("2h")


def test_what_is_waited_for_counts_while_people_talk(stage):
    """The flow goes on without a word, so that nobody is reminded of what they have done meanwhile; its question is not asked."""
    one = stage(
        f"  - wait: 1d\n    events: [{{name: order.placed, go: thanks}}]\n  - say: {say('still there')}\n  - end: true\n"
        f"  - {{id: thanks, say: {say('thanks')}}}\n  - {{tag: bought}}\n  - ask: x\n    say: {say('how was it?')}\n",
        h="start: {keywords: {en: [person]}}\nsteps:\n  - escalate: support\n",
    )
    one.says("go")
    one.says("person")

    assert [] == one.event("order.placed")
    assert (("bought",), (), None) == (one.state.tags, one.state.runs, one.state.position)


# --- asking ----------------------------------------------------------------------------------------------------------------------------


def test_a_question_that_is_answered_already_is_not_asked(stage):
    """The profile has it, or the message that began the flow."""
    one = stage(
        f"  - ask: profile.city\n    say: {say('where?')}\n  - say: {say('{{ profile.city }} {{ slot.city }}')}\n".replace(" {{ slot.city }}", "")
    )
    one.state = one.state.but(profile={"city": "Seoul"})

    assert ["Seoul"] == one.says("go")


def test_an_answer_is_kept_for_good(stage):
    """What `profile.NAME` asks stays with the contact; asked a second time it is known."""
    one = stage(f"  - ask: profile.city\n    say: {say('where?')}\n  - say: {say('{{ profile.city }}')}\n")

    assert (["where?"], ["Busan"], ["Busan"]) == (one.says("go"), one.says("Busan"), one.says("go"))


def test_a_question_waits_only_so_long(stage):
    """After `within` it goes to `late`; asking again does not begin the time anew."""
    one = stage(
        f"  - ask: n\n    type: number\n    say: {say('how many?')}\n    tries: 3\n    within: 1h\n    late: bye\n  - say: {say('ok')}\n  - end: true\n"
        f"  - {{id: bye, say: {say('another time')}}}\n"
    )
    one.says("go")
    one.passes("40m")

    assert (["how many?"], ["another time"], []) == (one.says("many"), one.passes("20m"), one.passes("1h"))


@pytest.mark.parametrize("word", ["never mind", "됐어요", "Enough"])
def test_a_question_can_be_left(stage, word):
    """By the words that every flow knows, and by its own."""
    one = stage(f"  - ask: name\n    say: {say('who?')}\n  - say: {say('x')}\n", start=WORD + "escape: {en: [enough]}\n")
    one.says("go")
    (said,) = one.says(word)

    assert (True, None) == (said in PHRASES["left"].values(), one.state.position)


def test_a_title_of_a_choice_is_an_answer_even_when_it_is_a_word_that_leaves(stage):
    """What the flow offers comes first."""
    one = stage(
        f"  - ask: c\n    say: {say('which?')}\n    choices: [{{id: not-now, title: {say('Not now')}}}, {{id: b, title: {say('B')}}}]\n"
        f"  - say: {say('chose {{ slot.c }}')}\n"
    )
    one.says("go")

    assert ["chose not-now"] == one.says("not now")


# --- experiments, tags, goals, consent --------------------------------------------------------------------------------------------------


def test_a_split_counts_what_follows(stage):
    """What is said behind it is of the variant drawn, under the campaign of the flow."""
    one = stage(
        f"  - split: subject\n    variants: {{a: {{go: one}}, b: {{go: one}}}}\n  - {{id: one, say: {say('x')}}}\n",
        start="campaign: spring\n" + WORD,
    )
    one.says("go")
    (said,) = one.of(MessageRequested)

    assert ("spring", True) == (said.campaign, said.variant in ("a", "b"))


SPLIT = f"  - split: offer\n    variants: {{a: {{weight: 3, go: one}}, none: {{holdout: true}}}}\n  - {{id: one, say: {say('x')}}}\n"


def test_who_comes_to_a_split_is_drawn_once(stage):
    """However often the flow begins: told with the weights, and with the flow and step where it was."""
    one = stage(SPLIT, start="campaign: spring\n" + WORD)
    heard = [bool(one.says("go")) for _ in range(2)]
    (told,) = one.of(ContactDrawn)

    assert ("offer", "spring", {"a": 3, "none": 1}, "none", "f@1", "1", NOON) == (
        told.experiment, told.campaign, told.weights, told.holdout, told.flow, told.step, told.at
    )  # fmt: skip
    assert [told.variant == "a"] * 2 == heard


@pytest.mark.parametrize("number", range(8))
def test_a_holdout_is_left_alone(stage, number):
    """The flow ends for these people; they are drawn like the others."""
    one = stage(f"  - split: try-{number}\n    variants: {{a: {{go: one}}, none: {{holdout: true}}}}\n  - {{id: one, say: {say('x')}}}\n",
                start="campaign: spring\n" + WORD)  # fmt: skip
    heard = one.says("go")
    (told,) = one.of(ContactDrawn)

    assert {"a": ["x"], "none": []}[told.variant] == heard
    assert (None, ()) == (one.state.position, one.state.runs)


def test_who_begins_a_flow_with_variants_is_drawn(stage):
    """The campaign is the experiment, and no step of it the place; conditions that are only asked draw nobody."""
    one = stage(f"  - variants: {{a: {say('x')}, b: {say('y')}}}\n", start="campaign: spring\nvariants: {a: 1, b: 2}\n" + WORD)
    one.event("cart.viewed")
    one.says("go")
    (told,) = one.of(ContactDrawn)

    assert ("spring", "spring", {"a": 1, "b": 2}, None, None) == (told.experiment, told.campaign, told.weights, told.holdout, told.step)
    assert told.variant == one.of(MessageRequested)[0].variant


@pytest.mark.parametrize("campaign, kept", [("spring", True), ("autumn", False)])
def test_another_campaign_counts_nothing_under_a_variant_of_this_one(stage, campaign, kept):
    """A flow that goes to one of another campaign leaves its variant behind; to one of the same campaign it takes it along."""
    steps = "  - split: offer\n    variants: {a: {go: flow/g}, b: {go: flow/g}}\n"
    one = stage(steps, start="campaign: spring\n" + WORD, g=f"campaign: {campaign}\nsteps:\n  - say: {say('x')}\n")
    one.says("go")
    (said,) = one.of(MessageRequested)

    assert kept == (said.variant in ("a", "b"))


def test_a_goal_is_reached_once_and_in_time(stage):
    """Only by an event that fulfils `where`, only within the time; told under flow, campaign and variant."""
    steps = f"  - goal: order.placed\n    within: 1d\n    where: {{value: event.total, above: 10}}\n  - say: {say('x')}\n"
    one = stage(steps, start="campaign: spring\n" + WORD)
    one.says("go")
    one.event("order.placed", total=5)
    one.passes("2h")
    for _ in range(2):
        one.event("order.placed", total=50)
    late = stage(steps, start="campaign: spring\n" + WORD)
    late.says("go")
    late.passes("2d")
    late.event("order.placed", total=50)
    assert () == late.state.goals

    assert [("watched", {}), ("reached", {"total": 50})] == [(each.change, each.properties) for each in one.of(GoalChanged)]
    assert ["watched"] == [each.change for each in late.of(GoalChanged)]
    assert {("f@1", "1", "spring")} == {(each.flow, each.step, each.campaign) for each in one.of(GoalChanged)}


def test_double_opt_in_keeps_its_proof(stage):
    """Pending first, granted by the answer; the proof has what was shown and what was said."""
    one = stage(
        f"  - {{consent: marketing, state: pending}}\n  - ask: sure\n    say: {say('Really?')}\n    choices: [{{id: 'yes', title: {say('Yes')}}}]\n"
        "  - {consent: marketing, state: granted}\n"
    )
    one.says("go")
    one.says("yes")
    changes = [(each.state, each.source) for each in one.of(ConsentChanged)]

    assert [(ConsentState.PENDING, "flow"), (ConsentState.GRANTED, "flow")] == changes
    assert ("Really?", "yes", "f", "3") == tuple(getattr(one.of(ConsentChanged)[-1].proof, name) for name in ("shown", "said", "flow", "step"))


def test_who_never_writes_is_tagged(stage):
    """After five messages on our own; the first word from them takes it off."""
    one = stage(f"  - say: {say('x')}\n", start="start: {event: news}\n")
    for _ in range(5):
        one.event("news")
    silent = one.state.tags
    one.says("hello")

    assert (("silent",), ()) == (silent, one.state.tags)


def test_a_flow_begins_by_consent_and_not_by_its_own(stage):
    """START begins it; a flow's own step does not."""
    one = stage(
        f"  - {{consent: marketing, state: granted}}\n  - say: {say('agreed')}\n",
        hello=f"start: {{consent: {{purpose: marketing}}}}\nsteps:\n  - say: {say('welcome')}\n",
    )
    one.says("stop")
    one.says("start")

    assert ["welcome"] == [each.content.text for each in one.of(MessageRequested) if each.flow == "hello@1"]
    one.state = one.state.but(consents={key: value for key, value in one.state.consents.items() if "marketing" not in key})
    assert ["agreed"] == one.says("go")


def test_flows_begin_again_only_after_a_while(stage):
    """`again_after` counts from when it last began."""
    one = stage(f"  - say: {say('x')}\n", start="start: {event: cart.abandoned, where: {value: event.total, above: 0}, again_after: 1d}\n")
    said = [one.event("cart.abandoned", total=1), one.event("cart.abandoned", total=1), one.passes("1d") or one.event("cart.abandoned", total=1)]

    assert ([["x"], [], ["x"]], []) == (said, one.event("cart.abandoned", total=0))


def test_a_flow_begins_at_a_date_of_the_profile(stage):
    """So many days before it, every year, and anew when the date changes."""
    one = stage(
        f"  - ask: profile.birthday\n    type: date\n    say: {say('when?')}\n",
        day=f"start: {{date: {{profile: birthday, days: -3, at: '10:00', yearly: true}}, again_after: 30d}}\nurgent: true\nsteps:\n  - say: {say('soon')}\n",
    )
    one.state = one.state.but(profile={"timezone": "UTC"})
    one.says("go")
    one.says("2000-12-24")

    assert [datetime(2026, 12, 21, 10, tzinfo=UTC)] == list(one.state.timers().values())
    assert (["soon"], [datetime(2027, 12, 21, 10, tzinfo=UTC)]) == (one.passes("40d"), list(one.state.timers().values()))


def test_a_flow_begins_when_a_segment_is_entered(stage):
    """Told by the event that says so."""
    one = stage(f"  - say: {say('vip')}\n", start="start: {segment: vips}\n")

    assert (["vip"], []) == (one.event("segment.entered", segment="vips"), one.event("segment.entered", segment="others"))


# --- services --------------------------------------------------------------------------------------------------------------------------

CALL = (
    "  - set: {slot.order: 'A 1/2'}\n  - call: orders\n    path: '/orders/{{ slot.order }}'\n    keep: {slot.state: data.status, profile.last: data.number}\n"
    f"    none: gone\n    failed: broken\n  - say: {say('it is {{ slot.state }}')}\n  - end: true\n"
    f"  - {{id: gone, say: {say('no such order')}}}\n  - end: true\n  - {{id: broken, say: {say('try later')}}}\n"
)


def test_a_call_asks_and_goes_on_with_the_answer(stage):
    """What a customer said never becomes a path of its own; what is kept comes from the answer."""
    one = stage(CALL)

    assert [] == one.says("go")
    assert [Wanted(kind="http", service="orders", path="/orders/A%201%2F2")] == one.wanted
    assert (["it is shipped"], "7") == (one.answers({"data": {"status": "shipped", "number": 7}}), one.state.profile["last"])
    assert [Purpose.REPLY] == [each.purpose for each in one.of(MessageRequested)]


@pytest.mark.parametrize(("status", "error", "said"), [
    (404, None, ["no such order"]), (500, "status 500", ["try later"]), (None, "timeout", ["try later"]),
])  # fmt: skip
def test_a_call_that_gives_nothing_or_fails(stage, status, error, said):
    """Each goes its own way."""
    one = stage(CALL)
    one.says("go")

    assert said == one.answers(None, status, error)


def test_a_failure_that_the_flow_does_not_mention_goes_to_a_person(stage):
    """Somebody waits for an answer."""
    one = stage(f"  - call: orders\n    path: /orders\n  - say: {say('x')}\n")
    one.says("go")
    one.answers(None, 500, "status 500")

    assert ["escalated"] == [each.change for each in one.of(ConversationChanged) if each.change == "escalated"]


def test_an_answer_that_comes_twice_means_nothing(stage):
    """Its token is spent by the first."""
    one = stage(CALL)
    one.says("go")
    state = one.state
    one.answers({"data": {"status": "shipped"}})
    spent, one.state = one.state, state
    ((token, _),) = state.calls().items()
    one.state = spent
    from parley.contracts import CallReturned

    assert [] == texts(one.happens(CallReturned(contact_id=one.results[0].contact_id, call="orders", token=token, status=200, body={})))


def test_recommendations_become_cards(stage):
    """At most as many as asked for; links that are none are left out; without any it goes to `none`."""
    steps = (
        f"  - recommend: catalogue\n    path: /r\n    count: 2\n    none: sorry\n  - say: {say('for you')}\n    each: picks\n  - end: true\n"
        f"  - {{id: sorry, say: {say('sold out')}}}\n"
    )
    one = stage(steps)
    one.says("go")
    one.answers(
        {"items": [{"title": "Sencha", "price": "12,000", "url": "https://a.example/1"}, {"title": "Oolong", "image": "ftp://x"}, {"title": "c"}]}
    )
    two = stage(steps)
    two.says("go")

    assert [("Sencha", "12,000", "https://a.example/1"), ("Oolong", "", None)] == [
        (each.title, each.text, each.url) for each in one.of(MessageRequested)[0].content.cards
    ]
    assert ["sold out"] == two.answers({"items": []})


def test_an_appointment_is_chosen_and_booked(stage):
    """Free times are offered, one is booked; taken meanwhile, they are offered anew."""
    one = stage(
        f"  - book: calendar\n    path: '/slots?n=3'\n    book_path: /bookings\n    say: {say('when?')}\n  - say: {say('see you {{ slot.booking.title }}')}\n"
    )
    free = {"slots": [{"id": "s1", "title": "Mon 10"}, {"id": "s2", "title": "Mon 11"}]}
    one.says("go")

    assert (["when?"], ["Mon 10", "Mon 11"]) == (one.answers(free), [each.title for each in one.of(MessageRequested)[-1].content.choices])
    assert ([], [("POST", "/bookings", "s2")]) == (one.taps("s2"), [(each.method, each.path, each.body["slot"]) for each in one.wanted])
    assert ([], "/slots?n=3") == (one.answers(None, 409), one.wanted[0].path)
    one.answers(free)
    one.says("Mon 10")
    assert ["see you Mon 10"] == one.answers({"id": "b-9"}, 201)
    assert "free" not in one.state.runs


# --- sub-flows and versions ------------------------------------------------------------------------------------------------------------


def test_a_flow_runs_another_and_comes_back(stage):
    """With parameters in and slots out; what it kept for itself is gone."""
    one = stage(
        f"  - set: {{slot.own: mine}}\n  - do: flow/sub\n    with: {{what: tea}}\n    keep: many\n  - say: {say('{{ slot.own }}: {{ slot.many }}')}\n",
        sub=f"parameters: {{what: thing, unit: cups}}\nsteps:\n  - ask: many\n    say: {say('how many {{ slot.unit }} of {{ slot.what }}?')}\n  - end: true\n",
    )

    assert (["how many cups of tea?"], ["mine: 3"]) == (one.says("go"), one.says("3"))


def test_flows_that_run_each_other_end_with_a_reason(stage):
    """So deep, and no deeper: whatever the files say, an event is decided in bounded time."""
    one = stage()
    one.book = bound_by_hand({"f": "start: {keywords: {en: [go]}}\nsteps:\n  - do: flow/f\n"})
    one.says("go")

    assert "more than 5 deep" in one.troubles[0]


def bound_by_hand(flows: dict[str, str], older: dict[str, str] | None = None, retired=None):
    """A book without the checks: what a version of old may say."""
    import yaml

    from parley.templates import Texts
    from parley_router.flow import Flow

    def read(given: dict[str, str]) -> list[Flow]:
        return [
            Flow.model_validate(yaml.safe_load(text if text.startswith("flow:") else HEAD.format(name=name) + text)) for name, text in given.items()
        ]

    return bound(read(flows), {"acme": LANGUAGES}, {}, {}, Texts(), read(older or {}), retired)


OLD = f"flow: f\nversion: 1\ntenant: acme\nstart: {{keywords: {{en: [go]}}}}\nsteps:\n  - {{id: q, ask: x, say: {say('old?')}}}\n  - say: {say('old {{ slot.x }}')}\n"
NEW = OLD.replace("version: 1", "version: 2").replace("old", "new")


@pytest.mark.parametrize(("retired", "said"), [
    ({}, ["old a"]), ({("acme", "f", 1): 2}, ["new a"]),
])  # fmt: skip
def test_a_conversation_stays_on_its_version(retired, said):
    """Until the version is retired: then it goes on at the step of the same id in the other. What begins is always the newest."""
    one = Stage(bound_by_hand({"f": OLD}))
    one.says("go")
    one.book = bound_by_hand({"f": NEW}, {"f": OLD}, retired)

    assert (said, ["new?"]) == (one.says("a"), one.says("go"))
    assert {"f@1", "f@2"} == {each.flow for each in one.of(MessageRequested)}


def test_a_version_retired_for_nothing_ends_what_stood_in_it():
    """The question is taken back, the timer means nothing."""
    one = Stage(bound_by_hand({"f": OLD, "w": f"start: {{event: e}}\nsteps:\n  - wait: 1h\n  - say: {say('x')}\n"}))
    one.event("e")
    one.book = bound_by_hand({"f": NEW}, {"w": f"start: {{event: e}}\nsteps:\n  - wait: 1h\n  - say: {say('x')}\n"}, {("acme", "w", 1): None})

    assert ([], ()) == (one.passes("1h"), one.state.runs)


# --- meanings --------------------------------------------------------------------------------------------------------------------------

MEANINGS = {
    "hours": Meaning({"ko": "영업시간", "en": "Opening hours"}, {"ko": "열 시부터", "en": "From ten"}),
    "order": Meaning({"ko": "주문", "en": "My order"}),
    "returns": Meaning({"ko": "반품", "en": "Returns"}, {"ko": "7일", "en": "Seven days"}),
}
ORDER = f"  - ask: number\n    say: {say('which?')}\n    entity: order_number\n  - say: {say('order {{ slot.number }}')}\n"


@pytest.fixture
def reader(stage):
    return stage(
        ORDER, start="start: {intents: [order]}\n", meanings=MEANINGS, back=f"start: {{fallback: true}}\nsteps:\n  - say: {say('pardon?')}\n"
    )


def test_a_message_that_no_rule_knows_is_read(reader):
    """Nothing is said until its meaning is known; then the FAQ answers, or the flow begins, with what the message told already."""
    assert ([], [Wanted(kind="read", text="when do you open", language="en")]) == (reader.says("when do you open"), reader.wanted)
    assert ["From ten"] == reader.answers({"verdict": "sure", "intents": ["hours"]})
    reader.says("where is a1001")
    assert ["order a1001"] == reader.answers({"verdict": "sure", "intents": ["order"], "entities": {"order_number": "a1001"}})


def test_several_messages_in_a_row_are_read_as_one(reader):
    """People write in pieces; the answer to the first piece means nothing any more."""
    reader.says("hello there")
    (first,) = reader.state.calls()
    reader.says("when do you open?")

    assert (["hello there\nwhen do you open?"], False) == ([each.text for each in reader.wanted], first in reader.state.calls())


def test_unsure_between_a_few_asks_back_and_the_tap_teaches(reader):
    """At most three and a way out; what was chosen is told for whoever keeps the examples."""
    reader.says("it is about that thing")
    said = reader.answers({"verdict": "unsure", "intents": ["returns", "hours"]})
    choices = [each.id for each in reader.of(MessageRequested)[-1].content.choices]

    assert (["Which of these do you mean?"], ["returns", "hours", "something-else"]) == (said, choices)
    assert ["Seven days"] == reader.taps("returns")
    assert [None, "returns"] == [each.chosen for each in reader.of(MessageMisunderstood)]


def test_what_was_offered_is_over_with_the_next_words(reader):
    """A number that is written later does not choose from it."""
    reader.says("something about that")
    reader.answers({"verdict": "unsure", "intents": ["returns", "hours"]})
    reader.says("never heard of it")

    assert reader.state.offered is None


def test_who_is_not_understood_twice_is_not_asked_back_for_ever(reader):
    """The second time in a row a person helps, whether it was unsure or unknown."""
    for _ in range(2):
        reader.says("something about that")
        reader.answers({"verdict": "unsure", "intents": ["returns", "hours"]})

    assert reader.state.waiting


def test_unknown_is_said_once_and_then_asks_a_person(reader):
    """The fallback, then people; a reading that failed is one that knows nothing."""
    reader.says("qwertz")

    assert ["pardon?"] == reader.answers({"verdict": "unknown"})
    reader.says("asdf")
    reader.answers(None, None, "timeout")
    assert reader.state.waiting


def test_a_word_that_is_known_does_not_wait_for_a_meaning(reader, tmp_path):
    """A keyword while something is being read takes over; the reading that comes then means nothing."""
    one = Stage(
        book(tmp_path / "more", MEANINGS, f=f"{WORD}steps:\n  - say: {say('went')}\n", b=f"start: {{fallback: true}}\nsteps:\n  - say: {say('x')}\n")
    )
    one.says("some words")

    assert (["went"], {}) == (one.says("go"), one.state.calls())


# --- leaving ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("answer", "state"), [("yes", ConsentState.REVOKED), ("No", ConsentState.GRANTED), ("1", ConsentState.REVOKED)])
def test_a_phrase_that_sounds_like_an_opt_out_is_asked_back(reader, answer, state):
    """One question, two answers; the proof has both what was asked and what was said."""
    reader.says("please do not text me any more")

    assert ["Do you want to stop receiving messages from us?"] == reader.answers({"verdict": "unknown", "leaving": True})
    reader.says(answer)
    assert state is reader.state.consent(Channel.SMS, Purpose.MARKETING)
    proofs = [each.proof for each in reader.of(ConsentChanged)]
    assert all(each.shown and each.said == answer for each in proofs)


def test_stop_ends_everything_in_the_middle_of_a_flow(stage):
    """Also what waits for its time: it begins nothing that nobody may hear."""
    one = stage(f"  - wait: 1h\n  - say: {say('later')}\n  - ask: x\n    say: {say('what?')}\n")
    one.says("go")
    one.says("STOP")

    assert ([], None) == (one.passes("2h"), one.state.position)


# --- properties ------------------------------------------------------------------------------------------------------------------------

doings = st.lists(
    st.one_of(
        st.tuples(st.just("says"), st.sampled_from(["go", "3", "tea", "never mind", "STOP", "START", "뭐라고요"])),
        st.tuples(st.just("event"), st.sampled_from(["order.placed", "cart.abandoned"])),
        st.tuples(st.just("passes"), st.sampled_from(["10m", "2h", "3d"])),
        st.tuples(st.just("answers"), st.sampled_from([200, 404, 500])),
    ),
    max_size=15,
)


@options(max_examples=150, deadline=None)
@given(doings)
def test_whatever_happens_a_contact_stays_within_bounds(tmp_path_factory, happens):
    """Any order of things: decided the same each time, stored and read the same, nothing said after STOP, and every wait has its token."""
    one = Stage(LIVELY or lively(tmp_path_factory))
    for what, how in happens:
        before = len(one.results)
        if what == "answers":
            if len(one.state.calls()) == 1:
                one.answers({"items": [{"title": "a"}]}, how)
        else:
            getattr(one, what)(how)
        left = one.state.consents and all(one.state.refuses(Channel.SMS, each) for each in Purpose)
        said = [each for each in one.results[before:] if isinstance(each, MessageRequested)]
        assert not left or all(each.notice for each in said)
    assert all(run.token for run in one.state.runs)
    assert len(one.state.runs) <= 20


LIVELY = None


def lively(factory):
    global LIVELY
    LIVELY = book(
        factory.mktemp("lively"),
        f=f"{WORD}steps:\n  - id: a\n    ask: n\n    type: number\n    say: {say('n?')}\n    within: 1h\n    late: b\n  - recommend: r\n    path: /r\n"
          f"  - {{id: b, say: {say('b')}}}\n  - wait: 1h\n    reply: {{go: a}}\n  - say: {say('c')}\n",
        g=f"start: {{event: cart.abandoned}}\nsteps:\n  - id: w\n    wait: 1d\n    events: [{{name: order.placed, go: t}}]\n  - say: {say('d')}\n"
          f"  - go: w\n  - {{id: t, say: {say('t')}}}\n",
    )  # fmt: skip
    return LIVELY


def test_due_times_lie_ahead(stage):
    """A timer is never due before the moment that set it."""
    one = stage(f"  - wait: 1s\n  - say: {say('x')}\n")
    one.says("go")

    assert [one.at + timedelta(seconds=1)] == list(one.state.timers().values())


def test_a_language_model_is_asked_what_the_customer_wrote(stage):
    """Also after a call in between; an answer makes up for the message that nobody understood."""
    one = stage(
        f"  - say: {say('let me see')}\n  - call: orders\n    path: /x\n  - answer: faq\n",
        start="start: {fallback: true}\n",
        g=f"{WORD}steps:\n  - say: {say('x')}\n",
    )
    one.says("how fast is it?")
    one.answers({})

    assert [("answer", "how fast is it?")] == [(each.kind, each.text) for each in one.wanted]
    assert (["two days"], 0) == (one.answers({"text": "two days"}), one.state.misses)
