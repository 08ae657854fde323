"""The buckets of the lanes that a process drives: each lane's own, and those that several accounts share. Lanes that share one are driven together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from parley.channels.shape import Account
from parley.config import Config, Limit, per, per_second
from parley.database import Connection
from parley_sender import facts
from parley_sender.bucket import Bucket
from parley_sender.handover import Handed
from parley_sender.pace import Pace, Pairs, Recipients

DAY = timedelta(days=1)
Sent = tuple[float, int, str, bool]
"""When, how many units, to whom, and whether we wrote first."""


@dataclass
class Limits:
    """Shared buckets by the name of their limit."""

    config: Config
    _buckets: dict[str, Bucket] = field(default_factory=dict)
    _recipients: dict[str, Recipients] = field(default_factory=dict)
    _resumed: dict[str, str] = field(default_factory=dict)
    """By which hand-over a shared bucket came here last: the first of its lanes brings it."""

    def pace(self, account: Account, now: float, sent: Iterable[Sent] = (), handed: Handed | None = None) -> Pace:
        """The pace of a lane that was just taken over: as it was `handed` over; else with empty buckets, but for what is known to have been `sent` within windows
        of more than a second."""
        lately = list(sent)
        shares = account.shares
        own = Bucket.empty(
            account.rate / shares,
            max(1, account.burst // shares),
            account.per,
            now,
            [(at, units) for at, units, *_ in lately if at > now - account.per],
        )
        limits = {name: self.config.limits[name] for name in account.limits}
        for name, limit in limits.items():
            if handed is None or not self._resume(name, limit, handed):
                self._begin(name, limit, now, lately)
        pace = Pace(
            own,
            [self._buckets[name] for name, limit in limits.items() if limit.recipients is None],
            next((self._recipients[name] for name, limit in limits.items() if limit.recipients is not None), None),
            Pairs(*account.pair) if account.pair is not None else None,
        )
        if handed is not None:
            if handed.own is not None and own.window <= 1:
                own.resume(handed.own, handed.at)
            pace.pause(handed.at + handed.paused)
        return pace

    def handing(self, name: str, pace: Pace, account: Account, now: float) -> Handed:
        """How a lane stands here, for who takes it over; `name`: what the lanes that are handed over together have in common. Of windows of more than a second
        the ledger tells."""
        shared = {one: self._buckets[one] for one in account.limits if one in self._buckets}
        return Handed(
            name,
            now,
            pace.own.state(now) if pace.own.window <= 1 else None,
            {one: bucket.state(now) for one, bucket in shared.items() if bucket.window <= 1},
            max(0.0, pace.paused_until - now),
        )

    def set(self, pace: Pace, account: Account, rate: str | None, now: float) -> None:
        """Another rate for a lane while it runs; None for the one in accounts.yaml."""
        wished = as_wished(account, rate)
        pace.own.set(wished.rate / wished.shares, wished.per, now)

    async def history(self, connection: Connection, account: Account, now: datetime) -> list[tuple[float, int, str, bool]]:
        """What the lane sent within its longest window, where that is more than a second: those before this process may have sent it. Times are epochs."""
        limits = [self.config.limits[name] for name in account.limits]
        spans = [account.per, *(limit.per for limit in limits if limit.recipients is None)]
        longest = max(max(timedelta(seconds=one) for one in spans), DAY if any(limit.recipients for limit in limits) else timedelta(0))
        if longest <= timedelta(seconds=1):
            return []
        return [(at.timestamp(), units, to, first) for at, units, to, first in await facts.sent_lately(connection, account.name, now - longest)]

    def _resume(self, name: str, limit: Limit, handed: Handed) -> bool:
        """Goes on with a shared bucket where the last holder of its lanes left it; not again for each of them."""
        if name not in handed.shared or limit.per > 1:
            return False
        if self._resumed.get(name) != handed.name:
            self._resumed[name] = handed.name
            self._buckets.setdefault(name, Bucket(limit.rate, limit.burst, limit.per)).resume(handed.shared[name], handed.at)
        return True

    def _begin(self, name: str, limit: Limit, now: float, sent: Sequence[Sent]) -> None:
        """A shared bucket holds what all its lanes sent, and is emptied at each takeover of one of them."""
        if limit.recipients is not None:
            recipients = self._recipients.setdefault(name, Recipients(limit.recipients))
            for at, _, address, first in sent:
                if first and at > now - recipients.window:
                    recipients.take(address, at)
            return
        if name not in self._buckets:
            self._buckets[name] = Bucket.empty(limit.rate, limit.burst, limit.per, now)
        bucket = self._buckets[name]
        bucket.full_at = max(bucket.full_at, now + limit.burst / limit.rate)
        bucket.unsaved(now)
        for at, units, *_ in sent if limit.per > 1 else [(now, bucket.most, "", False)]:
            if at > now - limit.per:
                bucket.note(at, units)


def as_wished(account: Account, rate: str | None) -> Account:
    """The account with the rate that people set for it; as it is where they set none."""
    return replace(account, rate=per_second(rate), per=per(rate)) if rate else account


def part_of(account: Account, contact: int) -> str:
    """The lane's part that a contact (the number of its id) keeps to."""
    return account.name if account.shares == 1 else f"{account.name}#{contact % account.shares}"


def parts(account: Account) -> list[str]:
    """The parts of an account's lane."""
    return [account.name] if account.shares == 1 else [f"{account.name}#{number}" for number in range(account.shares)]


def together(accounts: Mapping[str, Account]) -> list[list[str]]:
    """Parts that one process must drive together, because their accounts share a limit; groups and their members in a fixed order."""
    groups: list[tuple[set[str], list[str]]] = []
    for name in sorted(accounts):
        account = accounts[name]
        if not account.limits:
            groups += [(set(), [part]) for part in parts(account)]
            continue
        joined = [group for group in groups if group[0] & set(account.limits)]
        limits, members = set(account.limits).union(*(group[0] for group in joined)), sorted([name, *(one for group in joined for one in group[1])])
        groups = [group for group in groups if group not in joined] + [(limits, members)]
    return sorted(members for _, members in groups)
