"""What came of a run with faults, beside the untouched one: the audit, the calls in doubt, the states. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parley.demo import audit
from parley.demo.audit import LEFT, Offence, Verdict
from parley.demo.evidence import Evidence
from parley.twin.ledger import Request
from tests.chaos.playing import Aftermath, Calls, Plan


@dataclass(frozen=True)
class Doubts:
    """Messages with a call of which sender could not know what came of it: they end as `unknown`, or settled (by a receipt, by the answer to a
    repeat under the same key), or `uncounted`, which is a fault. `resent`: called for again without a key that the provider knows."""

    unknown: Sequence[str]
    settled: Sequence[str]
    uncounted: Sequence[Offence]
    resent: Sequence[Offence]


@dataclass(frozen=True)
class Outcome:
    """Everything that is asked of a run."""

    plan: Plan
    untouched: Aftermath
    struck: Aftermath
    audit: Verdict
    doubts: Doubts
    differences: Sequence[str]
    unclean: Sequence[Offence]
    """What the audit finds in the untouched run: then nothing can be said of the other."""

    @property
    def good(self) -> bool:
        uncounted = () if self.plan.honour_keys else (*self.doubts.uncounted, *self.doubts.resent)
        ran = self.untouched.restless is None and self.struck.restless is None and not self.struck.ended
        return ran and self.audit.clean and not (self.differences or self.unclean or uncounted)

    def as_json(self) -> dict[str, Any]:
        doubts, struck = self.doubts, self.struck
        return {
            "lost": len(self.audit.lost), "twice": len(self.audit.sent_twice), "unknown": len(self.audit.unknown),
            "sent_after_stop": len(self.audit.sent_after_stop), "state_differences": len(self.differences), "kills": len(struck.struck),
            "seed": self.plan.seed, "honour_keys": self.plan.honour_keys, "customers": len(self.plan.customers),
            "messages": len(struck.evidence.deliveries), "sigkill": _by_process(struck, True), "restart": _by_process(struck, False),
            "doubtful": {
                "messages": len(doubts.unknown) + len(doubts.settled) + len(doubts.uncounted), "unknown": len(doubts.unknown),
                "settled": len(doubts.settled), "uncounted": len(doubts.uncounted), "resent": len(doubts.resent),
            },
            "in_vain": len(struck.troubles), "ended_by_themselves": len(struck.ended), "at_rest": struck.restless is None,
            "untouched_clean": not self.unclean and self.untouched.restless is None,
            "seconds": round(struck.seconds, 1), "untouched_seconds": round(self.untouched.seconds, 1), "good": self.good,
        }  # fmt: skip


def judge(plan: Plan, untouched: Aftermath, struck: Aftermath) -> Outcome:
    """The untouched run and the one with faults, side by side."""
    clean = audit.judge(untouched.evidence)
    return Outcome(
        plan, untouched, struck, audit.judge(struck.evidence), doubts(struck.evidence, struck.calls, plan.honour_keys),
        audit.state_differences(untouched.states, struck.states), [*clean.lost, *clean.sent_twice, *clean.sent_after_stop],
    )  # fmt: skip


def doubts(evidence: Evidence, calls: Mapping[str, Calls], honour_keys: bool) -> Doubts:
    """Every message with a call in doubt: by the ledger no answer left the provider, or sender was killed before it saw the call's end.

    Settled is what a receipt or an answer proves. Without keys a doubtful message must not be called for again, whatever its status says.
    """
    requests = _requests(evidence.requests)
    told = {one.reference for one in evidence.receipts if one.outcome == "acknowledged"}
    unknown, settled, uncounted, resent = list[str](), list[str](), list[Offence](), list[Offence]()
    for number, delivery in sorted(evidence.deliveries.items()):
        reference = str(number)
        arrived, made = requests.get(reference, []), calls.get(reference, Calls())
        if len(arrived) > made.begun * made.parts:
            uncounted.append(Offence(f"message {reference}", f"the provider got {len(arrived)} requests, sender has begun {made.begun} calls"))
        if (after := calls_after_doubt(arrived, made)) is None:
            continue
        if delivery.status == "unknown":
            unknown.append(reference)
        elif delivery.status in LEFT | {"failed"} and (honour_keys or reference in told):
            settled.append(reference)
        else:
            uncounted.append(Offence(f"message {reference}", f"a call for it is in doubt, and its delivery says {delivery.status} without a proof"))
        if after and not honour_keys:
            resent.append(Offence(f"message {reference}", f"{after} more calls came after one whose end nobody could know"))
    return Doubts(unknown, settled, uncounted, resent)


def calls_after_doubt(arrived: Sequence[Request], made: Calls) -> int | None:
    """How many calls came after the first one in doubt; None where none is in doubt."""
    unseen = next((number for number in range(1, made.begun + 1) if number not in made.outcomes), None)
    unanswered = next((place for place, one in enumerate(arrived) if _unanswered(one)), None)
    found = [made.begun - unseen] if unseen is not None else []
    found += [len(arrived) - unanswered - 1] if unanswered is not None else []
    return max(found, default=None)


def _requests(requests: Sequence[Request]) -> dict[str, list[Request]]:
    """The provider's requests by message, in the order of their arrival; those that it refused unread are of no message."""
    found: dict[str, list[Request]] = {}
    for one in sorted(requests, key=lambda one: one.n):
        if one.reference is not None:
            found.setdefault(one.reference, []).append(one)
    return found


def _unanswered(request: Request) -> bool:
    """Taken or not, no answer left: what we know is that we know nothing."""
    return request.verdict == "hung" or (request.verdict == "failed" and request.status is None)


def _by_process(aftermath: Aftermath, kill: bool) -> dict[str, int]:
    return dict(sorted(Counter(one.process for one in aftermath.struck if one.kill is kill).items()))


def offences(outcome: Outcome) -> Iterator[tuple[str, Offence]]:
    """All faults of the run, each with the name of its kind."""
    kinds = {
        "untouched run": outcome.unclean, "lost": outcome.audit.lost, "twice": outcome.audit.sent_twice,
        "sent after stop": outcome.audit.sent_after_stop, "uncounted": outcome.doubts.uncounted, "resent in doubt": outcome.doubts.resent,
    }  # fmt: skip
    for kind, found in kinds.items():
        yield from ((kind, one) for one in found)
