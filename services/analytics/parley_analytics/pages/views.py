"""The pages of messages, from reports to parts: overview, campaigns, a campaign, channels. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from decimal import Decimal
from typing import NamedTuple
from urllib.parse import quote

from parley_analytics.pages import parts
from parley_analytics.pages.asked import Asked, address, kept
from parley_analytics.pages.charts import Column, buckets, chart, known, of_count, of_rate
from parley_analytics.pages.figures import amounts, number
from parley_analytics.pages.names import named
from parley_analytics.pages.parts import MAIN, Part, of_messages
from parley_analytics.pages.words import WORDS, Language, filled
from parley_analytics.reports import Line, Report

CURVES = 6
"""Of a chart at most: there are so many colours, and more cannot be told apart."""


CURVED = ("click", "sent", "delivery", "open", "click_to_open", "reply", "conversion", "opt_out")
"""What a chart can show; the first one by itself."""


TILES = ("delivery", "open", "click", "click_to_open", "reply", "conversion", "opt_out")
"""Rates in large."""


class Unowed(NamedTuple):
    """Orders and goals that no message is owed for."""

    orders: int
    value: Mapping[str, Decimal]


def campaign_address(name: str, asked: Asked) -> str:
    return address(f"/campaigns/{quote(name, safe='')}", kept(asked.parameters))


def headline(line: Line, before: Line | None, asked: Asked, path: str, language: Language, chosen: str) -> Part:
    """The figures in large; each is the way to its curve."""
    links = {name: {"link": address(path, asked.parameters, metric=name), "chosen": name == chosen} for name in CURVED}
    found = [parts.count_tile("sent", line, before, language, **links["sent"])]
    found += [parts.rate_tile(name, line, before, language, **links[name]) for name in TILES]
    if parts.revenue(line):
        found.append(parts.money_tile(line, before, language))
    if parts.cost(line):
        found.append(parts.cost_tile(line, before, language))
    return parts.tiles(found)


def over_time(lines: Sequence[Line], asked: Asked, metric: str, language: Language) -> Part:
    """One figure by bucket, with what was sent as bars behind it."""
    w, at = WORDS[language], {line.bucket: line for line in lines if line.bucket}
    bars = Column(w["sent"], "bars", 0, {moment: of_count(line.counts["sent"]) for moment, line in at.items()})
    if metric == "sent":
        columns, unit, note = [bars], "count", ""
    else:
        columns = [Column(w[metric], "line", 1, known({moment: of_rate(line.rates[metric]) for moment, line in at.items()})), bars]
        unit, note = "percent", filled(w["shown_as"], what=w[metric])
    title = w["over_time"].format(what=w[metric])
    return {"kind": "chart", **chart(title, note, unit, columns, buckets(asked.since, asked.until, asked.bucket), asked.bucket, language)}


def by_time(lines: Sequence[Line], asked: Asked, dimension: str, metric: str, language: Language) -> Part:
    """One figure by bucket, a curve for each value of a dimension: those that sent most."""
    w, curves = WORDS[language], list(dict.fromkeys(line.names[dimension] or "" for line in lines))[:CURVES]
    columns = []
    for tint, value in enumerate(curves, 1):
        own = {line.bucket: line for line in lines if line.bucket and (line.names[dimension] or "") == value}
        points = {at: of_count(line.counts["sent"]) if metric == "sent" else of_rate(line.rates[metric]) for at, line in own.items()}
        columns.append(Column(named(dimension, value, language), "line", tint, known(points)))
    title = w["over_time"].format(what=w[metric])
    unit = "count" if metric == "sent" else "percent"
    return {"kind": "chart", **chart(title, "", unit, columns, buckets(asked.since, asked.until, asked.bucket), asked.bucket, language)}


def exports(asked: Asked, rows: str, w: Mapping[str, str], **more: str) -> list[dict[str, str]]:
    """The figures of a page as files: its rows, and what is over time; asked for as the API is asked for them."""
    same = {"from": asked.since.astimezone(UTC).isoformat(), "to": asked.until.astimezone(UTC).isoformat(), **asked.filters, **more}
    over = {"group_by": "none", "bucket": asked.bucket}
    return [
        {"name": f"{name} {shown}", "link": address("/export", {**same, **which, "format": form})}
        for name, which in ((w["export_rows"], {"group_by": rows}), (w["export_time"], over))
        for form, shown in (("csv", "CSV"), ("parquet", "Parquet"))
    ]


def overview(
    total: Line, before: Line, series: Sequence[Line], campaigns: Sequence[Line], unowed: Unowed, asked: Asked, language: Language
) -> list[Part]:
    """How it goes, at a glance."""
    w, metric = WORDS[language], asked.among("metric", CURVED)
    if not _anything(total):
        return [parts.none(w["none_messages"])]
    names = [_campaign(line, asked, language) for line in campaigns]
    foot = {"link": address("/campaigns", kept(asked.parameters)), "name": w["all_campaigns"]}
    said = [w["interval_note"], parts.raw(total, language), parts.machines(total, language)]
    if unowed.orders:
        said.append(w["unowed_note"].format(orders=number(unowed.orders), value=amounts(unowed.value)))
    return [
        headline(total, before, asked, "/", language, metric),
        over_time(series, asked, metric, language),
        parts.table(w["campaign"], names, of_messages(campaigns, _few(MAIN), language), title=w["best_campaigns"], foot=foot),
        parts.notes(said, exports(asked, "campaign", w)),
    ]


def campaigns(found: Report, asked: Asked, language: Language) -> list[Part]:
    """A page of all campaigns, searched and sorted."""
    w, q, order = WORDS[language], asked.told("q"), asked.told("order", "-sent")
    names = [_campaign(line, asked, language) for line in found.lines]
    keep = {
        **kept(asked.parameters),
        **({"bucket": asked.parameters["bucket"]} if "bucket" in asked.parameters else {}),
        "order": asked.told("order"),
    }
    search = {"kind": "search", "path": "/campaigns", "q": q, "hidden": [{"name": name, "value": value} for name, value in keep.items() if value]}
    if not names:
        return [search, parts.none(filled(w["none_campaigns"], q=q) if q else w["none_messages"])]
    sorts = {
        name: {
            "link": address("/campaigns", asked.parameters, order=f"-{name}"),
            "here": order == f"-{name}",
            "sign": "↓",
            "said": w["order_by"].format(what=w[name]),
        }
        for name in ("sent", *MAIN)
    }
    table = parts.table(w["campaign"], names, of_messages(found.lines, MAIN, language, sorts))
    pages = {
        "kind": "pages",
        "first": address("/campaigns", asked.parameters) if "after" in asked.parameters else "",
        "next": address("/campaigns", asked.parameters, after=found.next) if found.next else "",
    }
    return [search, table, pages, parts.notes([w["interval_note"]], exports(asked, "campaign", w, **({"search": q} if q else {})))]


def campaign(name: str, total: Line, before: Line, series: Sequence[Line], groups: Mapping[str, Sequence[Line]], reasons: Part | None, asked: Asked,
             path: str, language: Language) -> list[Part]:  # fmt: skip
    """One campaign: the funnel, the money, over time, and by each dimension that has more than one value in it."""
    w, metric = WORDS[language], asked.among("metric", CURVED)
    if not _anything(total):
        return [parts.none(w["none_messages"])]
    found = [headline(total, before, asked, path, language, metric), over_time(series, asked, metric, language), parts.funnel(total, language)]
    found += [_group(dimension, lines, path, language) for dimension, lines in groups.items() if _parted(dimension, lines)]
    files = exports(asked, "channel,variant", w, campaign=name)
    return [
        *found,
        *([reasons] if reasons else []),
        parts.notes([w["interval_note"], parts.raw(total, language), parts.machines(total, language)], files),
    ]


def _parted(dimension: str, lines: Sequence[Line]) -> bool:
    """Whether a table by this dimension says more than the totals do."""
    return len(lines) > 1 or (dimension == "step" and any(line.names[dimension] for line in lines))


def _group(dimension: str, lines: Sequence[Line], path: str, language: Language) -> Part:
    """A table by one dimension; by variants with the way to the experiment."""
    w, foot = WORDS[language], None
    if dimension == "variant" and sum(1 for line in lines if line.names[dimension]) > 1:
        foot = {"link": path.replace("/campaigns/", "/experiments/", 1), "name": w["read_verdict"]}
    head = w["contact_language"] if dimension == "language" else w[dimension]
    columns = of_messages(lines, _few(MAIN), language)
    return parts.table(head, parts.by(dimension, lines, language), columns, title=w[f"by_{dimension}"], foot=foot)


def channels(total: Line, lines: Sequence[Line], series: Sequence[Line], asked: Asked, language: Language) -> list[Part]:
    """Channels side by side, each rate on one scale."""
    w, metric = WORDS[language], asked.among("metric", CURVED)
    if not _anything(total):
        return [parts.none(w["none_messages"])]
    sorts = {
        name: {
            "link": address("/channels", asked.parameters, metric=name),
            "here": name == metric,
            "sign": "●",
            "said": w["over_time"].format(what=w[name]),
        }
        for name in ("sent", *MAIN)
    }
    columns = of_messages(lines, MAIN, language, sorts)
    table = parts.table(w["channel"], parts.by("channel", lines, language), columns, title=w["side_by_side"], note=w["side_note"])
    files = exports(asked, "channel", w)
    return [
        table,
        by_time(series, asked, "channel", metric, language),
        parts.notes([w["interval_note"], parts.raw(total, language), parts.machines(total, language)], files),
    ]


def _campaign(line: Line, asked: Asked, language: Language) -> tuple[str, str]:
    name = line.names["campaign"]
    return name or WORDS[language]["without_campaign"], campaign_address(name, asked) if name else ""


def _anything(line: Line) -> bool:
    """Whether there is anything to say: also what never left is something."""
    return any(line.counts.values())


def _few(rates: Sequence[str]) -> list[str]:
    """Those that matter most, where a table is one of several."""
    return [name for name in ("delivery", "open", "click", "conversion") if name in rates]
