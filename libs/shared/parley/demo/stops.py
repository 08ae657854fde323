"""Who was told that they are out and got a message all the same: the customers' own words against what the provider took. Pure.

An address is out on a channel from the moment at which the answer to its STOP reached the provider, and for a purpose two seconds after sender knew
of a refusal, whichever is earlier; it is in again when it says START. The answers that the law asks for do not count as messages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from uuid import UUID

from parley.demo.evidence import Consent, Delivery, Evidence
from parley.demo.witness import caused
from parley.optwords import wish
from parley.twin.ledger import TAKEN, Request, Said

SETTLING = 2.0
"""Seconds after sender knew of a refusal: a call that was under way may still arrive."""


@dataclass(frozen=True, slots=True)
class Out:
    """Nothing may arrive between these two moments, except where `purpose` is set: then nothing for that purpose."""

    start: float
    end: float
    purpose: str | None
    why: str


Line = tuple[str, str]
"""Channel and address."""


def broken(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Each message that the provider took for somebody who was out: what it is, and why it should not have left."""
    taken = sorted((one for one in evidence.requests if one.verdict in TAKEN and one.account in evidence.accounts), key=lambda one: one.at)
    periods = outs(evidence, taken)
    for request in taken:
        delivery = _delivery(evidence, request)
        if delivery is not None and delivery.notice is not None:
            continue
        for out in periods.get(_line(evidence, request.account, request.recipient), ()):
            if out.start < request.at < out.end and (out.purpose is None or (delivery is not None and delivery.purpose == out.purpose)):
                yield f"message {request.reference} on {request.account}", f"it arrived {request.at - out.start:.3f} s after {out.why}"
                break


def outs(evidence: Evidence, taken: Sequence[Request]) -> dict[Line, list[Out]]:
    """The periods in which an address was out, by channel and address."""
    found: dict[Line, list[Out]] = defaultdict(list)
    starts = _starts(evidence)
    stopped = _stopped(evidence)
    for request in taken:
        delivery = _delivery(evidence, request)
        if delivery is not None and delivery.notice == "opted_out":
            line, said = _line(evidence, request.account, request.recipient), stopped.get(request.reference or "", request.at)
            found[line].append(Out(request.at, _in_again(starts[line], said), None, "it was told that it is out"))
    for line, consent in _refusals(evidence):
        known, why = consent.recorded_at.timestamp(), f"sender had known its refusal for {SETTLING:.0f} s"
        found[line].append(Out(known + SETTLING, _in_again(starts[line], known), consent.purpose, why))
    return found


def _refusals(evidence: Evidence) -> Iterator[tuple[Line, Consent]]:
    """The refusals that stand, for every address of the contact."""
    addresses: dict[UUID, list[str]] = defaultdict(list)
    for (_, address), contact in evidence.contacts.items():
        addresses[contact].append(address)
    for consent in evidence.consents:
        if consent.state == "revoked":
            yield from (((consent.channel, address), consent) for address in addresses[consent.contact_id])


def _stopped(evidence: Evidence) -> dict[str, float]:
    """When the STOP was said that a message answers, by the ids that its answer can have."""
    stops = [one for one in evidence.said if _wish(one) == "opt_out"]
    return {number: one.at for one in stops for number in caused(one.account, one.provider_id)}


def _starts(evidence: Evidence) -> dict[Line, list[float]]:
    """When each address said START."""
    found: dict[Line, list[float]] = defaultdict(list)
    for one in evidence.said:
        if _wish(one) == "opt_in":
            found[_line(evidence, one.account, one.sender)].append(one.at)
    return found


def _wish(said: Said) -> str | None:
    return wish(said.text if said.text is not None else (said.choice or {}).get("title"))


def _in_again(starts: Sequence[float], since: float) -> float:
    """When START was said after `since`; never is infinity."""
    return min((at for at in starts if at > since), default=inf)


def _line(evidence: Evidence, account: str | None, address: str | None) -> Line:
    return evidence.accounts[account or ""][1], address or ""


def _delivery(evidence: Evidence, request: Request) -> Delivery | None:
    try:
        return evidence.deliveries.get(UUID(request.reference or ""))
    except ValueError:
        return None
