"""The plain text of an e-mail, made from its HTML."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.channels.htmltext import plain

MAIL = """<!doctype html><html><head><title>T</title><style>p {color: red}</style></head><body>
<!--[if mso]><p>Outlook</p><![endif]-->
<div style="display:none;max-height:0">Preview<div>too</div>&nbsp;&zwnj;</div>
<h1>Hello&nbsp;지수</h1><p>Your <b>tea</b>
is   here, 5 < 6 &amp; 7. <a href="https://x.example/a?b=1&amp;c=2">See it</a></p>
<ol><li>Green<li>Black<ul><li>Assam</li></ul></li></ol>
<table><tr><td>Cup</td><td>12</td></tr><tr><td>Pot</td><td>30</td></tr></table>
<script>if (a<b) "<script>"</script>Bye<br>Acme<hr></body></html>"""
SAID = """Hello 지수

Your tea is here, 5 < 6 & 7. See it (https://x.example/a?b=1&c=2)

1. Green
2. Black
- Assam

Cup 12
Pot 30

Bye
Acme
---"""
PIECES = [
    "<a ",
    "<a href='",
    "<!--",
    "<",
    "</",
    "<div>",
    "<div hidden>",
    "</div>",
    "&#",
    "<li>",
    "<ul>",
    "<script>",
    "<svg></sv",
    "x='",
    '"',
    ">",
    "<p ",
    "tea",
    "\n",
]


def test_a_mail_is_read_as_people_read_it():
    """Paragraphs, lists and rows on lines of their own; links behind their words; nothing that is not shown."""
    assert SAID == plain(MAIL)


@pytest.mark.parametrize(
    "html, text",
    [
        ('<a href="https://x.example/">x.example</a>', "x.example"),
        ('<a href="https://x.example/a">https://x.example/a</a>', "https://x.example/a"),
        ('<a href="https://x.example/a"><img src="a.png" alt="Tea"></a>', "Tea (https://x.example/a)"),
        ('<a href="https://x.example/a"><img src="a.png" alt=""></a>', "https://x.example/a"),
        ('<a href="mailto:jo@a.example">Jo</a>, <a href="tel:+8210">+8210</a>', "Jo (jo@a.example), +8210"),
        ('<a href="#top">up</a> <a name="x">here</a> <a href="javascript:x()">no</a>', "up here no"),
        ("<a href=https://x.example/1>one<a href=https://x.example/2>two</a>", "one (https://x.example/1)two (https://x.example/2)"),
        ('<a title="a>b" href="https://x.example/1">one</a>', "one (https://x.example/1)"),
        ("<p hidden>no<p>yes", "yes"),
        ("<head><meta charset=utf-8><body>yes", "yes"),
        ('<img alt="Tea" hidden><i style="color:red; DISPLAY : none">no</i>yes', "yes"),
        ("a<!-- b --c", "a"),
        ("<title>no</title><textarea>no", ""),
        ("&lt;b&gt; &copy; &#44032; &nosuch;", "<b> © 가 &nosuch;"),
        ("", ""),
    ],
)
def test_what_is_said_of_a_piece(html, text):
    assert text == plain(html)


@given(st.text(st.characters(exclude_characters="<>&")))
def test_a_text_without_marks_is_itself(words):
    """But for its blanks."""
    assert words.translate({0x200B: " ", 0x200C: " ", 0xFEFF: " ", 0x34F: " ", 0xAD: " "}).split() == plain(words).split()


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=40).map("".join))
def test_whatever_stands_there_is_read(html):
    """No markup breaks the reader, and what it says has no line that is only blanks twice."""
    assert "\n\n\n" not in plain(html)


@pytest.mark.parametrize("piece", PIECES)
def test_the_time_grows_with_the_length(piece):
    """The longest HTML of one thing alone takes a second or two at most, also beside others that work; what looks back takes minutes."""
    began = time.process_time()
    plain(piece * (262_144 // len(piece)))

    assert 5 > time.process_time() - began
