"""Click-to-chat: links that open a channel with a keyword and a campaign's reference, and what of both is found in the first message. Pure.

Where a provider hands a payload over unseen (Messenger, Instagram, Telegram) both travel in it: `p_CAMPAIGN_KEYWORD`, the keyword as base64url. Elsewhere the
link puts text into the customer's field, and the reference stands at its end, `[#spring-26]`: a form that people do not write by themselves.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote

from parley.channels.shape import Account, Received
from parley.channels.text import phone
from parley.contracts import Channel
from parley.optwords import wish

KEYWORD, CAMPAIGN = 60, re.compile(r"[A-Za-z0-9-]{1,32}")
"""Characters of a keyword; what a campaign may be called in a link: all providers take these."""
PAYLOAD = 64
"""Characters that Telegram takes after `start=`, the fewest of all (core.telegram.org/bots/features#deep-linking)."""
REFERENCE = 200
PACKED = re.compile(r"p_([A-Za-z0-9-]{0,32})_([A-Za-z0-9_-]{1,100})")
SUFFIX = re.compile(r"\[#([A-Za-z0-9-]{1,32})\]$")
START = re.compile(r"/start(?:@\w+)?\s+(\S+)")


class Opening(NamedTuple):
    """What a message says once a link's part is taken out. `started`: `text` is the link's keyword, and nothing that the customer wrote or tapped."""

    text: str | None
    reference: str | None
    started: bool


def link(account: Account, keyword: str, campaign: str | None = None) -> str:
    """The address that opens a conversation with the account. Raises ValueError with a sentence where there is none, or the words do not fit."""
    keyword = keyword.strip()
    if not 0 < len(keyword) <= KEYWORD or not keyword.isprintable():
        raise ValueError(f"the keyword must be a line of 1 to {KEYWORD} characters: it is what the customer says first")
    if wish(keyword) is not None:
        raise ValueError(f"the keyword {keyword!r} is a word for opting out, opting in or help, and starts nothing")
    if SUFFIX.search(keyword) or keyword.startswith("/"):
        raise ValueError("the keyword must neither end as a reference does, [#...], nor begin with /")
    if campaign is not None and not CAMPAIGN.fullmatch(campaign):
        raise ValueError("the campaign must be 1 to 32 letters, digits and hyphens")
    build = LINKS.get(account.channel)
    if build is None:
        raise ValueError(f"no link opens a conversation on {account.channel}; links are there for {', '.join(LINKS)}")
    return build(account, keyword, campaign)


def read(item: Received) -> Opening:
    """What a message says, and the reference it came with: of ours the campaign, of others whatever the provider hands over."""
    text = item.text
    if item.channel is Channel.TELEGRAM and text and (found := START.fullmatch(text.strip())):
        ours = unpacked(found[1])
        return Opening(ours[0], ours[1], True) if ours else Opening("/start", found[1][:REFERENCE], False)
    if item.reference:
        ours = unpacked(item.reference)
        written = text if item.kind != "button" else None  # "Get started" is the page's button, not an answer
        if ours and not written and not item.media:
            return Opening(ours[0], ours[1], True)
        return Opening(text, ours[1] if ours else item.reference[:REFERENCE], False)
    if text and (found := SUFFIX.search(text.rstrip())):
        return Opening(text[: found.start()].rstrip(), found[1], False)
    return Opening(text, None, False)


def packed(keyword: str, campaign: str | None) -> str:
    """Both as a payload. Raises ValueError where they are too long together."""
    payload = f"p_{campaign or ''}_{base64.urlsafe_b64encode(keyword.encode()).rstrip(b'=').decode()}"
    if len(payload) > PAYLOAD:
        room = (PAYLOAD - 3 - len(campaign or "")) * 3 // 4
        raise ValueError(f"the keyword is too long for this channel beside that campaign: {len(keyword.encode())} bytes, where {room} fit")
    return payload


def unpacked(payload: str) -> tuple[str, str | None] | None:
    """Keyword and campaign of a payload of ours; None for any other."""
    found = PACKED.fullmatch(payload)
    if found is None:
        return None
    try:
        keyword = base64.b64decode(found[2] + "=" * (-len(found[2]) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (keyword, found[1] or None) if keyword.isprintable() and 0 < len(keyword) <= KEYWORD else None


def said(keyword: str, campaign: str | None) -> str:
    """What the link puts into the customer's field."""
    return f"{keyword} [#{campaign}]" if campaign else keyword


# --- channel by channel ----------------------------------------------------------------------------------------------------------------


def _known_as(account: Account) -> str:
    return account.known_as or account.sender


def _number(account: Account) -> str:
    found = phone(_known_as(account).removeprefix("whatsapp:"))
    if found is None or not (account.known_as or "+" in account.sender):  # Meta's sender is an id of digits, and no number
        raise ValueError(f'account {account.name}: a link needs the phone number that customers write to; set `known_as: "+..."`')
    return found


def _name(account: Account) -> str:
    name = _known_as(account).removeprefix("@")
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", name):
        raise ValueError(f"account {account.name}: a link needs the name that {account.channel} shows; set `known_as`")
    return name


def _whatsapp(account: Account, keyword: str, campaign: str | None) -> str:
    return f"https://wa.me/{_number(account)[1:]}?text={quote(said(keyword, campaign), safe='')}"


def _sms(account: Account, keyword: str, campaign: str | None) -> str:
    """`?&body=`: Android reads what follows `?`, iOS what follows `&`."""
    return f"sms:{_number(account)}?&body={quote(said(keyword, campaign), safe='')}"


def _messenger(account: Account, keyword: str, campaign: str | None) -> str:
    return f"https://m.me/{_name(account)}?ref={packed(keyword, campaign)}"


def _instagram(account: Account, keyword: str, campaign: str | None) -> str:
    return f"https://ig.me/m/{_name(account)}?ref={packed(keyword, campaign)}"


def _telegram(account: Account, keyword: str, campaign: str | None) -> str:
    return f"https://t.me/{_name(account)}?start={packed(keyword, campaign)}"


def _line(account: Account, keyword: str, campaign: str | None) -> str:
    return f"https://line.me/R/oaMessage/{quote('@' + _name(account), safe='')}/?{quote(said(keyword, campaign), safe='')}"


def _email(account: Account, keyword: str, campaign: str | None) -> str:
    address = _known_as(account)
    if not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", address):
        raise ValueError(f"account {account.name}: a link needs the address that customers write to; set `known_as`")
    return f"mailto:{quote(address, safe='@')}?subject={quote(keyword, safe='')}&body={quote(said(keyword, campaign), safe='')}"


def _webchat(account: Account, keyword: str, campaign: str | None) -> str:
    """The page with the widget, which opens with the words in its field."""
    if not re.fullmatch(r"https?://[^\s#]+", account.known_as or ""):
        raise ValueError(f"account {account.name}: a link needs the page that the chat is on; set `known_as: https://...`")
    return f"{account.known_as}#parley-chat={quote(said(keyword, campaign), safe='')}"


LINKS: Mapping[Channel, Callable[[Account, str, str | None], str]] = MappingProxyType({
    Channel.WHATSAPP: _whatsapp,
    Channel.SMS: _sms,
    Channel.MMS: _sms,
    Channel.RCS: _sms,
    Channel.MESSENGER: _messenger,
    Channel.INSTAGRAM: _instagram,
    Channel.TELEGRAM: _telegram,
    Channel.LINE: _line,
    Channel.EMAIL: _email,
    Channel.WEBCHAT: _webchat,
})  # fmt: skip
