"""Steps, conditions and lengths of time in few words, for pictures and tables. Pure."""

from __future__ import annotations

from datetime import timedelta

from parley_router.conditions import Condition
from parley_router.durations import UNITS
from parley_router.steps import AnyStep, Ask, Booked, Branch, Call, Do, Escalate, Recommend, Say, Span, Split, Wait


def of_step(step: AnyStep, language: str | None = None) -> tuple[str, str]:
    """What a step does, and what it says or is about."""
    match step:
        case Say():
            return "say", _text(step.say or next(iter(step.variants.values())), language)
        case Ask():
            return f"ask {step.ask}", _text(step.say, language)
        case Booked():
            return f"book {step.book}", _text(step.say, language)
        case Escalate():
            return f"escalate {step.escalate}", _text(step.say, language) if step.say else ""
        case Branch():
            return "branch", ""
        case Wait():
            return "wait", of_wait(step)
        case Split():
            return "split", step.split
        case Call():
            return f"call {step.call}", f"{step.method} {step.path}"
        case Recommend():
            return f"recommend {step.recommend}", step.path
        case Do():
            return "do", step.do
        case _:
            return step.kind, _fields(step)


def _text(text: dict[str, str], language: str | None) -> str:
    return " ".join((text.get(language or "") or next(iter(text.values()))).split())


def _fields(step: AnyStep) -> str:
    """What the file says, in order: `marketing granted`, `vip`, `profile.news yes`."""
    found = step.model_dump(exclude_defaults=True, exclude={"id"}, by_alias=True)
    words: list[str] = []
    for key, value in found.items():
        if key not in (step.kind, "state"):
            words.append(key)
        if isinstance(value, dict):
            words += [f"{name} {one}" for name, one in value.items()]
        else:
            words += (
                [", ".join(map(str, value))]
                if isinstance(value, tuple | list)
                else [of_length(value) if isinstance(value, timedelta) else str(value)]
            )
    return " ".join(one for one in words if one != "True")


def of_wait(step: Wait) -> str:
    """`2h or order.placed`."""
    others = [*(one.name for one in step.events), *(["reply"] if step.reply else []), *(["click"] if step.click else [])]
    return " or ".join([of_span(step.wait), *others])


def of_span(span: Span) -> str:
    """`2h`, `until 2026-12-24 at 09:00`."""
    parts = [of_length(span.length) if span.length else None, f"{of_length(span.before)} before" if span.before else None]
    parts.append(None if not span.until else span.until if span.before else f"until {span.until}")
    parts += ["at the best hour" if span.best_hour else None]
    parts += [f"at {span.at:%H:%M}" if span.at else None, f"on {', '.join(span.days)}" if span.days else None]
    return " ".join(one for one in parts if one)


def of_length(length: timedelta) -> str:
    """As flows write it: `1d12h`."""
    rest, words = length, ""
    for unit, size in UNITS.items():
        count, rest = divmod(rest, size)
        words += f"{count}{unit}" if count else ""
    return words or "0s"


def of_condition(condition: Condition) -> str:
    """`order.status is placed`, `cart.abandoned within 30d`."""
    one = condition
    if one.all_of is not None or one.any_of is not None:
        joined = " and " if one.all_of is not None else " or "
        return joined.join(f"({of_condition(part)})" if part.all_of or part.any_of else of_condition(part) for part in one.inner())
    if one.none_of is not None:
        return f"not {of_condition(one.none_of)}"
    if one.event is not None:
        return " ".join([one.event, *_amounts(one)])
    if one.consent is not None:
        return f"consent {one.consent}{f' on {one.on}' if one.on else ''} {one.equals or 'granted'}"
    if one.channel is not None:
        return "channel " + (one.channel if isinstance(one.channel, str) else " or ".join(one.channel))
    if one.tag is not None:
        return f"tag {one.tag}"
    if one.between is not None:
        return f"{one.between[0]:%H:%M} to {one.between[1]:%H:%M}" + (" on " + ", ".join(one.days) if one.days else "")
    return f"{one.value} {_compared(one)}"


def _amounts(one: Condition) -> list[str]:
    return [
        *([f"at least {one.at_least} times"] if one.at_least is not None else []),
        *([f"at most {one.at_most} times"] if one.at_most is not None else []),
        *([f"within {of_length(one.within)}"] if one.within is not None else []),
    ]


def _compared(one: Condition) -> str:
    if one.known is not None:
        return "known" if one.known else "not known"
    if one.one_of is not None:
        return "in " + ", ".join(map(str, one.one_of))
    for word, value in (("is", one.equals), ("above", one.above), ("below", one.below), ("contains", one.contains)):
        if value is not None:
            return f"{word} {value:g}" if isinstance(value, float) else f"{word} {value}"
    return ""
