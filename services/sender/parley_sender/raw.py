"""What an operator delivered, as it stands on `parley.raw`: the PDU as it came, and by which connection. Pure."""

from __future__ import annotations

import base64
from datetime import datetime

from parley import wire
from parley.channels import smpp
from parley.channels.shape import Account, Receipt, Received, Request
from parley.contracts import Envelope, RawReceived, Record


def record(pdu: bytes, connection: str, account: Account, now: datetime) -> Record:
    """Keyed by who says it, so that one customer's words and parts of words stay in order. Raises `Malformed`."""
    headers = {smpp.CONNECTION: connection}
    items = smpp.parse(Request(smpp.METHOD, "", headers, pdu), account)
    sender = next((one.address or "" for one in items if isinstance(one, Received)), None)
    if sender is None:
        sender = next((one.provider_id or "" for one in items if isinstance(one, Receipt)), "")
    data = RawReceived(account=account.name, sender=sender, method=smpp.METHOD, headers=headers, body=base64.b64encode(pdu).decode(), received_at=now)
    event = Envelope(
        id=str(wire.natural_id("raw", account.name, connection, data.body)),
        source=f"parley/smpp/{account.name}",
        time=now,
        tenant=account.tenant,
        started_at=now,
        data=data,
    )
    return wire.encode(event)
