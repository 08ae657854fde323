"""Whose turn it is: replies before transactional before marketing, with a floor for the last, and one message of a contact at a time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from uuid import UUID

from parley.contracts import Purpose
from parley_sender.gate import Candidate

FLOOR = 0.1
"""Of what leaves while marketing waits, this share is marketing, however many replies there are."""


def line(waiting: Mapping[Purpose, Iterable[Candidate]], owed: float) -> Iterator[tuple[Candidate, float]]:
    """The candidates in the order in which they may leave, each with what marketing is owed after it.

    `owed` grows by the floor with each message that passes marketing while it waits; at 1 a marketing message goes first. It outlives the call, so
    that the floor holds at any rate.
    """
    others = chain(waiting.get(Purpose.REPLY, ()), waiting.get(Purpose.TRANSACTIONAL, ()))
    marketing = iter(waiting.get(Purpose.MARKETING, ()))
    next_marketing, next_other = next(marketing, None), next(others, None)
    busy: set[UUID] = set()
    while next_marketing is not None or next_other is not None:
        if next_other is None or (next_marketing is not None and owed >= 1):
            assert next_marketing is not None
            one, next_marketing = next_marketing, next(marketing, None)
            gained = -1.0 if owed >= 1 else 0.0
        else:
            one, next_other = next_other, next(others, None)
            gained = FLOOR if next_marketing is not None else 0.0
        if one.contact_id in busy:
            continue
        busy.add(one.contact_id)
        owed = max(0.0, owed + gained)
        yield one, owed
