"""When something may leave, and where its recipient is: through nights, holidays, changes of clocks and several zones."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from dateutil.easter import easter as reference
from hypothesis import example, given, settings
from hypothesis import strategies as st
from phonenumbers import timezone

from parley.contracts import Channel
from parley.policies import Quiet
from parley_sender import whereabouts
from parley_sender.hours import AHEAD, Holidays, Hours, easter, opens, own
from parley_sender.whereabouts import Whereabouts

ZONES = [
    ZoneInfo(one)
    for one in ("Asia/Seoul", "Europe/Berlin", "America/New_York", "America/Havana", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Honolulu", "UTC")
]
CHANGES = [datetime(2026, month, day, tzinfo=UTC) for month, day in ((3, 8), (3, 29), (4, 4), (4, 23), (10, 3), (10, 25), (10, 29), (11, 1))]
"""About when the zones above change their clocks."""
MOMENTS = st.builds(lambda day, minutes: day + timedelta(minutes=minutes), st.sampled_from(CHANGES), st.integers(-8 * 1440, 2 * 1440)) | st.builds(
    lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds), st.integers(0, 2 * 365 * 86_400)
)
SPAN = st.tuples(st.integers(0, 1439), st.integers(1, 600)).map(lambda one: (one[0], min(1440, one[0] + one[1])))
HOURS = st.builds(
    Hours,
    st.just("some"),
    st.lists(st.lists(SPAN, max_size=2).map(tuple), min_size=7, max_size=7).map(tuple),
    st.builds(Holidays, st.frozensets(st.tuples(st.integers(3, 11), st.integers(1, 28)), max_size=5), st.frozensets(st.integers(-7, 60), max_size=3)),
    st.booleans(),
)
NIGHT = own(Quiet((time(21), time(8))))
NOWHERE_MORE = Whereabouts(None, (ZoneInfo("UTC"),))


def allowed(hours: tuple[Hours, ...], zones: tuple[ZoneInfo, ...], moment: datetime, at_night: bool) -> bool:
    """The rule as one would say it: every clock stands in open hours of every rule."""
    for zone in zones:
        day, clock = moment.astimezone(zone).date(), f"{moment.astimezone(zone):%H:%M}"
        for one in hours:
            shut = (day.month, day.day) in one.holidays.fixed or any(
                day == reference(day.year) + timedelta(days=more) for more in one.holidays.easter
            )
            spans = [(f"{begin // 60:02}:{begin % 60:02}", f"{end // 60:02}:{end % 60:02}") for begin, end in one.week[day.weekday()]]
            if not (at_night and one.consent) and (shut or not any(begin <= clock < end for begin, end in spans)):
                return False
    return True


@settings(max_examples=150, deadline=None)
@given(
    hours=st.lists(HOURS, max_size=2).map(tuple), zones=st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True).map(tuple),
    now=MOMENTS, at_night=st.booleans(),
)  # fmt: skip
@example(hours=(NIGHT,), zones=tuple(ZONES), now=CHANGES[0], at_night=False)
def test_it_is_the_first_moment(hours, zones, now, at_night):
    """The answer is allowed itself and nothing before it is, to the minute; without one within eight days it is the end of these."""
    found = opens(hours, Whereabouts(None, zones), now, at_night)
    whole = now.replace(second=0, microsecond=0)
    first = next((one for one in range(1, 8 * 1440 + 1) if allowed(hours, zones, whole + timedelta(minutes=one), at_night)), None)

    if allowed(hours, zones, now, at_night):
        assert found is None
    elif first is None or whole + timedelta(minutes=first) > now + AHEAD:
        assert now + AHEAD == found
    else:
        assert whole + timedelta(minutes=first) == found and found.tzinfo is UTC


@settings(max_examples=100, deadline=None)
@given(hours=st.lists(HOURS, min_size=1, max_size=3).map(tuple), zone=st.sampled_from(ZONES), more=st.sampled_from(ZONES), now=MOMENTS)
def test_more_rules_and_more_zones_only_delay(hours, zone, more, now):
    """Nothing that is added lets something leave earlier; a yes to the night lets nothing leave later."""

    def asked(hours, zones, at_night=False):
        return opens(hours, Whereabouts(None, zones), now, at_night) or now

    assert asked(hours[:1], (zone,)) <= asked(hours, (zone,)) <= asked(hours, (zone, more))
    assert asked(hours, (zone,), at_night=True) <= asked(hours, (zone,))


@pytest.mark.parametrize(
    ("zone", "now", "begins", "wanted"),
    [
        ("Europe/Berlin", "2026-03-29T00:30:00Z", "02:30", "2026-03-29T01:00:00"),
        ("Europe/Berlin", "2026-10-25T00:10:00Z", "02:30", "2026-10-25T00:30:00"),
        ("Europe/Berlin", "2026-10-25T01:10:00Z", "02:30", "2026-10-25T01:30:00"),
        ("America/Havana", "2026-03-08T04:30:00Z", "00:30", "2026-03-08T05:00:00"),
        ("America/Havana", "2026-11-01T03:50:00Z", "00:30", "2026-11-01T04:30:00"),
        ("Africa/Cairo", "2026-04-23T20:00:00Z", "00:30", "2026-04-23T22:00:00"),
        ("Africa/Cairo", "2026-04-23T20:00:00Z", "00:00", "2026-04-24T21:00:00"),
    ],
)
def test_changes_of_clocks(zone, now, begins, wanted):
    """Hours that begin in a time which is skipped begin with the change; in one that comes twice, at the first that has not passed."""
    minute = int(begins[:2]) * 60 + int(begins[3:])
    hours = Hours("early", (((minute, minute + 60),),) * 7)

    assert f"{wanted}+00:00" == opens((hours,), Whereabouts(None, (ZoneInfo(zone),)), datetime.fromisoformat(now), False).isoformat()


@pytest.mark.parametrize(
    ("quiet", "now", "wanted"),
    [
        (Quiet((time(21), time(8))), "2026-11-25 20:59", None),
        (Quiet((time(21), time(8))), "2026-11-25 21:00", "2026-11-26 08:00"),
        (Quiet((time(12), time(14))), "2026-11-25 11:59", None),
        (Quiet((time(12), time(14))), "2026-11-25 12:00", "2026-11-25 14:00"),
        (Quiet((time(0), time(8))), "2026-11-25 23:59", None),
        (Quiet((time(22), time(0))), "2026-11-25 22:00", "2026-11-26 00:00"),
        (Quiet(days=frozenset({5, 6})), "2026-11-28 00:00", "2026-11-30 00:00"),
        (Quiet((time(20), time(10)), frozenset({6})), "2026-11-28 20:00", "2026-11-30 10:00"),
    ],
)
def test_own_quiet_hours(quiet, now, wanted):
    """Between two times of every day, past midnight too, and on whole days."""
    found = opens((own(quiet),), NOWHERE_MORE, datetime.fromisoformat(now).replace(tzinfo=UTC), False)

    assert wanted == (found and f"{found:%Y-%m-%d %H:%M}")


@given(st.integers(1900, 2200))
def test_easter(year):
    """As another library reckons it."""
    assert reference(year) == easter(year)


def test_nobody_waits_beyond_eight_days():
    """Where the only hour of a week falls on a holiday, it is asked for again after eight days."""
    hours = Hours("rare", (*(((),) * 3), ((720, 780),), *(((),) * 3)), Holidays(frozenset({(11, 26)})))
    now = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)

    assert now + timedelta(days=8) == opens((hours,), NOWHERE_MORE, now, False)
    assert datetime(2026, 12, 3, 12, tzinfo=UTC) == opens((hours,), NOWHERE_MORE, now + timedelta(days=1), False)


# --- whereabouts -----------------------------------------------------------------------------------------------------------------------

TENANT = ZoneInfo("Asia/Tokyo")


@pytest.mark.parametrize(
    ("address", "channel", "told", "wanted"),
    [
        ("+821012345678", "sms", None, ("KR", ["Asia/Seoul"], None)),
        ("+821012345678", "whatsapp", "Europe/Berlin", ("KR", ["Europe/Berlin"], None)),
        ("+821012345678", "sms", "Mars/Base", ("KR", ["Asia/Seoul"], None)),
        ("+821012345678", "sms", "../../etc/passwd", ("KR", ["Asia/Seoul"], None)),
        ("+13055550123", "sms", None, ("US", ["America/New_York"], "+1305")),
        ("+14165550123", "sms", None, ("CA", ["America/Toronto"], "+1416")),
        ("+34612345678", "sms", None, ("ES", ["Atlantic/Canary", "Europe/Madrid"], None)),
        ("+882161234567", "sms", None, ("GB", ["Asia/Tokyo"], None)),
        ("+0", "sms", None, ("GB", ["Asia/Tokyo"], None)),
        ("kim@example.com", "email", None, ("GB", ["Asia/Tokyo"], None)),
        ("+821012345678", "webchat", None, ("GB", ["Asia/Tokyo"], None)),
    ],
)
def test_whereabouts(address, channel, told, wanted):
    """The profile's zone, else all that the number may be in, else the tenant's; the number's country, else the one that is told."""
    found = whereabouts.of(address, Channel(channel), told, TENANT, "GB")

    assert wanted == (found.country, [str(one) for one in found.zones], found.area)


def test_zones_that_show_the_same_time_are_one():
    """A number without a place may be in 42 zones of North America, of which many differ in name alone."""
    found = whereabouts.of("+18005550123", Channel.SMS, None, TENANT, None).zones
    named = timezone.time_zones_for_number(phonenumbers.parse("+18005550123"))
    noons = [datetime(2027, month, 15, 12, tzinfo=UTC) for month in range(1, 13)]

    assert len(found) < len(named) / 2
    assert {tuple(noon.astimezone(ZoneInfo(one)).utcoffset() for noon in noons) for one in named} == {
        tuple(noon.astimezone(one).utcoffset() for noon in noons) for one in found
    }


def test_the_last_four_digits_say_nothing():
    """Of every country's example numbers, all that are valid with other last digits are in the same place: so people share an answer."""
    examples = [phonenumbers.example_number_for_type(region, kind) for region in phonenumbers.SUPPORTED_REGIONS for kind in (0, 1, 2, 3, 6, 7)]
    numbers = [f"+{one.country_code}{phonenumbers.national_significant_number(one)}" for one in examples if one is not None]
    others = [f"{one[:-4]}0000" for one in numbers if len(one) >= whereabouts.SHORTEST]
    valid = [one for one in others if phonenumbers.is_valid_number(phonenumbers.parse(one))]

    assert len(valid) > 500
    for number in valid:
        parsed = phonenumbers.parse(number)
        wanted = (phonenumbers.region_code_for_number(parsed), timezone.time_zones_for_number(parsed))
        for last in ("0123", "4999", "9876"):
            other = phonenumbers.parse(f"{number[:-4]}{last}")
            if phonenumbers.is_valid_number(other):
                assert wanted == (phonenumbers.region_code_for_number(other), timezone.time_zones_for_number(other))


def test_an_answer_is_kept():
    """A thousand people of one exchange are one question."""
    before = whereabouts._of.cache_info()
    found = {whereabouts.of(f"+8210777{last:05}", Channel.SMS, None, ZoneInfo("Asia/Baku"), None) for last in range(1000)}

    assert (1, 1) == (len(found), whereabouts._of.cache_info().misses - before.misses)


def test_a_day_is_a_date():
    """A pack's holidays are by the recipient's date, not by ours: New Year comes to Seoul first."""
    hours = Hours("closed", (((0, 1440),),) * 7, Holidays(frozenset({(1, 1)})))
    now = datetime(2026, 12, 31, 16, tzinfo=UTC)

    assert datetime(2027, 1, 1, 15, tzinfo=UTC) == opens((hours,), Whereabouts("KR", (ZONES[0],)), now, False)
    assert date(2027, 1, 1) == now.astimezone(ZONES[0]).date()
