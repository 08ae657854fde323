"""Answers: what fits a question of each type, how it is kept, in both languages."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.contracts import Location
from parley_router.answers import fitting
from parley_router.choosing import KEPT, slip
from parley_router.dates import dates
from parley_router.numerals import numbers, written
from parley_router.steps import Ask

NOW = datetime(2026, 11, 25, 10, tzinfo=ZoneInfo("Asia/Seoul"))
"""A Wednesday."""


def asked(wants: str, **more: object) -> Ask:
    return Ask.model_validate({"ask": "it", "say": {"en": "?"}, "type": wants, **more})


YESNO = asked(
    "choice", choices=[{"id": "yes", "title": {"ko": "네", "en": "Yes, please"}}, {"id": "no", "title": {"ko": "아니요", "en": "No, thanks"}}]
)
TOPICS = asked(
    "choice",
    choices=[
        {"id": "delivery", "title": {"ko": "배송 조회", "en": "Delivery"}},
        {"id": "express", "title": {"ko": "빠른 배송", "en": "Express delivery"}},
        {"id": "returns", "title": {"ko": "반품", "en": "Returns"}},
    ],
)


def kept(step: Ask, text: str, region: str = "KR", *, tapped: str | None = None, location: Location | None = None) -> str | None:
    return fitting(step, text, tapped, location, NOW, region)


@pytest.mark.parametrize(
    ("step", "said", "wanted"),
    [
        (YESNO, "네", "yes"),
        (YESNO, "네!", "yes"),
        (YESNO, "네 좋아요!", "yes"),
        (YESNO, "Ｙｅｓ, please", "yes"),
        (YESNO, "yes", "yes"),
        (YESNO, "no", "no"),
        (YESNO, "2", "no"),
        (YESNO, "2번이요", "no"),
        (YESNO, "두번째", "no"),
        (YESNO, "the first one", "yes"),
        (YESNO, "number two please", "no"),
        (YESNO, "네, 아니요", None),
        (YESNO, "yes or no", None),
        (YESNO, "3", None),
        (YESNO, "0", None),
        (YESNO, "네덜란드", None),
        (YESNO, "", None),
        (YESNO, "?!", None),
        (TOPICS, "배송조회", "delivery"),
        (TOPICS, "반품이요", "returns"),
        (TOPICS, "반품 하고 싶어요", "returns"),
        (TOPICS, "반품 말고요", None),
        (TOPICS, "no returns", None),
        (TOPICS, "i don't want returns", None),
        (TOPICS, "delivery please", "delivery"),
        (TOPICS, "express delivery please", "express"),
        (TOPICS, "express", "express"),
        (TOPICS, "delivry", "delivery"),
        (TOPICS, "Retruns", "returns"),
        (TOPICS, "delivery or returns", None),
        (TOPICS, "I ordered something and my delivery has not come for weeks", None),
    ],
)
def test_choice(step, said, wanted):
    """A choice is meant by number, id, title, part of it or as part of a short sentence, where only one can be meant."""
    assert wanted == kept(step, said)


def test_tapped():
    """What was tapped counts, whatever stands beside it; what another question offered does not."""
    assert "no" == kept(YESNO, "Yes, please", tapped="no")
    assert kept(YESNO, "Yes, please", tapped="other") is None


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("1,200", "1200"), ("1,200.50", "1200.5"), ("-3", "-3"), ("007", None), ("1,5", None), ("1-3", None), ("3 or 4", None), ("A1001", None), ("3rd", None),
        ("세 개", "3"), ("3개 주세요", "3"), ("커피 세 잔이요", "3"), ("한 명", "1"), ("열두 개", "12"), ("스물다섯", "25"), ("이십오", "25"), ("1만 2천", "12000"),
        ("3만 500원", "30500"), ("1.5만", "15000"), ("1억 2천만", "120000000"), ("하나만 주세요", "1"), ("네", None), ("네 개요", "4"), ("한국", None),
        ("two", "2"), ("I'd like twenty-five", "25"), ("two hundred and five", "205"), ("a dozen", "12"), ("three thousand two hundred", "3200"),
        ("혼자요", "1"), ("셋이서", "3"), ("just me", "1"), ("no one", None), ("2 hundred", None), ("$12.50", "12.5"),
        ("3, please.", "3"), ("５", "5"), ("", None), ("１" * 20, None),
    ],
)  # fmt: skip
def test_number(said, wanted):
    """A number is read in digits and words of both languages, when there is one only."""
    assert wanted == kept(asked("number"), said)


@pytest.mark.parametrize(("said", "wanted"), [("0", None), ("1", "1"), ("10", "10"), ("열하나", None), ("2.5", "2.5")])
def test_number_between(said, wanted):
    """A number below the least or above the most does not fit."""
    assert wanted == kept(asked("number", min=1, max=10), said)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("내일", "2026-11-26"), ("내일 3시요", "2026-11-26"), ("내일모레", "2026-11-27"), ("금요일", "2026-11-27"), ("다음 주 금요일", "2026-12-04"),
        ("12월 3일", "2026-12-03"), ("12월 3일(목)", "2026-12-03"), ("12월 3일 금요일", None), ("25일", "2026-11-25"), ("24일", "2026-12-24"),
        ("90년 3월 12일", "1990-03-12"), ("900312", "1990-03-12"), ("1990.3.12", "1990-03-12"), ("사흘 뒤", "2026-11-28"), ("두 달 뒤", "2027-01-25"),
        ("일주일 후", "2026-12-02"), ("이틀 전", "2026-11-23"), ("다음 달 말일", "2026-12-31"), ("12월 3일이나 4일", None), ("주말", None), ("3일간", None),
        ("담주 월욜", "2026-11-30"), ("크리스마스에요", "2026-12-25"), ("Christmas", "2026-12-25"), ("christmas eve", None),
        ("tomorrow", "2026-11-26"), ("tomorrow at 3", "2026-11-26"), ("the day after tomorrow", "2026-11-27"), ("Friday", "2026-11-27"),
        ("Wednesday", "2026-12-02"), ("next Friday", "2026-12-04"), ("Dec 3", "2026-12-03"), ("December 3rd, 2027", "2027-12-03"), ("3 Dec", "2026-12-03"),
        ("the 3rd", "2026-12-03"), ("in 3 days", "2026-11-28"), ("two weeks from now", "2026-12-09"), ("Nov 24", "2027-11-24"), ("Feb 30", None),
        ("Feb 29", "2028-02-29"), ("Dec 3 or Dec 5", None), ("2026-11-25", "2026-11-25"), ("2026-02-30", None), ("13/12", "2026-12-13"), ("hello", None),
    ],
)  # fmt: skip
def test_date(said, wanted):
    """A date is read whole or relative to today, in both languages, when there is one only and it can be."""
    assert wanted == kept(asked("date"), said)


@pytest.mark.parametrize(
    ("said", "region", "wanted"),
    [
        ("3/12", "KR", "2027-03-12"),
        ("3/12", "US", "2027-03-12"),
        ("3/12", "GB", "2026-12-03"),
        ("3.12 가능해요", "GB", "2027-03-12"),
        ("25.12.26", "GB", "2026-12-25"),
    ],
)
def test_order_of_day_and_month(said, region, wanted):
    """3/12 is read as it is written where the contact is; in a Korean sentence the month stands first."""
    assert wanted == kept(asked("date"), said, region)


@given(month=st.integers(1, 12), day=st.integers(1, 31), today=st.dates(date(2000, 1, 1), date(2100, 1, 1)))
def test_a_day_without_a_year_has_not_passed(month, day, today):
    """A day and a month are the next such day, today included."""
    found = dates(f"{month}월 {day}일", today, "KR")

    assert all(one >= today and (one.month, one.day) == (month, day) for one in found)


@pytest.mark.parametrize(
    ("said", "region", "wanted"),
    [
        ("010-1234-5678", "KR", "+821012345678"),
        ("제 번호는 01012345678이에요", "KR", "+821012345678"),
        ("０１０ １２３４ ５６７８", "KR", "+821012345678"),
        ("my number is (650) 253-0000", "US", "+16502530000"),
        ("+82 10-1234-5678", "US", "+821012345678"),
        ("650-253-0000", "KR", None),
        ("010-1234-5678 or 010-8765-4321", "KR", None),
        ("call me", "KR", None),
    ],
)
def test_phone(said, region, wanted):
    """A phone number is kept in E.164; without its country it is one of the contact's region."""
    assert wanted == kept(asked("phone"), said, region)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("Kim@Example.COM", "Kim@example.com"),
        ("제 메일은 jisu.kim+tea@example.co.kr이에요", "jisu.kim+tea@example.co.kr"),
        ("it's a@b.com.", "a@b.com"),
        ("a@b.com or c@d.com", None),
        ("a..b@c.com", None),
        ("a@b", None),
        ("@b.com", None),
        ("a@b@c.com", None),
    ],
)
def test_email(said, wanted):
    """An e-mail address is found in a sentence, its domain in lower case."""
    assert wanted == kept(asked("email"), said)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("5", "5"), ("5점", "5"), ("4/5", "4"), ("5점 만점에 3점", "3"), ("3 out of 5", "3"), ("4/10", None), ("⭐️⭐️⭐️", "3"), ("★★★★☆", "4"), ("⭐" * 6, None),
        ("별 다섯 개", "5"), ("four stars", "4"), ("6", None), ("0", None), ("4.5", None),
        ("최고예요!", "5"), ("매우 만족", "5"), ("좋았어요", "4"), ("완전 좋아요", "5"), ("그저 그랬어요", "3"),
        ("안 좋았어요", "2"),
        ("보통", "3"), ("나쁘지 않아요", "3"), ("별로예요", "2"), ("최악", "1"), ("excellent", "5"), ("very good", "5"), ("not very good", "2"), ("not bad", "3"),
        ("good", "4"), ("terrible", "1"), ("not perfect", None), ("최고는 아니에요", None), ("hm", None),
    ],
)  # fmt: skip
def test_rating(said, wanted):
    """A rating is given in points, in stars, in words of number and of praise."""
    assert wanted == kept(asked("rating"), said)


def test_rating_to_ten():
    """Words of praise have no place on another scale."""
    step = asked("rating", min=0, max=10)

    assert ("10", "0", None, "7") == tuple(kept(step, one) for one in ("10", "0", "good", "7/10"))


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("37.5665, 126.9780", "37.5665,126.978"),
        ("https://maps.google.com/?q=37.5665,126.978", "37.5665,126.978"),
        ("-33.8688,151.2093", "-33.8688,151.2093"),
        ("91,0", None),
        ("서울시 중구", None),
    ],
)
def test_location_in_words(said, wanted):
    """Coordinates written down are a place; an address is not."""
    assert wanted == kept(asked("location"), said)


def test_location_sent():
    """A place that was sent is kept to a tenth of a metre."""
    assert "37.566535,126.977969" == kept(asked("location"), "", location=Location(lat=37.56653512, lon=126.97796911))


def test_pattern():
    """A text must hold the pattern, and what that finds is kept in upper case."""
    step = Ask.model_validate({"ask": "order", "say": {"en": "?"}, "pattern": r"(?<![a-z0-9])[a-z]{1,2}\d{4,8}(?!\d)"})

    assert ("A1001", None) == (kept(step, "ａ1001이요"), kept(step, "1001"))


SAID = st.text(max_size=KEPT) | st.lists(
    st.sampled_from(["3", "세", "개", "만", "two", "hundred", "12월", "3일", "next", "friday", "내일", "⭐", "5점", "37.5,", "126.9", "a@b.com", "010-1234-5678", "네"])
).map(" ".join)  # fmt: skip


@pytest.mark.parametrize("wants", ["text", "choice", "number", "date", "phone", "email", "rating", "location"])
def test_what_is_kept_fits_again(wants):
    """An answer that is kept fits the same question again and is kept the same."""
    step = TOPICS if wants == "choice" else asked(wants)

    @given(said=SAID, region=st.sampled_from(["KR", "US", "GB"]))
    def holds(said, region):
        once = kept(step, said, region)
        assert once is None or (once == kept(step, once, region) and 0 < len(once) <= KEPT)

    holds()


@given(value=st.decimals(min_value=0, max_value=10**12, places=2))
def test_every_number_is_read(value):
    """A number in digits, with or without its commas, is read as it is."""
    plain = written(value)

    assert {plain} == {written(one) for one in (*numbers(plain), *numbers(f"{value:,}"))}


@given(lat=st.floats(-90, 90), lon=st.floats(-180, 180))
def test_every_place_is_kept(lat, lon):
    """Any place on earth is kept so that it fits again."""
    once = kept(asked("location"), "", location=Location(lat=lat, lon=lon))

    assert once is not None and once == kept(asked("location"), once)


@pytest.mark.parametrize("region", ["KR", "US", "GB", "IT", "JP", "DE"])
def test_the_example_of_every_region(region):
    """The example number of a region, as it is written there, is kept in E.164."""
    number = phonenumbers.example_number(region)
    national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)

    assert phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) == kept(asked("phone"), national, region)


@pytest.mark.parametrize(("wanted", "said", "is_slip"), [("delivery", "delivry", True), ("returns", "retruns", True), ("returns", "returnss", True),
                                                         ("returns", "returns", False), ("returns", "refunds", False), ("happy", "unhappy", False)])  # fmt: skip
def test_slip(wanted, said, is_slip):
    """One wrong, missing, needless or misplaced letter is a slip of the finger."""
    assert is_slip == slip(wanted, said)
