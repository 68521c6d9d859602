"""What comes over a connection, byte by byte, from a server that says what the test wants."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from policies import lane
from policies.errors import StoreRefusedError, StoreTimeoutError, StoreUnavailableError
from policies.scripts import SETTLE
from policies.store import RedisStore

KEYS = (0, b"")


class Server:
    """Answers each EVALSHA by the next of `answers`, and everything else with OK."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.connections = 0
        self.asked: list[bytes] = []
        self.deaf = False
        """Whether connections are taken and not answered."""
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        while command := await self._command(reader):
            self.asked.append(command[0])
            if self.deaf:
                continue
            said = self.answers.pop(0) if command[0] == b"EVALSHA" else b"+OK\r\n"
            for byte in said:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0)
            if said == b"":
                break
        writer.close()

    async def _command(self, reader: asyncio.StreamReader) -> list[bytes]:
        count = await reader.readline()
        words = []
        for _ in range(int(count[1:] or 0)):
            words.append((await reader.readexactly(int((await reader.readline())[1:]) + 2))[:-2])
        return words


@asynccontextmanager
async def store_of(server: Server, deadline_s: float = 5.0) -> AsyncIterator[RedisStore]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1")
    client = Redis(host="127.0.0.1", port=listening.sockets[0].getsockname()[1], protocol=2, socket_connect_timeout=20)
    store = RedisStore(client, deadline_s)
    yield store
    await store.close()
    await client.aclose()
    for writer in server.writers:
        writer.close()
    listening.close()
    await listening.wait_closed()


async def test_a_reply_may_come_byte_by_byte() -> None:
    server = Server(b"$5\r\nfirst\r\n", b"*2\r\n:1\r\n$1\r\n2\r\n")
    async with store_of(server) as store:
        replies = await asyncio.gather(store.run(SETTLE, KEYS, ()), store.run(SETTLE, KEYS, ()))
    assert replies == [b"first", [1, b"2"]]
    assert server.connections == 1


async def test_what_nobody_asked_to_be_told_is_no_reply() -> None:
    server = Server(b">2\r\n$6\r\nMOVING\r\n:1\r\n$5\r\nreply\r\n")
    async with store_of(server) as store:
        assert await store.run(SETTLE, KEYS, ()) == b"reply"


async def test_a_reply_too_many_ends_the_connection_and_reaches_no_later_caller() -> None:
    server = Server(b"$4\r\nmine\r\n$6\r\nnobody\r\n", b"$5\r\nlater\r\n")
    async with store_of(server) as store:
        assert await store.run(SETTLE, KEYS, ()) == b"mine"
        await asyncio.sleep(0.05)
        assert await store.run(SETTLE, KEYS, ()) == b"later"
    assert server.connections == 2


async def test_what_is_not_redis_is_unavailable_and_is_connected_to_anew() -> None:
    server = Server(b"HTTP/1.1 400 Bad Request\r\n", b"$5\r\nagain\r\n")
    async with store_of(server) as store:
        with pytest.raises(StoreUnavailableError, match="cannot be reached"):
            await store.run(SETTLE, KEYS, ())
        assert await store.run(SETTLE, KEYS, ()) == b"again"
    assert server.connections == 2


async def test_a_connection_closed_before_its_replies_fails_all_that_wait_and_sends_nothing_again() -> None:
    server = Server(b"$5\r\nfirst\r\n", b"", b"$5\r\nlater\r\n")
    async with store_of(server) as store:
        first, second, third = await asyncio.gather(
            *(store.run(SETTLE, KEYS, ()) for _ in range(3)), return_exceptions=True
        )
        assert first == b"first"
        assert isinstance(second, StoreUnavailableError)
        assert isinstance(third, StoreUnavailableError)
        assert server.asked.count(b"EVALSHA") == 2  # the third was not read any more
        assert await store.run(SETTLE, KEYS, ()) == b"later"


async def test_scripts_are_loaded_once_for_all_that_need_them() -> None:
    unknown = b"-NOSCRIPT No matching script.\r\n"
    server = Server(unknown, unknown, b":1\r\n", b":2\r\n")
    async with store_of(server) as store:
        replies = await asyncio.gather(store.run(SETTLE, KEYS, ()), store.run(SETTLE, KEYS, ()))
    assert replies == [1, 2]
    assert server.asked.count(b"SCRIPT") == 1


async def test_a_server_that_forgets_scripts_at_once_refuses() -> None:
    unknown = b"-NOSCRIPT No matching script.\r\n"
    async with store_of(Server(unknown, unknown)) as store:
        with pytest.raises(StoreRefusedError, match="forgets its scripts"):
            await store.run(SETTLE, KEYS, ())


async def test_a_connection_that_takes_too_long_to_make_is_given_up_and_made_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lane, "ABANDON_S", 0.2)
    server = Server(b"$5\r\nagain\r\n")
    server.deaf = True
    async with store_of(server, deadline_s=10) as store:
        with pytest.raises(StoreTimeoutError):
            await store.run(SETTLE, KEYS, ())
        server.deaf = False
        monkeypatch.setattr(lane, "ABANDON_S", 10)
        assert await store.run(SETTLE, KEYS, ()) == b"again"
    assert server.connections == 2


async def test_closing_waits_for_what_was_asked() -> None:
    server = Server(b"$5\r\nreply\r\n")
    async with store_of(server) as store:
        asked = asyncio.create_task(store.run(SETTLE, KEYS, ()))
        await asyncio.sleep(0)
        await store.close()
        assert await asked == b"reply"
