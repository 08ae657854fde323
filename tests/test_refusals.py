"""What brokers answer to who makes topics, in words."""

import re
from pathlib import Path

import pytest
from aiokafka.errors import for_code

from parley.bus import RECORD_BYTES
from parley.contracts import COMPACTED
from parley.refusals import EXISTS, KNOWN, Fault, faults, words


def test_made_or_there_is_no_fault():
    """And a broker that is too old for words says numbers alone."""
    assert {"c": Fault(44, "too many"), "d": Fault(7)} == faults([("a", 0, None), ("b", EXISTS, "there"), ("c", 44, "too many"), ("d", 7)])


def test_topics_with_the_same_fault_are_told_of_together():
    """Once why, once what to do."""
    said = words({"b": Fault(44, "at most 3 partitions"), "a": Fault(44, "at most 3 partitions"), "c": Fault(29)})

    assert said.startswith("a, b cannot be made (POLICY_VIOLATION: at most 3 partitions). Set PARLEY_PARTITIONS")
    assert "; c cannot be made (TOPIC_AUTHORIZATION_FAILED). Allow the user of PARLEY_KAFKA_USER" in said
    assert 2 == said.count("docs/operating.md")


def test_what_nobody_foresaw_is_told_by_its_number():
    """It may pass; if it does not, there is a way by hand."""
    assert words({"a": Fault(87, "odd")}).startswith("a cannot be made (fault 87: odd). It is tried again, or make ")


@pytest.mark.parametrize("code", sorted(KNOWN.keys() - {39, 89}))
def test_numbers_are_kafkas(code):
    """As aiokafka names them, too, which calls one otherwise and does not know the last."""
    assert KNOWN[code][0].removesuffix("_EXCEPTION") == for_code(code).message.removesuffix("_EXCEPTION")


def test_what_is_to_be_made_by_hand_is_written_down():
    """Which topics are compacted, and how large a record may be."""
    text = (Path(__file__).parents[1] / "docs" / "operating.md").read_text(encoding="utf-8")
    told = re.search(r"(`parley\..*) have `cleanup.policy=compact`", text)

    assert told and COMPACTED == set(re.findall(r"`([\w.]+)`", told[1]))
    assert f"max.message.bytes={RECORD_BYTES}" in text
