"""The address of an operator, `smpp://host:port?...`: where the bind goes, and what the contract with the operator says of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import parse_qsl, urlsplit

from parley.channels.shape import Account

PORTS = {"smpp": 2775, "smpps": 3550}
"""By scheme; `smpps` is TLS."""
NPIS = frozenset({0, 1, 3, 4, 6, 8, 9, 10, 14, 18})
"""Numbering plans that there are (SMPP 3.4, 5.2.6)."""
OPTIONS = frozenset({"window", "system_type", "ids", "source_ton", "source_npi"})
WINDOW = 10
Ids = Literal["same", "decimal", "hex"]
"""How receipts write the id that submit_sm_resp gave: the same way, in decimal where that is hexadecimal, in hexadecimal where that is decimal."""


@dataclass(frozen=True, slots=True)
class Link:
    """An operator's address, read."""

    host: str
    port: int
    tls: bool = False
    window: int = WINDOW
    """submit_sm without an answer at once, at most."""
    system_type: str = ""
    ids: Ids = "same"
    source_ton: int | None = None
    source_npi: int | None = None


def link(base_url: str | None) -> Link:
    """Raises ValueError with a sentence."""
    if not base_url:
        raise ValueError("`base_url` is missing: the operator's address, as in smpp://smsc.example.com:2775")
    parts = urlsplit(base_url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError(f"an operator's address looks like smpp://smsc.example.com:2775 (or smpps://), not {base_url!r}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if strange := sorted(options.keys() - OPTIONS):
        raise ValueError(f"an operator's address has no option {strange[0]!r}; known: {', '.join(sorted(OPTIONS))}")
    ids = options.get("ids", "same")
    if ids not in ("same", "decimal", "hex"):
        raise ValueError(f"`ids` is same, decimal or hex; not {ids!r}")
    window, ton, npi = (_number(options, *limits) for limits in (("window", 1, 1000), ("source_ton", 0, 6), ("source_npi", 0, 18)))
    if npi is not None and npi not in NPIS:
        raise ValueError(f"`source_npi` is one of {', '.join(map(str, sorted(NPIS)))}; not {npi}")
    return Link(
        parts.hostname, parts.port or PORTS[parts.scheme], parts.scheme == "smpps", window or WINDOW, options.get("system_type", ""), cast(Ids, ids), ton, npi
    )  # fmt: skip


def answered_id(said: str | None, account: Account) -> str | None:
    """The id of a submit_sm_resp as deliveries are kept under it."""
    return _canonical(said, account, 10 if _ids(account) == "hex" else 16)


def receipted_id(said: str | None, account: Account, *, in_text: bool) -> str | None:
    """The id of a receipt, in the form that `answered_id` gives. A TLV repeats the answer; only the text may be in another base."""
    ids = _ids(account)
    return _canonical(said, account, 10 if (ids == "decimal") == in_text and ids != "same" else 16)


def _canonical(said: str | None, account: Account, base: int) -> str | None:
    """An id in hexadecimal digits is a number to operators, who write it now in capitals, now not. Without an address nothing is known of that."""
    if said is None or account.base_url is None:
        return said
    digits = re.fullmatch("[0-9a-fA-F]{1,64}" if base == 16 else "[0-9]{1,64}", said)
    if digits is None:
        return said
    return said.lower() if _ids(account) == "same" else format(int(said, base), "x")


def _ids(account: Account) -> Ids:
    try:
        return link(account.base_url).ids
    except ValueError:
        return "same"


def _number(options: Mapping[str, str], name: str, least: int, most: int) -> int | None:
    text = options.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise ValueError(f"`{name}` is a number from {least} to {most}; not {text!r}")
    return int(text)
