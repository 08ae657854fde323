"""The page of deliverability: what arrived, what did not, and why. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from parley_analytics.pages import parts
from parley_analytics.pages.asked import Asked, address
from parley_analytics.pages.figures import number
from parley_analytics.pages.marks import bar
from parley_analytics.pages.parts import WRONG, Part, of_messages
from parley_analytics.pages.views import by_time, exports
from parley_analytics.pages.words import WORDS, Language
from parley_analytics.reasons import Reason
from parley_analytics.reports import Line

STATES = ("failed", "unknown", "suppressed", "expired")
"""What becomes of a message that does not arrive."""


MOST = 30
"""Reasons that are listed: those of the most messages."""


def deliverability(total: Line, before: Line, lines: Sequence[Line], series: Sequence[Line], found: Sequence[Reason], asked: Asked,
                   language: Language) -> list[Part]:  # fmt: skip
    w, metric = WORDS[language], asked.among("metric", ("delivery", *WRONG, "sent"))
    if not any(total.counts.values()):
        return [parts.none(w["none_messages"])]
    tiles = [
        parts.rate_tile(name, total, before, language, link=address("/deliverability", asked.parameters, metric=name), chosen=name == metric)
        for name in WRONG
    ]
    tiles += [parts.count_tile(name, total, before, language) for name in STATES]
    sorts = {
        name: {
            "link": address("/deliverability", asked.parameters, metric=name),
            "here": name == metric,
            "sign": "●",
            "said": w["over_time"].format(what=w[name]),
        }
        for name in ("sent", *WRONG)
    }
    columns = of_messages(lines, WRONG, language, sorts)[: 1 + len(WRONG)]
    columns += [parts.Column(w[name], [number(line.counts[name]) for line in lines], number=True) for name in STATES]
    return [
        parts.tiles(tiles),
        by_time(series, asked, "channel", metric, language),
        parts.table(w["channel"], parts.by("channel", lines, language), columns, title=w["by_channel"]),
        reasons(found, language) or {"kind": "said", "title": w["reasons"], "sentence": w["nothing_wrong"]},
        parts.notes([w["interval_note"]], exports(asked, "channel", w)),
    ]


def reasons(found: Sequence[Reason], language: Language) -> Part | None:
    """Why messages did not arrive, the most frequent first; None where there is nothing to say. What is held may still go."""
    w = WORDS[language]
    ordered = sorted((one for one in found if one.messages > 0 and one.status in STATES), key=lambda one: (-one.messages, one.status, one.reason))
    if not ordered:
        return None
    together, most = sum(one.messages for one in ordered), ordered[0].messages
    rows = [
        {"reason": one.reason.replace("_", " ") or w["without_name"], "status": w.get(one.status, one.status), "tone": one.status,
         "count": number(one.messages), "share": f"{one.messages / together:.1%}", "width": bar(one.messages, most)}
        for one in ordered[:MOST]
    ]  # fmt: skip
    return {"kind": "reasons", "title": w["reasons"], "rows": rows}
