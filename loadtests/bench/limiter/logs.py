"""Long logs: what an entry costs in memory, and how long the server is held by one call on 100,000 of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any
from unittest.mock import patch

import hiredis
from redis.asyncio import Redis

from loadtests.bench.limiter.contestants import SORTED_SET_SCRIPT
from policies import Charge, Limiter, RateLimitPolicy
from policies.entities import Scope, Unit
from policies.wire import Wire

CHUNK = 1_000
REPETITIONS = 5
TOKENS_A_REQUEST = 1_500
REQUESTS = RateLimitPolicy(name="m", scope=Scope.TENANT, limit=10**12, window=3_600_000)
TOKENS = REQUESTS.model_copy(update={"unit": Unit.TOTAL_TOKENS})


async def command_of(client: Redis, charges: Sequence[Charge], clock: Callable[[], float] | None = None) -> bytes:
    """What the limiter sends to acquire these, which it does once."""
    limiter = Limiter(client, deadline_s=30, steered_clock=clock)
    await limiter.peek(charges)  # from here on Redis knows the script
    with commands_sent() as sent:
        assert (await limiter.acquire(charges)).allowed
    await limiter.close()
    (command,) = sent
    return command


@contextmanager
def commands_sent() -> Iterator[list[bytes]]:
    """Every command that limiters of this process send meanwhile, as it goes over the wire."""
    sent: list[bytes] = []
    write = Wire.write

    def recorded(wire: Wire, commands: bytes) -> None:
        parser = hiredis.Reader()
        parser.feed(commands)
        while (command := parser.gets()) is not False:
            sent.append(hiredis.pack_command(tuple(command)))
        write(wire, commands)

    with patch.object(Wire, "write", recorded):
        yield sent


class Filler:
    """Logs many requests quickly: one through the limiter, then the very bytes that it sent, over and over in a
    pipeline. Each entry is a script call of its own, as with so many callers at once; only Python's part is spared."""

    def __init__(self, port: int, clock: Callable[[], float] | None = None) -> None:
        self._port, self._clock = port, clock

    async def fill(self, charge: Charge, count: int) -> None:
        """Leaves no connection (nor its buffers) behind."""
        client = Redis(host="127.0.0.1", port=self._port)
        command = await command_of(client, [charge], self._clock)
        await client.aclose()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        parser = hiredis.Reader()
        left = count - 1
        while left:
            sent = min(CHUNK, left)
            writer.write(command * sent)
            left -= sent
            while sent:
                parser.feed(await reader.read(1 << 20))
                while (reply := parser.gets()) is not False:
                    assert reply[0] == 1, reply
                    sent -= 1
        writer.close()
        await writer.wait_closed()


async def bytes_an_entry(port: int, sizes: Sequence[int]) -> dict[str, dict[int, float]]:
    """Differences of INFO used_memory, over the number of entries; nothing is taken off."""
    client = Redis(host="127.0.0.1", port=port)
    found: dict[str, dict[int, float]] = {}
    for label, policy, cost in (("sluice", REQUESTS, 1), ("sluice, tokens", TOKENS, TOKENS_A_REQUEST)):
        filler = Filler(port)
        await client.flushall()
        await filler.fill(Charge(policy, "warm", cost), CHUNK)  # what the server keeps for any client at all
        before, logged = await _used(port), 0
        found[label] = {}
        for size in sizes:
            await filler.fill(Charge(policy, "acme", cost), size - logged)
            logged = size
            found[label][size] = round((await _used(port) - before) / size, 1)
    await client.flushall()
    sha = await client.script_load(SORTED_SET_SCRIPT)
    before, size = await _used(port), 100_000
    for at in range(0, size, CHUNK):
        pipeline = client.pipeline(transaction=False)
        for number in range(at, at + CHUNK):
            pipeline.evalsha(sha, 1, "z", 10**9, number)
        await pipeline.execute()
    found["sorted-set log"] = {size: round((await _used(port) - before) / size, 1)}
    await client.flushall()
    await client.aclose()
    return found


async def _used(port: int) -> int:
    """Asked on a fresh connection, whose own buffers are the same every time."""
    await asyncio.sleep(0.5)  # closed connections, and rehashing
    client = Redis(host="127.0.0.1", port=port)
    used = int((await client.info("memory"))["used_memory"])
    await client.aclose()
    return used


class BigLog:
    """A log of 100,000 entries under a steered clock, kept as it was so that an operation can be repeated on it."""

    ENTRIES, STEPS = 100_000, 100

    def __init__(self, client: Redis, port: int, policy: RateLimitPolicy, cost: int) -> None:
        self.client, self.policy, self.cost = client, policy, cost
        self.now = 1_800_000_000.0
        self.limiter = Limiter(client, deadline_s=30, steered_clock=lambda: self.now)
        self._filler = Filler(port, lambda: self.now)
        self.middle: Any = None
        """The decision of an entry in the middle."""

    async def fill(self) -> None:
        await self.client.flushall()
        each = self.ENTRIES // self.STEPS
        for step in range(self.STEPS):
            self.now += 1
            await self._filler.fill(Charge(self.policy, "acme", self.cost), each - 1)
            decision = await self.limiter.acquire([Charge(self.policy, "acme", self.cost)])
            if step == self.STEPS // 2:
                self.middle = decision
        self.filled_at = self.now
        await self.keep()

    async def keep(self) -> None:
        self._kept = [key async for key in self.client.scan_iter() if not key.startswith(b"kept:")]
        for key in self._kept:
            await self.client.copy(key, b"kept:" + key, replace=True)

    async def back(self) -> None:
        self.now = self.filled_at
        for key in self._kept:
            await self.client.copy(b"kept:" + key, key, replace=True)

    async def acquire(self, limit: int | None = None, cost: int | None = None) -> None:
        policy = self.policy if limit is None else self.policy.model_copy(update={"limit": limit})
        await self.limiter.acquire([Charge(policy, "acme", self.cost if cost is None else cost)])

    async def longest_us(self, operation: Callable[[], Awaitable[object]], repetitions: int = REPETITIONS) -> int:
        """The server's time for the longest call of an operation. Of each call the shortest of several repetitions
        on the same log: what else the machine did meanwhile counts in the others."""
        runs: list[list[int]] = []
        for _ in range(1 + repetitions):
            await self.back()
            await self.client.slowlog_reset()
            await operation()
            entries = await self.client.slowlog_get(20_000)
            runs.append([entry["duration"] for entry in entries if entry["command"].startswith(b"EVALSHA")])
        del runs[0]  # it may have had to load the script
        assert len({len(run) for run in runs}) == 1, [len(run) for run in runs]
        assert runs[0]
        longest: int = max(min(calls) for calls in zip(*runs, strict=True))
        return longest


async def longest_calls_us(port: int) -> dict[str, dict[str, int]]:
    """By kind of log and operation."""
    client = Redis(host="127.0.0.1", port=port)
    await client.config_set("slowlog-log-slower-than", 0)
    await client.config_set("slowlog-max-len", 20_000)
    found: dict[str, dict[str, int]] = {}
    for label, policy, cost in (("requests", REQUESTS, 1), ("tokens", TOKENS, TOKENS_A_REQUEST)):
        log = BigLog(client, port, policy, cost)
        await log.fill()
        found[label] = await _operations(log)
        await log.limiter.close()
    await client.config_set("slowlog-log-slower-than", 10_000)
    await client.aclose()
    return found


async def _operations(log: BigLog) -> dict[str, int]:
    half = log.ENTRIES * log.cost // 2

    async def cancel() -> None:
        await log.limiter.cancel(deepcopy(log.middle))

    async def settle() -> None:
        await log.limiter.settle(deepcopy(log.middle), {log.policy.unit: log.cost // 2})

    async def half_leaves() -> None:
        log.now += 3_600 - log.STEPS // 2
        await log.acquire()

    async def all_leaves() -> None:
        log.now += 3_600
        for _ in range(12 * 64):  # at most 10,000 leave with every 64th
            await log.acquire()

    found = {
        "admitted": await log.longest_us(log.acquire),
        "denied, half of it must leave": await log.longest_us(lambda: log.acquire(half)),
        "admitted, half of it has left": await log.longest_us(half_leaves),
        "expiry of all of it (the longest of 768 calls)": await log.longest_us(all_leaves, 3),
    }
    if log.policy.unit == "requests":
        found["first cancel, in the middle"] = await log.longest_us(cancel)
        return found
    found["settled for half, in the middle"] = await log.longest_us(settle)
    found["cancelled, in the middle"] = await log.longest_us(cancel)
    found["admitted as the weights need more room"] = await _growth(log)
    return found


async def _growth(log: BigLog) -> int:
    """Goes on from 100,000 entries to the one for which the weights' string grows, and repeats that one."""
    charge = Charge(log.policy, "acme", log.cost)
    await log.back()
    (state,) = [key for key in log._kept if await log.client.type(key) == b"string"]
    filler, chunk = log._filler, CHUNK
    length = await log.client.strlen(state)
    give_up = time.monotonic() + 20
    while True:
        await log.keep()
        await filler.fill(charge, chunk)
        if await log.client.strlen(state) == length:
            assert time.monotonic() < give_up, "the weights never grew"
            continue
        await log.back()
        if chunk == 2:
            break
        chunk = max(2, chunk // 10)

    # The growing entry is one of the next two.
    async def two() -> None:
        await log.acquire()
        await log.acquire()

    return await log.longest_us(two)
