"""Texts with Liquid in them: filters by language, particles by sound, and that no text can take more than its share."""

import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.josa import PAIRS, ending, particle
from parley.templates import LONGEST, LOOPED, Texts, Unfilled

SEOUL = ZoneInfo("Asia/Seoul")


def filled(text: str, language: str = "ko", **known: object) -> str:
    texts = Texts()
    assert [] == list(texts.parse(text))
    return texts.render(text, {"language": language, **known}, SEOUL)


def refused(text: str, **known: object) -> str:
    """Why the text is refused, when it is read or when it is filled in."""
    texts = Texts()
    if wrong := list(texts.parse(text)):
        return wrong[0]
    with pytest.raises(Unfilled) as caught:
        texts.render(text, {"language": "en", **known})
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value", "korean", "english"),
    [
        ("{{ it | money }}", 12000, "12,000원", "$12,000.00"),
        ("{{ it | money: 'KRW' }}", "12,000", "12,000원", "₩12,000"),
        ("{{ it | money: 'USD' }}", "12", "$12.00", "$12.00"),
        ("{{ it | money: 'usd' }}", 12.345, "$12.35", "$12.35"),
        ("{{ it | money: 'JPY' }}", 1200, "¥1,200", "¥1,200"),
        ("{{ it | money: 'KWD' }}", -1.5, "-KWD 1.500", "-KWD 1.500"),
        ("{{ it | money }}", -0.4, "0원", "-$0.40"),
        ("{{ it | day }}", "2026-11-25", "11월 25일 (수)", "Wed, Nov 25"),
        ("{{ it | day: 'long' }}", "2026-11-25", "2026년 11월 25일 (수)", "Wed, Nov 25, 2026"),
        ("{{ it | day }}", "2026-11-25T23:30:00Z", "11월 26일 (목)", "Thu, Nov 26"),
        ("{{ it | time }}", "2026-11-25T15:30", "오후 3:30", "3:30 PM"),
        ("{{ it | time }}", "2026-11-25T00:05:00+09:00", "오전 12:05", "12:05 AM"),
        ("{{ it | time }}", datetime(2026, 11, 25, 12, tzinfo=SEOUL), "오후 12:00", "12:00 PM"),
        ("{{ it | moment }}", "2026-11-25T15:30", "11월 25일 (수) 오후 3:30", "Wed, Nov 25, 3:30 PM"),
        ("{{ it | name }}", " 김  지수", "김 지수님", "김 지수"),
        ("{{ it | name }}", "지수님", "지수님", "지수님"),
        ("{{ it | name | josa: '은/는' }}", "지수", "지수님은", "지수는"),
        ("/orders/{{ it | url_encode }}?q={{ it | url_encode }}", "가 a/b&c", "/orders/%EA%B0%80%20a%2Fb%26c?q=%EA%B0%80%20a%2Fb%26c", None),
    ],
)
def test_filter(text, value, korean, english):
    """Money, days, times and names are written as the language writes them."""
    assert (korean, english or korean) == (filled(text, "ko", it=value), filled(text, "en", it=value))


@pytest.mark.parametrize(
    ("text", "value", "said"),
    [
        ("{{ it | money }}", "much", "money: 'much' is no amount"),
        ("{{ it | money }}", "NaN", "money: 'NaN' is no amount"),
        ("{{ it | money }}", "1e40", "money: '1e40' is no amount"),
        ("{{ it | money: '원' }}", 1, "money: '원' is no currency"),
        ("{{ it | day }}", "soon", "day: 'soon' is no date"),
        ("{{ it | time }}", "2026-11-25", "time: '2026-11-25' is a day without a time"),
        ("{{ it | name }}", "  ", "name: the name is empty"),
        ("{{ it | josa: '이나/든' }}", "지수", "josa: '이나/든' is no pair of particles"),
        ("/orders/{{ it | url_encode }}", "..", "url_encode: '..' is no part of an address"),
        ("{{ nobody | name }}", 1, "'nobody' is undefined"),
        ("{{ it | money: nobody }}", 1, "'nobody' is undefined"),
        ("{{ nobody | josa: '이/가' }}", 1, "'nobody' is undefined"),
    ],
)
def test_filter_refuses(text, value, said):
    """A value that a filter cannot take, or that is not known, leaves the text unsaid; the reason is a sentence."""
    assert said in refused(text, it=value)


def test_default_stands_in_for_what_is_not_known():
    """A text that says what to write instead is said without the value."""
    assert "- and -" == filled("{{ nobody | default: '-' }} and {{ it.nothing | default: '-' }}", it={})


@pytest.mark.parametrize(
    ("word", "pair", "wanted"),
    [
        ("지수", "이/가", "가"), ("민준", "이/가", "이"), ("민준", "가/이", "이"), ("지수", "은/는", "는"), ("차", "을/를", "를"), ("책", "과/와", "과"),
        ("서울", "으로/로", "로"), ("부산", "으로/로", "으로"), ("제주", "으로/로", "로"), ("지수", "아/야", "야"), ("Jisu", "이/가", "가"), ("Tom", "이/가", "이"),
        ("Chris", "이/가", "가"),
        ("Bill", "으로/로", "로"), ("King", "은/는", "은"), ("SMS", "은/는", "는"), ("PDF", "을/를", "를"), ("ATM", "이/가", "이"), ("A1001", "으로/로", "로"),
        ("3", "이/가", "이"), ("10", "이/가", "이"), ("4", "이/가", "가"), ("'민준'", "이/가", "이"), ("♥", "이/가", "이(가)"), ("지수", "이에요/예요", "예요"),
    ],
)  # fmt: skip
def test_particle(word, pair, wanted):
    """The particle follows the last sound: of Hangul, digits, and Latin letters as they are read in Korean."""
    assert wanted == particle(word, pair)


@given(st.text(alphabet=st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), min_size=1))
def test_particles_agree(word):
    """Every Hangul word takes the same side of every pair, but for 로 after ㄹ."""
    sides = {particle(word, "/".join(pair)) == pair[0] for pair in PAIRS.values() if "로" not in pair}

    assert {ending(word) != "vowel"} == sides


GROWS = {
    "a text that doubles": "{% assign x = 'aaaaaaaaaa' %}{% for i in (1..200) %}{% assign x = x | append: x %}{% endfor %}",
    "a text put into itself": "{{ long | replace: 'y', long }}",
    "texts in texts": "{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaa' " + "| replace: 'a', 'aaaaaaaaaa' " * 100 + "}}",
    "a number squared": "{% assign x = 9 %}{% for i in (1..200) %}{% assign x = x | times: x %}{% endfor %}",
    "a long number": "{{ " + "9" * 4000 + " | plus: 1 }}",
    "a list that doubles": "{% assign x = list %}{% for i in (1..100) %}{% assign x = x | concat: x %}{% endfor %}",
    "a range without end": "{{ (1..1000000000) | join: '' }}",
    "a range backwards": "{% for i in (1..1000000000) reversed %}{% endfor %}",
    "a range from outside": "{% for i in (1..many) reversed %}{% endfor %}",
    "loops in loops": "{% for a in list %}{% for b in list %}{% endfor %}{% endfor %}",
    "a loop of a long text": "{% for i in (1..200) %}" + "{{ none }}" * 300 + "{% endfor %}",
    "many filters": "{% for i in (1..20) %}{{ none " + "| strip " * 150 + "}}{% endfor %}",
    "a long list": "{{ long | split: '' | join: ',' }}",
    "too long a text": "{{ long }}{{ long }}",
    "too deep": "{% if none %}" * 40 + "{% endif %}" * 40,
    "another file": "{% include 'other' %}",
    "the clock": "{{ now }}",
    "the day": "{{ 'today' | date: '%Y' }}",
}
ALLOWED = {
    "loops": "{% for i in (1..24) %}" + "{{ none }}" * ((LOOPED // 24 - 40) // 10) + "{% endfor %}",
    "conditions": "{% for i in (1..100) %}{% if none == 1" + " or none == 1" * ((LOOPED // 100 - 80) // 13) + " %}{% endif %}{% endfor %}",
    "filters": "{% for i in (1..15) %}" + "{{ none | squish }}" * 100 + "{% endfor %}",
    "long values": "{{ long | strip_html | size }}" * 3,
}
GIVEN = {"long": "y" * (LONGEST - 1), "list": ["z"] * 150, "none": "", "many": 10**9}


@pytest.mark.parametrize("text", GROWS.values(), ids=GROWS)
def test_what_grows_is_refused(text):
    """What would grow without end, or reads a clock, is refused before it costs anything: else this would take minutes, or all of the memory."""
    began = time.process_time()

    assert refused(text, **GIVEN)
    assert 10 > time.process_time() - began


@pytest.mark.parametrize("text", ALLOWED.values(), ids=ALLOWED)
def test_the_worst_that_is_allowed(text):
    """Texts just inside the limits hold the loop for some milliseconds (10 to 20 on a quiet core)."""
    began = time.process_time()

    assert filled(text, **GIVEN).strip(str(LONGEST - 1)) == ""
    assert 10 > time.process_time() - began


def test_a_list_is_said():
    """A list of ten things in a text of a usual length is well within the limits."""
    items = [{"title": f"차 {one}", "price": one * 1000} for one in range(1, 11)]
    text = (
        "고르신 차:\n{% for one in slot.picks %}{{ forloop.index }}. {{ one.title }} – {{ one.price | money }}\n{% endfor %}" + "감사합니다. " * 100
    )

    assert ["1. 차 1 – 1,000원", "10. 차 10 – 10,000원"] == filled(text, slot={"picks": items}).splitlines()[1:11:9]


def test_a_text_that_nobody_read_before():
    """A text of our own may be filled in without having been read with the flows."""
    assert "11월 25일 (수)" == Texts().render("{{ at | day }}", {"at": "2026-11-25", "language": "ko"})
