"""The pages of experiments: which there are, and one with its verdict in words, its differences, and how they came about. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from parley_analytics.experiments import Arm, Design, Pair, Reading
from parley_analytics.experiments_query import METRICS
from parley_analytics.pages import parts
from parley_analytics.pages.asked import Asked, address
from parley_analytics.pages.charts import Column, Point, chart
from parley_analytics.pages.figures import day, number
from parley_analytics.pages.marks import rounded, whiskers
from parley_analytics.pages.parts import Part
from parley_analytics.pages.words import WORDS, Language, filled
from parley_analytics.rates import wilson
from parley_analytics.sequences import ALPHA, Interval, Moments, difference
from parley_analytics.verdicts import english, korean

CURVES = 5
"""Variants against the first one, in one chart."""


class Found(NamedTuple):
    """An experiment of the list: its campaign, its variants, since when."""

    campaign: str
    variants: Sequence[str]
    since: datetime


class Seen(NamedTuple):
    """An experiment as it was read: its variants, what they say, and what they had come to by the end of each day."""

    campaign: str
    metric: str
    counted: str
    design: Design
    arms: Sequence[Arm]
    reading: Reading
    per_day: float
    daily: Mapping[datetime, Sequence[Arm]]


def experiments(found: Sequence[Found], q: str, page: int, *, more: bool, language: Language) -> list[Part]:
    """All campaigns with two variants or more, the newest first."""
    w = WORDS[language]
    search = {"kind": "search", "path": "/experiments", "q": q, "hidden": []}
    if not found:
        return [search, parts.none(filled(w["none_campaigns"], q=q) if q else w["none_experiments"])]
    names = [(one.campaign, f"/experiments/{quote(one.campaign, safe='')}") for one in found]
    columns = [
        parts.Column(w["variants"], [" · ".join(one.variants) for one in found]),
        parts.Column(w["since"], [day(one.since, language) for one in found], number=True),
    ]
    to = {name: address("/experiments", {"q": q}, page=told) for name, told in (("first", None), ("next", str(page + 1)))}
    pages = {"kind": "pages", "first": to["first"] if page > 1 else "", "next": to["next"] if more else ""}
    return [search, parts.table(w["campaign"], names, columns), pages]


def experiment(seen: Seen, asked: Asked, path: str, language: Language) -> list[Part]:
    """The verdict first; then what it is made of."""
    w = WORDS[language]
    found = [_design(seen, asked, path, language), _verdict(seen, language), _variants(seen, language)]
    if seen.reading.pairs:
        found.append(_differences(seen, language))
    if drawn := _chart(seen, language):
        found.append(drawn)
    return [*found, parts.notes([w["difference_chart_note"]] if drawn else [])]


def _design(seen: Seen, asked: Asked, path: str, language: Language) -> Part:
    """What is compared, to be chosen before the first look."""
    w, names = WORDS[language], [one.name for one in seen.arms]
    metrics = [{"value": name, "name": w[f"metric_{name}"], "here": name == seen.metric} for name in METRICS]
    return {
        "kind": "design", "path": path, "metrics": metrics, "points": f"{seen.design.smallest * 100:g}",
        "hidden": [{"name": name, "value": asked.told(name)} for name in ("weights", "split", "people") if asked.told(name)],
        "holdouts": [{"value": name, "name": name, "here": name == seen.design.holdout} for name in names],
        "controls": [{"value": name, "name": name, "here": name == seen.design.control} for name in names],
    }  # fmt: skip


def _verdict(seen: Seen, language: Language) -> Part:
    """What to make of it, in a sentence, and the facts beside it."""
    w, verdict, split = WORDS[language], seen.reading.verdict, seen.reading.split
    say = korean if language == "ko" else english
    p = "< 0.001" if split.p_value < 0.001 else f"{split.p_value:.2g}"
    how = w["split_fine" if split.trusted else "split_wrong"].format(p=p)
    assumed = f" ({w['split_assumed']})" if seen.design.weights is None else ""
    facts = [
        {"name": w[f"people_{seen.counted}"], "value": number(sum(one.figure.people for one in seen.arms))},
        {"name": w["people_a_day"], "value": number(round(seen.per_day))},
        {"name": w["split"], "value": f"{how}{assumed}"},
    ]
    if verdict.people:
        facts.insert(1, {"name": w["missing"], "value": number(verdict.people)})
    return {
        "kind": "verdict", "tone": verdict.kind, "says": say(verdict, seen.design.smallest), "facts": facts,
        "state": w["safe"] if verdict.stop else w["not_yet"],
    }  # fmt: skip


def _variants(seen: Seen, language: Language) -> Part:
    w, expected = WORDS[language], seen.reading.split.expected
    people = sum(one.figure.people for one in seen.arms)
    rates = [wilson(round(one.figure.total), one.figure.people) for one in seen.arms]
    columns = [
        parts.Column(w["people"], [number(one.figure.people) for one in seen.arms], number=True),
        parts.Column(w["share_of_people"], [f"{one.figure.people / people:.1%} / {expected[one.name]:.1%}" for one in seen.arms], number=True),
        parts.Column(w[f"metric_{seen.metric}"], rates),
    ]
    return parts.table(w["variant"], [(one.name, "") for one in seen.arms], columns, title=w["variants"], note=w["rate_of_variant"])


def _differences(seen: Seen, language: Language) -> Part:
    """Each variant against each before it, and against nothing at all, on one scale around zero."""
    w, reading = WORDS[language], seen.reading
    pairs = [*reading.pairs, *([reading.lift] if reading.lift else [])]
    ends = [abs(end) for one in pairs if one.interval for end in (one.interval.low, one.interval.high)]
    reach = rounded(max(ends, default=seen.design.smallest))
    return {"kind": "differences", "rows": [_pair(one, one is reading.lift, reach, language) for one in pairs], "title": w["differences"]}


def _pair(pair: Pair, lift: bool, reach: float, language: Language) -> dict[str, Any]:
    w, found = WORDS[language], pair.interval
    name = w["lift"] if lift else w["against"].format(ours=pair.ours, theirs=pair.theirs)
    if found is None:
        return {"name": name, "value": w["too_early"], "interval": "", "mark": None}
    return {"name": name, "value": f"{points(found.difference)} {w['points']}", "interval": f"{points(found.low)} … {points(found.high)}",
            "mark": whiskers(found.low, found.difference, found.high, reach)}  # fmt: skip


def points(value: float) -> str:
    """A difference in points, with its sign."""
    return f"{value * 100:+.2f}".replace("-", "−")


def _chart(seen: Seen, language: Language) -> Part | None:
    """The difference of each variant to the first one, as the people of one day after the other came in, with the part of the 5 % that its pair has."""
    w, pairs = WORDS[language], seen.reading.pairs
    control = pairs[0].theirs if pairs else ""
    ours = [one.ours for one in pairs if one.theirs == control][:CURVES]
    columns = [
        Column(name, "line", tint, {at: point for at, arms in seen.daily.items() if (point := _point(arms, name, control, ALPHA / len(pairs)))})
        for tint, name in enumerate(ours, 1)
    ]
    columns = [one for one in columns if one.values]
    if not columns:
        return None
    title = w["difference_chart"].format(control=control)
    return {"kind": "chart", **chart(title, "", "points", columns, list(seen.daily), "day", language)}


def _point(arms: Sequence[Arm], ours: str, theirs: str, alpha: float) -> Point | None:
    figures = {one.name: one.figure for one in arms}
    found = difference(figures[ours], figures[theirs], alpha) if ours in figures and theirs in figures else None
    return None if found is None else Point(found.difference, found.low, found.high, said(found))


def said(found: Interval) -> str:
    return f"{points(found.difference)} ({points(found.low)} … {points(found.high)})"


def grown(daily: Sequence[tuple[datetime, str, int, int]]) -> dict[datetime, list[Arm]]:
    """From new people and hits of each day and variant to all until then, day by day."""
    together: dict[str, tuple[int, int]] = {}
    found = {}
    for at, name, people, hits in sorted(daily):
        before = together.get(name, (0, 0))
        together[name] = before[0] + people, before[1] + hits
        found[at] = [Arm(one, Moments(people, hits, hits)) for one, (people, hits) in together.items()]
    return found
