"""The summary of a run: its figures and the audit's verdict, for people and for scripts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from parley.demo.audit import Offence, Verdict
from parley.demo.figures import Row

LINES = (
    ("received", "received"), ("answered", "answered"), ("escalated", "escalated"), ("sent", "sent"), ("delivered", "delivered"), ("read", "read"),
    ("clicked", "clicked"), ("converted", "converted"), ("opted_out", "opted out"), ("unknown", "unknown"), ("queue", "queue"), ("p50_ms", "p50 ms"),
    ("p99_ms", "p99 ms"),
)  # fmt: skip
"""The figures of the table, each with its name for people."""
SHOWN = 20
"""Offences of a kind that are printed; there may be thousands, and the first tell enough."""


@dataclass(frozen=True)
class Summary:
    """What came of it all. `restless`: why it did not come to rest; then figures and verdict are of something that still moved."""

    customers: int
    totals: Row
    verdict: Verdict
    restless: str | None
    troubles: Sequence[str]
    seconds: float

    @property
    def good(self) -> bool:
        return self.verdict.clean and self.restless is None

    def as_json(self) -> dict[str, Any]:
        """The figures under the names that scripts read."""
        counted = asdict(self.totals)
        del counted["queue"]
        return {
            "customers": self.customers, **counted, "lost": len(self.verdict.lost), "sent_twice": len(self.verdict.sent_twice),
            "sent_after_stop": len(self.verdict.sent_after_stop), "unknown": len(self.verdict.unknown), "in_vain": len(self.troubles),
            "at_rest": self.restless is None, "seconds": round(self.seconds, 1),
        }  # fmt: skip


def table(rows: Mapping[str, Row], totals: Row, title: str) -> Table:
    """The figures, a column a channel and one for all: it fits every terminal."""
    shown = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    shown.add_column("")
    for name in (*rows, "all"):
        shown.add_column(name, justify="right", min_width=9)
    for name, heading in LINES:
        shown.add_row(heading, *(_cell(getattr(row, name)) for row in (*rows.values(), totals)))
    return shown


def in_words(summary: Summary, rows: Mapping[str, Row]) -> RenderableType:
    """The end of a run, for people: the table, the three that must be 0, and every fault in a sentence."""
    verdict = summary.verdict
    parts: list[RenderableType] = [table(rows, summary.totals, f"{summary.customers} customers in {summary.seconds:.0f} s")]
    for name, found in (("lost", verdict.lost), ("sent twice", verdict.sent_twice), ("sent after STOP", verdict.sent_after_stop)):
        parts += _offences(name, found)
    parts.append(Text(f"{len(verdict.unknown):>5}  unknown (no answer from the provider; not sent again by itself)"))
    parts += [Text(f"        {one}", style="yellow") for one in summary.troubles[:SHOWN]]
    if summary.restless is not None:
        parts.append(Text(summary.restless, style="bold red"))
    parts.append(Text("from a customer's webhook to the provider's door: " + _latency(summary.totals)))
    return Group(*parts)


def _offences(name: str, found: Sequence[Offence]) -> list[RenderableType]:
    heading = Text(f"{len(found):>5}  {name}", style="bold red" if found else "bold green")
    more = [Text(f"        and {len(found) - SHOWN} more", style="red")] if len(found) > SHOWN else []
    return [heading, *(Text(f"        {one.what}: {one.reason}", style="red") for one in found[:SHOWN]), *more]


def _latency(row: Row) -> str:
    return f"p50 {row.p50_ms:.0f} ms, p99 {row.p99_ms:.0f} ms" if row.p50_ms is not None and row.p99_ms is not None else "nothing was answered"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
