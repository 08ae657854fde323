"""An operator for tests: SMPP 3.4 over real TCP, written and read by another library than ours."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from smpplib.smpp import make_pdu, parse_pdu

OK, SYSTEM_ERROR, THROTTLED, BAD_PASSWORD = 0x00, 0x08, 0x58, 0x0E


def written(name: str, **fields: object) -> bytes:
    """A PDU in octets; addresses are international numbers unless told otherwise."""
    numbers = {"source_addr_ton": 1, "dest_addr_ton": 1} if name.endswith("_sm") else {}
    status = fields.pop("status", OK)
    made = make_pdu(name, **{"sequence": 1, **numbers, **fields})
    made.status, made.sequence = status, fields.get("sequence", 1)
    return made.generate()


def theirs(data: bytes):
    """A PDU as the other library reads it."""
    return parse_pdu(data, sequence=0, allow_unknown_opt_params=True)


@dataclass(eq=False)
class Connected:
    """A bind that an ESME holds."""

    writer: asyncio.StreamWriter
    sequence: int = 0
    answers: dict[int, asyncio.Future] = field(default_factory=dict)

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def ask(self, name: str, **fields: object):
        """A request of the operator's, and the answer to it. ConnectionError where there is none."""
        self.sequence += 1
        answer = self.answers[self.sequence] = asyncio.get_running_loop().create_future()
        self.write(written(name, sequence=self.sequence, **fields))
        return await answer


@dataclass
class Smsc:
    """What it took, and how it behaves."""

    password: str = "secret08"
    port: int = 0
    throttle: int = 0
    """So many submit_sm are refused with 0x58 first."""
    cut_after: int | None = None
    """After so many accepted ones the connection is cut, and the last one has no answer."""
    mute: bool = False
    """Nothing is answered but the bind."""
    prefix: str = "A"
    taken: list = field(default_factory=list)
    binds: list[Connected] = field(default_factory=list)
    """Those that stand."""
    bound: int = 0
    refused: int = 0
    unbound: int = 0
    enquired: int = 0
    most: int = 0
    """submit_sm without an answer at once, at most."""
    hold: asyncio.Event | None = None
    """submit_sm are answered once this is set."""
    _server: asyncio.Server | None = None
    _open: int = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Smsc"]:
        await self.start()
        try:
            yield self
        finally:
            await self.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Without a goodbye, as a machine that falls over."""
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    def cut(self) -> None:
        for bind in list(self.binds):
            bind.writer.transport.abort()

    @property
    def url(self) -> str:
        return f"smpp://127.0.0.1:{self.port}"

    @property
    def texts(self) -> list[str]:
        return [one.short_message.decode("latin-1") for one in self.taken]

    async def deliver(self, text: bytes, **fields: object):
        """A message or a receipt over the bind that stands."""
        about = {"source_addr": "447700900123", "destination_addr": "447700900100", "short_message": text, **fields}
        return await self.binds[-1].ask("deliver_sm", **about)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bind, tasks = Connected(writer), set()
        try:
            while True:
                head = await reader.readexactly(4)
                pdu = theirs(head + await reader.readexactly(int.from_bytes(head, "big") - 4))
                if pdu.command == "submit_sm":
                    tasks.add(asyncio.create_task(self._submitted(pdu, bind)))
                else:
                    self._heard(pdu, bind)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            if bind in self.binds:
                self.binds.remove(bind)
            for answer in bind.answers.values():
                if not answer.done():
                    answer.set_exception(ConnectionError("the bind is gone"))
                    answer.exception()
            writer.close()

    def _heard(self, pdu, bind: Connected) -> None:
        if pdu.is_response():
            if (answer := bind.answers.get(pdu.sequence)) is not None and not answer.done():
                answer.set_result(pdu)
        elif pdu.command == "bind_transceiver":
            right = pdu.password == self.password.encode()
            self.bound, self.refused = self.bound + right, self.refused + (not right)
            bind.write(written("bind_transceiver_resp", sequence=pdu.sequence, system_id="op", status=OK if right else BAD_PASSWORD))
            if right:
                self.binds.append(bind)
        elif pdu.command == "enquire_link":
            self.enquired += 1
            if not self.mute:
                bind.write(written("enquire_link_resp", sequence=pdu.sequence))
        elif pdu.command == "unbind":
            self.unbound += 1
            bind.write(written("unbind_resp", sequence=pdu.sequence))

    async def _submitted(self, pdu, bind: Connected) -> None:
        self._open += 1
        self.most = max(self.most, self._open)
        if self.hold is not None:
            await self.hold.wait()
        await asyncio.sleep(0)
        self._open -= 1
        if self.throttle:
            self.throttle -= 1
            bind.write(written("submit_sm_resp", sequence=pdu.sequence, status=THROTTLED))
            return
        self.taken.append(pdu)
        if self.cut_after is not None and len(self.taken) >= self.cut_after:
            self.cut_after = None
            bind.writer.transport.abort()
        elif not self.mute:
            bind.write(written("submit_sm_resp", sequence=pdu.sequence, message_id=f"{self.prefix}{len(self.taken):06X}"))
