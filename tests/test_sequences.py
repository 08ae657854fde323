"""Confidence sequences and how long they take: against the literature, another implementation, and a thousand simulated experiments."""

from math import inf, sqrt

import numpy as np
import pytest
import ville
from hypothesis import given
from hypothesis import strategies as st

from parley_analytics import power
from parley_analytics.sequences import ALPHA, TUNED, Interval, Moments, boundary, difference, imbalance, precision, share, together

alphas = st.sampled_from([0.05, 0.05 / 3, 0.01])
shares = st.integers(0, 10**7).flatmap(lambda people: st.builds(share, st.just(people), st.integers(0, people)))


def looks(seed: int, experiments: int, count: int, people: int, rates, weights) -> tuple[np.ndarray, np.ndarray]:
    """People and hits of each variant at each look of simulated experiments: arrays by experiment, look and variant."""
    dice = np.random.default_rng(seed)
    came = dice.multinomial(people, np.array(weights) / sum(weights), (experiments, count))
    return came.cumsum(1), dice.binomial(came, rates).cumsum(1)


def decided(people: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """After how many people each experiment has an interval without zero; infinite where it never has."""
    return np.array([first(*one) for one in zip(people, hits, strict=True)])


def first(people: np.ndarray, hits: np.ndarray) -> float:
    for (one, other), (mine, theirs) in zip(people.tolist(), hits.tolist(), strict=True):
        found = difference(share(other, theirs), share(one, mine))
        if found and found.sign:
            return one + other
    return inf


# --- against another implementation ------------------------------------------------------------------------------------------------------------


@given(st.floats(1, 1e8), alphas, st.floats(10, 1e6))
def test_the_boundary_is_that_of_ville(at, alpha, tuned):
    """The published package computes the same normal mixture."""
    assert float(ville.normal_mixture(at, alpha, precision(alpha, tuned))) == pytest.approx(boundary(at, alpha, tuned), rel=1e-12)


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 3, 0.01])
def test_the_boundary_is_tightest_where_it_was_tuned(alpha):
    """The precision is the one that a numeric search finds."""
    assert ville.best_rho(TUNED, alpha) == pytest.approx(precision(alpha), rel=1e-4)


def test_intervals_are_those_of_ville():
    """In a balanced experiment with large counts, its interval of the same people differs in the third digit only: it learns the mean as it goes."""
    dice = np.random.default_rng(5)
    treated = np.arange(40_000) % 2
    bought = (dice.random(40_000) < np.where(treated, 0.06, 0.05)).astype(float)
    theirs = ville.AsymptoticABTest(t_opt=4 * TUNED).fit(bought, treated)
    ours = difference(*(share(20_000, int(bought[treated == side].sum())) for side in (1, 0)))

    assert (pytest.approx(theirs.estimate_[-1], abs=3e-5), *(pytest.approx(end, abs=5e-5) for end in theirs.interval())) == ours


def test_money_has_the_interval_of_its_moments():
    """Sums and sums of squares are all that is needed of what each person spent."""
    dice = np.random.default_rng(6)
    spent = [np.where(dice.random(50_000) < 0.1, dice.lognormal(3, 0.5, 50_000), 0) for _ in range(2)]
    one, other = (Moments(len(one), one.sum(), (one**2).sum()) for one in spent)
    reach = sqrt((spent[0].var() + spent[1].var()) / 2) * float(ville.normal_mixture(25_000, ALPHA, precision(ALPHA))) / 25_000
    found = difference(one, other)

    assert (pytest.approx(spent[0].mean() - spent[1].mean()), pytest.approx(reach, rel=1e-3)) == (found.difference, (found.high - found.low) / 2)


# --- simulated experiments ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rate, weights, people",
    [(0.05, (1, 1), 400), (0.003, (1, 1), 200), (0.02, (9, 1), 300)],
    ids=["usual", "rare", "nine to one"],
)
def test_alike_variants_seldom_differ_at_any_look(rate, weights, people):
    """Of 1,000 experiments without a difference, looked at after each of 100 batches, at most 5 % ever exclude zero."""
    wrong = np.isfinite(decided(*looks(1, 1000, 100, people, (rate, rate), weights)))

    assert ALPHA >= wrong.mean()


def test_late_events_make_no_winner():
    """Also where what people do is known late, a fifth of what is outstanding with every batch."""
    people, hits = looks(8, 1000, 100, 400, (0.05, 0.05), (1, 1))
    dice, known = np.random.default_rng(9), np.zeros_like(hits)
    for look in range(1, 100):
        known[:, look] = known[:, look - 1] + dice.binomial(hits[:, look] - known[:, look - 1], 0.2)

    assert np.isfinite(decided(people, known)).mean() <= ALPHA


def test_looking_at_a_usual_interval_would_not_do():
    """The simulation can fail: with the interval for one look a fifth of these experiments and more have a winner."""
    people, hits = looks(1, 1000, 100, 400, (0.05, 0.05), (1, 1))
    rate, pooled = hits / people, hits.sum(2) / people.sum(2)
    score = np.abs(rate[..., 0] - rate[..., 1]) / np.sqrt(pooled * (1 - pooled) * (1 / people).sum(2))

    assert (score > 1.96).any(1).mean() > 0.2


def test_a_real_difference_is_decided_soon():
    """4 % against 5 %: on the average within 1.3 times the people of a test with one look; four of five within 1.8 times. docs/experiments.md says so."""
    effect = 0.01 / sqrt((0.04 * 0.96 + 0.05 * 0.95) / 2)
    alone = 4 * power.fixed(effect)
    when = decided(*looks(2, 500, 80, round(alone / 16), (0.04, 0.05), (1, 1))) / alone

    assert np.minimum(when, 5).mean() < 1.3 and np.quantile(when, 0.8) < 1.8


@pytest.mark.parametrize("people", [5, 300])
def test_a_split_as_configured_is_seldom_doubted(people):
    """Of 1,000 experiments that are split one to two, looked at 100 times, at most 1 % ever have a p-value under 1 %."""
    came, _ = looks(3, 1000, 100, people, (0, 0), (1, 2))
    ever = [any(imbalance(look, (1, 2)) < 0.01 for look in one) for one in came.tolist()]

    assert np.mean(ever) <= 0.01


def test_a_wrong_split_is_found():
    """Where 4 % of one half are missing among 100,000 people, in nineteen experiments of twenty; and exactly split counts are no evidence."""
    came, _ = looks(4, 200, 1, 100_000, (0, 0), (0.96, 1))
    found = [imbalance(look, (1, 1)) < 0.01 for (look,) in came.tolist()]

    assert np.mean(found) >= 0.95
    assert imbalance((5000, 5000), (1, 1)) == 1


# --- what an interval is -----------------------------------------------------------------------------------------------------------------------


@given(shares, shares)
def test_the_other_side_sees_the_same(ours, theirs):
    """Whoever is set against whom."""
    one, other = difference(ours, theirs), difference(theirs, ours)

    assert (one is None) == (other is None)
    assert one is None or other.turned() == pytest.approx(one)


@given(shares, shares, alphas)
def test_an_interval_holds_its_estimate(ours, theirs, alpha):
    """low < difference < high, for any counts that have an interval."""
    found = difference(ours, theirs, alpha)

    assert found is None or found.low < found.difference < found.high


@given(st.lists(shares, min_size=1, max_size=4))
def test_moments_of_parts_are_those_of_the_whole(parts):
    """Sums add up, and the events of a share are those who did."""
    whole = together(parts)

    assert (sum(one.people for one in parts), pytest.approx(sum(one.total for one in parts))) == (whole.people, whole.events)


@pytest.mark.parametrize(
    "ours, theirs",
    [
        (share(99, 50), share(10**6, 5 * 10**5)),  # too few people
        (share(1000, 19), share(1000, 0)),  # too few who did
        (share(1000, 981), share(1000, 1000)),  # too few who did not
        (Moments(1000, 10**6 + 1000, 10**12 + 1000), Moments(1000, 1000, 1000)),  # one order among a thousand is all the spread there is
    ],
)
def test_too_little_has_no_interval(ours, theirs):
    """The guarantee is one of large numbers."""
    assert difference(ours, theirs) is None


def test_a_count_that_cannot_be_is_refused():
    """More hits than people is a broken counter, not a share."""
    with pytest.raises(ValueError, match="3 of 2"):
        share(2, 3)


@pytest.mark.parametrize("low, high, sign", [(0.1, 0.2, 1), (-0.2, -0.1, -1), (-0.1, 0.1, 0), (0, 0.1, 0)])
def test_zero_is_excluded_or_not(low, high, sign):
    """An end at zero does not exclude it."""
    assert sign == Interval((low + high) / 2, low, high).sign


# --- how long it takes -------------------------------------------------------------------------------------------------------------------------


def test_the_people_of_one_look_are_those_of_the_textbook():
    """Half a standard deviation at 80 %: 63 people in each group (J. Cohen, Statistical Power Analysis, 1988: 64 with Student's t)."""
    assert 63 == round(2 * power.fixed(0.5))


@pytest.mark.parametrize("effect", [0.02, 0.05, 0.1])
def test_an_experiment_is_done_when_it_was_said(effect):
    """Of 4,000 Brownian motions with drift, about 80 % have crossed the boundary by the time that was told."""
    until = power.anytime(effect)
    dice, steps = np.random.default_rng(7), 400
    times = np.linspace(until / steps, until, steps)
    paths = dice.normal(effect * until / steps, sqrt(until / steps), (4000, steps)).cumsum(1)
    crossed = (np.abs(paths) >= [boundary(at) for at in times]).any(1).mean()

    assert 0.77 <= crossed <= 0.83


@given(st.floats(0.001, 2), st.sampled_from([0.5, 0.8, 0.9]), alphas)
def test_looking_as_often_as_one_likes_costs_people(effect, least, alpha):
    """More than a test with one look at its end needs, whatever is looked for."""
    assert power.fixed(effect, least, alpha) < power.anytime(effect, least, alpha)


@given(st.floats(1e-4, 1), alphas)
def test_an_interval_is_as_narrow_as_told(reach, alpha):
    """At that time it reaches so far, and just before it reached farther."""
    at = power.narrow(reach, alpha)

    assert boundary(at, alpha) / at <= reach <= boundary(at / 1.002, alpha) / (at / 1.002)


@pytest.mark.parametrize("missing, per_day, days", [(900, 100, 9), (901, 100, 10), (1, 1e6, 1), (5, 0, None)])
def test_days_are_whole_ones(missing, per_day, days):
    """Rounded up; nobody can say where nobody comes."""
    assert days == power.days(missing, per_day)
