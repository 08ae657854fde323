"""Segments counted exactly and texts cut where it can be read: held against other libraries, national tables too."""

from dataclasses import replace
from random import Random

import pytest
import regex
import smsutil
from gsmcodecs.charmaps import GSMCHARMAPS  # and so its codecs are registered
from hypothesis import given
from hypothesis import strategies as st

from parley.channels import gsm, nationals, smpp, text, twilio
from parley.channels.graphemes import border, clusters
from parley.contracts import Content
from tests.test_channel_smpp import ACCOUNT, outgoing, pdu, read, theirs

FAMILY, FLAG, KEYCAP, THUMB = "👨‍👩‍👧‍👦", "🇰🇷", "1️⃣", "👍🏽"
JAMO, MARKED = "각", "ẹ́"
READ_AS_ONE = [FAMILY, FLAG, KEYCAP, THUMB, JAMO, MARKED]
BASIC = gsm.TABLE.replace("\x1b", "")
EXTENDED = "^{}[]~|\\€\f"
POOLS = [list(BASIC), list(BASIC + EXTENDED), list(EXTENDED), list("가나다라마바사"), list("áíóúşğıİÇç’“”–…"), [*READ_AS_ONE, "🙂", "a", " "]]
LENGTHS = [(0, 40), (60, 75), (130, 140), (150, 165), (300, 470)]
"""Around the borders of one, two and three parts of either alphabet."""
KNOWN_SLIPS = {("kn", 0x24)} | {(one, 0x2C) for one in nationals.NUMBERS}
"""Of gsmcodecs 1.0: the comma, which its table of values by commas lost; and TTA of Kannada, where it repeats PA."""
some = st.lists(st.sampled_from([one for pool in POOLS for one in pool]) | st.characters(), max_size=400).map("".join)


def random_texts(count: int, seed: int) -> list[str]:
    """Mixes of alphabets, with characters of two septets or two units at every border."""
    chance = Random(seed)
    found = []
    for _ in range(count):
        pools = chance.sample(POOLS, chance.randint(1, 3))
        found.append("".join(chance.choice(chance.choice(pools)) for _ in range(chance.randint(*chance.choice(LENGTHS)))))
    return found


def test_segments_are_those_of_another_library():
    """10,000 texts, cut at code points by a library that shares nothing with ours."""
    texts = [one for one in random_texts(10_000, 1) if one]

    assert [len(smsutil.split(one).parts) for one in texts] == [text.segments(one) for one in texts]
    assert {1, 2, 3, 4} <= {text.segments(one) for one in texts}


@pytest.mark.parametrize(
    "words, calculator, by_code_point",
    [("", 1, 1), ("a" * 160, 1, 1), ("a" * 161, 2, 2), ("a" * 152 + "€" * 5, 2, 2), ("a" * 152 + "€" * 77, 3, 3), ("가" * 70, 1, 1), ("가" * 71, 2, 2),
     ("가" * 66 + "🙂" * 34, 3, 3), ("가" * 59 + FAMILY, 1, 1), ("가" * 60 + FAMILY, 2, 2), ("가" * 59 + FAMILY * 6 + "가" * 8, 3, 2), ("가" * 65 + FLAG * 17, 3, 2)],
)  # fmt: skip
def test_segments_of_twilio_are_those_of_its_own_calculator(words, calculator, by_code_point):
    """Figures of Twilio's `sms-segments-calculator` 1.3: it keeps together what is read as one character, which can take a segment more."""
    assert (calculator, by_code_point) == (twilio.segments(Content(text=words)), text.segments(words))


@given(some)
def test_parts_are_cut_between_what_is_read_as_one(words):
    """Nothing is lost, no part is too long, and no border parts a character; with what is longer than a part itself left aside."""
    sms = gsm.encoded(words)
    room = {("gsm", False): 160, ("gsm", True): 153, ("ucs2", False): 140, ("ucs2", True): 134}[sms.alphabet, len(sms.parts) > 1]
    parts = [_read(one, sms.alphabet) for one in sms.parts]
    whole = text.storable(words) if sms.alphabet == "gsm" else words.encode("utf-16-be", "replace").decode("utf-16-be")

    assert whole == "".join(parts) and all(len(one) <= room for one in sms.parts)
    if all(len(one.encode("utf-16-be", "replace")) <= 134 for one in clusters(whole)):
        assert _borders(parts) <= _cuts(whole)


@given(some, st.integers(1, 60))
def test_pieces_are_cut_between_what_is_read_as_one(words, limit):
    """Pieces are no longer than asked, hold all but the blanks at the cuts, and part a character only where it is longer than a piece."""
    found = text.pieces(words, limit)

    assert all(0 < len(one) <= limit for one in found)
    assert "".join(words.split()) == "".join("".join(found).split())
    if all(len(one) <= limit for one in clusters(words)):
        assert all(one in words for one in found) and _whole(words, found)


@pytest.mark.parametrize("one", READ_AS_ONE)
def test_what_is_cut_short_ends_with_a_whole_character(one):
    """A text of such characters alone, whatever the limit."""
    assert all(set(clusters(text.shortened(one * 20, limit)[:-1])) <= {one} for limit in range(len(one) + 1, len(one) * 20))
    assert all(border(one * 9, limit) % len(one) == 0 for limit in range(len(one), len(one) * 9))


@pytest.mark.parametrize("language", nationals.NUMBERS)
def test_national_tables_are_those_of_another_library(language):
    """Place by place, but for its slips."""
    theirs = GSMCHARMAPS[nationals.NUMBERS[language]]
    ours = {"locking": nationals.locking(language, gsm.TABLE), "singleShift": nationals.single(language)}
    for kind, table in ours.items():
        wanted = {place: chr(point) for place, point in theirs.get(kind, {"decode": {}})["decode"].items() if place != gsm.ESCAPE}
        slips = {place for one, place in KNOWN_SLIPS if one == language} if kind == "locking" else {0x65} if language == "te" else set()
        found = {place: one for place, one in (table or {}).items() if place != gsm.ESCAPE}

        assert {place: one for place, one in wanted.items() if place not in slips} == {
            place: one for place, one in found.items() if place not in slips
        }


@pytest.mark.parametrize("language", ["tr", "es", "pt", "hi"])
def test_segments_with_national_tables(language):
    """The fewest that any of the tables gives, or UCS-2: counted with another library's octets and the rooms of TS 23.040."""
    number, chance = nationals.NUMBERS[language], Random(language)
    letters = [*set(nationals.single(language).values()), *(nationals.locking(language, gsm.TABLE) or dict(enumerate(BASIC))).values(), *"abc de"]
    letters = [one for one in letters if one not in "\x1b,'\f"]
    for _ in range(300):
        words = "".join(chance.choice(letters if chance.random() < 0.3 else "abcdef ghi") for _ in range(chance.randint(*chance.choice(LENGTHS[1:]))))
        pairs = [(0, 0)] if set(words) <= set(BASIC + EXTENDED) else [(0, number), (number, 0), (number, number)]
        counts = [_counted(words, *pair) for pair in pairs if pair != (2, 2) and pair != (2, 0)]

        assert min([count for count in counts if count is not None] + [_ucs2(words)] * (pairs != [(0, 0)])) == gsm.segments(words, [language])


@given(some, st.lists(st.sampled_from(list(nationals.NUMBERS)), max_size=3))
def test_national_tables_never_cost(words, alphabets):
    """Whatever an operator takes, a text has no more parts for it, and where it has as many it is written as everywhere."""
    plain, found = gsm.encoded(words), gsm.encoded(words, alphabets)

    assert len(found.parts) < len(plain.parts) or found == plain


def test_an_operator_that_takes_turkish_is_told_so():
    """Both tables stand in the header of each part, beside the number of the part; another library reads the text, and so do we where a customer writes so."""
    words = "Şu güzel çay İstanbul'dan geldi, ığğşç [şehir] " * 5
    account = replace(ACCOUNT, alphabets=("es", "tr"))
    sent = [theirs(one.body) for one in smpp.build(outgoing(words), account)]
    bodies = [one.short_message for one in sent]
    heads = [body[: body[0] + 1] for body in bodies]
    shift = gsm.encoded(words, account.alphabets).shift

    assert [gsm.header(heads[0][3], 2, place, shift) for place in (1, 2)] == heads and {0x40} == {one.esm_class & 0x40 for one in sent}
    assert words == b"".join(body[body[0] + 1 :] for body in bodies).decode(f"gsm23.038-{shift.locking}-{shift.single}")
    back = [read(pdu(esm_class=one.esm_class, data_coding=one.data_coding, short_message=one.short_message))[0] for one in sent]

    assert words == smpp.join(back).text
    assert (2, 4) == (smpp.counted(Content(text=words), account), smpp.segments(Content(text=words)))


@given(st.sampled_from(list(nationals.NUMBERS)), st.sampled_from(list(nationals.NUMBERS)), st.binary(max_size=60))
def test_any_octets_in_national_tables_are_read(locking, single, octets):
    """Septets are read as another library reads them; a table that nobody knows, and what is no septet, cost no letter."""
    coding = nationals.NUMBERS[locking] << 8 | nationals.NUMBERS[single] << 16
    septets = bytes(one for one in octets if one in _known(locking) and one != gsm.ESCAPE)

    assert text.storable(septets.decode(f"gsm23.038-{nationals.NUMBERS[locking]}-0")) == gsm.decoded(septets, coding)
    assert len(octets.replace(b"\x1b", b"")) == len(gsm.decoded(octets, coding)) and gsm.decoded(octets, 0xEE00) == gsm.decoded(octets, 0)


@pytest.mark.parametrize(
    "shift, alone, part", [(gsm.Shift(), 160, 153), (gsm.Shift(single=1), 155, 149), (gsm.Shift(1), 155, 149), (gsm.Shift(1, 1), 152, 146)]
)
def test_what_a_header_leaves(shift, alone, part):
    """155 septets with one national table in one message, as operators say; 149 a part."""
    assert (alone, part) == tuple((140 - len(gsm.header(1, total, 1, shift))) * 8 // 7 for total in (1, 2))


def _known(language: str) -> set[int]:
    """The places of a locking table on which both libraries agree."""
    return {place for place in nationals.locking(language, gsm.TABLE) or range(128) if (language, place) not in KNOWN_SLIPS}


def _read(octets: bytes, alphabet: str) -> str:
    return octets.decode("gsm23.038") if alphabet == "gsm" else octets.decode("utf-16-be")


def _cuts(words: str) -> set[int]:
    """Where a text may be cut, by the expression of UAX #29 alone."""
    return {0} | {one.end() for one in regex.finditer(r"\r|\n|\X", words)}


def _borders(parts: list[str]) -> set[int]:
    return {sum(map(len, parts[:place])) for place in range(len(parts))}


def _whole(words: str, found: list[str]) -> bool:
    """Whether each piece begins and ends where the text may be cut."""
    cuts, at = _cuts(words), 0
    for one in found:
        at = words.index(one, at)
        if at not in cuts or at + len(one) not in cuts:
            return False
        at += len(one)
    return True


def _counted(words: str, locking: int, single: int) -> int | None:
    """Parts of a text in two tables, filled one character after the other; None where they do not hold it."""
    try:
        units = [len(one.encode(f"gsm23.038-{locking}-{single}")) for one in regex.findall(r"\r|\n|\X", words)]
    except UnicodeError:
        return None
    alone, room = {0: (160, 153), 1: (155, 149), 2: (152, 146)}[bool(locking) + bool(single)]
    return 1 if sum(units) <= alone else _filled(units, room)


def _ucs2(words: str) -> int:
    units = [len(one.encode("utf-16-be")) for one in regex.findall(r"\r|\n|\X", words)]
    return 1 if sum(units) <= 140 else _filled(units, 134)


def _filled(units: list[int], room: int) -> int:
    count, held = 1, 0
    for one in units:
        count, held = (count + 1, one) if held + one > room else (count, held + one)
    return count
