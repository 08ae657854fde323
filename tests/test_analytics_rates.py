"""Rates and what they are asked with: values alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley_analytics import query
from parley_analytics.places import Place
from parley_analytics.query import Query, Unclear
from parley_analytics.rates import COUNTS, RATES, RAW, rates, wilson

NOW = datetime(2026, 11, 24, 9, 31, 7, tzinfo=UTC)
SEOUL = ZoneInfo("Asia/Seoul")


@pytest.mark.parametrize(
    "hits, trials, low, high",
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_intervals_are_those_of_the_literature(hits, trials, low, high):
    """To the four digits that are printed there."""
    rate = wilson(hits, trials)

    assert (low, high) == (round(rate.low, 4), round(rate.high, 4))


@given(st.integers(0, 10**9).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_an_interval_holds_its_share_and_stays_a_share(counts):
    """0 <= low <= value <= high <= 1, also where rounding could break it."""
    rate = wilson(*counts)

    assert rate is None if counts[1] == 0 else 0 <= rate.low <= rate.value <= rate.high <= 1


@given(st.integers(1, 10**6).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_intervals_of_opposites_mirror_each_other(counts):
    """Those who clicked and those who did not are equally sure."""
    hits, trials = counts
    rate, opposite = wilson(hits, trials), wilson(trials - hits, trials)

    assert (pytest.approx(1 - opposite.high, abs=1e-12), pytest.approx(1 - opposite.low, abs=1e-12)) == (rate.low, rate.high)


def test_a_count_that_cannot_be_is_refused():
    """More hits than trials is a broken counter, not a rate."""
    with pytest.raises(ValueError, match="3 of 2"):
        wilson(3, 2)


def test_rates_are_over_people_who_got_it():
    """Delivery is of messages; the others are of people, whatever the messages were."""
    counts = dict.fromkeys(COUNTS, 0) | {"sent": 40, "delivered": 30, "clicked": 29, "people_delivered": 20, "people_clicked": 5, "people_opened": 10}
    found = {name: rate and rate.value for name, rate in rates(counts).items()}

    assert {"delivery": 0.75, "open": 0.5, "click": 0.25, "click_to_open": 0.5, "conversion": 0.0, "raw_click": 29 / 30}.items() <= found.items()


def test_a_rate_of_nothing_is_none():
    """Nothing sent is not the same as nothing opened."""
    assert dict.fromkeys((*RATES, *RAW)) == rates(dict.fromkeys(COUNTS, 0))


def test_a_query_without_parameters_is_the_last_thirty_days():
    """Until the end of the quarter of an hour that is running."""
    until = datetime(2026, 11, 24, 9, 45, tzinfo=UTC)

    assert Query(("campaign", "channel", "variant"), until - timedelta(days=30), until, SEOUL) == query.read({}, SEOUL, NOW)


@pytest.mark.parametrize(
    "text, moment",
    [
        ("2026-11-24", datetime(2026, 11, 23, 15, tzinfo=UTC)),
        ("2026-11-24T09:15", datetime(2026, 11, 24, 0, 15, tzinfo=UTC)),
        ("2026-11-24T09:15Z", datetime(2026, 11, 24, 9, 15, tzinfo=UTC)),
        ("2026-11-24T09:15+05:45", datetime(2026, 11, 24, 3, 30, tzinfo=UTC)),
    ],
)
def test_a_time_without_offset_is_the_tenants(text, moment):
    """A date begins at the tenant's midnight."""
    assert moment == query.read({"from": text, "to": "2027-01-01"}, SEOUL, NOW).since


@pytest.mark.parametrize(
    "parameters, sentence",
    [
        (
            {"group_by": "campaign,colour"},
            "`group_by` cannot be by 'colour'; known: campaign, channel, variant, purpose, language, flow, step, separated by commas, or none.",
        ),
        ({"group_by": ""}, "`group_by` cannot be by ''; known:"),
        ({"group_by": "sent); DROP TABLE cells"}, "`group_by` cannot be by"),
        ({"form": "2026-11-24"}, "There is no parameter `form`; known: group_by, bucket, from, to, campaign,"),
        ({"from": "yesterday"}, "`from` must be a date or time in ISO 8601, such as 2026-11-24 or 2026-11-24T09:30, not 'yesterday'."),
        ({"to": "2026-11-24T09:00 09:00"}, "write the `+` of an offset as %2B"),
        ({"from": "0001-01-01"}, "`from` must lie between the years 2000 and 2100"),
        ({"to": "9999-12-31T23:45-12:00"}, "`to` must lie between the years 2000 and 2100"),
        ({"from": "2026-11-24T09:05"}, "`from` must be on a quarter of an hour, such as 09:15, not '2026-11-24T09:05'"),
        ({"from": "2026-11-24", "to": "2026-11-24"}, "must be before `to`"),
        ({"from": "2026-11-01", "bucket": "hour"}, "`from` and `to` may be 2 days apart at most here: take a longer `bucket`, or a later `from`."),
        ({"group_by": "campaign,channel,variant,purpose"}, "`group_by` can be by 3 dimensions at most, not 4: take the rest as filters"),
        ({"bucket": "minute"}, "`bucket` cannot be 'minute'; known: hour, day, week, month."),
        ({"order": "-colour"}, "`order` cannot be '-colour': it is a count, a rate, or one of `group_by`;"),
        ({"from": "2026-11-01", "bucket": "hour", "group_by": "channel"}, "`from` and `to` may be 7 days apart at most here"),
        ({"bucket": "hour", "limit": "100"}, "`limit` must be a number from 1 to 20 for so many buckets, not '100'."),
        ({"limit": "0"}, "`limit` must be a number from 1 to 1000, not '0'."),
        ({"campaign": "a\0"}, "`campaign` must be a text of at most 200 characters, all of them printable."),
        ({"after": "W10"}, "`after` must be what `next` of the page before said, with all other parameters as they were."),
    ],
)
def test_a_parameter_that_cannot_be_used_is_explained(parameters, sentence):
    """Which one, why, and what would do."""
    with pytest.raises(Unclear) as error:
        query.read(parameters, SEOUL, NOW)

    assert sentence in str(error.value)


@given(st.dictionaries(st.sampled_from(query.PARAMETERS), st.one_of(st.text(), st.datetimes().map(str)), max_size=3))
def test_any_parameters_are_a_query_or_a_sentence(parameters):
    """Nothing that stands in an address breaks the service."""
    try:
        said = None if query.read(parameters, SEOUL, NOW).since.tzinfo is UTC else "a query without a zone"
    except Unclear as error:
        said = None if str(error).endswith(".") else str(error)

    assert said is None


def test_a_place_is_of_its_question():
    """What a page said as `next` leads on in that question, between the moments of its first page, and is of no use for another one."""
    asked = {"group_by": "campaign", "order": "-open", "channel": "sms"}
    first = query.read(asked, SEOUL, NOW)
    after = first.mark(Place(0.25, ("spring",)))
    later = NOW + timedelta(hours=3)

    assert replace(first, after=Place(0.25, ("spring",))) == query.read(asked | {"after": after}, SEOUL, later)
    for other in ({"channel": "email"}, {"order": "-click"}, {"group_by": "variant"}, {"to": "2026-11-24"}):
        with pytest.raises(Unclear):
            query.read(asked | other | {"after": after}, SEOUL, later)
