"""The page of conversations: how much is done without a person, how long customers wait, how content they are. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from parley_analytics.pages import parts
from parley_analytics.pages.asked import Asked, address
from parley_analytics.pages.charts import Column, Point, buckets, chart, known, of_count, of_rate
from parley_analytics.pages.figures import NOTHING, duration, interval, number, share, short
from parley_analytics.pages.names import named
from parley_analytics.pages.parts import Part
from parley_analytics.pages.words import WORDS, Language, filled
from parley_analytics.talks_kpis import RATES, TIMES, Kpis
from parley_analytics.talks_report import Summary

OVER = {"opened": "of_conversations", "escalated": "of_escalated", "rated": "of_rated"}
SHARES = ("automated", "escalated", "overdue", "satisfied", "responded")
SHOWN = ("automated", "opened", "escalated", "overdue", "satisfied", "responded", *TIMES)
"""What the chart can show; the first one by itself."""


def conversations(total: Summary, before: Kpis, series: Summary, groups: Mapping[str, Summary], asked: Asked, language: Language) -> list[Part]:
    w, metric = WORDS[language], asked.among("metric", SHOWN)
    if not total.totals.counts["opened"]:
        return [parts.none(w["none_conversations"])]
    found = [_headline(total.totals, before, asked, metric, language), _over_time(series, asked, metric, language)]
    for dimension, summary in groups.items():
        if any(row.value for row in summary.rows):
            found.append(_table(dimension, summary, language))
    return [*found, parts.notes([w["talks_note"]], _exports(asked, language))]


def _exports(asked: Asked, language: Language) -> list[dict[str, str]]:
    """The figures as files: by team, and over time; asked for as the API is asked for them."""
    w, only = WORDS[language], {name: value for name, value in asked.filters.items() if name == "channel"}
    same = {"from": asked.since.astimezone(UTC).isoformat(), "to": asked.until.astimezone(UTC).isoformat(), **only}
    ways = (
        [(w["export_time"], {"bucket": asked.bucket})]
        if only
        else [(w["export_rows"], {"group_by": "team"}), (w["export_time"], {"bucket": asked.bucket})]
    )
    return [
        {"name": f"{name} {shown}", "link": address("/export/conversations", {**same, **which, "format": form})}
        for name, which in ways
        for form, shown in (("csv", "CSV"), ("parquet", "Parquet"))
    ]


def _headline(kpis: Kpis, before: Kpis, asked: Asked, chosen: str, language: Language) -> Part:
    w = WORDS[language]

    def way(name: str) -> dict[str, object]:
        return {"link": address("/conversations", asked.parameters, metric=name), "chosen": name == chosen}

    opened, was = kpis.counts["opened"], before.counts["opened"]
    told = f"{w['was']} {short(was, language)}" if was else w["was_nothing"]
    tiles = [parts.tile(w["conversations_opened"], short(opened, language), exact=number(opened), was=told, **way("opened"))]
    for name in SHARES:
        rate, earlier = kpis.rates[name], before.rates[name]
        told = f"{w['was']} {share(earlier)}" if earlier else w["was_nothing"]
        tiles.append(parts.tile(w[f"talk_{name}"], share(rate), interval=interval(rate), over=w[OVER[RATES[name][1]]], was=told, **way(name)))
    for name in TIMES:
        lasting, earlier_time = kpis.times[name], before.times[name]
        over = w["nine_of_ten"].format(time=duration(lasting.p90, language)) if lasting else ""
        told = f"{w['was']} {duration(earlier_time.median, language)}" if earlier_time else w["was_nothing"]
        tiles.append(parts.tile(w[f"talk_{name}"], duration(lasting and lasting.median, language), over=over, was=told, **way(name)))
    return parts.tiles(tiles)


def _over_time(series: Summary, asked: Asked, metric: str, language: Language) -> Part:
    w = WORDS[language]
    at = {row.at.astimezone(asked.since.tzinfo): row.kpis for row in series.rows if row.at is not None}
    bars = Column(w["conversations_opened"], "bars", 0, {moment: of_count(one.counts["opened"]) for moment, one in at.items()})
    name = w["conversations_opened"] if metric == "opened" else w[f"talk_{metric}"]
    columns = [bars] if metric == "opened" else [Column(name, "line", 1, known(_points(at, metric, language))), bars]
    unit = "count" if metric == "opened" else "seconds" if metric in TIMES else "percent"
    note = "" if metric == "opened" else filled(w["shown_times" if metric in TIMES else "shown_talks"], what=name)
    title = w["over_time"].format(what=name)
    return {"kind": "chart", **chart(title, note, unit, columns, buckets(asked.since, asked.until, asked.bucket), asked.bucket, language)}


def _points(at: Mapping[datetime, Kpis], metric: str, language: Language) -> dict[datetime, Point | None]:
    if metric not in TIMES:
        return {moment: of_rate(one.rates[metric]) for moment, one in at.items()}
    return {
        moment: None if (lasting := one.times[metric]) is None
        else Point(lasting.median, None, lasting.p90, f"{duration(lasting.median, language)} ({duration(lasting.p90, language)})")
        for moment, one in at.items()
    }  # fmt: skip


def _table(dimension: str, summary: Summary, language: Language) -> Part:
    """Values side by side."""
    w, rows = WORDS[language], summary.rows
    columns = [parts.Column(w["conversations_opened"], [number(row.kpis.counts["opened"]) for row in rows], number=True)]
    columns += [parts.Column(w[f"talk_{name}"], [row.kpis.rates[name] for row in rows]) for name in ("automated", "overdue", "satisfied")]
    columns += [
        parts.Column(w[f"talk_{name}"], [_median(row.kpis, name, language) for row in rows], number=True) for name in ("first_answer", "resolution")
    ]
    names: Sequence[tuple[str, str]] = [(named(dimension, row.value or "", language), "") for row in rows]
    return parts.table(w[dimension], names, columns, title=w[f"by_{dimension}"])


def _median(kpis: Kpis, name: str, language: Language) -> str:
    lasting = kpis.times[name]
    return duration(lasting.median, language) if lasting else NOTHING
