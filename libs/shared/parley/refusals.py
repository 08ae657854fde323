"""What a broker answers to who makes topics, in words for whoever can help. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

EXISTS = 36
"""Kafka's number for a topic that is there already: no fault, two replicas make them at the same time."""
MADE_BY_HAND = "or make what is missing yourself, as docs/operating.md says (Topics)"
AUTHORISED = "Allow the user of PARLEY_KAFKA_USER to create and to describe topics with the prefix PARLEY_PREFIX"
AGAIN = "It is tried again"
KNOWN = {
    7: ("REQUEST_TIMED_OUT", AGAIN),
    17: ("INVALID_TOPIC_EXCEPTION", "Set PARLEY_PREFIX to letters, digits, '.', '_' and '-'"),
    29: ("TOPIC_AUTHORIZATION_FAILED", AUTHORISED),
    31: ("CLUSTER_AUTHORIZATION_FAILED", AUTHORISED),
    37: ("INVALID_PARTITIONS", "Set PARLEY_PARTITIONS to what the cluster allows"),
    38: ("INVALID_REPLICATION_FACTOR", "Set PARLEY_REPLICATION to no more than there are brokers"),
    39: ("INVALID_REPLICA_ASSIGNMENT", "Set PARLEY_REPLICATION to no more than there are brokers"),
    40: ("INVALID_CONFIG", "Let the cluster take the topic's options"),
    41: ("NOT_CONTROLLER", AGAIN),
    44: ("POLICY_VIOLATION", "Set PARLEY_PARTITIONS and PARLEY_REPLICATION to what the cluster's policy allows"),
    89: ("THROTTLING_QUOTA_EXCEEDED", AGAIN),
}
"""What is wrong, by Kafka's numbers, and what to do about it."""


class Fault(NamedTuple):
    """Why a topic could not be made: Kafka's number, and what the broker said beside it."""

    code: int
    said: str = ""

    def __str__(self) -> str:
        name = KNOWN[self.code][0] if self.code in KNOWN else f"fault {self.code}"
        return f"{name}: {self.said}" if self.said else name


def faults(answers: Iterable[Sequence[Any]]) -> dict[str, Fault]:
    """Of the answers `(topic, number, words)`, or without words from old brokers, those that are faults."""
    return {name: Fault(code, " ".join(filter(None, said))) for name, code, *said in answers if code not in (0, EXISTS)}


def words(found: dict[str, Fault]) -> str:
    """Which topics are missing, why, and what to do; topics with the same fault together."""
    alike: dict[Fault, list[str]] = {}
    for name, fault in sorted(found.items()):
        alike.setdefault(fault, []).append(name)
    return "; ".join(f"{', '.join(names)} cannot be made ({fault}). {_advice(fault)}" for fault, names in alike.items())


def _advice(fault: Fault) -> str:
    return f"{KNOWN[fault.code][1] if fault.code in KNOWN else AGAIN}, {MADE_BY_HAND}"
