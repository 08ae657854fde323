"""The checks of flows beyond what is broken: what counts as silence, as a circle, as the price of a text; and that many flows cost each no more than few."""

import time

import pytest

from parley.templates import Texts
from parley_router.checks import Complaint, complaints, every
from parley_router.checks.texts import segments
from parley_router.flow import Flow
from parley_router.steps import Ask, Say

TENANTS = {"acme": ("en",)}
BYE = {"say": {"en": "bye"}}


def flow(*steps: dict[str, object], name: str = "f", **more: object) -> Flow:
    return Flow.model_validate({"flow": name, "version": 1, "tenant": "acme", "start": {"keywords": {"en": [name]}}, "steps": steps, **more})


def said(*flows: Flow, **known: dict[str, set[str]]) -> list[Complaint]:
    """What is said of the first of them."""
    return list(complaints(flows[0], flows, TENANTS, Texts(), **known))


def levels(*flows: Flow) -> list[tuple[object, str]]:
    return [(one.place[1], one.level) for one in said(*flows)]


def ask(**more: object) -> dict[str, object]:
    return {"ask": "x", "say": {"en": "?"}, **more}


def test_a_circle_through_a_question_is_none():
    """A menu that comes again after each answer is as it should be, as long as there is a way out."""
    choices = [{"id": "more", "title": {"en": "More"}, "go": "menu"}, {"id": "done", "title": {"en": "Done"}, "go": "bye"}]

    assert [] == levels(flow(ask(id="menu", choices=choices), {"id": "bye", **BYE}))


@pytest.mark.parametrize(
    "way_out",
    [{"within": "1h"}, {"otherwise": "bye"}, {"within": "1h", "late": "bye"}],
    ids=["it ends by itself", "after the last try", "when it is late"],
)
def test_a_question_that_time_or_tries_end_is_no_trap(way_out):
    """Whoever only ever chooses "again" is still let go by one of these."""
    again = {"id": "again", "title": {"en": "Again"}, "go": "a"}

    assert [] == levels(
        flow({**BYE, "say": {"en": "hi"}}, ask(id="a", choices=[again], **way_out), *([{"id": "bye", **BYE}] if "bye" in way_out.values() else []))
    )


def test_silence_reaches_through_other_flows():
    """An answer that leads to another flow, which says nothing either, is as silent as one that leads to the end."""
    quiet = flow({"set": {"slot.y": "1"}}, name="quiet")

    assert [(0, "warning")] == levels(flow(ask(), {"go": "flow/quiet"}), quiet)
    assert [] == levels(flow(ask(), {"go": "flow/loud"}), flow(BYE, name="loud"))


def test_a_flow_that_is_run_need_not_say_the_last_word():
    """The one that runs it goes on."""
    inner = flow(ask(), name="inner", start={})

    assert [] == levels(inner, flow({"do": "flow/inner"}, BYE, name="outer"))


def test_what_nobody_knows_is_not_spoken_of():
    """Services and intents are only checked where it is known which there are."""
    made = flow({"call": "orders", "path": "/x"}, BYE, start={"intents": "order-status"})

    assert [] == said(made)
    assert 2 == len(said(made, services={"acme": set()}, intents={"acme": set()}))


def test_an_event_of_ones_own_is_fine():
    """Shops have events of their own; one that is nearly a known one is a warning."""
    assert [] == said(flow(BYE, start={"event": "wine.tasted"}))
    assert ["warning"] == [one.level for one in said(flow(BYE, start={"event": "cart.abandonned"}))]


def test_marketing_that_answers_may_be_free():
    """What a customer asked for needs no way out in each message, and after an answer neither."""
    own = {"start": {"event": "sale.began"}, "purpose": "marketing"}

    assert [] == said(flow(BYE, purpose="marketing"))
    assert [] == said(flow(ask(say={"en": "Tea? STOP to leave."}), BYE, **own))
    assert 1 == len(said(flow({"say": {"en": "Tea? STOP to leave."}}, BYE, **own)))
    assert 1 == len(said(flow({"say": {"en": "A nonstop sale"}}, **own)))


@pytest.mark.parametrize(
    ("step", "language", "wanted"),
    [
        (Say.model_validate({"say": {"ko": "가" * 70}}), "ko", (1, "ucs2", 70)),
        (Say.model_validate({"say": {"ko": "가" * 71}}), "ko", (2, "ucs2", 71)),
        (Say.model_validate({"say": {"en": "a" * 160}}), "en", (1, "gsm", 160)),
        (Say.model_validate({"say": {"en": "a" * 153 + "{{ profile.name }}"}}), "en", (2, "gsm", 163)),
        (Ask.model_validate(ask(say={"en": "Tea?"}, choices=[{"id": "y", "title": {"en": "Yes"}}])), "en", (1, "gsm", 11)),
        (Say.model_validate({"say": {"en": "Tea"}, "cards": [{"title": {"en": "Green"}, "url": "https://e/1"}]}), "en", (1, "ucs2", 23)),
    ],
)
def test_price(step, language, wanted):
    """Counted is what is sent: choices as lines, cards as lines, a value as ten characters."""
    assert wanted == segments(step, step.say[language], language)


def test_many_flows_cost_each_no_more_than_few():
    """Eight times as many flows take about eight times as long."""

    def cost(count: int) -> float:
        flows = [flow(BYE, {"go": f"flow/f{(one + 1) % count}"}, name=f"f{one}", start={"intents": f"i{one}"}) for one in range(count)]
        flows = [one.model_copy(update={"steps": (flow(ask()).steps[0], *one.steps)}) for one in flows]
        began = time.process_time()
        assert [] == list(every(flows, TENANTS, Texts()))
        return (time.process_time() - began) / count

    few = min(cost(50) for _ in range(3))
    assert 3 * few > min(cost(400) for _ in range(2))
