"""Binds at operators: one for each lane that this process drives and that speaks SMPP, made again whenever it breaks."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from parley.channels import smpp, smpp_link
from parley.channels.shape import Account, HttpRequest, Response
from parley.failures import Outcome
from parley.service import Context
from parley_sender.smpp_session import Gone, Refused, Session

log = structlog.get_logger()

CONNECT = 10.0
PAUSES = (0.25, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before the next try to bind; after a bind that lasted, from the beginning."""
REFUSED_PAUSE = 30.0
"""Seconds after which a bind with refused credentials is tried again: operators lock accounts that knock too often."""
LASTED = 10.0


@dataclass
class Bind:
    """One account's bind. `run` holds it; `submit` goes over it."""

    account: Account
    context: Context
    session: Session | None = None
    """The connection, while it is bound."""

    def __post_init__(self) -> None:
        self._stands(None)

    async def submit(self, request: HttpRequest, within: float, leaves: Callable[[bool], object] | None) -> Outcome:
        """What one submit_sm comes to, under the id by which receipts find it. Raises what `leaves` raises, when it is about to be written."""
        if self.session is None:
            return Outcome("transient", "unreachable", "not bound")
        response = await self.session.submit(request.body, within, leaves)
        outcome = smpp.interpret(response) if isinstance(response, Response) else response
        return replace(outcome, provider_id=smpp_link.answered_id(outcome.provider_id, self.account))

    async def run(self) -> None:
        """Binds, and binds again with growing pauses, until cancelled; then unbinds."""
        pauses, loop = iter(PAUSES), asyncio.get_running_loop()
        while True:
            since, pause = loop.time(), REFUSED_PAUSE
            try:
                await self._hold()
            except Refused as refused:
                log.error("the operator refuses the bind", lane=self.account.name, status=str(refused), again_in=pause)
            except Exception as error:
                if loop.time() - since >= LASTED:
                    pauses = iter(PAUSES)
                pause = next(pauses, PAUSES[-1])
                unforeseen = None if isinstance(error, Gone | OSError | ValueError) else error
                log.warning("no bind", lane=self.account.name, cause=f"{type(error).__name__}: {error}", again_in=pause, exc_info=unforeseen)
            await asyncio.sleep(pause)

    async def _hold(self) -> None:
        """One connection's life. Raises what ended it."""
        where = smpp_link.link(self.account.base_url)
        async with asyncio.timeout(CONNECT):
            reader, writer = await asyncio.open_connection(where.host, where.port, ssl=ssl.create_default_context() if where.tls else None)
        session = Session(self.account, self.context, reader, writer, where)
        try:
            await session.bind()
            log.info("bound", lane=self.account.name, connection=session.name)
            self._stands(session)
            await session.serve()
        finally:
            self._stands(None)
            await session.end()

    def _stands(self, session: Session | None) -> None:
        self.session = session
        self.context.metrics.smpp_bound.labels(self.account.name).set(session is not None)


@dataclass
class Binds:
    """The binds of a process, by account. They outlive a lost database, as calls do, and end when somebody else has the lane."""

    context: Context
    within: float
    """Seconds until a submit_sm without an answer is given up."""
    _held: dict[str, tuple[Bind, asyncio.Task[None]]] = field(default_factory=dict)

    def take(self, account: Account) -> None:
        """Begins to hold the account's bind, where it has one and nobody here holds it yet."""
        if account.provider == "smpp" and account.name not in self._held:
            bind = Bind(account, self.context)
            self._held[account.name] = bind, asyncio.create_task(bind.run())

    def ready(self, account: Account) -> bool:
        """Whether a message of the account could leave now; always where no bind is needed."""
        return account.provider != "smpp" or (account.name in self._held and self._held[account.name][0].session is not None)

    async def submit(self, request: HttpRequest, account: Account, leaves: Callable[[bool], object] | None = None) -> Outcome:
        if account.name not in self._held:
            return Outcome("transient", "unreachable", "not bound")
        return await self._held[account.name][0].submit(request, self.within, leaves)

    async def leave(self, name: str) -> None:
        """Unbinds, where there is a bind."""
        if name in self._held:
            _, task = self._held.pop(name)
            task.cancel()
            await asyncio.wait([task])

    async def end(self) -> None:
        await asyncio.gather(*(self.leave(name) for name in list(self._held)))
