"""What the e-mail providers share: how a message becomes an e-mail, and what every event of an e-mail tells. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import formataddr
from typing import Literal
from urllib.parse import quote
from uuid import UUID

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
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_ANGLED = re.compile(r"<([^<>]*)>\s*$")
_OF_URLS = ":/?#[]@!$&'()*+,;=%-._~"


@dataclass(frozen=True, slots=True)
class Mail:
    """An e-mail: from whom, what it is about, what it says in plain text, and headers beyond those that the provider writes."""

    name: str
    sender: str
    subject: str
    text: str
    headers: Mapping[str, str]

    @property
    def from_(self) -> str:
        """Name and address as they stand in a header; a name beyond ASCII is encoded (RFC 2047)."""
        return formataddr((self.name, self.sender)) if self.name and self.sender.isascii() else self.sender


def written(message: Outgoing, account: Account) -> Mail:
    """The message as an e-mail.

    The first line is the subject. Where an empty line follows it, it is a heading and the rest is the text; else it stands in the text too.
    """
    name, sender = _sender(account.sender)
    content = unfolded(message.content, pictures=False)
    subject, text = _headed(content.text.replace("\r\n", "\n").strip())
    choices = [_line(place, one) for place, one in enumerate(content.choices, 1)]
    files = [one.url for one in content.media if one.url]
    body = "\n\n".join(part for part in (text, "\n".join(choices), "\n".join(files)) if part)
    subject = subject or name or sender
    return Mail(name, sender, subject, body or subject, _unsubscribe(message.unsubscribe_url))


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


def _headed(text: str) -> tuple[str, str]:
    """Subject and text."""
    first, _, rest = text.partition("\n")
    line = " ".join(_CONTROL.sub(" ", first).split())
    heading = rest.startswith("\n") and rest.strip() and len(line) <= MAX_SUBJECT
    return shortened(line, MAX_SUBJECT), rest.strip("\n") if heading else text


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
