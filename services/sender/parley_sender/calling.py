"""From a claimed message to its outcome: token, requests, and an end in any case."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from parley.channels.shape import Account, Outgoing
from parley.failures import Outcome
from parley.service import Context
from parley_sender.call import Calls, fault
from parley_sender.claims import Claimed
from parley_sender.links import base_of, unsubscription
from parley_sender.outcome import kept, of_parts


@dataclass(frozen=True)
class Calling:
    """The calls of one account."""

    account: Account
    context: Context
    clients: Calls

    async def surely(self, one: Claimed, at: datetime) -> tuple[int, Outcome]:
        """How many parts of the message the provider has, and the outcome. A fault that nobody foresaw is an end too, a doubtful one: a call without an end
        would keep its contact waiting for ever."""
        try:
            done, outcome = await self._deliver(one, at)
            return done, kept(outcome)
        except Exception as error:
            return one.parts_done, fault("unknown", self.account, one.message_id, error)

    async def _deliver(self, one: Claimed, at: datetime) -> tuple[int, Outcome]:
        """Makes the calls of a message."""
        token = await self.clients.token(self.account, at, one.message_id)
        if isinstance(token, Outcome):
            return one.parts_done, token
        message = Outgoing(
            one.message_id, one.address, one.content, at, self.account.public_url, token, self._unsubscribe_url(one), valid_for=_valid_for(one, at)
        )
        done, outcomes = await self.clients.deliver(message, self.account, one.parts_done)
        if token is not None and outcomes[-1].scope == "account":
            self.clients.forget(self.account)
        return done, of_parts(outcomes)

    def _unsubscribe_url(self, one: Claimed) -> str | None:
        """Where one click takes the person off marketing: the address whose code was minted when the message was queued."""
        settings = self.context.settings
        code = unsubscription(one.purpose, self.account.channel, one.message_id, settings.secret.get_secret_value().encode())
        return f"{base_of(self.context.config.tenants.get(one.tenant), settings.links)}/u/{code}" if code else None


def _valid_for(one: Claimed, at: datetime) -> timedelta | None:
    """How long the provider shall try: until the message expires, or another channel tells the same."""
    ends = [one.expires_at - at] if one.expires_at is not None else []
    ends += [timedelta(seconds=one.fallback_after)] if one.fallback_after is not None else []
    return max(timedelta(seconds=1), min(ends)) if ends else None
