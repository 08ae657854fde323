"""The outcome for people: a table, and each fault with the story of what it is about. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from parley.demo.customers import Customer
from tests.chaos.playing import Aftermath
from tests.chaos.verdict import Outcome, offences

SHOWN = 20
"""Faults of which the story is told."""
LINES = (
    "kills",
    "customers",
    "messages",
    "lost",
    "twice",
    "sent_after_stop",
    "state_differences",
    "unknown",
    "doubtful",
    "sigkill",
    "restart",
    "in_vain",
    "seconds",
)


def in_words(outcome: Outcome) -> RenderableType:
    """Figures, then faults."""
    figures = outcome.as_json()
    keys = "honours" if outcome.plan.honour_keys else "does not honour"
    shown = Table(title=f"seed {outcome.plan.seed}, the provider {keys} idempotency keys", title_justify="left", box=SIMPLE_HEAD, show_header=False)
    for name in LINES:
        value = figures[name]
        shown.add_row(name.replace("_", " "), ", ".join(f"{key} {one}" for key, one in value.items()) if isinstance(value, dict) else str(value))
    return Group(shown, *(Text(line, style="red" if not line.startswith(" ") else "yellow") for line in faults_told(outcome)))


def faults_told(outcome: Outcome) -> Iterator[str]:
    """Every fault in a line, the first ones with their story in indented lines."""
    customers = {one.contact: one for one in outcome.plan.customers}
    found = [(f"{kind}: {one.what}: {one.reason}", one.what) for kind, one in offences(outcome)]
    found += [(f"state: {one}", one.partition(":")[0]) for one in outcome.differences]
    for place, (sentence, what) in enumerate(found):
        yield sentence
        if place < SHOWN:
            yield from (f"    {line}" for line in story(what, outcome.struck, customers))
    for name, run in (("untouched", outcome.untouched), ("struck", outcome.struck)):
        yield from (f"{name} run: {one}" for one in (run.restless, *run.ended) if one)
        yield from (f"    {name} run, in vain: {one}" for one in run.troubles)


def story(what: str, run: Aftermath, customers: dict[UUID, Customer]) -> Iterator[str]:
    """What is known of a message (`message ID …`) or of a contact (`contact ID`), in order of time."""
    kind, _, rest = what.partition(" ")
    number = rest.partition(" ")[0]
    if kind == "message":
        yield from _of_message(number, run, customers)
    elif kind == "contact":
        yield from _of_contact(UUID(number), run, customers)


def _of_message(reference: str, run: Aftermath, customers: dict[UUID, Customer]) -> Iterator[str]:
    delivery = next((one for number, one in run.evidence.deliveries.items() if str(number) == reference), None)
    if delivery is not None:
        yield f"delivery: {delivery.status} ({delivery.reason}), {delivery.purpose} on {delivery.account}, for {_name(delivery.contact_id, customers)}"
    if (made := run.calls.get(reference)) is not None:
        yield f"sender began {made.begun} calls of {made.parts} requests; their outcomes by number: {dict(made.outcomes)}"
    told = [
        (one.at, f"request {one.n}: {one.verdict}, answered {one.status}, as {one.provider_id}")
        for one in run.evidence.requests
        if one.reference == reference
    ]
    told += [
        (one.at, f"receipt {one.status}, {one.outcome} with {one.http_status} after {one.posts} posts")
        for one in run.evidence.receipts if one.reference == reference
    ]  # fmt: skip
    yield from _timed(told, run)


def _of_contact(contact: UUID, run: Aftermath, customers: dict[UUID, Customer]) -> Iterator[str]:
    customer = customers.get(contact)
    if customer is None:
        return
    yield f"{_name(contact, customers)}, whose script is {' / '.join(str(step) for step in customer.steps)}"
    evidence = run.evidence
    told = [(one.at, f"says {one.text or one.choice}") for one in evidence.said if one.sender == customer.address]
    told += [
        (one.at, f"gets {one.reference}: {one.verdict}: {(one.text or '')[:60]}") for one in evidence.requests if one.recipient == customer.address
    ]
    yield from _timed(told, run)


def _timed(told: list[tuple[float, str]], run: Aftermath) -> Iterator[str]:
    begin = min((one.at for one in run.evidence.said), default=0.0)
    yield from (f"{at - begin:8.3f} s  {what}" for at, what in sorted(told))


def _name(contact: UUID, customers: dict[UUID, Customer]) -> str:
    customer = customers.get(contact)
    return f"customer {customer.id} ({customer.kind}, {customer.channel})" if customer else f"contact {contact}"
