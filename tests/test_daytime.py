"""The contact's own time: whose zone counts, when it is daytime, and the next time of day through every change of clocks."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley_router.conditions import WEEKDAYS
from parley_router.daytime import DAY, next_at, next_daytime, zone

SEOUL, BERLIN, HAVANA = ZoneInfo("Asia/Seoul"), ZoneInfo("Europe/Berlin"), ZoneInfo("America/Havana")
ZONES = st.sampled_from(
    [SEOUL, BERLIN, HAVANA, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Kathmandu"), ZoneInfo("UTC")]
)
MOMENTS = st.builds(
    lambda zone, seconds: (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).astimezone(zone), ZONES, st.integers(0, 2 * 366 * 86_400)
)
CLOCKS = st.builds(time, st.integers(0, 23), st.integers(0, 59))
DAYS = st.none() | st.lists(st.sampled_from(WEEKDAYS), min_size=1, unique=True)


@pytest.mark.parametrize(
    ("told", "addresses", "wanted"),
    [
        ("Europe/Berlin", ["+821012345678"], "Europe/Berlin"),
        (None, ["+821012345678"], "Asia/Seoul"),
        ("Mars/Base", ["+821012345678"], "Asia/Seoul"),
        ("../../etc/passwd", [], "UTC"),
        ("", ["kim@example.com", "+33612345678"], "Europe/Paris"),
        (None, ["+447911123456"], "Europe/London"),
        (None, ["+18005550123"], "UTC"),
        (None, ["+0", "+999", "kim@example.com"], "UTC"),
    ],
)
def test_zone(told, addresses, wanted):
    """The profile's zone counts, else the phone number's where its region shows one time, else the tenant's."""
    assert wanted == str(zone(told, addresses, ZoneInfo("UTC")))


@pytest.mark.parametrize(
    ("hour", "minute", "wanted"), [(8, 0, None), (20, 59, None), (21, 0, (26, 8)), (23, 59, (26, 8)), (0, 0, (25, 8)), (7, 59, (25, 8))]
)
def test_daytime(hour, minute, wanted):
    """It is daytime from 8 to before 21; at night it is next at 8."""
    found = next_daytime(datetime(2026, 11, 25, hour, minute, tzinfo=SEOUL))

    assert wanted == (found and (found.day, found.hour))


@pytest.mark.parametrize(
    ("moment", "clock", "wanted"),
    [
        (datetime(2026, 3, 29, 1, tzinfo=BERLIN), time(2, 30), "2026-03-29T03:30:00+02:00"),
        (datetime(2026, 3, 29, 3, 15, tzinfo=BERLIN), time(2, 30), "2026-03-29T03:30:00+02:00"),
        (datetime(2026, 10, 25, 1, tzinfo=BERLIN), time(2, 30), "2026-10-25T02:30:00+02:00"),
        (datetime(2026, 10, 25, 2, 15, tzinfo=BERLIN, fold=1), time(2, 30), "2026-10-25T02:30:00+01:00"),
        (datetime(2026, 10, 25, 2, 45, tzinfo=BERLIN, fold=1), time(2, 30), "2026-10-26T02:30:00+01:00"),
        (datetime(2026, 3, 7, 23, tzinfo=HAVANA), time(0, 0), "2026-03-08T01:00:00-04:00"),
    ],
)
def test_changes_of_clocks(moment, clock, wanted):
    """A time that is skipped comes an hour later; one that comes twice is the first that has not passed."""
    assert wanted == next_at(moment, clock, None).isoformat()


@given(moment=MOMENTS, clock=st.none() | CLOCKS, days=DAYS)
def test_next_at(moment, clock, days):
    """It is never earlier, shows the time (or where that is skipped a later one), is on a wanted day, and asked again gives itself."""
    found = next_at(moment, clock, days)

    assert found.astimezone(UTC) >= moment.astimezone(UTC)
    assert clock is None or found.time() == clock or found.replace(tzinfo=None) > datetime.combine(found.date(), clock)
    assert days is None or WEEKDAYS[found.weekday()] in days
    assert found.astimezone(UTC) == next_at(found, found.time(), days).astimezone(UTC)


@given(moment=MOMENTS, clock=CLOCKS)
def test_next_at_is_the_first(moment, clock):
    """Without days it comes within a day and an hour, and no clock shows the time before."""
    found = next_at(moment, clock, None)
    before = moment.astimezone(UTC) + timedelta(minutes=1) * 0
    minutes = [
        (before + timedelta(minutes=one)).astimezone(moment.tzinfo) for one in range(0, int((found.astimezone(UTC) - before).total_seconds() // 60))
    ]

    assert found.astimezone(UTC) - moment.astimezone(UTC) <= timedelta(days=1, hours=1)
    assert all(one.time().replace(second=0, microsecond=0) != clock for one in minutes[1:])


@given(moment=MOMENTS)
def test_daytime_comes_soon(moment):
    """Whenever it is asked, daytime is now or begins within half a day."""
    found = next_daytime(moment)

    assert (found is None) == (DAY[0] <= moment.time() < DAY[1])
    assert found is None or (found.time() == DAY[0] and timedelta() < found.astimezone(UTC) - moment.astimezone(UTC) <= timedelta(hours=12))
