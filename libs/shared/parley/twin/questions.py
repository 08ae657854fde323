"""What the twin's providers answer when they are asked what they know of a message: Twilio by its list, the plain provider by our id. Pure.

Questions leave no line in the ledger: nothing comes of them. Source: Twilio docs "Message resource" (read multiple messages).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from parley.twin import signing, twilio
from parley.twin.ledger import Book, Request
from parley.twin.shape import Account, Answer, Call, as_json

PLAIN, TWILIO = "/messages/", "/2010-04-01/"
MOST = 1000
"""Messages on a page of Twilio's list."""
WORDS = {"sent": "sent", "delivered": "delivered", "read": "read", "failed": "undelivered", None: "queued"}


def answer(call: Call, query: Mapping[str, str], accounts: Sequence[Account], book: Book, now: float) -> Answer | None:
    """The answer to a GET; None where it asks for nothing of a provider's."""
    if call.path.startswith(PLAIN):
        return _plain(call, [one for one in accounts if one.provider == "plain"], book, now)
    if call.path.startswith(TWILIO):
        return _twilio(call, query, [one for one in accounts if one.provider == "twilio"], book)
    return None


def _plain(call: Call, accounts: Sequence[Account], book: Book, now: float) -> Answer:
    """By the reference, for the account whose secret signs the question."""
    reference = call.path.removeprefix(PLAIN)
    owners = [one for one in accounts if signing.standard_fault(one.credentials["symmetric"], call.headers, b"", now) is None]
    if not owners:
        return as_json(401, {"code": "unauthorised", "message": "The signature is no account's."})
    known = next((found for one in owners if (found := book.taken.get((one.name, reference)))), None)
    if known is None:
        return as_json(404, {"code": "unknown_message", "message": "No message has this reference."})
    status = book.told.get((known.account or "", known.provider_id or ""), "queued")
    failed = {"code": "unreachable"} if status == "failed" else {}
    return as_json(
        200, {"id": known.provider_id, "reference": reference, "to": known.recipient, "status": status, "segments": known.segments, **failed}
    )


def _twilio(call: Call, query: Mapping[str, str], accounts: Sequence[Account], book: Book) -> Answer:
    """What the account's numbers sent to somebody, the latest first."""
    owners = {one.name: one for one in twilio.owners(call, accounts)}
    if not owners:
        return twilio.refused(20003, "Authenticate", 401)
    size, to, sender = query.get("PageSize", "50"), query.get("To", ""), query.get("From")
    every = [one for one in reversed(book.inboxes.get(to.removeprefix("whatsapp:"), ())) if one.account in owners]
    fitting = [one for one in every if sender is None or twilio.address(owners[one.account or ""]) == sender]
    listed = fitting[: min(int(size), MOST) if size.isdigit() else 50]
    more = f"{call.path}?Page=1" if len(listed) < len(fitting) else None
    return as_json(200, {"messages": [_listed(one, owners[one.account or ""], book) for one in listed], "page": 0, "next_page_uri": more})


def _listed(one: Request, account: Account, book: Book) -> dict[str, Any]:
    told = book.told.get((one.account or "", one.provider_id or ""))
    at = format_datetime(datetime.fromtimestamp(int(one.at), UTC))
    prefix = "whatsapp:" if account.channel == "whatsapp" else ""
    return {
        "sid": one.provider_id, "account_sid": account.credentials["account_sid"], "to": prefix + (one.recipient or ""), "from": prefix + account.sender,
        "body": one.text or "", "status": WORDS[told], "direction": "outbound-api", "date_created": at, "date_updated": at,
        "num_segments": str(one.segments), "num_media": str(len(one.media)), "price": None, "price_unit": "USD",
        "error_code": int(twilio.UNREACHABLE) if told == "failed" else None, "messaging_service_sid": None,
    }  # fmt: skip
