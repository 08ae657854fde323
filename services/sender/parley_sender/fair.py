"""Fair turns: round robin by deficit (Shreedhar and Varghese, 1995) as FQ-CoDel does it (RFC 8290, 4.2: who comes new has the first turn). Values, no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

QUANTUM = 4
"""Units of a turn. By so much may who comes new be ahead, which lets whoever has little pass whoever has much."""

KEPT = 64


class Front(Enum):
    """What stands at the front of a key."""

    THERE = "there"
    UNREAD = "unread"
    """There may be more, and nobody has read it yet: the key keeps its turn for it."""
    NONE = "none"


@dataclass(slots=True)
class Fair(Generic[K]):
    """Whoever has something gets as many units as everybody else who has, over any time, give or take a turn and one message. Who comes new has the first turn,
    and no second one before everybody had theirs, so nobody gains by coming and going.

    A turn ends with the message that uses it up; what it took too much counts against the next.
    """

    fresh: deque[K] = field(default_factory=deque)
    """Those in their first turn."""
    order: deque[K] = field(default_factory=deque)
    deficit: dict[K, int] = field(default_factory=dict)
    """Units that are left of each one's turn; less than none where it took too much."""

    def join(self, key: K) -> None:
        """The key has something."""
        if key not in self.deficit:
            self.deficit[key] = QUANTUM
            self.fresh.append(key)

    def peek(self, front: Callable[[K], Front]) -> K | None:
        """Whose turn it is; until somebody pays, the same. Who has nothing is forgotten after a turn that it had whole and did not use."""
        unread = 0
        while unread < len(self.deficit):
            turn = self.fresh or self.order
            key, found, left = turn[0], front(turn[0]), self.deficit[turn[0]]
            if found is Front.THERE and left > 0:
                return key
            turn.popleft()
            if found is Front.NONE and left == QUANTUM:
                del self.deficit[key]
                continue
            if found is Front.NONE or left <= 0:
                self.deficit[key] = min(left + QUANTUM, QUANTUM)
            self.order.append(key)
            unread = unread + 1 if found is Front.UNREAD else 0
        return None

    def pay(self, key: K, cost: int) -> None:
        self.deficit[key] -= cost


@dataclass(slots=True)
class Tags(Generic[K]):
    """The order in which what is taken already leaves: start-time fair queueing (Goyal, Vin and Cheng, 1996). What has the smallest tag is next, of equal ones
    the first; so who comes while another has much in hand does not wait for all of that, but has half of what leaves from now on, and its first turn at once."""

    reached: int = 0
    """The largest tag of what has left."""
    next: dict[K, int] = field(default_factory=dict)
    """By key the tag of what comes next; kept until it says nothing any more, so that nobody gains by coming and going here either."""
    held: dict[K, int] = field(default_factory=dict)
    """Units in hand."""
    most: int = KEPT
    """Keys from which on `next` is cleaned."""

    def enter(self, key: K, cost: int) -> int:
        """The tag of the key's next message."""
        first = self.reached + 1 - QUANTUM
        tag = max(self.next.get(key, first), first)
        self.next[key], self.held[key] = tag + cost, self.held.get(key, 0) + cost
        return tag

    def leave(self, key: K, cost: int, tag: int) -> None:
        """A message is in hand no more."""
        self.reached = max(self.reached, tag)
        self.held[key] -= cost
        if self.held[key] <= 0:
            del self.held[key]
        if len(self.next) > self.most:
            self.next = {one: at for one, at in self.next.items() if one in self.held or at > self.reached + 1 - QUANTUM}
            self.most = KEPT + 2 * len(self.next)
