"""What pages are put together from: tiles, tables of rates, notes; each a value that a template of the same name writes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

from parley_analytics.pages.figures import NOTHING, amounts, interval, number, share, short
from parley_analytics.pages.marks import bar, scale, strip
from parley_analytics.pages.names import named
from parley_analytics.pages.words import WORDS, Language
from parley_analytics.rates import RATES, Rate
from parley_analytics.reports import Line

OVER = MappingProxyType({
    "sent": "of_sent", "people_delivered": "of_delivered", "people_opened": "of_opened", "delivered": "of_messages_delivered",
})  # fmt: skip
"""What a rate is over, as a key of the words."""
MAIN = tuple(name for name in ("delivery", "open", "click", "reply", "conversion", "opt_out") if name in RATES)
WRONG = tuple(name for name in ("delivery", "bounce", "complaint", "opt_out") if name in RATES)

Part = dict[str, Any]


class Column(NamedTuple):
    """A column of a table: rates, written with their intervals and marked on one scale, or texts. `sort`: where its head leads."""

    label: str
    cells: Sequence[Rate | str | None]
    sort: Mapping[str, Any] | None = None
    number: bool = False
    """Texts that are numbers stand at the right."""


def said(rate: Rate | None) -> dict[str, str]:
    """A rate in words: the value, and its interval beside it."""
    return {"value": share(rate), "interval": interval(rate)}


def tiles(ones: Sequence[Part]) -> Part:
    """Figures in large, in rows of about the same length, six at most; the last one, where it is wide, takes what is left of its row."""
    places = sum(2 if one["wide"] else 1 for one in ones)
    rows = -(-places // 6)
    across = max(-(-places // rows), 3)
    spans = [2 if one["wide"] else 1 for one in ones]
    if ones and ones[-1]["wide"]:
        spans[-1] = min(across * rows - places + 2, 4)
    return {"kind": "tiles", "tiles": [{**one, "span": span} for one, span in zip(ones, spans, strict=True)], "across": across}


def tile(label: str, value: str, **more: Any) -> Part:
    """One figure in large."""
    usual = {"interval": "", "over": "", "was": "", "link": "", "chosen": False, "exact": "", "wide": False}
    return {"label": label, "value": value, **usual, **more}


def rate_tile(name: str, line: Line, before: Line | None, language: Language, **more: Any) -> Part:
    """A rate with its interval, over what it is, and what it was in the time before."""
    w, was = WORDS[language], before.rates[name] if before else None
    told = f"{w['was']} {share(was)}" if was else w["was_nothing"]
    return tile(w[name], share(line.rates[name]), interval=interval(line.rates[name]), over=w[OVER[RATES[name][1]]], was=told, **more)


def count_tile(name: str, line: Line, before: Line | None, language: Language, **more: Any) -> Part:
    w, value, was = WORDS[language], line.counts.get(name, 0), before.counts.get(name, 0) if before else 0
    told = f"{w['was']} {short(was, language)}" if was else w["was_nothing"]
    return tile(w[name], short(value, language), exact=number(value), was=told, **more)


def money_tile(line: Line, before: Line | None, language: Language, **more: Any) -> Part:
    """Revenue, how much of it for each person reached, and what it was before."""
    w, each = WORDS[language], amounts(for_each(line, "people_delivered"))
    was = amounts(revenue(before)) if before else NOTHING
    over = f"{each} {w['per_person']}" if each != NOTHING else ""
    return tile(w["revenue"], amounts(revenue(line)), over=over, was=w["was_nothing"] if was == NOTHING else f"{w['was']} {was}", wide=True, **more)


def cost_tile(line: Line, before: Line | None, language: Language, **more: Any) -> Part:
    """What providers took, and how much of it for each message."""
    w, spent = WORDS[language], cost(line)
    each = amounts({currency: value / line.counts["sent"] for currency, value in spent.items()} if line.counts["sent"] else {})
    was = amounts(cost(before)) if before else NOTHING
    over = f"{each} {w['per_message']}" if each != NOTHING else ""
    return tile(w["cost"], amounts(spent), over=over, was=w["was_nothing"] if was == NOTHING else f"{w['was']} {was}", wide=True, **more)


def revenue(line: Line) -> dict[str, Decimal]:
    return {currency: one.revenue for currency, one in line.money.items() if one.revenue}


def cost(line: Line) -> dict[str, Decimal]:
    return {currency: one.cost for currency, one in line.money.items() if one.cost}


def for_each(line: Line, count: str) -> dict[str, Decimal]:
    """Revenue for each person or message."""
    over = line.counts.get(count, 0)
    return {currency: value / over for currency, value in revenue(line).items()} if over else {}


def table(head: str, names: Sequence[tuple[str, str]], columns: Sequence[Column], **more: Any) -> Part:
    """Rows side by side. `names`: what each row is called, and its address where it has one."""
    cells = [_cells(column) for column in columns]
    return {
        "kind": "table", "head": head, "title": "", "note": "", "foot": None,
        "dense": len(columns) > 6, "columns": [{"label": one.label, "sort": one.sort, "number": one.number} for one in columns],
        "rows": [{"name": name, "link": link, "cells": [of[place] for of in cells]} for place, (name, link) in enumerate(names)], **more,
    }  # fmt: skip


def _cells(column: Column) -> list[Part]:
    most = scale([one for one in column.cells if isinstance(one, Rate)])
    return [
        {"label": column.label, "number": column.number, "value": one, "interval": "", "strip": None}
        if isinstance(one, str)
        else {"label": column.label, "number": False, **said(one), "strip": strip(one, most)}
        for one in column.cells
    ]


def of_messages(
    lines: Sequence[Line], rates: Sequence[str], language: Language, sorts: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Column]:
    """What was sent, rates, and revenue where there is any."""
    w, sorts = WORDS[language], sorts or {}
    found = [Column(w["sent"], [number(one.counts["sent"]) for one in lines], sorts.get("sent"), number=True)]
    found += [Column(w[name], [one.rates[name] for one in lines], sorts.get(name)) for name in rates]
    if any(revenue(one) for one in lines):
        found.append(Column(w["revenue"], [amounts(revenue(one)) for one in lines], number=True))
    return found


def by(dimension: str, lines: Sequence[Line], language: Language) -> list[tuple[str, str]]:
    """Rows of one dimension, as people call its values."""
    return [(named(dimension, line.names[dimension] or "", language), "") for line in lines]


def funnel(line: Line, language: Language) -> Part:
    """From sent to bought, in people: each stage with its share of the one before."""
    stages = [name for name in ("sent", "delivered", "opened", "clicked", "converted") if f"people_{name}" in line.counts]
    counts = [line.counts[f"people_{name}"] for name in stages]
    rows = []
    for place, (name, count) in enumerate(zip(stages, counts, strict=True)):
        before = counts[place - 1] if place else 0
        # A click proves no opening (pictures may be off), so more may click than open.
        step = f"{count / before:.1%}" if 0 < count <= before else ""
        rows.append({"name": WORDS[language][name], "count": number(count), "width": bar(count, counts[0]), "step": step})
    return {"kind": "funnel", "rows": rows}


def notes(sentences: Sequence[str], exports: Sequence[Mapping[str, str]] = ()) -> Part:
    return {"kind": "notes", "notes": list(sentences), "exports": list(exports)}


def none(sentence: str) -> Part:
    return {"kind": "none", "sentence": sentence}


def raw(line: Line, language: Language) -> str:
    """The same rates over messages."""
    told = [f"{WORDS[language][name]} {share(line.rates[f'raw_{name}'])}" for name in RATES if line.rates.get(f"raw_{name}")]
    return WORDS[language]["raw_note"].format(rates=", ".join(told))


def machines(line: Line, language: Language) -> str:
    """What was kept apart."""
    opened, clicked = (number(line.counts[f"{name}_machine"]) for name in ("opened", "clicked"))
    return WORDS[language]["machine_note"].format(opened=opened, clicked=clicked)
