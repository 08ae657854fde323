"""What an experiment says, in figures and in words; and the same asked over HTTP, from real counters."""

import contextlib
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid5

import httpx
import numpy as np
import orjson
import pytest
import ville
from hypothesis import given
from hypothesis import strategies as st

from parley import config, web
from parley.bus import Bus
from parley.contracts import ContactDrawn, CustomerActed, DeliveryChanged, EngagementRecorded
from parley.metrics import Metrics
from parley.service import Context
from parley_analytics import experiments_api
from parley_analytics.experiments import Arm, Design, Pair, Unfit, Verdict, compare, plan, read
from parley_analytics.experiments_query import Asked, foreseen, understood
from parley_analytics.experiments_told import told
from parley_analytics.query import Unclear
from parley_analytics.samples import Group, Row, Sample, Spent, chosen, sampled
from parley_analytics.sequences import ALPHA, TUNED, Interval, Moments, share
from parley_analytics.verdicts import english, korean
from tests.ingesting import NOW, OTHER_KEY, write_accounts
from tests.test_drawn import apply, event, tables

__all__ = ["tables"]
POINT = Design(smallest=0.01)


def arms(people: int = 10_000, **hits: int) -> list[Arm]:
    return [Arm(name, share(people, count)) for name, count in hits.items()]


# --- the verdict -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hits, kind",
    [
        ({"A": 500, "B": 700}, "better"),
        ({"A": 500, "B": 540}, "early"),
        ({"A": 50, "B": 51}, "alike"),
        ({"A": 0, "B": 0}, "early"),
        ({"A": 500}, "alone"),
        ({}, "alone"),
    ],
)
def test_a_verdict_is_what_the_intervals_say(hits, kind):
    """Better, alike, too early, or nothing to compare."""
    assert kind == read(arms(**hits), POINT, 100).verdict.kind


def test_a_split_that_is_not_as_configured_has_no_winner():
    """However large the difference."""
    wrong = [Arm("A", share(10_000, 500)), Arm("B", share(9_000, 900))]

    assert "untrusted" == read(wrong, POINT, 100).verdict.kind
    assert "better" == read(wrong, replace(POINT, weights={"A": 10, "B": 9}), 100).verdict.kind


def test_a_variant_that_nobody_got_is_missed():
    """It has a weight and no people: the split is wrong, though the campaign's figures do not know it."""
    assert "untrusted" == read(arms(A=500, B=500), replace(POINT, weights={"A": 1, "B": 1, "C": 1}), 100).verdict.kind


figures = st.dictionaries(st.sampled_from("ABCDE"), st.integers(0, 3000), min_size=2)


@given(figures, st.sampled_from([0.001, 0.01, 0.1]))
def test_nobody_wins_without_an_interval_above_zero(hits, smallest):
    """Whoever is called better has the highest rate and an interval without zero, and all others are beaten."""
    verdict = read(arms(3000, **hits), Design(smallest), 100).verdict

    assert (verdict.kind == "better") == bool(verdict.winner)
    if verdict.winner:
        assert verdict.interval.low > 0
        assert hits[verdict.winner] == max(hits.values())
        assert {*verdict.beaten} == hits.keys() - {verdict.winner}


@given(figures, st.permutations("ABCDE"))
def test_the_order_of_variants_decides_nothing(hits, order):
    """They come as the database gives them."""
    verdicts = [read([one for name in names for one in arms(3000, **hits) if one.name == name], POINT, 9).verdict for names in ("ABCDE", order)]

    assert verdicts[0] == verdicts[1]


def test_what_is_worse_is_named_while_the_rest_is_undecided():
    """C can be left out; between A and B it goes on."""
    verdict = read(arms(A=1000, B=1010, C=500), replace(POINT, smallest=0.001), 1000).verdict

    assert ("early", ("C",)) == (verdict.kind, verdict.beaten)


def test_several_variants_share_the_five_percent():
    """Of 1,000 experiments with four variants alike, looked at 15 times, at most 5 % ever show any difference."""
    dice = np.random.default_rng(11)
    people = dice.multinomial(2400, [0.25] * 4, (1000, 15))
    hits = dice.binomial(people, 0.1).cumsum(1)
    shown = [
        any(pair.interval and pair.interval.sign for look, done in zip(*one, strict=True) for pair in compare(named(look, done)))
        for one in zip(people.cumsum(1).tolist(), hits.tolist(), strict=True)
    ]

    assert np.mean(shown) <= ALPHA


def named(people: list[int], hits: list[int]) -> list[Arm]:
    return [Arm(name, share(*counts)) for name, *counts in zip("ABCD"[: len(people)], people, hits, strict=True)]


def won(pair: Pair) -> bool:
    return pair.interval is not None and pair.interval.sign == 1


def test_lift_is_of_everybody_against_the_holdout():
    """Messages of whichever variant against none; the holdout takes no part in which variant is better."""
    found = read(arms(A=500, B=510, none=300), replace(POINT, holdout="none"), 100)

    assert (["B"], ["A"]) == ([one.ours for one in found.pairs], [one.theirs for one in found.pairs])
    assert (pytest.approx(0.0205), 1) == (found.lift.interval.difference, found.lift.interval.sign)


def test_one_variant_is_set_against_the_holdout():
    """A campaign that is sent or not is an experiment too."""
    verdict = read(arms(offer=700, none=500), replace(POINT, holdout="none"), 100).verdict

    assert ("better", "offer", "none") == verdict[:3]


def test_differences_are_told_against_the_control():
    """The control comes first, so all others are set against it."""
    found = read(arms(A=500, B=500, C=500), replace(POINT, control="C"), 100)

    assert [("A", "C"), ("B", "C"), ("B", "A")] == [(one.ours, one.theirs) for one in found.pairs]


@pytest.mark.parametrize(
    "design, sentence",
    [
        (replace(POINT, control="Z"), "`control` must be a variant of the campaign (A, B), not 'Z'."),
        (replace(POINT, holdout="Z"), "`holdout` must be a variant of the campaign (A, B), not 'Z'."),
        (replace(POINT, weights={"A": 1, "C": 1}), "`weights` must name every variant of the campaign; 'B' is missing."),
    ],
)
def test_a_design_of_other_variants_is_refused(design, sentence):
    """It says which, and what there is."""
    with pytest.raises(Unfit) as error:
        read(arms(A=1, B=1), design, 100)

    assert sentence == str(error.value)


def test_money_per_person_is_compared_like_shares():
    """From sums and sums of squares alone."""
    spent = [Arm("A", Moments(10_000, 5e6, 1.5e10)), Arm("B", Moments(10_000, 8e6, 2e10))]
    verdict = read(spent, Design(smallest=10), 100).verdict

    assert "B is better than A by KRW 251 to 349 per person; safe to stop." == english(verdict, 10, "KRW")


# --- how long still ----------------------------------------------------------------------------------------------------------------------------


def test_twice_the_traffic_takes_half_the_days():
    """The people that are missing are the same."""
    slow, fast = (read(arms(A=500, B=540), POINT, per_day).verdict for per_day in (100, 200))

    assert (slow.people, slow.days, fast.days) == (fast.people, -(-slow.people // 100), -(-slow.people // 200))


def test_a_larger_difference_takes_fewer_people():
    """One point needs more than five."""
    one, five = (read(arms(400, A=20, B=21), Design(smallest), 100).verdict.people for smallest in (0.01, 0.05))

    assert one > 5 * five > 0


def test_those_who_are_told_to_come_are_enough():
    """With twice as many as told, and no difference at all, nothing larger than a point is left."""
    first = read(arms(1000, A=50, B=50), POINT, 100).verdict
    people = 1000 + first.people

    assert "alike" == read(arms(people, A=people // 20, B=people // 20), POINT, 100).verdict.kind


def test_a_plan_is_what_experiments_take():
    """Of 600 experiments of the planned size, 4 % against 5 %, about 78 of 100 have found the better one at one of 40 looks."""
    people, dice = plan(0.04, 0.01, 2), np.random.default_rng(12)
    came = np.full(2, people // 80)
    hits = dice.binomial(came, (0.04, 0.05), (600, 40, 2)).cumsum(1).tolist()
    found = [any(won(compare(named((came * look).tolist(), done))[0]) for look, done in enumerate(one, 1)) for one in hits]

    assert 0.73 <= np.mean(found) <= 0.83


@pytest.mark.parametrize("rate", [0.001, 0.5, 0.9999])
def test_more_variants_and_smaller_differences_need_more_people(rate):
    """Also where a rate cannot rise by so much any more."""
    assert plan(rate, 0.01, 2) < plan(rate, 0.01, 3) < plan(rate, 0.005, 3)


@given(st.integers(1, 10**6), st.integers(0, 100), st.integers(0, 100))
def test_whoever_is_too_early_is_told_how_long(people, one, other):
    """At least one more person, or nothing where nothing has happened yet."""
    verdict = read([Arm("A", share(people, people * one // 100)), Arm("B", share(people, people * other // 100))], POINT, 10).verdict

    assert verdict.kind != "early" or verdict.people is None or (verdict.people > 0 and verdict.days > 0)


# --- in words ----------------------------------------------------------------------------------------------------------------------------------

SAID = [
    (
        Verdict("better", "B", "A", Interval(0.023, 0.012, 0.034), ("A",)),
        "B is better than A by 1.2 to 3.4 points; safe to stop.",
        "B가 A보다 1.2~3.4%p 더 좋습니다. 실험을 끝내도 됩니다.",
    ),
    (
        Verdict("better", "담당", "A", Interval(0.001, 0.0004, 0.0016), ("A", "C")),
        "담당 is better than A, the closest of the others, by 0.04 to 0.16 points; safe to stop.",
        "담당이 나머지 중 가장 가까운 A보다 0.04~0.16%p 더 좋습니다. 실험을 끝내도 됩니다.",
    ),
    (
        Verdict("early", people=900, days=9),
        "Too early: at this traffic about 9 days more (900 people).",
        "아직 이릅니다. 지금 트래픽으로는 약 9일(900명)이 더 필요합니다.",
    ),
    (
        Verdict("early", beaten=("C",), people=12_000),
        "Too early: about 12,000 more people are needed, and nobody comes at present. C is worse and can be left out.",
        "아직 이릅니다. 약 12,000명이 더 필요한데, 지금은 새로 들어오는 사람이 없습니다. C는 더 나쁘므로 빼도 됩니다.",
    ),
    (
        Verdict("early"),
        "Too early: too little has happened to say how long.",
        "아직 이릅니다. 얼마나 더 걸릴지 말하기에는 일어난 일이 너무 적습니다.",
    ),
    (
        Verdict("alike"),
        "No difference larger than 1 point is left; safe to stop.",
        "1%p보다 큰 차이는 남아 있지 않습니다. 실험을 끝내도 됩니다.",
    ),
    (
        Verdict("untrusted"),
        "The split is not as configured: the figures cannot be trusted. Find out who is missing or counted twice before you decide anything.",
        "배분이 설정과 다릅니다. 수치를 믿을 수 없습니다. 결정하기 전에 누가 빠졌거나 두 번 집계되었는지 확인하세요.",
    ),
    (
        Verdict("alone"),
        "There is nothing to compare: the campaign has fewer than two variants.",
        "비교할 대상이 없습니다. 캠페인에 변형이 두 개 이상 있어야 합니다.",
    ),
]


@pytest.mark.parametrize("verdict, en, ko", SAID)
def test_a_verdict_is_a_sentence_in_two_languages(verdict, en, ko):
    """For people who know no statistics."""
    assert (en, ko) == (english(verdict, 0.01), korean(verdict, 0.01))


@pytest.mark.parametrize("interval", [None, Interval(0.01, -0.01, 0.03), Interval(-0.02, -0.03, -0.01), Interval(0.01, 0, 0.02)])
@pytest.mark.parametrize("say", [english, korean])
def test_no_words_for_a_winner_without_an_interval(say, interval):
    """Even if somebody asks for them."""
    with pytest.raises(ValueError, match="no interval above zero"):
        say(Verdict("better", "B", "A", interval, ("A",)), 0.01)


@given(st.floats(1e-9, 0.5), st.floats(0, 0.5))
def test_an_interval_above_zero_never_looks_like_nothing(low, width):
    """However small its end, a digit of it is shown."""
    words = english(Verdict("better", "B", "A", Interval(low + width / 2, low, low + width), ("A",)), 0.01)

    assert " by 0 " not in words


# --- what is asked -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters, sentence",
    [
        ({"from": "2026-11-24"}, "There is no parameter `from`; known: metric, currency, difference, weights, control, holdout, split, people."),
        ({"metric": "luck"}, "`metric` cannot be 'luck'; known: conversion, click, open, reply, revenue."),
        ({"people": "all"}, "`people` cannot be 'all'; known: drawn, sent."),
        ({"metric": "revenue"}, "`difference` is missing: which difference of revenue per person matters to you, in its currency?"),
        ({"currency": "KRW"}, "`currency` means something for `metric=revenue` alone; here it is conversion."),
        ({"difference": "0"}, "`difference` must be a number from 0.000001 to 1, not '0'."),
        ({"difference": "nan"}, "`difference` must be a number from 0.000001 to 1, not 'nan'."),
        ({"weights": "A:1"}, "`weights` must name two to 10 variants, each once, such as A:2,B:1, not 'A:1'."),
        ({"weights": "A:1,A:2"}, "each once"),
        ({"weights": "A,B"}, "`weights` must be a number from 0.000001 to 1000, not 'A'."),
    ],
)
def test_a_parameter_that_cannot_be_used_is_explained(parameters, sentence):
    """Which one, why, and what would do."""
    with pytest.raises(Unclear) as error:
        understood(parameters)

    assert sentence in str(error.value)


@given(st.dictionaries(st.sampled_from(["metric", "difference", "weights", "control", "people", "currency", "split"]), st.text(), max_size=3))
def test_any_parameters_are_a_question_or_a_sentence(parameters):
    """Nothing that stands in an address breaks the service."""
    with contextlib.suppress(Unclear):
        understood(parameters)


@pytest.mark.parametrize(
    "parameters, sentence",
    [
        ({}, "`rate` is missing"),
        ({"rate": "1"}, "`rate` must be a number from 0.000001 to 0.999999, not '1'."),
        ({"rate": "0.1", "variants": "1"}, "`variants` must be a whole number from 2 to 10, not '1'."),
        ({"rate": "0.1", "per_day": "none"}, "`per_day` must be a number"),
        ({"rate": "0.1", "campaign": "spring"}, "There is no parameter `campaign`; known: rate, difference, variants, per_day."),
    ],
)
def test_a_plan_without_what_it_needs_is_explained(parameters, sentence):
    """Which parameter, why, and what would do."""
    with pytest.raises(Unclear) as error:
        foreseen(parameters)

    assert sentence in str(error.value)


# --- who is counted ----------------------------------------------------------------------------------------------------------------------------


def row(variant: str, people: int, experiment: str = "offer", number: int = 1, day: int = 1, **more) -> Row:
    """People of a variant who were drawn by one design of an experiment, the last of them on this day of November."""
    latest = NOW.replace(day=day)
    group = Group(variant, people, **{"opened": 0, "clicked": 0, "replied": 0, "converted": 0} | more, lately=people, since=latest)
    return Row(UUID(int=number), experiment, {"A": 1, "B": number}, None, latest, group)


def test_other_weights_are_another_experiment():
    """The people who were drawn by the newest ones are compared, the others only told of."""
    found = sampled(chosen([row("A", 70), row("A", 5, number=2, day=2), row("B", 9, number=2, day=2), row("B", 60)], None), {})

    assert (["A", "B"], [5, 9]) == ([one.variant for one in found.groups], [one.people for one in found.groups])
    assert ({"A": 1, "B": 2}, 130) == (found.weights, found.earlier)


@pytest.mark.parametrize(
    "split, sentence",
    [
        (None, "`split` is missing: people of this campaign were drawn for offer, tone; which of them is meant?"),
        ("colour", "`split` cannot be 'colour'; people of this campaign were drawn for offer, tone."),
    ],
)
def test_of_several_experiments_of_a_campaign_one_must_be_named(split, sentence):
    """Variants of different ones are not set against each other."""
    with pytest.raises(Unclear) as error:
        chosen([row("A", 7), row("warm", 7, "tone", 3)], split)

    assert sentence == str(error.value)
    assert ["warm"] == [one.group.variant for one in chosen([row("A", 7), row("warm", 7, "tone", 3)], "tone")]


def drawn(people: tuple[int, int], hits: tuple[int, int] = (0, 0), spent=None, weights=None, holdout=None) -> Sample:
    """A and B as they were drawn in the last day."""
    groups = [
        Group(name, count, opened=0, clicked=0, replied=0, converted=done, lately=count, since=NOW - timedelta(days=1))
        for name, count, done in zip("AB", people, hits, strict=True)
    ]
    return Sample("drawn", groups, spent or {}, "offer", weights or {"A": 1, "B": 1}, holdout)


def test_the_split_is_held_against_the_weights_by_which_people_were_drawn():
    """Nobody has to say them again; whoever does is believed."""
    one = told(drawn((1000, 2000), weights={"A": 1, "B": 2}), Asked(), NOW)
    other = told(drawn((1000, 2000), weights={"A": 1, "B": 2}), Asked(weights={"A": 1.0, "B": 1.0}), NOW)

    assert (True, False, {"A": 1 / 3, "B": 2 / 3}) == (one["split"]["trusted"], one["split"]["assumed"], one["split"]["expected"])
    assert not other["split"]["trusted"]


def test_who_is_left_alone_is_told_by_the_draws():
    """The lift over them needs no parameter."""
    found = told(drawn((5000, 5000), (200, 400), holdout="A"), Asked(), NOW)

    assert ("A", "all", "A", 200.0) == (
        found["holdout"],
        *(found["lift"][name] for name in ("variant", "against")),
        found["lift"]["incremental"]["difference"],
    )
    assert ("better", "B") == (found["verdict"]["kind"], found["verdict"]["winner"])


SPENDING = {"KRW": {"A": Spent(5e6, 1.5e10), "B": Spent(8e6, 2e10)}}


def test_revenue_per_person_has_a_verdict():
    """With the currency in its sentence; the interval of one mean is for one look."""
    found = told(drawn((10_000, 10_000), spent=SPENDING), Asked("revenue", 10), NOW)

    assert ("KRW", [("A", 5e6), ("B", 8e6)]) == (found["currency"], [(one["variant"], one["revenue"]) for one in found["variants"]])
    assert [500.0, 800.0] == [one["mean"]["value"] for one in found["variants"]]
    assert ("better", "B is better than A by KRW 251 to 349 per person; safe to stop.") == (found["verdict"]["kind"], found["verdict"]["en"])


def test_money_of_several_currencies_is_not_added_up():
    """Whoever asks says which; who has spent none of it has spent nothing."""
    several = drawn((10_000, 10_000), spent={**SPENDING, "": {"A": Spent(10, 100)}})
    with pytest.raises(Unclear) as error:
        told(several, Asked("revenue", 10), NOW)

    assert "`currency` is missing: people spent in ¤, KRW; which of them is compared?" == str(error.value)
    assert [10, 0] == [one["revenue"] for one in told(several, Asked("revenue", 10, "¤"), NOW)["variants"]]


def test_money_is_compared_as_ville_does():
    """From sums and squares alone, in a balanced experiment, its interval of the same people differs in the third digit only."""
    dice = np.random.default_rng(23)
    treated = np.arange(40_000) % 2
    each = np.where(dice.random(40_000) < 0.1, dice.lognormal(3, 0.5, 40_000), 0)
    theirs = ville.AsymptoticABTest(t_opt=4 * TUNED).fit(each, treated)
    sums = {name: Spent(each[treated == side].sum(), (each[treated == side] ** 2).sum()) for side, name in enumerate("AB")}
    ours = told(drawn((20_000, 20_000), spent={"KRW": sums}), Asked("revenue", 1.0), NOW)["comparisons"][0]

    assert [pytest.approx(end, abs=0.01) for end in theirs.interval()] == [ours["low"], ours["high"]]


def looked_at(figures: np.ndarray, people: np.ndarray, asked: Asked) -> float:
    """The share of experiments in which somebody is ever called better, of arrays by experiment, look and variant (and sum and sum of squares)."""
    return float(
        np.mean([any(named_better(*look, asked) for look in zip(*one, strict=True)) for one in zip(people.tolist(), figures.tolist(), strict=True)])
    )


def named_better(people: list[int], figures: list, asked: Asked) -> bool:
    if asked.metric == "revenue":
        one = drawn(tuple(people), spent={"KRW": dict(zip("AB", (Spent(*each) for each in figures), strict=True))})
    else:
        one = drawn(tuple(people), tuple(figures))
    return told(one, asked, NOW)["verdict"]["kind"] == "better"


def test_alike_variants_seldom_have_a_winner_as_the_api_reads_them():
    """Of 1,000 experiments without a difference, 4 % and 4 % of 20,000 people, looked at after each of 20 batches, at most 5 % ever name one."""
    dice = np.random.default_rng(21)
    came = dice.multinomial(1000, [0.5, 0.5], (1000, 20))

    assert looked_at(dice.binomial(came, 0.04).cumsum(1), came.cumsum(1), Asked()) <= ALPHA


@pytest.mark.parametrize("spread", [0.5, 1.2], ids=["even", "a few buy much"])
def test_alike_variants_seldom_have_a_winner_in_money(spread):
    """The same where 4 % spend amounts of a log-normal distribution, whose largest are many times the usual one."""
    dice = np.random.default_rng(22)
    came = dice.multinomial(1000, [0.5, 0.5], (1000, 20))
    spent = [[spent_by(dice, dice.binomial(count, 0.04), spread) for count in look] for look in came.reshape(-1, 2)]
    sums = np.array(spent).reshape(1000, 20, 2, 2).cumsum(1)

    assert looked_at(sums, came.cumsum(1), Asked("revenue", 1.0)) <= ALPHA


def spent_by(dice: np.random.Generator, buyers: int, spread: float) -> tuple[float, float]:
    each = dice.lognormal(3, spread, buyers)
    return each.sum(), (each**2).sum()


# --- over HTTP ---------------------------------------------------------------------------------------------------------------------------------

SPACE = UUID(int=1)


def sent(number: int, variant: str, channel: str = "email", campaign: str = "spring", tenant: str = "acme"):
    """A message to person `number`, two days ago."""
    at = NOW - timedelta(days=2)
    data = DeliveryChanged(
        message_id=uuid5(SPACE, f"{number}{channel}{campaign}"), contact_id=uuid5(SPACE, str(number)), channel=channel, account="a",
        purpose="marketing", campaign=campaign, variant=variant, status="sent", at=at,
    )  # fmt: skip
    return event(data, at, tenant)


def clicked(number: int, channel: str = "email"):
    at = NOW - timedelta(days=1)
    data = EngagementRecorded(
        message_id=uuid5(SPACE, f"{number}{channel}spring"), contact_id=uuid5(SPACE, str(number)), kind="clicked", by="human", at=at
    )
    return event(data, at)


def campaign(people: int = 1000, clicks: int = 40):
    """A and B by turns; of B's as many more have clicked."""
    return [*(sent(one, "AB"[one % 2]) for one in range(people)), *(clicked(one) for one in range(1, 2 * clicks, 2))]


@pytest.fixture
def ask(tables, settings, tmp_path):
    """Gives a function that counts events and asks the API."""
    runner, pool = tables
    context = Context(settings, config.load(write_accounts(tmp_path)), pool, Bus(settings, client="test"), Metrics(), lambda: NOW)
    application = web.application(experiments_api.routes(context), [], context.metrics, 60)

    async def main(events, path, key):
        async with pool.acquire() as connection:
            await apply(connection, events)
        headers = {"authorization": f"Bearer {key}"} if key else {}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://here", headers=headers) as client:
            return await client.get(f"/v1/experiments{path}")

    def asked(events, path, key=OTHER_KEY):
        answer = runner.run(main(events, path, key))
        return answer.status_code, orjson.loads(answer.content)

    return asked


@pytest.mark.stack
def test_an_experiment_is_answered_from_the_counters(ask):
    """Who got what, the difference with its interval, and the verdict in words."""
    status, found = ask(campaign(), "/spring?metric=click&weights=A:1,B:1&difference=0.02")

    assert 200 == status
    assert [("A", 500, 0), ("B", 500, 40)] == [(one["variant"], one["people"], one["clicked"]) for one in found["variants"]]
    assert [("B", "A", 0.08)] == [(one["variant"], one["against"], one["difference"]) for one in found["comparisons"]]
    assert ("better", True, "B", 500.0) == (*(found["verdict"][name] for name in ("kind", "safe_to_stop", "winner")), found["people_per_day"])
    assert found["verdict"]["en"].startswith("B is better than A by ") and found["verdict"]["ko"].startswith("B가 A보다 ")


@pytest.mark.stack
def test_a_person_with_two_channels_is_one_person(ask):
    """Counters have them once for each channel; here two that always agree would be evidence out of nothing."""
    again = [sent(number, "AB"[number % 2], "sms") for number in range(1000)]
    status, found = ask([*campaign(), *again, clicked(1, "sms")], "/spring?metric=click")

    assert (200, [("A", 500, 0), ("B", 500, 40)]) == (status, [(one["variant"], one["people"], one["clicked"]) for one in found["variants"]])


@pytest.mark.stack
def test_lift_is_told_in_people(ask):
    """How many more clicked than would have without a message: of 500 people 40 do, of those who were held out none."""
    lift = ask(campaign(), "/spring?metric=click&holdout=A")[1]["lift"]

    assert ("all", "A", 0.08, 40.0) == (lift["variant"], lift["against"], lift["difference"], lift["incremental"]["difference"])
    assert 0 < lift["incremental"]["low"] < 40 < lift["incremental"]["high"]


def came(number: int, variant: str):
    """Person `number` was drawn, three days ago."""
    data = ContactDrawn(
        contact_id=uuid5(SPACE, str(number)), experiment="offer", campaign="spring", variant=variant, weights={"A": 1, "B": 1}, holdout="A", flow="f@1",
        at=NOW - timedelta(days=3),
    )  # fmt: skip
    return event(data, data.at)


def bought(number: int, total: int):
    properties = {"order_id": str(number), "total": total, "currency": "KRW"}
    at = NOW - timedelta(days=1)
    data = CustomerActed(contact_id=uuid5(SPACE, str(number)), customer={"id": "c"}, name="order.placed", properties=properties, occurred_at=at)
    return event(data, at)


def held_out(people: int = 1000):
    """A is left alone, B hears something, half of it; of either somebody buys, of B four times as many."""
    told = [came(one, "AB"[one % 2]) for one in range(people)]
    return [*told, *(sent(one, "B") for one in range(1, people, 4)), *(bought(one, 5000) for one in range(people) if one % 2 or one % 8 == 0)]


@pytest.mark.stack
def test_who_was_drawn_is_counted_and_not_who_was_reached(ask):
    """A holdout has people, as many as its weight gives; what they buy counts, though it is owed to no message."""
    status, found = ask(held_out(), "/spring")

    assert (200, "drawn", "offer", "A") == (status, *(found[name] for name in ("counted", "split_name", "holdout")))
    assert [("A", 500, 125), ("B", 500, 500)] == [(one["variant"], one["people"], one["converted"]) for one in found["variants"]]
    assert ("better", "B", True) == (found["verdict"]["kind"], found["verdict"]["winner"], found["split"]["trusted"])
    assert (0.75, 375.0) == (found["lift"]["difference"], found["lift"]["incremental"]["difference"])


@pytest.mark.stack
def test_what_people_spent_is_compared(ask):
    """In the currency that they spent, with those who spent nothing."""
    found = ask(held_out(), "/spring?metric=revenue&difference=100")[1]

    assert [("A", 625_000.0, 1250.0), ("B", 2_500_000.0, 5000.0)] == [
        (one["variant"], one["revenue"], one["mean"]["value"]) for one in found["variants"]
    ]  # fmt: skip
    assert found["verdict"]["en"].startswith("B is better than A by KRW 3,")


@pytest.mark.stack
def test_where_nobody_was_drawn_what_is_owed_to_messages_is_compared(ask):
    """Of those to whom a variant was sent; twice the same person over two channels is one who spent twice."""
    again = [sent(1, "B", "sms"), clicked(1, "sms"), bought(1, 700)]
    found = ask([*campaign(), *again, *(bought(one, 100) for one in range(3, 80, 2))], "/spring?metric=revenue&difference=1")[1]

    assert ("sent", [("A", 500, 0.0), ("B", 500, 4600.0)]) == (
        found["counted"], [(one["variant"], one["people"], one["revenue"]) for one in found["variants"]]
    )  # fmt: skip


@pytest.mark.stack
def test_those_to_whom_something_was_sent_can_be_asked_for(ask):
    """An experiment that began before people were counted when drawn goes on being read as before; where none was drawn it is so anyway."""
    sent_to = ask(held_out(), "/spring?people=sent")[1]
    status, problem = ask([], "/autumn?people=drawn")

    assert ("sent", [("B", 250)]) == (sent_to["counted"], [(one["variant"], one["people"]) for one in sent_to["variants"]])
    assert (404, True) == (status, "no variant that anybody was given" in problem["detail"])


@pytest.mark.stack
def test_an_experiment_can_be_planned(ask):
    """How many people and days, before it begins."""
    status, found = ask([], "?rate=0.04&difference=0.01&per_day=2000")

    assert (200, plan(0.04, 0.01, 2), 12) == (status, found["people"], found["days"])


@pytest.mark.stack
def test_a_wrong_split_is_told(ask):
    """Two of A for each of B were meant."""
    found = ask(campaign(), "/spring?weights=A:2,B:1")[1]

    assert ("untrusted", False, {"A": 2 / 3, "B": 1 / 3}) == (found["verdict"]["kind"], found["split"]["trusted"], found["split"]["expected"])


@pytest.mark.stack
@pytest.mark.parametrize(
    "path, key, status, sentence",
    [
        ("/spring", None, 401, ""),
        ("/spring", "shop-key", 403, "rates:read"),
        ("/autumn", OTHER_KEY, 404, "Campaign 'autumn' has no variant that anybody was given yet."),
        ("/theirs", OTHER_KEY, 404, "Campaign 'theirs' has no variant"),
        ("/spring?control=Z", OTHER_KEY, 400, "`control` must be a variant of the campaign (A, B), not 'Z'."),
        ("/spring?metric=luck", OTHER_KEY, 400, "`metric` cannot be 'luck'"),
    ],
)
def test_who_may_not_or_asks_for_nothing_is_told_so(ask, path, key, status, sentence):
    """Problem documents; another tenant's campaign is as one that there is not."""
    events = [sent(1, "A"), sent(2, "B"), sent(3, "A", campaign="theirs", tenant="other")]
    found = ask(events, path, key)

    assert (status, True) == (found[0], sentence in found[1].get("detail", ""))
