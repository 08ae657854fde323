"""The plain text of an e-mail's HTML, for readers without it: paragraphs, lists, and where links lead. Pure.

What a reader of the HTML does not see is left out: styles, scripts, the head, what is hidden (the line that only previews show). It is read in one pass,
whatever stands in it: the time grows with the length alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import NamedTuple

RAW = frozenset({"script", "style", "title", "textarea", "template", "svg", "object", "iframe", "noscript", "select"})
"""Nothing in these is read."""
APART = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "blockquote", "pre", "figure"})
"""With an empty line around them."""
LINES = frozenset({
    "address", "article", "aside", "body", "center", "dd", "div", "dt", "fieldset", "figcaption", "footer", "form", "header", "html", "li", "main", "nav",
    "section", "tr",
})  # fmt: skip
BLOCKS = APART | LINES
CELLS = frozenset({"td", "th"})
VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
LONGEST_TAG = 10_000
"""Characters; a longer one (a picture as `data:`) is passed over."""
REST = r"""(?:(?:[^<>"']|"[^"<]*"|'[^'<]*')*|[^<>]*)>"""
"""Of a tag, behind its name: to its end, which does not stand in quotes, unless these are never closed."""
_TOKEN = re.compile(rf"<(?P<end>/?)(?P<tag>[a-zA-Z][a-zA-Z0-9]*)(?P<given>{REST})|<[!?/][^<>]*>?|(?P<text><+(?=<)|<?[^<]*)")
_GIVEN = re.compile(r"""([^\s=>"'/]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?""")
_HIDDEN = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all)", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\n\r\f\u00a0\u200b\u200c\ufeff\u034f\u00ad]+")
"""White space, and what fills the preview of a mail with nothing."""
_LEADS = ("http://", "https://", "mailto:", "tel:", "sms:")


def plain(html: str) -> str:
    """The text, without white space around it; empty where there is none."""
    reader = _Reader()
    for token in _tokens(html):
        reader.read(token)
    lines = (_BLANKS.sub(" ", line).strip() for line in "".join(reader.said).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def within(html: str, more: str) -> str:
    """The HTML with more at the end of its body."""
    end = max(html.rfind("</body"), html.rfind("</BODY"))
    return html + more if end < 0 else html[:end] + more + html[end:]


class Token(NamedTuple):
    """A tag that begins or ends, or, without one, a text."""

    tag: str
    ends: bool = False
    text: str = ""


class Attribute(NamedTuple):
    """One of a tag: what it means, and where it stands in the tag."""

    name: str
    value: str
    start: int
    end: int


def attributes(tag: str) -> Iterator[Attribute]:
    """The attributes in the text of a tag, in order."""
    for one in _GIVEN.finditer(tag, 0, LONGEST_TAG):
        yield Attribute(one[1].lower(), unescape(one[2] or one[3] or one[4] or ""), one.start(), one.end())


def _tokens(html: str) -> Iterator[Token]:
    at = 0
    while at < len(html):
        if html.startswith("<!--", at):
            end = html.find("-->", at)
            at = len(html) if end < 0 else end + 3
            continue
        found = _TOKEN.match(html, at)
        assert found is not None
        at = found.end()
        tag = (found["tag"] or "").lower()
        if tag in RAW and not found["end"]:
            over = re.compile(f"</{tag}", re.IGNORECASE).search(html, at)
            at = over.start() if over else len(html)
        elif tag:
            yield Token(tag, bool(found["end"]), found["given"][:-1])
        elif found["text"]:
            yield Token("", text=found["text"])


class _Reader:
    """Writes what it reads to `said`; a line break there is one that was meant, and a paragraph has two around it."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self._unseen = ""
        self._depth = 0
        self._lists: list[int | None] = []
        self._link: tuple[str, int] | None = None

    def read(self, token: Token) -> None:
        if token.tag == "":
            if not self._unseen:
                self.said.append(_BLANKS.sub(" ", unescape(token.text)))
        elif token.ends:
            self._ended(token.tag)
        else:
            self._begun(token.tag, token.text)

    def _begun(self, tag: str, given: str) -> None:
        if (self._unseen == "p" and tag in BLOCKS) or tag == "body":  # what ends a paragraph, and the head, that nobody ended
            self._unseen = ""
        if self._unseen:
            self._depth += tag == self._unseen
            return
        known = {one.name: one.value for one in reversed([*attributes(given)])}
        if tag == "head" or "hidden" in known or _HIDDEN.search(known.get("style", "")):
            self._unseen, self._depth = ("", 0) if tag in VOID else (tag, 1)
            return
        self._break(tag)
        match tag:
            case "br":
                self.said.append("\n")
            case "hr":
                self.said.append("\n---\n")
            case "img":
                self.said.append(_BLANKS.sub(" ", known.get("alt", "")))
            case "a":
                self._lead()
                self._link = known.get("href", "").strip(), len(self.said)
            case "ul" | "ol":
                self._lists.append(None if tag == "ul" else 0)
            case "li":
                self.said.append(self._mark())

    def _ended(self, tag: str) -> None:
        if self._unseen:
            self._depth -= tag == self._unseen
            if self._depth == 0 or tag == "body":
                self._unseen = ""
            return
        if tag == "a":
            self._lead()
        elif tag in ("ul", "ol") and self._lists:
            self._lists.pop()
        self._break(tag)

    def _break(self, tag: str) -> None:
        if tag in APART:
            self.said.append("\n" if tag in ("ul", "ol") and self._lists else "\n\n")
        elif tag in CELLS:
            self.said.append(" ")
        elif tag in LINES and self.said and not self.said[-1].endswith("\n"):
            self.said.append("\n")

    def _mark(self) -> str:
        if not self._lists or (place := self._lists[-1]) is None:
            return "- "
        self._lists[-1] = place + 1
        return f"{place + 1}. "

    def _lead(self) -> None:
        """Where the link leads, behind its words; not again where they say so themselves."""
        if self._link is None:
            return
        (address, since), self._link = self._link, None
        words = " ".join("".join(self.said[since:]).split())
        if not address.lower().startswith(_LEADS):
            return
        shown = address if address.lower().startswith("http") else address.partition(":")[2]
        if words.rstrip("/").lower() not in (shown.rstrip("/").lower(), shown.partition("://")[2].rstrip("/").lower()):
            self.said.append(f" ({shown})" if words else shown)
