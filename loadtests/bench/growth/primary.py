"""What one Redis primary carries: the very bytes of decisions, sent over and over from sockets of our own.

Windows of a second, so that in a run as many entries leave as enter. Replies are counted and looked at; Python's own
part of a decision is spared, so that Redis is the one that is busy.
"""

import asyncio
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import hiredis
from redis import Redis as BlockingRedis
from redis.asyncio import Redis

from loadtests.bench.growth.limiter_level import POLICIES, charges
from loadtests.bench.limiter.logs import command_of
from loadtests.bench.report.spreads import spreads
from policies import Charge
from policies.entities import Unit

WINDOW_MS = 1_000
WARM_S = 1.2
"""Longer than the window: then entries leave as they enter."""

TRAVEL = {"one at a time": (32, 1), "16 together": (2, 16)}
"""How decisions travel: connections, and how many decisions one of them sends together. A busy ingress sends many, a
thousand ingresses send one each."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a primary spent."""

    decisions_s: float
    script_us: float
    """In scripts, each (INFO commandstats)."""
    cpu_us: float
    """In all, each: with reading, parsing and writing (INFO cpu, user and system)."""
    busy: float
    """Part of one core."""
    in_bytes: float
    out_bytes: float
    """What travels to it and from it, each."""


async def recorded(port: int, asked: Sequence[Charge]) -> bytes:
    """What the limiter sends for a request."""
    client = Redis(host="127.0.0.1", port=port)
    command = await command_of(client, asked)
    await client.aclose()
    return command


def drive(port: int, command: bytes, connections: int, together: int, seconds: float) -> int:
    """Sends it all the time, and says how many were answered, all of them admitted."""
    selector, count = selectors.DefaultSelector(), 0
    payload = command * together
    opened = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    for each in opened:
        selector.register(each, selectors.EVENT_READ, [hiredis.Reader(), together])
        each.sendall(payload)
    end = time.perf_counter() + seconds
    left = connections
    while left:
        for key, _ in selector.select(5):
            reader, _ = key.data
            connection: Any = key.fileobj
            reader.feed(connection.recv(1 << 18))
            while (reply := reader.gets()) is not False:
                assert reply[0] == 1, reply
                count += 1
                key.data[1] -= 1
            if key.data[1]:
                continue
            if time.perf_counter() < end:
                key.data[1] = together
                connection.sendall(payload)
            else:
                selector.unregister(connection)
                connection.close()
                left -= 1
    return count


def measured(port: int, command: bytes, connections: int, together: int, seconds: float) -> Cost:
    """One round, warmed up."""
    drive(port, command, connections, together, WARM_S)
    with BlockingRedis(host="127.0.0.1", port=port) as client:
        before, begun = _spent(client), time.perf_counter()
        count = drive(port, command, connections, together, seconds)
        elapsed_s, after = time.perf_counter() - begun, _spent(client)
    calls, script_us, cpu_s, in_bytes, out_bytes = (b - a for a, b in zip(before, after, strict=True))
    assert calls == count
    return Cost(
        count / elapsed_s,
        script_us / count,
        cpu_s / count * 1e6,
        cpu_s / elapsed_s,
        in_bytes / count,
        out_bytes / count,
    )


def _spent(client: BlockingRedis) -> tuple[float, ...]:
    script: dict[str, Any] = client.info("commandstats").get("cmdstat_evalsha", {})
    cpu, stats = client.info("cpu"), client.info("stats")
    used_s = cpu["used_cpu_user"] + cpu["used_cpu_sys"]
    travelled = stats["total_net_input_bytes"], stats["total_net_output_bytes"]
    return script.get("calls", 0), script.get("usec", 0), used_s, *travelled


def requests() -> dict[str, list[Charge]]:
    """What is asked, by name."""
    asked = {str(count): charges(count, WINDOW_MS) for count in POLICIES}
    asked["6, tokens"] = [
        Charge(each.policy.model_copy(update={"unit": Unit.TOTAL_TOKENS}), "acme", 1_500)
        for each in charges(6, WINDOW_MS)
    ]
    return asked


def carried(port: int, rounds: int, seconds: float) -> dict[str, dict[str, dict[str, Any]]]:
    """By windows and by how they travel; all of them take turns."""
    commands = {name: asyncio.run(recorded(port, asked)) for name, asked in requests().items()}
    found: dict[str, dict[str, list[dict[str, float]]]] = {name: {way: [] for way in TRAVEL} for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            for way, (connections, together) in TRAVEL.items():
                found[name][way].append(asdict(measured(port, command, connections, together, seconds)))
                with BlockingRedis(host="127.0.0.1", port=port) as client:
                    client.flushall()
    return {name: {way: spreads(rows) for way, rows in ways.items()} for name, ways in found.items()}
