"""Whom a browser may speak as: a visitor by our token, a customer by the shop's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from parley.channels.shape import Account
from parley.channels.text import string
from parley.problem import Problem
from parley.service import Context
from parley_ingest.chat import history, tokens
from parley_ingest.chat.deeds import Deeds
from parley_ingest.chat.history import Chat


@dataclass(frozen=True)
class Visitors:
    """The visitors of every account."""

    context: Context
    deeds: Deeds

    def of(self, token: str, account: Account) -> UUID:
        """Whose token it is. Raises 401."""
        try:
            return tokens.visitor(token, account, self.context.clock())
        except tokens.Refused as error:
            raise Problem(401, str(error)) from error

    async def session(self, asked: dict[str, Any], account: Account) -> dict[str, Any]:
        """Who the browser is from now on, by what it has shown: `{token?, customer?}`. Raises 401 for a customer's token that is no good.

        A visitor's token that is none any more is no reason to refuse anybody: they begin as somebody new.
        """
        now, shown = self.context.clock(), string(asked.get("customer"))
        try:
            known = tokens.visitor(string(asked.get("token")) or "", account, now)
        except tokens.Refused:
            known = None
        try:
            customer = tokens.customer(shown, account, now) if shown else None
        except tokens.Refused as error:
            raise Problem(401, str(error)) from error
        visitor = await self._visitor(account, known, customer)
        return {"token": tokens.issued(visitor, account, now), "visitor": str(visitor), "customer": customer.customer if customer else None}

    async def _visitor(self, account: Account, known: UUID | None, shown: tokens.Shown | None) -> UUID:
        """A customer has one conversation on all devices, and nobody else sees it after they have signed out."""
        mine = await history.customer_of(self.context.pool, Chat(account.name, known)) if known else None
        if shown is None:
            return known if known is not None and mine is None else uuid4()
        if known is not None and mine == shown.customer:
            return known
        if not shown.current:
            raise Problem(401, "The customer's token has expired, or has neither `exp` nor a fresh `iat`.")
        return await self._customer(account, known if known is not None and mine is None else uuid4(), shown.customer)

    async def _customer(self, account: Account, visitor: UUID, customer: str) -> UUID:
        """The visitor that the customer is already, else this one from now on. Told before it is kept: what is kept was told."""
        pool, chat = self.context.pool, Chat(account.name, visitor)
        if (found := await history.visitor_of(pool, account.name, customer)) is not None:
            return found
        await self.deeds.identify(account, chat, customer)
        if await history.bind(pool, chat, customer):
            return visitor
        return await history.visitor_of(pool, account.name, customer) or await self._customer(account, uuid4(), customer)
