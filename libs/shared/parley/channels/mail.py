"""What the e-mail providers share: how a message becomes an e-mail, and what every event of an e-mail tells. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from html import escape
from typing import Literal
from urllib.parse import quote
from uuid import UUID

from parley.channels import htmltext
from parley.channels.cards import unfolded
from parley.channels.shape import Account, Engaged, Item, Opted, Outgoing, Receipt
from parley.channels.text import shortened, string
from parley.contracts import Channel, Choice, ConsentState, Purpose, ReceiptStatus, Template
from parley.failures import Class

ECHO = "platform_ref"
"""The custom argument, tag or variable that carries our message id to the provider and back with every event."""
MAX_SUBJECT = 200
"""Characters; mail programs show fewer, and a line of a header ends at 998 (RFC 5322)."""
MAX_ADDRESS = 200
"""Characters that the contract allows for an address."""
Reason = Literal["spam_complaint", "unsubscribe"]
_WIRE = SMTP.clone(cte_type="7bit")
"""In ASCII alone, which no server on the way takes for something else."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_ANGLED = re.compile(r"<([^<>]*)>\s*$")
_ADDRESS = re.compile(r"https?://[^\s<>\"']+")
_OF_URLS = ":/?#[]@!$&'()*+,;=%-._~"


@dataclass(frozen=True, slots=True)
class Mail:
    """An e-mail: from whom, what it is about, what it says in plain text and in HTML, and headers beyond those that the provider writes."""

    name: str
    sender: str
    subject: str
    text: str
    headers: Mapping[str, str]
    html: str | None = None

    @property
    def from_(self) -> str:
        """Name and address as they stand in a header; a name beyond ASCII is encoded (RFC 2047)."""
        return formataddr((self.name, self.sender)) if self.name and self.sender.isascii() else self.sender


def written(message: Outgoing, account: Account) -> Mail:
    """The message as an e-mail.

    Where no subject is given, it is the first line of the text. Where an empty line follows that, it is a heading and the rest is the text; else it stands in
    the text too. Of a message in HTML alone the text is made from that.
    """
    name, sender = _sender(account.sender)
    content = unfolded(message.content, pictures=False)
    subject, text = _about(content.subject, content.text or (htmltext.plain(content.html) if content.html else ""), content.html is not None)
    choices = [_line(place, one) for place, one in enumerate(content.choices, 1)]
    files = [one.url for one in content.media if one.url]
    below = [part for part in ("\n".join(choices), "\n".join(files)) if part]
    subject, body = subject or name or sender, "\n\n".join([text, *below] if text else below)
    html = htmltext.within(content.html, "".join(map(_paragraph, below))) if content.html else None
    return Mail(name, sender, subject, body or subject, _unsubscribe(message.unsubscribe_url), html)


def mime(mail: Mail, to: str, message_id: UUID, at: datetime) -> bytes:
    """The e-mail as it goes over the wire (RFC 5322, 2045): the text, and the HTML as the better of two. The same for a repeat. Raises `ValueError` for an
    address that has no place in a header."""
    message = EmailMessage(_WIRE)
    for name, value in {"From": mail.from_, "To": to, "Subject": mail.subject, "Date": format_datetime(at), **mail.headers}.items():
        message[name] = value
    message.set_content(mail.text)
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html")
        message.set_boundary(f"parley-{message_id.hex}")
    return message.as_bytes()


def variables(template: Template) -> dict[str, str]:
    """The parameters of a template that the provider keeps, by name: `p1`, `p2`, ..., and its `language`."""
    return {**{f"p{place}": value for place, value in enumerate(template.parameters, 1)}, "language": template.language}


def address(value: object) -> str | None:
    """The bare address, in lower case as all providers tell it in the end; None where there is none that could be written to."""
    given = (string(value) or "").strip()
    found = (angled.group(1) if (angled := _ANGLED.search(given)) else given).strip().lower()
    return found if 0 < len(found) <= MAX_ADDRESS else None


def reference(value: object) -> UUID | None:
    """Our message id where it was echoed; None for whatever else stands there."""
    try:
        return UUID(str(value))
    except ValueError:
        return None


def bare(value: object) -> str | None:
    """A Message-Id without its angle brackets: providers are not of one mind about them."""
    return (string(value) or "").strip().removeprefix("<").removesuffix(">") or None


def of_status(status: int) -> Class:
    """The class of an answer by its HTTP status, where it has no better name."""
    return "throttled" if status == 429 else "transient" if status >= 500 or status in (408, 425) else "permanent"


@dataclass(frozen=True, slots=True)
class Event:
    """What each event says, whatever it tells: of which message, of whom, when, and under which id. Without a message there is no receipt,
    and without a person no consent."""

    provider_id: str | None
    message_id: UUID | None
    address: str | None
    at: datetime | None
    event_id: str | None

    def receipt(self, status: ReceiptStatus, code: str | None = None, failure: Class | None = None, reason: Reason | None = None) -> Iterator[Item]:
        """A receipt; where the provider did not send because the person wants no more (`opted_out`), that too."""
        if self.provider_id or self.message_id:
            yield Receipt(
                Channel.EMAIL, status, self.provider_id, self.message_id, self.address, code[:200] if code else None, failure, self.at,
                event_id=self.event_id,
            )  # fmt: skip
        if failure == "opted_out":
            yield from self.opted(ConsentState.REVOKED, reason)

    def opted(self, state: ConsentState, reason: Reason | None = None, purposes: tuple[Purpose, ...] = tuple(Purpose)) -> Iterator[Item]:
        if self.address:
            named = self.event_id or self.provider_id
            yield Opted(Channel.EMAIL, self.address, state, purposes, self.at, named, reason, self.message_id)

    def engaged(
        self, kind: Literal["opened", "clicked"], url: str | None = None, machine: bool | None = None, agent: str | None = None
    ) -> Iterator[Item]:
        if self.provider_id or self.message_id:
            yield Engaged(kind, Channel.EMAIL, self.provider_id, self.message_id, self.address, url, machine, agent, self.event_id, self.at)


def _sender(text: str) -> tuple[str, str]:
    """Name and address of `Acme Tea <hello@acme.example>`, or of an address alone."""
    found = _ANGLED.search(text)
    return (text[: found.start()].strip().strip('"'), found.group(1).strip()) if found else ("", text.strip())


def _about(subject: str | None, text: str, marked_up: bool) -> tuple[str, str]:
    """Subject and text. Nothing is taken out of a text that says the same as HTML."""
    text = text.replace("\r\n", "\n").strip()
    if subject is not None and (given := _one_line(subject)):
        return shortened(given, MAX_SUBJECT), text
    first, rest = _headed(text)
    return first, text if marked_up else rest


def _headed(text: str) -> tuple[str, str]:
    """The first line as a subject, and the text without it where it is a heading."""
    first, _, rest = text.partition("\n")
    line = _one_line(first)
    heading = rest.startswith("\n") and rest.strip() and len(line) <= MAX_SUBJECT
    return shortened(line, MAX_SUBJECT), rest.strip("\n") if heading else text


def _one_line(text: str) -> str:
    return " ".join(_CONTROL.sub(" ", text).split())


def _paragraph(lines: str) -> str:
    """Lines of text in HTML; addresses in them can be followed."""
    said = _ADDRESS.sub(r'<a href="\g<0>">\g<0></a>', escape(lines))
    return f"<p>{said.replace(chr(10), '<br>')}</p>"


def _line(place: int, choice: Choice) -> str:
    """A choice on its line: with a number, and where its id is an address, as a link."""
    title = choice.title.strip()
    link = choice.id if choice.id.startswith(("https://", "http://")) else ""
    return f"{place}. {': '.join(part for part in (title, link) if part) or choice.id}"


def _unsubscribe(url: str | None) -> dict[str, str]:
    """The headers of RFC 8058. One click needs https; whatever does not belong into an address is escaped, so that no header can be added."""
    if not url:
        return {}
    listed = {"List-Unsubscribe": f"<{quote(url, safe=_OF_URLS)}>"}
    return {**listed, "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"} if url.startswith("https://") else listed
