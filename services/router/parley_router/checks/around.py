"""What stands around a flow while it is checked, each found once for all flows of a tenant: who begins by what, who leads to whom, who fills what. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from parley.templates import Texts
from parley_router.flow import Flow
from parley_router.language import plain
from parley_router.steps import AnyStep, Ask, Booked, Call, Do, Recommend, Set, Wait, targets


@dataclass(frozen=True)
class Around:
    """All flows of a tenant, its languages, and the texts, which are parsed on the way.

    `services` and `intents` are the names that the tenant has; None where nobody said, and then nothing is said of them.
    """

    flows: Sequence[Flow]
    languages: Sequence[str]
    texts: Texts
    services: Collection[str] | None = None
    intents: Collection[str] | None = None

    @cached_property
    def by_name(self) -> Mapping[str, Flow]:
        return {one.flow: one for one in self.flows}

    @cached_property
    def named(self) -> Mapping[str, Sequence[Flow]]:
        """The flows of each name: more than one where two files hold the same."""
        return grouped((one.flow, one) for one in self.flows)

    @cached_property
    def keywords(self) -> Mapping[str, Sequence[Flow]]:
        """Who begins by a word, as it is compared."""
        return grouped((plain(word), one) for one in self.flows for words in one.start.keywords.values() for word in words)

    @cached_property
    def meant(self) -> Mapping[str, Sequence[Flow]]:
        """Who begins by an intent."""
        return grouped((intent, one) for one in self.flows for intent in one.start.intents)

    @cached_property
    def alone(self) -> Mapping[str, Sequence[Flow]]:
        """Who begins by what only one may: `welcome`, `fallback`."""
        return grouped((what, one) for one in self.flows for what in ("welcome", "fallback") if getattr(one.start, what))

    @cached_property
    def begun(self) -> Collection[int]:
        """The flows that something begins, or to which such a one leads, by identity."""
        return reached([one for one in self.flows if one.start.said or one.start.own], self.named)

    @cached_property
    def told(self) -> Collection[int]:
        """The flows that may know of an event, by identity."""
        first = [one for one in self.flows if one.start.own or any(isinstance(step, Wait) and step.events for step in one.steps)]
        return reached(first, self.named)

    @cached_property
    def runs(self) -> Mapping[str, frozenset[str]]:
        """Which flows a flow runs by `do`."""
        return {name: frozenset(step.do.removeprefix("flow/") for step in one.steps if isinstance(step, Do)) for name, one in self.by_name.items()}

    @cached_property
    def run(self) -> Collection[str]:
        """The flows that others run, and which therefore need not say a last word."""
        return frozenset(name for names in self.runs.values() for name in names)

    @cached_property
    def kept(self) -> Collection[str]:
        """Every name that any of the flows fills, as `slot.x` or `profile.x`. Slots go along to other flows, so those of all count."""
        return frozenset(kept(self.flows))


def grouped(pairs: Iterable[tuple[str, Flow]]) -> dict[str, list[Flow]]:
    found: dict[str, list[Flow]] = defaultdict(list)
    for key, flow in pairs:
        found[key].append(flow)
    return dict(found)


def reached(first: Iterable[Flow], named: Mapping[str, Sequence[Flow]]) -> set[int]:
    """These flows and all to which they lead, by identity."""
    return {id(one) for one in led(first, named)}


def led(first: Iterable[Flow], named: Mapping[str, Sequence[Flow]]) -> list[Flow]:
    """These flows and all to which they lead."""
    open_, seen = list(first), dict[int, Flow]()
    while open_:
        flow = open_.pop()
        if id(flow) not in seen:
            seen[id(flow)] = flow
            open_ += [one for target in ways(flow) if target.startswith("flow/") for one in named.get(target.removeprefix("flow/"), ())]
    return list(seen.values())


def ways(flow: Flow) -> list[str]:
    """Everywhere that a flow leads to."""
    return [*(one for step in flow.steps for one in targets(step)), *([flow.left] if flow.left else [])]


def kept(flows: Iterable[Flow]) -> Iterator[str]:
    """The names that flows fill, parameters among them."""
    for flow in flows:
        yield from (f"slot.{name}" for name in flow.parameters)
        for step in flow.steps:
            yield from _kept(step)


def _kept(step: AnyStep) -> Iterator[str]:
    """An answer that is kept for good is in a slot as well."""
    match step:
        case Ask():
            name = step.ask.removeprefix("profile.")
            yield from (f"slot.{name}", *([step.ask] if step.ask != name else []))
        case Set():
            yield from step.set
        case Call():
            yield from step.keep
        case Recommend():
            yield f"slot.{step.keep}"
        case Booked():
            yield "slot.booking"
