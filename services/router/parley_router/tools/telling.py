"""What a comparison, or messages that were not understood, look like on a screen. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table

from parley.contracts import MessageMisunderstood
from parley_router.tools.comparing import Comparison, Line


def differences(found: Comparison, most: int) -> Table:
    """The first conversations that differ: when, whose, what happened, and what both say."""
    made = Table("when", "contact", "what happened", "says", "would say", box=box.SIMPLE_HEAD, show_lines=True)
    for one in found.differences[:most]:
        made.add_row(f"{one.at:%Y-%m-%d %H:%M}", str(one.contact)[:8], one.cause, _lines(one.first), _lines(one.second))
    return made


def _lines(lines: Sequence[Line]) -> str:
    return "\n".join(f"{one.at:%H:%M} {one.shown}" for one in lines) or "-"


def totals(found: Comparison) -> Table:
    """How many conversations differ, by flow."""
    made = Table("flow", "conversations that differ", box=box.SIMPLE_HEAD)
    counts = Counter(one.flow or "(none)" for one in found.differences)
    for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        made.add_row(name, str(count))
    return made


def summary(found: Comparison) -> str:
    """In a sentence."""
    left = f"; {len(found.left_out)} contacts could not be compared to their end" if found.left_out else ""
    return f"{found.contacts} contacts, {found.events} events: {len(found.differences)} conversations would go otherwise{left}"


def misunderstood(found: Iterable[MessageMisunderstood]) -> Table:
    """The messages, how often each came, what it could have meant, and what customers chose."""
    made = Table("times", "language", "message", "could mean", "chosen", box=box.SIMPLE_HEAD)
    rows: dict[tuple[str, str], list[MessageMisunderstood]] = {}
    for one in found:
        rows.setdefault((one.language, one.text.strip().casefold()), []).append(one)
    for (language, _), same in sorted(rows.items(), key=lambda item: -len(item[1])):
        guesses = Counter(name for one in same for name in one.suggestions)
        chosen = Counter(one.chosen for one in same if one.chosen)
        made.add_row(
            str(len(same)), language, same[-1].text, ", ".join(guesses), ", ".join(f"{name} {count}" for name, count in chosen.most_common())
        )
    return made
