"""What comes over a connection, byte by byte, from a server that says what the test wants."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection

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
        self.left: list[bytes] = []
        """What comes, one for each connection, while the driver has it and does not read; nothing: its end."""
        self.may_answer: asyncio.Semaphore | None = None
        """How many of `answers` may be given; None: all."""
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        while command := await self._command(reader):
            self.asked.append(command[0])
            if self.deaf:
                continue
            if command[0] == b"EVALSHA" and self.may_answer is not None:
                await self.may_answer.acquire()
            said = {b"EVALSHA": self.answers, b"LEAVE": self.left}.get(command[0], [b"+OK\r\n"]).pop(0)
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

    async def connected(self, connection: AbstractConnection) -> None:
        """The driver's greeting, after which it lets what is `left` lie."""
        await connection.on_connect()
        if self.left:
            length, reader = len(self.left[0]), cast(Any, connection._reader)
            await connection.send_command("LEAVE")  # type: ignore[no-untyped-call] # the driver's
            await until(lambda: len(reader._buffer) == length and (length or reader.at_eof()))


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0)


@asynccontextmanager
async def store_of(server: Server, deadline_s: float = 5.0) -> AsyncIterator[RedisStore]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1")
    port = listening.sockets[0].getsockname()[1]
    client = Redis(
        host="127.0.0.1", port=port, protocol=2, socket_connect_timeout=20, redis_connect_func=server.connected
    )
    store = RedisStore(client, deadline_s)
    yield store
    await store.close()
    assert not client.connection_pool._in_use_connections, "a connection was not given back"
    await client.aclose()
    listening.close()
    await listening.wait_closed()
    for writer in server.writers:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def test_a_reply_may_come_byte_by_byte() -> None:
    server = Server(b"$5\r\nfirst\r\n", b"*2\r\n:1\r\n$1\r\n2\r\n")
    async with store_of(server) as store:
        replies = await asyncio.gather(store.run(SETTLE, KEYS, ()), store.run(SETTLE, KEYS, ()))
    assert replies == [b"first", [1, b"2"]]
    assert server.connections == 1


async def test_nothing_is_a_reply_too() -> None:
    async with store_of(Server(b"$-1\r\n")) as store:
        assert await store.run(SETTLE, KEYS, ()) is None


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


@pytest.mark.parametrize(
    ("left", "why"),
    [(b"", "closed"), (b"$6\r\nnobody\r\n", "unread"), (b"$6\r\nnob", "unread"), (b">2\r\n$6\r\nMOV", "unread")],
    ids=["its end", "a reply", "a part of a reply", "a part of what nobody asked to be told"],
)
async def test_what_the_driver_left_unread_is_nobodys_reply(left: bytes, why: str) -> None:
    server = Server(b":1\r\n")
    server.left.append(left)
    async with store_of(server) as store:
        with pytest.raises(StoreUnavailableError, match=why):
            await store.run(SETTLE, KEYS, ())
        assert b"EVALSHA" not in server.asked
        assert await store.run(SETTLE, KEYS, ()) == 1


@pytest.mark.parametrize("rest", [b"", b":1\r\n"], ids=["whole", "but for its last part"])
async def test_what_nobody_asked_to_be_told_may_be_left_unread_by_the_driver(rest: bytes) -> None:
    server = Server(rest + b"$5\r\nreply\r\n")
    server.left.append(b">2\r\n$6\r\nMOVING\r\n:1\r\n".removesuffix(rest))
    async with store_of(server) as store:
        assert await store.run(SETTLE, KEYS, ()) == b"reply"
    assert server.connections == 1


async def test_a_closing_that_is_given_up_leaves_the_store_as_it_was() -> None:
    server = Server(b"$5\r\nfirst\r\n", b"$6\r\nsecond\r\n")
    server.may_answer = asyncio.Semaphore(0)
    async with store_of(server) as store:
        asked = asyncio.create_task(store.run(SETTLE, KEYS, ()))
        await until(lambda: b"EVALSHA" in server.asked)
        closings = [asyncio.create_task(store.close()) for _ in range(2)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        closings[0].cancel()
        for _ in range(2):
            server.may_answer.release()
        assert await asked == b"first"
        await closings[1]
        assert await store.run(SETTLE, KEYS, ()) == b"second"


async def test_closing_keeps_no_connection_where_what_waited_together_is_sent_one_by_one() -> None:
    """The lane that is free first takes what the other one leaves."""
    server = Server(b"*1\r\n:1\r\n", *[b"*1\r\n:1\r\n"] * 3)
    server.may_answer = asyncio.Semaphore(0)
    async with store_of(server) as store:
        alone = asyncio.create_task(store.run(SETTLE, KEYS, ()))
        await until(lambda: b"EVALSHA" in server.asked)
        alone.cancel()
        together = [asyncio.create_task(store.run(SETTLE, KEYS, (), share="same")) for _ in range(3)]
        await until(lambda: server.asked.count(b"EVALSHA") == 2)
        closing = asyncio.create_task(store.close())
        server.may_answer.release()
        await asyncio.sleep(0.05)  # the first is free, and the second is not
        for _ in range(3):
            server.may_answer.release()
        assert await asyncio.gather(*together) == [[1]] * 3
        await closing
        assert not store._redis.connection_pool._in_use_connections


async def test_an_error_in_giving_back_is_not_that_of_closing() -> None:
    def give_back(reply: object) -> None:
        raise ValueError(reply)

    server = Server(b"$4\r\nlate\r\n", b"$5\r\nother\r\n")
    server.may_answer = asyncio.Semaphore(0)
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    async with store_of(server) as store:
        asked = asyncio.create_task(store.run(SETTLE, KEYS, (), give_back))
        await until(lambda: b"EVALSHA" in server.asked)
        asked.cancel()
        server.may_answer.release()
        await until(lambda: told)
    assert [str(error) for error in told] == ["b'late'"]


async def test_connecting_that_something_else_cancels_fails_at_once() -> None:
    server = Server(b"$5\r\nagain\r\n")
    server.deaf = True
    async with store_of(server) as store:
        before = asyncio.all_tasks()
        asked = asyncio.create_task(store.run(SETTLE, KEYS, ()))
        await until(lambda: server.connections == 1)
        for task in asyncio.all_tasks() - before - {asked}:
            if "_open" in str(task.get_coro()):
                task.cancel()
        with pytest.raises(StoreUnavailableError, match="cancelled"):
            await asked
        server.deaf = False
        assert await store.run(SETTLE, KEYS, ()) == b"again"
