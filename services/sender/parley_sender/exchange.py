"""One kept connection to a provider: one request at a time, written whole, and the answer to it, read by llhttp.

A connection on which anything went otherwise than an answer that was asked for and came whole is never used again, so no answer can be taken for that to
another request.
"""

from __future__ import annotations

import asyncio
from typing import cast

import httptools

from parley.channels.shape import Response
from parley_sender.framing import LIMIT, Broken, opened


class Exchange(asyncio.Protocol):
    """The protocol of one connection. Whoever holds it asks when the answer before has come, and only while it is `open`."""

    def __init__(self) -> None:
        self.kept_since = 0.0
        """When it was last put aside, by the loop's clock."""
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Response] | None = None
        self._begin()

    def _begin(self) -> None:
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._came = 0
        self._headed = self._whole = self._keeps = False

    @property
    def open(self) -> bool:
        """Whether a request may be written now: the connection stands, and nothing on it is unanswered or came unasked."""
        return self._transport is not None and not self._transport.is_closing() and self._waiting is None

    def ask(self, request: bytes) -> asyncio.Future[Response]:
        """Writes a request. The answer, or `Broken`; whoever gives up waiting ends the connection."""
        assert self._transport is not None and self.open
        self._begin()
        self._parser = httptools.HttpResponseParser(self)
        self._waiting = waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return waiting

    def end(self) -> None:
        """Ends the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    # --- what the connection says ----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no instance of it

    def data_received(self, data: bytes) -> None:
        """What comes unasked ends the connection; what comes behind a whole answer does, too, and is no part of it."""
        self._came += len(data)
        if self._waiting is None:
            self.end()
            return
        try:
            if self._came > LIMIT:
                raise Broken(f"more than {LIMIT} bytes")
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, Broken) as error:
            if not self._whole:
                self._broken(error)
                return
            self._keeps = False
        if self._whole:
            self._answered()

    def eof_received(self) -> bool:
        """The other side is through. It may be how an answer without a length ends."""
        if self._waiting is not None and self._lasts_to_the_end():
            self._answered()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._broken(exc or Broken("closed before there was an answer"))

    # --- what the parser says --------------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._whole:
            raise Broken("a second answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        told, said = name.decode("latin-1").lower(), value.decode("utf-8", "replace")
        self._headers[told] = f"{self._headers[told]}, {said}" if told in self._headers else said

    def on_headers_complete(self) -> None:
        self._headed = self._parser.get_status_code() >= 200

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < 200:  # what comes before the answer
            self._headers = {}
        else:
            self._whole, self._keeps = True, self._parser.should_keep_alive()

    # ---------------------------------------------------------------------------------------------------------------------------------

    def _lasts_to_the_end(self) -> bool:
        """Whether head and body came, and nothing but the end of the connection ends the body (RFC 9112, 6.3)."""
        return self._headed and not self._headers.keys() & {"content-length", "transfer-encoding"}

    def _answered(self) -> None:
        try:
            body = opened(b"".join(self._body), self._headers)
        except Broken as error:
            self._broken(error)
            return
        waiting, self._waiting = self._waiting, None
        if not self._keeps:
            self.end()
        if waiting is not None and not waiting.done():
            waiting.set_result(Response(self._parser.get_status_code(), self._headers, body))

    def _broken(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, None
        self.end()
        if waiting is not None and not waiting.done():
            waiting.set_exception(error if isinstance(error, Broken) else Broken(f"{type(error).__name__}: {error}"))
