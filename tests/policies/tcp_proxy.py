"""A small TCP proxy before Redis that delays, swallows and cuts."""

import asyncio
import contextlib


class TcpProxy:
    """Forwards loopback connections to a unix socket, or to a host and port; what it does to replies is set from
    outside."""

    def __init__(self, upstream: str | tuple[str, int]) -> None:
        self.upstream = upstream
        self.delay_s = 0.0
        """How long each piece of a reply is held back."""
        self.swallow = False
        """Whether replies vanish."""
        self.cut_after_bytes: int | None = None
        """Replies end, and the connection with them, after so many more bytes."""
        self.refuse = False
        """Whether new connections are closed at once."""
        self.accepted = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Ends what it forwards, too."""
        self._server.close()
        for writer in self._writers:
            writer.close()
        for writer in self._writers:
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.append(writer)
        if self.refuse:
            writer.close()
            return
        with contextlib.suppress(OSError, asyncio.CancelledError):
            upstream_reader, upstream_writer = await self._connect()
            self._writers.append(upstream_writer)
            there = asyncio.create_task(self._forward(reader, upstream_writer))
            await self._back(upstream_reader, writer)
            there.cancel()
            for each in (writer, upstream_writer):
                each.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.upstream, str):
            return await asyncio.open_unix_connection(self.upstream)
        return await asyncio.open_connection(*self.upstream)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(65_536):
                writer.write(piece)
        except OSError:
            pass  # the client has left without a word
        finally:
            writer.close()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if self.swallow:
                continue
            if self.cut_after_bytes is not None:
                writer.write(piece[: self.cut_after_bytes])
                return
            writer.write(piece)
