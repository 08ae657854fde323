"""What stands around the figures: the pages there are, the filters of the address. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from parley_analytics.pages.asked import AT_MOST, FILTERS, RANGES, USUAL, Asked, address, kept
from parley_analytics.pages.figures import days
from parley_analytics.pages.names import CHANNELS, PURPOSES, named
from parley_analytics.pages.words import WORDS, Language

PATHS = MappingProxyType({
    "/": "overview", "/campaigns": "campaigns", "/experiments": "experiments", "/channels": "channels", "/conversations": "conversations",
    "/deliverability": "deliverability",
})  # fmt: skip
"""The pages and what they are called, as keys of the words."""


def navigation(path: str, parameters: Mapping[str, str], language: Language) -> list[dict[str, Any]]:
    """All pages, with the time and the filters of this one."""
    here = next((one for one in PATHS if one != "/" and (path == one or path.startswith(f"{one}/"))), "/")
    return [{"name": WORDS[language][name], "link": address(one, kept(parameters)), "here": one == here} for one, name in PATHS.items()]


def filters(path: str, title: str, asked: Asked, languages: Sequence[str], language: Language) -> dict[str, Any]:
    """The title of a page and its filters, as the template writes them."""
    w, told = WORDS[language], asked.parameters
    given = {"channel": tuple(CHANNELS), "purpose": tuple(PURPOSES), "language": tuple(languages)}
    labels = {"channel": w["channel"], "purpose": w["purpose"], "language": w["contact_language"]}
    timed = not path.startswith("/experiments")
    own = [name for name in ("from", "through", "bucket", *FILTERS) if name in told]
    dated = "from" in told or "through" in told
    return {
        "w": w, "timed": timed, "path": path, "title": title, "zone": str(asked.since.tzinfo),
        "days": days(asked.since, asked.until - timedelta(minutes=1), language),
        "first": told.get("from", ""), "last": told.get("through", ""), "narrowed": len(own) or None, "bare": address(path, told, **dict.fromkeys(own)),
        "ranges": [
            {"name": w[f"range_{one}"], "here": not dated and told.get("range", USUAL) == one,
             "link": address(path, told, **{"range": one, "from": None, "through": None, "bucket": None})}
            for one in RANGES if timed
        ],
        "hidden": [{"name": name, "value": value} for name, value in told.items() if name not in (*own, "after")],
        "buckets": [{"value": one, "name": w[f"bucket_{one}"], "here": told.get("bucket") == one} for one in AT_MOST],
        "choices": [
            {"name": name, "label": labels[name], "options": _options(name, given[name], told.get(name, ""), language)} for name in FILTERS
        ],
    }  # fmt: skip


def _options(name: str, known: Sequence[str], chosen: str, language: Language) -> list[dict[str, Any]]:
    """What can be chosen; what stands in the address is among them."""
    values = [*known, *([chosen] if chosen and chosen not in known else [])]
    return [{"value": one, "name": named(name, one, language), "here": one == chosen} for one in values]
