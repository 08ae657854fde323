"""The words that law wants in a message: that it is advertising, who sends it, how to refuse the next. Added where they are missing. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

from parley.contracts import Channel, Content
from parley_sender.rulings import Ruling

REPLY: Mapping[str, str] = {"ko": "수신거부: '수신거부' 회신", "en": "Reply STOP to opt out"}
"""Where the channel hears an answer: both words are heard before any flow (`parley.optwords`)."""
LINK: Mapping[str, str] = {"ko": "수신거부: {link}", "en": "Unsubscribe: {link}"}
SETTINGS: Mapping[str, str] = {"ko": "수신거부: 앱 설정에서 알림 끄기", "en": "Opt out: turn notifications off in the app's settings"}
DEAF = frozenset({Channel.EMAIL, Channel.PUSH, Channel.VOICE})
"""Channels on which nobody can answer with a word."""


class Unmarked(ValueError):
    """A message that has to have words which Parley cannot put there; says which, and what to do."""


def marked(content: Content, ruling: Ruling, channel: Channel, language: str | None = None, link: str | None = None) -> Content:
    """The content with all the words that the ruling asks for; what has them already stays as it is.

    `language` is the recipient's. `link` is where an e-mail is unsubscribed from. Raises `Unmarked` for a template, whose text stands with the
    provider, unless the tenant says that it has the words; and where no way out can be told.
    """
    if not (ruling.begins or ruling.name or ruling.opt_out):
        return content
    if content.template is not None:
        if content.template.name not in ruling.marked_templates:
            raise Unmarked(f"the template {content.template.name!r} has to have the words that law asks for: see marked_templates in policies.yaml")
        return content
    if channel is Channel.EMAIL:
        return _mail(content, ruling, language, link)
    said = _said(content)
    return content.model_copy(update={"text": _joined(_opened(content.text, ruling, said), _way_out(said, ruling, channel, language, link))})


def _mail(content: Content, ruling: Ruling, language: str | None, link: str | None) -> Content:
    """An e-mail begins with its subject, which is the first line of its text where it has none; the rest is told at the end of each of its parts."""

    def closing(said: str) -> str:
        nameless = ruling.name is not None and ruling.name not in f"{content.subject}\n{said}"
        return _joined(ruling.name if nameless else None, _way_out(said, ruling, Channel.EMAIL, language, link))

    changed: dict[str, str] = {}
    if content.subject is not None:
        changed["subject"] = _begun(content.subject, ruling)
    elif ruling.begins is not None and content.html is not None and not content.text:
        raise Unmarked(f"an e-mail of HTML alone needs a subject, which has to begin with {ruling.begins}")
    if content.text or content.html is None:
        text = content.text if content.subject is not None else _begun(content.text, ruling)
        changed["text"] = _joined(text, closing(_said(content.model_copy(update={"html": None}))), "\n\n")
    if content.html is not None:
        changed["html"] = _html(content.html, closing(_plain(content.html)))
    return content.model_copy(update=changed)


def _html(page: str, closing: str) -> str:
    if not closing:
        return page
    told = f"<p>{html.escape(closing, quote=False).replace(chr(10), '<br>')}</p>"
    body, end, rest = page.rpartition("</body>")
    return f"{body}{told}{end}{rest}" if end else f"{page}{told}"


def _plain(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "\n", page))


def _said(content: Content) -> str:
    """All that a person reads of it, beside HTML."""
    cards = (part for card in content.cards for part in (card.title, card.text))
    return "\n".join((content.subject or "", content.text, *(one.title for one in content.choices), *cards))


def _begun(text: str, ruling: Ruling) -> str:
    """With what it has to begin with."""
    return text if ruling.begins is None or text.startswith(ruling.begins) else f"{ruling.begins} {text}".rstrip()


def _opened(text: str, ruling: Ruling, said: str) -> str:
    """Begun, with the sender's name after that: `(광고) [Acme] ...`, else `Acme: ...`."""
    if ruling.name is None or ruling.name in said:
        return _begun(text, ruling)
    if ruling.begins is None:
        return f"{ruling.name}: {text}".rstrip()
    return f"{ruling.begins} [{ruling.name}] {text.removeprefix(ruling.begins).lstrip()}".rstrip()


def _way_out(said: str, ruling: Ruling, channel: Channel, language: str | None, link: str | None) -> str | None:
    """The line that tells the way out; None where none is asked for, or it is `said` already."""
    if not ruling.opt_out:
        return None
    line = _spoken(ruling.opt_out_lines, language) or _usual(channel, language, link)
    lines = (*ruling.opt_out_lines.values(), *((line,) if line is not None else ()))
    if any(one in said for one in lines) or any(_tells(said, word) for word in ruling.opt_out):
        return None
    if line is None:
        raise Unmarked(f"law wants the way out told, and on {channel} there is no usual one: set opt_out in policies.yaml")
    return line


def _usual(channel: Channel, language: str | None, link: str | None) -> str | None:
    if channel is Channel.PUSH:
        return _spoken(SETTINGS, language)
    if channel is Channel.EMAIL and link is not None:
        return (_spoken(LINK, language) or "").format(link=link)
    return None if channel in DEAF else _spoken(REPLY, language)


def _tells(said: str, word: str) -> bool:
    """Whether the word is there: as a word of its own in Latin letters, anywhere in others (무료수신거부)."""
    return word in said if not word.isascii() else re.search(rf"(?<![\w-]){re.escape(word)}(?!\w)", said) is not None


def _spoken(lines: Mapping[str, str], language: str | None) -> str | None:
    """In the language, else in English, else in any there is."""
    return next((lines[one] for one in (language or "en", "en") if one in lines), None) or next(iter(lines.values()), None)


def _joined(text: str | None, closing: str | None, between: str = "\n") -> str:
    return between.join(one for one in (text, closing) if one)
