"""A connection to an operator: what it delivers is answered once it is on the bus, never before, so whatever a crash cuts off comes again. What we submit
has an answer, or is `unknown` when the connection breaks between; what was never written is known to be unsent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import structlog

from parley.bus import BusUnavailable
from parley.channels import smpp
from parley.channels import smpp_pdu as wire
from parley.channels.shape import Account, Malformed, Response
from parley.channels.smpp_link import Link
from parley.channels.smpp_pdu import Pdu
from parley.failures import Outcome
from parley.service import Context
from parley_sender.raw import record

log = structlog.get_logger()

LATER = 0x64
"""The command status that asks for a delivery again, later (temporary application error): the fault is ours, and its like must not end every bind."""
ANSWER = 10.0
"""Seconds for the answer to a bind, an enquire_link or an unbind."""
QUIET = 30.0
"""Seconds of silence after which the operator is asked whether it is still there."""
RESENT = 5.0
"""Seconds after which the same octets are the operator's repeat of what we have not answered yet; sooner, the customer said it twice."""
PUBLISH = 10.0
AGAIN = 0.5
AT_ONCE = 500
"""Deliveries that go to the bus in one publish; as many again may wait before nothing more is read."""


class Gone(Exception):
    """The connection is over: why."""


class Refused(Exception):
    """The operator does not let us in: its command_status."""


@dataclass
class Session:
    """A connection to an operator, from the bind to its end."""

    account: Account
    context: Context
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    link: Link
    name: str = field(default_factory=lambda: uuid4().hex)
    _sequence: int = 0
    _asked: dict[int, asyncio.Future[Pdu]] = field(default_factory=dict)
    """Our requests without an answer, by sequence number."""
    _room: asyncio.Semaphore = field(init=False)
    _deliveries: asyncio.Queue[Pdu] = field(default_factory=lambda: asyncio.Queue(AT_ONCE))
    _unanswered: dict[bytes, tuple[float, list[Pdu]]] = field(default_factory=dict)
    """Deliveries on their way to the bus, by their octets, with their repeats: since when, and all that wait for the answer."""
    _head: bytes = b""
    """The beginning of a PDU whose rest has not come."""
    _heard_at: float = 0.0
    _over: str | None = None

    def __post_init__(self) -> None:
        self._room = asyncio.Semaphore(self.link.window)

    async def bind(self) -> None:
        """Raises `Refused` or `Gone`."""
        request = wire.bind(self.account.secret("system_id"), self.account.secret("password"), self.link.system_type)
        self._write(wire.numbered(request, self._next()))
        async with asyncio.timeout(ANSWER):
            answer = await self._read()
        if answer.status in smpp.ACCOUNT:
            raise Refused(f"0x{answer.status:08X}")
        if answer.command != wire.BIND_TRANSCEIVER | wire.RESPONSE or answer.status != wire.OK:
            raise Gone(f"the bind was answered by command 0x{answer.command:08X}, status 0x{answer.status:08X}")

    async def serve(self) -> None:
        """Until the connection is over: raises why."""
        tasks = [asyncio.create_task(one) for one in (self._listen(), self._publish(), self._keep_alive())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        except Exception as error:
            self._over = f"{type(error).__name__}: {error}"
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def submit(self, request: bytes, within: float, leaves: Callable[[bool], object] | None = None) -> Response | Outcome:
        """The answer to a submit_sm: within the window, one request after another. `leaves` is asked when it is about to be written."""
        try:
            async with asyncio.timeout(within):
                await self._room.acquire()
        except TimeoutError:
            return Outcome("transient", "unreachable", "the window stayed full")
        try:
            if self._over is not None or self.writer.is_closing():
                return Outcome("transient", "unreachable", self._over or "closing")
            if leaves is not None:
                leaves(False)
            async with asyncio.timeout(within):
                return Response(200, {}, (await self._ask(request)).wire)
        except (TimeoutError, OSError, Gone) as error:
            return Outcome("unknown", None, f"{type(error).__name__}: {error}")
        finally:
            self._room.release()

    async def end(self) -> None:
        """Answers what has come, unbinds where the operator still listens, and closes. Whatever waits for an answer learns that there will be none."""
        if self._over is None:
            self._over = "unbound"
            with contextlib.suppress(TimeoutError, OSError, Gone, Malformed, BusUnavailable):
                async with asyncio.timeout(ANSWER):
                    await self._part()
        for future in self._asked.values():
            if not future.done():
                future.set_exception(Gone(self._over))
        self.writer.close()
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(1):
                await self.writer.wait_closed()

    # --- what comes ----------------------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Takes what comes, in order. Raises at the end of the connection."""
        while True:
            await self._take(await self._read())

    async def _take(self, pdu: Pdu) -> None:
        if pdu.command & wire.RESPONSE:
            future = self._asked.get(pdu.sequence)
            if future is not None and not future.done():
                future.set_result(pdu)
        elif pdu.command in (wire.DELIVER_SM, wire.DATA_SM):
            await self._receive(pdu)
        elif pdu.command == wire.ENQUIRE_LINK:
            self._write(wire.answer(pdu))
        elif pdu.command == wire.UNBIND:
            self._write(wire.answer(pdu))
            raise Gone("the operator unbound us")
        else:
            self._write(wire.nack(pdu))

    async def _receive(self, pdu: Pdu) -> None:
        """Puts a delivery in line for the bus; a repeat of one that stands there already only waits for the same answer."""
        now = asyncio.get_running_loop().time()
        waiting = self._unanswered.get(pdu.body)
        if waiting is not None and now - waiting[0] >= RESENT:
            waiting[1].append(pdu)
            return
        if waiting is None:
            self._unanswered[pdu.body] = now, []
        await self._deliveries.put(pdu)

    async def _publish(self) -> None:
        while True:
            await self._published([await self._deliveries.get()])

    async def _published(self, some: list[Pdu]) -> None:
        """Puts deliveries on the bus, with all that wait behind them, and answers them; while the bus is away, again and again."""
        while len(some) < AT_ONCE and not self._deliveries.empty():
            some.append(self._deliveries.get_nowait())
        good, records = [], []
        for pdu in some:
            try:
                records.append(record(pdu.wire, self.name, self.account, self.context.clock()))
                good.append(pdu)
            except Malformed as error:
                log.warning("the operator delivers what cannot be read; refused", lane=self.account.name, cause=str(error))
                self._answer([pdu], wire.REFUSED)
            except Exception as error:
                log.error("we stumble over what the operator delivers; it shall come again", lane=self.account.name, exc_info=error)
                self._answer([pdu], LATER)
        while True:
            try:
                await self.context.bus.publish(records, PUBLISH)
                break
            except BusUnavailable as error:
                log.warning("deliveries wait for the bus, unanswered", lane=self.account.name, count=len(records), cause=str(error))
                await asyncio.sleep(AGAIN)
        self._answer(good, wire.OK)

    def _answer(self, some: Sequence[Pdu], status: int) -> None:
        for pdu in some:
            self._write(wire.answer(pdu, status))
            for repeat in self._unanswered.pop(pdu.body, (0.0, []))[1]:
                self._write(wire.answer(repeat, status))

    async def _read(self) -> Pdu:
        """The next PDU; may be cancelled and asked again. Raises `Gone` at the end of the connection, and where no PDU begins."""
        try:
            self._head = self._head or await self.reader.readexactly(4)
            length = int.from_bytes(self._head, "big")
            if not wire.HEADER <= length <= wire.LARGEST:
                raise Gone(f"the operator sends a PDU of {length} octets")
            data, self._head = self._head + await self.reader.readexactly(length - 4), b""
        except (asyncio.IncompleteReadError, OSError) as error:
            raise Gone(f"the connection broke: {type(error).__name__}") from error
        self._heard_at = asyncio.get_running_loop().time()
        return wire.read(data)

    # --- what goes -----------------------------------------------------------------------------------------------------------------

    async def _keep_alive(self) -> None:
        """Asks when it is quiet. Raises `Gone` when nobody answers: a dead connection says nothing by itself."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(max(0.0, self._heard_at + QUIET - loop.time()))
            if loop.time() - self._heard_at < QUIET:
                continue
            try:
                async with asyncio.timeout(ANSWER):
                    await self._ask(wire.enquire_link())
            except TimeoutError as error:
                raise Gone("enquire_link was not answered") from error

    async def _ask(self, request: bytes) -> Pdu:
        """Writes a request and waits for its answer. Once it is called, octets may have left."""
        sequence = self._next()
        future: asyncio.Future[Pdu] = asyncio.get_running_loop().create_future()
        self._asked[sequence] = future
        try:
            self._write(wire.numbered(request, sequence))
            await self.writer.drain()
            return await future
        finally:
            del self._asked[sequence]

    def _next(self) -> int:
        self._sequence = self._sequence % 0x7FFF_FFFF + 1
        return self._sequence

    def _write(self, data: bytes) -> None:
        if not self.writer.is_closing():
            self.writer.write(data)

    async def _part(self) -> None:
        """Says goodbye: answers what has come, unbinds, and reads until the operator has said so too."""
        if not self._deliveries.empty():
            await self._published([self._deliveries.get_nowait()])
        sequence = self._next()
        self._write(wire.numbered(wire.unbind(), sequence))
        while True:
            pdu = await self._read()
            if pdu.command == wire.UNBIND | wire.RESPONSE:
                return
            if pdu.command & wire.RESPONSE and (future := self._asked.get(pdu.sequence)) is not None and not future.done():
                future.set_result(pdu)  # a delivery that still comes stays unanswered, and comes again
