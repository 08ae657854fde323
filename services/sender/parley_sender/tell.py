"""From changes of deliveries to records for the bus. The same change has the same ids, however often it is told. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from parley.contracts import ConsentState, Data, DeliveryChanged, DeliveryStatus, OptedOut, Purpose, Record
from parley.wire import caused_id, record_of
from parley_sender.ledger import Changed


def records(changes: Iterable[Changed], now: datetime) -> list[Record]:
    """A `DeliveryChanged` for each change; where a provider refused because of an opt-out, also that, for the router."""
    at = now.isoformat()
    return [_record(change, data, place, at) for change in changes for place, data in enumerate(_said(change))]


def _said(change: Changed) -> Iterator[Data]:
    row = change.row
    yield DeliveryChanged(
        contact_id=row["contact_id"], message_id=row["message_id"], channel=row["channel"], account=row["lane"], purpose=row["purpose"],
        campaign=row["campaign"], variant=row["variant"], status=change.status, reason=change.reason, attempt=change.attempt,
        segments=row["segments"], provider_id=change.provider_id, price=change.price, currency=change.currency,
        instead_of=row["instead_of"], flow=row["flow"], step=row["step"], language=row["language"], at=change.at,
    )  # fmt: skip
    if change.status is DeliveryStatus.FAILED and change.reason == "opted_out":
        yield OptedOut(
            contact_id=row["contact_id"], account=row["lane"], channel=row["channel"], address=row["address"], state=ConsentState.REVOKED,
            purposes=_purposes(Purpose(row["purpose"])), at=change.at,
        )  # fmt: skip


def _name(change: Changed) -> str:
    """What tells this change from others of its message: a message is held for one reason after another."""
    held = f":{change.reason}" if change.status is DeliveryStatus.HELD else ""
    return f"{change.row['message_id']}:{change.attempt}:{change.status}{held}"


def _purposes(refused: Purpose) -> Sequence[Purpose]:
    """A refusal of marketing (Meta's 131050) may concern marketing alone; any other means that nothing is wanted."""
    return (Purpose.MARKETING,) if refused is Purpose.MARKETING else tuple(Purpose)


def _record(change: Changed, data: Data, place: int, now: str) -> Record:
    row = change.row
    return record_of(
        data, str(caused_id(_name(change), place)), "parley/sender", now, row["tenant"], subject=str(row["contact_id"]), started_at=row["started_at"]
    )
