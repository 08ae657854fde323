"""What the driver of a lane knows of its backlog, with values alone: what it asks for, and when it reads lines again."""

from parley.contracts import Purpose
from parley_sender.backlog import AGAIN, WHOLE, Backlog
from parley_sender.queue import Line

OFFERS, ANSWERS = 1, 2


def backlog() -> Backlog:
    """Of a lane that was taken over at 0 with two lines, in which nothing stands as far as is known."""
    one = Backlog("a")
    one.begin([Line(OFFERS, Purpose.MARKETING, "acme", "spring"), Line(ANSWERS, Purpose.REPLY, "acme", "")], 0.0)
    read(one, {OFFERS: 0, ANSWERS: 0})
    return one


def read(one: Backlog, places: dict[int, int]) -> None:
    """Lines were read up to these places, and what stood there has left."""
    one.lines.short(10)
    for number, place in places.items():
        one.lines.lines[number].read_to = place


def test_it_is_told_whether_a_reply_waits():
    """Not of an offer, of a line that nobody knows yet, or of any."""
    assert [True, False, False, False] == [backlog().stirred(lines) for lines in ([OFFERS, ANSWERS], [OFFERS], [3], None)]


def test_lines_that_nobody_knows_are_asked_for():
    """By their numbers, or all of them; of those that are known nothing is asked."""
    told = []
    for lines in ([OFFERS], [3], None):
        one = backlog()
        one.stirred(lines)
        told.append(one.untold)

    assert [False, True, True] == told


def test_what_was_told_during_a_takeover_is_asked_for_after_it():
    """The lines were read before."""
    one = backlog()
    one.stirred([3])
    one.begin([Line(OFFERS, Purpose.MARKETING, "acme", "spring")], 1.0)

    assert one.untold


def test_a_line_is_read_again_from_where_it_stood_at_the_last_look():
    """What was committed late stands before what was read; a line that did not move is let be."""
    one = backlog()
    read(one, {OFFERS: 70, ANSWERS: 70})
    one.look_again(0.0)
    read(one, {OFFERS: 90, ANSWERS: 70})
    one.look_again(AGAIN)

    assert [(OFFERS, 70)] == [(line.number, line.read_to) for line in one.lines.short(10)]


def test_now_and_then_all_is_read_from_the_beginning():
    """And asked for: of a line that came meanwhile somebody may have missed the word."""
    one = backlog()
    read(one, {OFFERS: 70, ANSWERS: 70})
    one.look_again(WHOLE)

    assert one.untold and {OFFERS: 0, ANSWERS: 0} == {line.number: line.read_to for line in one.lines.short(10)}
