"""A verdict in words, English and Korean. Pure."""

from __future__ import annotations

from math import floor, log10

from parley.josa import particle
from parley_analytics.experiments import Verdict
from parley_analytics.sequences import Interval


def english(verdict: Verdict, smallest: float, currency: str | None = None) -> str:
    """What people are told. Without a currency the figure is a share and told in points."""
    match verdict.kind:
        case "untrusted":
            return (
                "The split is not as configured: the figures cannot be trusted. Find out who is missing or counted twice before you decide anything."
            )
        case "alone":
            return "There is nothing to compare: the campaign has fewer than two variants."
        case "better":
            others = ", the closest of the others," if len(verdict.beaten) > 1 else ""
            how_much = english_amount(*ends(verdict), currency)
            return f"{verdict.winner} is better than {verdict.against}{others} by {how_much}; safe to stop."
        case "alike":
            return f"No difference larger than {english_amount(smallest, smallest, currency)} is left; safe to stop.{_english_beaten(verdict)}"
        case "early":
            return f"Too early: {_english_wait(verdict)}.{_english_beaten(verdict)}"


def korean(verdict: Verdict, smallest: float, currency: str | None = None) -> str:
    """As `english`."""
    match verdict.kind:
        case "untrusted":
            return "배분이 설정과 다릅니다. 수치를 믿을 수 없습니다. 결정하기 전에 누가 빠졌거나 두 번 집계되었는지 확인하세요."
        case "alone":
            return "비교할 대상이 없습니다. 캠페인에 변형이 두 개 이상 있어야 합니다."
        case "better":
            others = "나머지 중 가장 가까운 " if len(verdict.beaten) > 1 else ""
            subject = verdict.winner + particle(verdict.winner, "이/가")
            return f"{subject} {others}{verdict.against}보다 {korean_amount(*ends(verdict), currency)} 더 좋습니다. 실험을 끝내도 됩니다."
        case "alike":
            most = korean_amount(smallest, smallest, currency)
            return f"{most}보다 큰 차이는 남아 있지 않습니다. 실험을 끝내도 됩니다.{_korean_beaten(verdict)}"
        case "early":
            return f"아직 이릅니다. {_korean_wait(verdict)}{_korean_beaten(verdict)}"


def ends(verdict: Verdict) -> tuple[float, float]:
    """The ends of the winner's interval. Raises ValueError where it has none that excludes zero: then nobody may be called better."""
    if not isinstance(verdict.interval, Interval) or verdict.interval.sign != 1:
        raise ValueError(f"{verdict.winner} has no interval above zero")
    return verdict.interval.low, verdict.interval.high


def english_amount(low: float, high: float, currency: str | None) -> str:
    """`1.2 to 3.4 points`, `KRW 120 to 340 per person`."""
    between = " to ".join(dict.fromkeys(figures(low, high, currency)))
    return f"{currency} {between} per person" if currency else f"{between} {'point' if between == '1' else 'points'}"


def korean_amount(low: float, high: float, currency: str | None) -> str:
    """`1.2~3.4%p`, `1인당 120~340 KRW`."""
    between = "~".join(dict.fromkeys(figures(low, high, currency)))
    return f"1인당 {between} {currency}" if currency else f"{between}%p"


def figures(low: float, high: float, currency: str | None) -> tuple[str, str]:
    """Both with as many decimals as the smaller one needs not to look like nothing."""
    scale = 1.0 if currency else 100.0
    size = min(abs(low), abs(high)) * scale
    decimals = 0 if size >= 100 else 1 if size >= 1 or not size else min(-floor(log10(size)), 12)
    texts = (f"{one * scale:,.{decimals}f}" for one in (low, high))
    first, second = (one.rstrip("0").rstrip(".") if "." in one else one for one in texts)
    return first, second


def _english_wait(verdict: Verdict) -> str:
    if verdict.people is None:
        return "too little has happened to say how long"
    if verdict.days is None:
        return f"about {verdict.people:,} more people are needed, and nobody comes at present"
    return f"at this traffic about {verdict.days:,} {'day' if verdict.days == 1 else 'days'} more ({verdict.people:,} people)"


def _korean_wait(verdict: Verdict) -> str:
    if verdict.people is None:
        return "얼마나 더 걸릴지 말하기에는 일어난 일이 너무 적습니다."
    if verdict.days is None:
        return f"약 {verdict.people:,}명이 더 필요한데, 지금은 새로 들어오는 사람이 없습니다."
    return f"지금 트래픽으로는 약 {verdict.days:,}일({verdict.people:,}명)이 더 필요합니다."


def _english_beaten(verdict: Verdict) -> str:
    names = " and ".join(verdict.beaten)
    return f" {names} {'is' if len(verdict.beaten) == 1 else 'are'} worse and can be left out." if names else ""


def _korean_beaten(verdict: Verdict) -> str:
    names = ", ".join(verdict.beaten)
    return f" {names}{particle(names, '은/는')} 더 나쁘므로 빼도 됩니다." if names else ""
