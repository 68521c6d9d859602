"""A connection that the driver has made, used without the driver's ways of sending and reading.

These cost a task, a limit of time and several turns of the event loop for every reply, more than Redis itself takes.
Here a reply goes from the socket to whoever waits for it. Connecting stays with the driver: addresses, passwords, TLS,
Sentinel.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import hiredis
from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import InvalidResponse


class Wire(asyncio.Protocol):
    """Takes a connected connection over, and gives its replies to `on_reply`: errors as the driver's exceptions, texts
    as bytes. `on_lost` is called once when the connection has ended, unless that was by `drop`.

    Raises `ConnectionError` for a connection that has ended, or on which the driver left a reply that nobody took."""

    def __init__(
        self,
        connection: AbstractConnection,
        on_reply: Callable[[Any], None],
        on_lost: Callable[[Exception | None], None],
    ) -> None:
        stream, writer = cast(Any, connection._reader), connection._writer
        if writer is None:
            raise ConnectionError("the connection was closed while it was made")
        self._on_reply, self._on_lost = on_reply, on_lost
        self._transport = cast(asyncio.Transport, writer.transport)
        self._reader: hiredis.Reader = cast(Any, connection._parser)._reader
        """The driver's: the rest of what it has begun to read is still to come."""
        self._reader.feed(bytes(stream._buffer))
        stream._buffer.clear()
        if stream.at_eof() or self._transport.is_closing():
            raise ConnectionError("Redis closed the connection as soon as it was made")
        while isinstance(unread := self._reader.gets(False), hiredis.PushNotification):
            pass
        if unread is not NOT_ENOUGH_DATA or self._reader.has_data():
            raise ConnectionError("something was left unread on a new connection")
        self._drivers = self._transport.get_protocol()
        """The driver's protocol: it waits for the end of the connection where it closes one."""
        self._transport.set_protocol(self)
        self.ended = False

    def write(self, commands: bytes) -> None:
        """Sends, as soon as the socket takes it."""
        self._transport.write(commands)

    def drop(self) -> None:
        """Ends the connection at once; whatever was on its way is lost."""
        self.ended = True
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while not self.ended:
            try:
                reply = self._reader.gets(False)
            except InvalidResponse as error:
                self._end(error)
                return
            if reply is NOT_ENOUGH_DATA:
                return
            if not isinstance(reply, hiredis.PushNotification):  # nobody here has asked to be told of anything
                self._on_reply(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self._drivers.connection_lost(exc)
        self._end(exc)

    def _end(self, error: Exception | None) -> None:
        if not self.ended:
            self.drop()
            self._on_lost(error)
