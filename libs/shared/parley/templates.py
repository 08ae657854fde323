"""Texts with Liquid in them: parsed once, strict about names, bounded in what they may do. Pure.

The bound on time is a bound on work, counted: a clock would stop the same text now here, now there, and replaying the log would give other decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import tzinfo
from typing import Any

from liquid import Environment, RenderContext, StrictDefaultUndefined
from liquid.builtin.expressions.primitive import IntegerLiteral, RangeLiteral
from liquid.exceptions import LiquidError, LoopIterationLimitError, ResourceLimitError
from liquid.expression import Expression
from liquid.output import LimitedStringIO
from liquid.template import BoundTemplate
from liquid.token import Token
from liquid.undefined import Undefined
from liquid.utils import ReadOnlyChainMap

from parley.filters import FILTERS

CLOCK = ("date",)
"""Filters that can read the clock (`'now' | date`): what is said depends on what is known alone, so they are left out."""
ELSEWHERE = ("include", "render", "tablerow")
"""Tags for other files and for HTML: there are neither."""
LONGEST = 20_000
"""Characters that a filter takes or gives, and bytes of the whole text."""
LOOPS = 200
"""Turns of a loop and items of a list; those of loops in loops multiply."""
LOOPED = 30_000
"""Turns of a loop times the characters of the text around it: long texts loop less often."""
WORK = 200_000
"""What all filters of a text may take and give together, in characters."""
EACH = 100
"""What a filter costs besides, in characters."""
LARGEST = 10**30


class Unfilled(ValueError):
    """A text that cannot be filled in with what is known; the sentence says why."""


class Bounded(Environment):
    """Liquid with limits: a text is no program."""

    loop_iteration_limit = LOOPS
    output_stream_limit = LONGEST
    context_depth_limit = 10


class Filling(RenderContext):
    """One filling-in of a text. It knows no clock, counts the work of its filters and refuses what would grow without end."""

    __slots__ = ("length", "work", "zone")

    def __init__(self, template: BoundTemplate, known: Mapping[str, Any], length: int, zone: tzinfo | None) -> None:
        super().__init__(template, globals=known)
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)  # without Liquid's own `now` and `today`
        self.length, self.work, self.zone = length, 0, zone

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        function = super().filter(name, token)

        def counted(value: object, *arguments: object, **named: object) -> object:
            given = [_size(one) for one in (value, *arguments, *named.values())]
            # What replaces or joins may stand once for every character or item.
            self._spend(EACH + sum(given) + (given[0] + 1) * max(given[1:], default=0))
            found = function(value, *arguments, **named)
            self._spend(_size(found))
            return found

        return counted

    def raise_for_loop_limit(self, length: int = 1) -> None:
        super().raise_for_loop_limit(length)
        turns = length
        for loop in self.loops:
            turns *= loop.length
        if turns * self.length > LOOPED:
            raise LoopIterationLimitError(f"{turns} turns of a loop are too many for so long a text", token=None)

    def _spend(self, work: int) -> None:
        self.work += work
        if self.work > WORK:
            raise ResourceLimitError("its filters have too much to do", token=None)


def _size(value: object) -> int:
    """Characters of a value that a filter takes or gives. Raises `ResourceLimitError` for one that is too large."""
    if issubclass(type(value), Undefined):  # asking `isinstance` already raises
        return 0  # whether it may be missing is the filter's to say: `default` is there for that
    if isinstance(value, str):
        size, most = len(value), LONGEST
    elif isinstance(value, list | tuple | range | dict):
        if len(value) > LOOPS:
            raise ResourceLimitError(f"a list of more than {LOOPS} items", token=None)
        parts = value.values() if isinstance(value, dict) else value
        size, most = sum(len(one) if isinstance(one, str) else 8 for one in parts), LONGEST
    elif isinstance(value, int) and abs(value) > LARGEST:
        raise ResourceLimitError("a number beyond all measure", token=None)
    else:
        return 8
    if size > most:
        raise ResourceLimitError(f"a value of more than {most} characters", token=None)
    return size


class Texts:
    """Templates by their text, those of a set of flows or of one request: parsed once, and only read afterwards. `longest`: bytes of a filled-in text."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._environment = Bounded(undefined=StrictDefaultUndefined)
        for name in CLOCK:
            self._environment.filters.pop(name)
        for name in ELSEWHERE:
            self._environment.tags.pop(name)
        self._environment.filters.update(FILTERS)
        self._parsed: dict[str, BoundTemplate] = {}

    def parse(self, text: str) -> Iterator[str]:
        """Parses a text; gives a sentence for each thing wrong with it that can be seen without knowing the flows."""
        if "{" not in text or text in self._parsed:
            return
        try:
            template = self._environment.from_string(text)
            filters = template.analyze(include_partials=False).filters
        except (LiquidError, ValueError, RecursionError) as error:
            yield f"the text is no Liquid: {(str(error) or type(error).__name__).splitlines()[0]}"
            return
        yield from (f"the text uses the filter {name!r}, which there is not" for name in sorted(filters) if name not in self._environment.filters)
        if any(not _countable(one) for one in _expressions(template) if isinstance(one, RangeLiteral)):
            yield f"a range in the text is written with two numbers and has at most {LOOPS} of them, as (1..5)"
        self._parsed[text] = template

    def names(self, text: str) -> tuple[str, ...]:
        """The names that a parsed text asks for, dotted: `profile.name`, `event.cart_id`."""
        if text not in self._parsed:
            return ()
        places = (one for found in self._parsed[text].analyze(include_partials=False).globals.values() for one in found)
        return tuple(dict.fromkeys(".".join(str(part) for part in one.segments[:2]) for one in places))

    def render(self, text: str, known: Mapping[str, Any], zone: tzinfo | None = None) -> str:
        """The text, filled in; `known` has the `language` for filters, moments are told in `zone`. Raises `Unfilled` when a name has no value or a filter
        cannot take it: half a sentence is not sent.
        """
        if "{" not in text:
            return text
        try:
            if (template := self._parsed.get(text)) is None:  # a text of a version of old, which was checked when it was new
                template = self._parsed[text] = self._environment.from_string(text)
            made = LimitedStringIO(limit=self._longest)
            template.render_with_context(Filling(template, known, len(text), zone), made)
        except (LiquidError, ArithmeticError, TypeError, ValueError, LookupError, RecursionError) as error:
            raise Unfilled(str(error).partition("\n")[0]) from error
        return made.getvalue()


def _countable(literal: RangeLiteral) -> bool:
    first, last = literal.start, literal.stop
    return isinstance(first, IntegerLiteral) and isinstance(last, IntegerLiteral) and last.value - first.value < LOOPS


def _expressions(template: BoundTemplate) -> Iterator[Expression]:
    """Every expression in the text, at any depth."""
    context = RenderContext(template)
    nodes = list(template.nodes)
    while nodes:
        node = nodes.pop()
        nodes += node.children(context, include_partials=False)
        expressions = list(node.expressions())
        while expressions:
            expressions += (one := expressions.pop()).children()
            yield one
