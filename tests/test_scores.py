"""What people are like: scores, best hours, what buyers will do next. Values alone."""

import math
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley_analytics import hours, lifetime, persons, scores
from parley_analytics.hours import ALIKE, NONE
from parley_analytics.lifetime import Bought, Buying, Spent, Worth
from parley_analytics.persons import Forecast, Order, Person, Setting
from parley_analytics.scores import NOTHING, Act, Scores, moved

T0 = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
SEOUL = ZoneInfo("Asia/Seoul")
moments = st.integers(0, 1500).map(lambda days: T0 - timedelta(days=days))
acts = st.builds(Act, st.sampled_from(["opened", *scores.POINTS]), moments)


def ago(days: float) -> datetime:
    return T0 - timedelta(days=days)


# --- fan and silent --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kinds, score",
    [([], 0), (["opened"], 0), (["bought"], 29), (["recommended"], 41), (["bought", "bought", "clicked", "clicked"], 59), (["answered"] * 5, 50)],
)
def test_a_fan_answers_clicks_buys_and_recommends(kinds, score):
    """Acts of today; an open makes nobody a fan."""
    assert score == round(scores.fan([Act(kind, T0) for kind in kinds], T0))


@pytest.mark.parametrize("messages, heard, score", [(0, 0, 0), (1, 0, 25), (5, 0, 62), (5, 1, 45), (27, 0, 90), (0, 3, 0)])
def test_silent_is_who_lets_messages_pass(messages, heard, score):
    """An act weighs as much as three messages that nothing came of; an open is one."""
    assert score == math.floor(scores.silent([T0] * messages, [Act("opened", T0)] * heard, T0))


def test_what_is_long_ago_fades():
    """Half after 90 days, a quarter after 180: the two orders and clicks that made 59 make 20 then; and who is not written to is silent no more."""
    done = [Act(kind, T0) for kind in ("bought", "bought", "clicked", "clicked")]
    later = T0 + timedelta(days=180)

    assert 20 == round(scores.fan(done, later))
    assert scores.fan(done, T0) == scores.fan(done, T0 - timedelta(days=9))  # what is said to lie ahead counts as of now
    assert 2 > scores.silent([T0] * 5, [], T0 + timedelta(days=400))


@given(st.lists(acts, max_size=30), st.lists(moments, max_size=30), acts, moments)
def test_one_more_act_makes_nobody_less_of_a_fan_nor_more_silent(done, unheard, act, message):
    """Property: and one more message that nothing comes of makes nobody less silent; both stay within 0 and 100."""
    fan, silent = scores.fan(done, T0), scores.silent(unheard, done, T0)

    assert 0 <= fan <= scores.fan([*done, act], T0) <= 100
    assert 0 <= scores.silent(unheard, [*done, act], T0) <= silent <= scores.silent([*unheard, message], done, T0) <= 100


@pytest.mark.parametrize(
    "before, after, told",
    [
        (None, NOTHING, False),
        (None, Scores(silent=1), True),
        (Scores(fan=40), Scores(fan=44), False),
        (Scores(fan=40), Scores(fan=45), True),
        (Scores(fan=2), NOTHING, True),
        (Scores(best_hour=9), Scores(best_hour=10), True),
        (Scores(best_hour=9, best_hour_of="segment"), Scores(best_hour=9, best_hour_of="contact"), False),
        (Scores(order_again=0.5), Scores(order_again=0.45), False),
        (Scores(order_again=0.5), Scores(order_again=0.35), True),
        (Scores(), Scores(order_again=0.1), True),
        (Scores(lifetime_value=Decimal(100)), Scores(lifetime_value=Decimal(110)), False),
        (Scores(lifetime_value=Decimal(100)), Scores(lifetime_value=Decimal(130)), True),
    ],
)
def test_only_what_moved_by_enough_is_told(before, after, told):
    """Else every round would tell of everybody, for everything fades a little."""
    assert told is moved(before, after)


# --- the best hour ---------------------------------------------------------------------------------------------------------------------


def acting(*clock: int) -> hours.Hours:
    """One act of today at each of these hours."""
    return hours.counted([T0.replace(hour=one) for one in clock], UTC, T0)


MANY_AT_TEN = tuple(1000.0 if one == 10 else 0.0 for one in range(24))
MANY_BY_DAY = tuple(1000 * math.exp(-(((one - 13) / 5) ** 2) / 2) for one in range(24))
MANY_AT_FIVE = tuple(1000.0 if one == 17 else 0.0 for one in range(24))


def test_hours_are_of_the_tenants_clock():
    """09:30 in London is 18:30 in Seoul; what is half a year old counts half."""
    found = hours.counted([T0, T0 - timedelta(days=180)], SEOUL, T0)

    assert (18, 1.5) == (found.index(max(found)), round(sum(found), 6))


def test_a_few_acts_of_ones_own_make_an_hour():
    """With people like them at ten, who acts thrice at eight in the evening has that hour; who acted once, theirs."""
    assert (20, "contact") == hours.best(acting(*[20] * 6), MANY_AT_TEN, MANY_AT_FIVE, range(24))
    assert (10, "segment") == hours.best(acting(20), MANY_AT_TEN, MANY_AT_FIVE, range(24))


def test_one_act_out_of_line_does_not_outweigh_what_people_do():
    """Three acts at three different hours say less than a thousand of others."""
    assert (10, "contact") == hours.best(acting(3, 10, 20), MANY_AT_TEN, MANY_AT_TEN, range(24))


def test_who_is_like_nobody_has_the_tenants_hour_and_without_acts_there_is_none():
    assert (17, "tenant") == hours.best(NONE, NONE, MANY_AT_FIVE, range(24))
    assert hours.best(NONE, acting(9), acting(9), range(24)) is None


def test_only_hours_in_which_may_be_written_count():
    """Who reads at three in the night is written to in the best hour of the day."""
    day = hours.daytime((time(8), time(21)))
    found = hours.best(acting(3, 3, 3, 3, 9, 9), NONE, NONE, day)

    assert (list(range(8, 21)), 9) == (day, found.hour)
    assert hours.best(acting(3, 3, 3), NONE, NONE, ()) is None


@pytest.mark.parametrize(
    "day, allowed", [(("00:00", "00:00"), range(24)), (("08:30", "10:30"), [9]), (("22:00", "02:00"), [0, 1, 22, 23]), (("09:00", "09:30"), [])]
)
def test_an_hour_lies_in_the_day_as_a_whole(day, allowed):
    """A day without a night has all hours; one over midnight is one day."""
    begin, end = map(time.fromisoformat, day)

    assert list(allowed) == sorted(hours.daytime((begin, end)))


def test_an_hour_that_was_told_stays_until_another_is_clearly_better():
    """Else a person between two hours would be told of again and again."""
    own = acting(*[9] * 10, *[19] * 11)

    assert (19, 9) == (hours.best(own, NONE, NONE, range(24)).hour, hours.best(own, NONE, NONE, range(24), told=9).hour)
    assert 19 == hours.best(acting(*[19] * 30, 9), NONE, NONE, range(24), told=9).hour


@given(st.lists(st.floats(0, 100), min_size=24, max_size=24), st.floats(1, 100))
def test_what_is_expected_of_the_hours_is_a_share(own, weight):
    """Property: whatever was seen, the shares are those of one whole, and none is nothing."""
    found = hours.expected(tuple(own), ALIKE, weight)

    assert math.isclose(1, sum(found)) and min(found) > 0


def test_people_are_found_at_their_hour():
    """Simulated: of people who acted eight times, mostly around an hour of their own, four of five are written to within an hour of it; by chance, one of eight."""
    draw = np.random.default_rng(7)
    found = []
    for _ in range(300):
        mine = int(draw.integers(24))
        clock = [mine + round(draw.normal(0, 1.2)) if draw.random() < 0.75 else int(draw.integers(24)) for _ in range(8)]
        hour = hours.best(acting(*(one % 24 for one in clock)), MANY_BY_DAY, MANY_BY_DAY, range(24)).hour
        found.append(min((hour - mine) % 24, (mine - hour) % 24) <= 1)

    assert 0.8 <= np.mean(found)


# --- what buyers will do next ----------------------------------------------------------------------------------------------------------

PAPER = Buying(r=0.243, alpha=4.414, a=0.793, b=2.426)
"""The parameters, in weeks, that Fader, Hardie and Lee print for the buyers of CDNOW."""


def test_expected_orders_are_those_of_the_paper():
    """Of a buyer with two repeats, the last after 30.43 of 38.86 weeks, 1.226 are expected in the next 39 weeks (their note on the model in a spreadsheet)."""
    assert 1.226 == round(lifetime.orders(PAPER, Bought(2, 30.43, 38.86), 39), 3)


def simulated(people: int, days: float, seed: int = 7) -> list[list[float]]:
    """The days on which each of these people orders, who begin at day 0: at a rate of their own, until they stop after an order."""
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(people):
        rate, stops, at = draw.gamma(0.8, 1 / 40), draw.beta(1.2, 4), [0.0]
        while (then := at[-1] + draw.exponential(1 / rate)) < days:
            at.append(then)
            if draw.random() < stops:
                break
        found.append(at)
    return found


LOG = simulated(4000, 730)
HISTORIES = [Bought(sum(0 < one < 365 for one in at), max(one for one in at if one < 365), 365.0) for at in LOG]
LATER = np.array([sum(one >= 365 for one in at) for at in LOG])


def test_what_was_learned_in_one_year_tells_the_next():
    """Held-out data: all orders within 8 %, each person's better than everybody's mean by a quarter, and whether there is one at all within two points."""
    model = lifetime.buying(HISTORIES)
    orders = np.array([lifetime.orders(model, one) for one in HISTORIES])
    again = np.array([lifetime.again(model, one) for one in HISTORIES])

    assert 0.92 < orders.sum() / LATER.sum() < 1.08
    assert abs(orders - LATER).mean() < 0.75 * abs(LATER - LATER.mean()).mean()
    assert abs(again.mean() - (LATER > 0).mean()) < 0.02


def test_half_order_again_within_the_time_that_is_told():
    """Of those who do not stop, whatever their rate."""
    draw = np.random.default_rng(7)
    model, one = Buying(0.8, 40.0, 1.2, 4.0), Bought(3, 200.0, 250.0)
    waits = draw.exponential(1 / draw.gamma(model.r + one.again, 1 / (model.alpha + one.age), 20_000))

    assert abs(0.5 - np.mean(waits < lifetime.next_order(model, one))) < 0.01


@given(
    st.integers(0, 200),
    st.floats(0, 1),
    st.floats(1, 2000),
    st.sampled_from([PAPER, Buying(0.9, 46, 1.0, 3.4), Buying(5, 300, 3, 0.5), Buying(0.5, 20, 0.5, 0.5), Buying(0.2, 1e-4, 0.2, 0.1)]),
)
def test_expectations_make_sense(again, share, age, model):
    """Property: probabilities are such, more is expected of a longer time, and less of whom it is longer ago."""
    one = Bought(again, share * age if again else 0.0, age)

    assert 0 <= lifetime.again(model, one) <= lifetime.alive(model, one) <= 1
    assert 0 <= lifetime.orders(model, one, 30) <= lifetime.orders(model, one, 365) + 1e-9
    assert lifetime.orders(model, one._replace(age=age + 500)) <= lifetime.orders(model, one) + 1e-9


def test_too_few_buyers_tell_nothing():
    """Ninety-nine are too few, and a thousand of whom nobody came again."""
    assert lifetime.buying(HISTORIES[:99]) is None
    assert lifetime.buying([Bought(0, 0.0, 100.0)] * 1000) is None


def test_several_orders_of_a_day_are_one_purchase():
    """Who orders twice within an hour has not come again; what is said to lie ahead has not happened."""
    assert Bought(1, 10.0, 30.0) == lifetime.bought([ago(30), ago(30 - 1 / 24), ago(20), T0 + timedelta(days=1)], T0)
    assert lifetime.bought([], T0) is None


def test_an_order_is_worth_between_ones_own_mean_and_everybodys():
    """The nearer to one's own, the more orders there are and the more people differ."""
    draw = np.random.default_rng(7)
    means = draw.gamma(4, 10, 1000)
    people = [lifetime.spent(draw.gamma(6, mean / 6, 1 + count)) for mean, count in zip(means, draw.poisson(2, 1000), strict=True)]
    model = lifetime.worth(people)
    told = [lifetime.order_value(model, one) for one in people]

    assert np.abs(told - means).mean() < 0.9 * np.abs([one.total / one.orders for one in people] - means).mean()
    assert 40 == pytest.approx(model.mean, rel=0.05)
    assert model.mean == lifetime.order_value(model, Spent(0, 0, 0))


def test_where_hardly_anybody_ordered_twice_everybodys_mean_is_all_there_is():
    assert Worth(20, None) == lifetime.worth([lifetime.spent([10.0]), lifetime.spent([30.0])])
    assert 20 == lifetime.order_value(Worth(20, None), lifetime.spent([1000.0] * 50))
    assert lifetime.worth([]) is None


# --- a person --------------------------------------------------------------------------------------------------------------------------

BUYERS = Forecast(Buying(0.8, 40.0, 1.2, 4.0), {"KRW": Worth(30_000, 1.0)})
AROUND = Setting(SEOUL, range(8, 21), forecast=BUYERS)


def judged(person: Person, told: Scores | None = None, around: Setting = AROUND) -> Scores:
    return persons.judged(person, around, persons.acted(person, SEOUL, T0), T0, told)


def test_a_regular_is_worth_more_than_who_came_once():
    """Told in the currency of most orders; what was spent in another does not mix with it."""
    regular = Person(orders=[Order(ago(days), 50_000, "KRW") for days in (200, 150, 100, 50, 10)] + [Order(ago(5), 9.99, "USD")])
    once = Person(orders=[Order(ago(200), 50_000, "KRW")])

    many, one = judged(regular), judged(once)

    assert ("KRW", "KRW") == (many.currency, one.currency)
    assert many.lifetime_value > 3 * one.lifetime_value > 0
    assert many.order_again > one.order_again and many.next_order_days < one.next_order_days
    assert many.fan > one.fan > 0


def test_who_never_bought_is_told_of_no_orders():
    """Nor is anybody while there are too few buyers."""
    person = Person(orders=[Order(ago(3), 1.0, "KRW")])

    assert Scores(silent=25) == judged(Person(unheard=[T0]))
    assert judged(person, around=Setting(SEOUL, range(24))).order_again is None


def test_a_forecast_is_kept_as_it_is():
    """Written down for the other replicas and read again, also where nothing is known."""
    assert BUYERS == Forecast.loaded(BUYERS.dumped())
    assert Forecast() == Forecast.loaded(Forecast().dumped())


def test_a_tenants_buyers_tell_how_they_order():
    """From their orders to both models, each currency by itself."""
    buyers = {
        number: [
            Order(T0 - timedelta(days=365 - one), 10.0 + number % 7 + place, "EUR" if number % 2 else "KRW")
            for place, one in enumerate(at)
            if one < 365
        ]
        for number, at in enumerate(LOG[:1000])
    }
    found = persons.forecast(buyers, T0)

    assert found.buying is not None
    assert {"EUR", "KRW"} == found.worth.keys()
    assert Forecast() == persons.forecast({}, T0)
