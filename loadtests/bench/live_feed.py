"""`make bench-live`: what the live feed costs those who are served.

A process of its own serves chats over HTTP with models that answer at once, so nothing hides the ingress's own work; 16
clients ask again as soon as they are answered, and most of them are denied, as in a flood. It is measured with the feed
switched off, with nobody watching, and with one and five viewers of a busy window. Rounds of all four take turns, since
the machine may be shared; figures are medians of each round against the one with the feed off beside it. CPU time is
the server's own, for each request; Redis' is told beside it. Needs a redis-server; 90 seconds.

    python -m loadtests.bench.live_feed --rounds 8 --seconds 2
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import uvicorn
from redis.asyncio import Redis

from deployments.ingress.app import create_app
from deployments.ingress.state import IngressSettings, IngressState
from policies import Limiter
from policies.catalogue import Catalogue
from policies.catalogue.live import LiveCatalogue
from policies.catalogue.store import CatalogueStore
from tests.deployments.ingress.conftest import CATALOGUE, LocalPools, secret
from tests.policies.redis_server import RedisServer, binaries

RESULTS = Path(__file__).parents[1] / "results" / "live_feed.json"
CLIENTS = 16
WATCHED = "/admin/live?policy=busy&subject=globex"
MODES: dict[str, int | None] = {"off": None, "nobody watches": 0, "1 viewer": 1, "5 viewers": 5}
"""How many watch; None: the feed is not even started."""

POLICIES = [
    {"name": "everyone", "scope": "GLOBAL", "limit": 1_000_000, "window": "1m"},
    {"name": "busy", "scope": "TENANT", "limit": 500, "window": "1s"},
    {"name": "key", "scope": "API_KEY", "limit": 100_000, "window": "1m"},
    {"name": "model", "scope": "MODEL", "limit": 1_000_000, "window": "1m"},
    {"name": "slots", "scope": "USER_MODEL", "unit": "concurrent_requests", "limit": 500},
    {"name": "tokens", "scope": "TENANT", "unit": "total_tokens", "limit": 100_000_000, "window": "1m"},
]
BODY = json.dumps({"model": "small", "max_tokens": 5, "messages": [{"role": "user", "content": "hello there"}]})


class AtOnce:
    """A model that takes no time."""

    async def generate(self, _: Any) -> tuple[bytes, dict[str, int]]:
        return b'{"object": "chat.completion"}', {"input_tokens": 3, "output_tokens": 5}


async def serve(socket: str, prefix: str, *, feed: bool) -> None:
    """The server's process: says its port, and serves until its input ends."""
    redis, catalogue_redis = Redis(unix_socket_path=socket), Redis(unix_socket_path=socket)
    pools = LocalPools()
    pools.services["small"] = AtOnce()
    live = LiveCatalogue(CatalogueStore(catalogue_redis, prefix=prefix))
    state = IngressState(IngressSettings(), Limiter(redis, prefix=prefix, deadline_s=2), pools, live)
    state.use(Catalogue.parse({**CATALOGUE, "policies": POLICIES}))
    await live.start()
    if feed:
        state.feed.start()
    config = uvicorn.Config(create_app(state), port=0, log_level="error", ws="none", lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await state.feed.close()
    server.should_exit = True
    await serving
    await state.close()
    await pools.close()
    await redis.aclose()


@dataclass(slots=True)
class Served:
    """A server's process."""

    port: int
    process: psutil.Process

    def cpu_s(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system


@asynccontextmanager
async def server(socket: str, prefix: str, *, feed: bool) -> AsyncIterator[Served]:
    """Runs one."""
    command = [sys.executable, "-m", "loadtests.bench.live_feed", "--serve", socket, prefix, "on" if feed else "off"]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdin is not None
    port = int(await asyncio.wait_for(process.stdout.readline(), 30))
    try:
        yield Served(port, psutil.Process(process.pid))
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 30)


async def ask_until(port: int, end: float, took_s: list[float]) -> None:
    """One client, on one connection."""
    request = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: sluice\r\nauthorization: Bearer {secret('gus1')}\r\n"
        f"content-length: {len(BODY)}\r\n\r\n{BODY}"
    ).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (begun := time.perf_counter()) < end:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        took_s.append(time.perf_counter() - begun)
    writer.close()
    await writer.wait_closed()


@asynccontextmanager
async def viewers(port: int, count: int) -> AsyncIterator[list[int]]:
    """So many watch; how many bytes each got."""
    got = [0] * count
    request = f"GET {WATCHED} HTTP/1.1\r\nhost: sluice\r\nauthorization: Bearer {secret('admin1')}\r\n\r\n".encode()

    async def watch(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        try:
            while piece := await reader.read(1 << 16):
                got[number] += len(piece)
        finally:
            writer.close()

    tasks = [asyncio.create_task(watch(number)) for number in range(count)]
    if tasks:
        await asyncio.sleep(0.5)
    yield got
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Round:
    """One round."""

    per_s: float
    cpu_us: float
    """The server's, for each request."""
    redis_us: float
    p99_ms: float
    viewed_kb_per_s: float
    """What one viewer was sent."""


async def measured(served: Served, redis: Redis, watching: int, seconds: float) -> Round:
    """One round."""
    async with viewers(served.port, watching) as got:
        took_s: list[float] = []
        redis_s, cpu_s, before, begun = await redis_cpu_s(redis), served.cpu_s(), sum(got), time.perf_counter()
        await asyncio.gather(*(ask_until(served.port, begun + seconds, took_s) for _ in range(CLIENTS)))
        elapsed_s, count = time.perf_counter() - begun, len(took_s)
        cpu_s, redis_s = served.cpu_s() - cpu_s, await redis_cpu_s(redis) - redis_s
        viewed = (sum(got) - before) / max(watching, 1) / elapsed_s / 1000
    took_s.sort()
    return Round(count / elapsed_s, cpu_s / count * 1e6, redis_s / count * 1e6, took_s[count * 99 // 100] * 1e3, viewed)


async def redis_cpu_s(redis: Redis) -> float:
    told = await redis.info("cpu")
    return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])


async def compared(socket: str, rounds: int, seconds: float) -> dict[str, list[Round]]:
    """All rounds of all modes."""
    redis = Redis(unix_socket_path=socket)
    found: dict[str, list[Round]] = {mode: [] for mode in MODES}
    async with server(socket, "off", feed=False) as off, server(socket, "on", feed=True) as on:
        for served in (off, on):
            await measured(served, redis, 0, 1.0)  # warm
        for number in range(rounds):
            order = list(MODES.items())
            for mode, watching in order if number % 2 == 0 else reversed(order):
                served = off if watching is None else on
                found[mode].append(await measured(served, redis, watching or 0, seconds))
                print(f"\r{number + 1}/{rounds} {mode:20}", end="", file=sys.stderr, flush=True)
                await asyncio.sleep(0.2)
    print("\r", end="", file=sys.stderr)
    await redis.aclose()
    return found


def against(rounds: list[Round], base: list[Round], field: str) -> float:
    """Median of each round's figure against the one with the feed off beside it."""
    return median(
        float(getattr(one, field)) / float(getattr(off, field)) for one, off in zip(rounds, base, strict=True)
    )


def report(found: dict[str, list[Round]]) -> dict[str, Any]:
    """The figures of each mode."""
    base = found["off"]
    return {
        mode: {
            "requests_per_s": round(median(each.per_s for each in rounds)),
            "cpu_us": round(median(each.cpu_us for each in rounds)),
            "redis_us": round(median(each.redis_us for each in rounds)),
            "p99_ms": round(median(each.p99_ms for each in rounds), 1),
            "viewed_kb_per_s": round(median(each.viewed_kb_per_s for each in rounds), 1),
            "requests_per_s_against_off": round(against(rounds, base, "per_s"), 4),
            "cpu_against_off": round(against(rounds, base, "cpu_us"), 4),
        }
        for mode, rounds in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        socket, prefix, feed = arguments.serve
        asyncio.run(serve(socket, prefix, feed=feed == "on"))
        return
    load = os.getloadavg()
    redis = RedisServer(next(iter(binaries().values()))).start()
    try:
        figures = report(asyncio.run(compared(redis.socket, arguments.rounds, arguments.seconds)))
    finally:
        redis.close()
    print(
        f"{'':16}{'requests/s':>12}{'against off':>12}{'CPU µs':>8}{'against off':>12}{'Redis µs':>9}{'p99 ms':>8}"
        f"{'kB/s':>7}"
    )
    for mode, each in figures.items():
        print(
            f"{mode:16}{each['requests_per_s']:12}{each['requests_per_s_against_off']:12.3f}{each['cpu_us']:8}"
            f"{each['cpu_against_off']:12.3f}{each['redis_us']:9}{each['p99_ms']:8}{each['viewed_kb_per_s']:7}"
        )
    RESULTS.parent.mkdir(exist_ok=True)
    machine = {"cpus": os.cpu_count(), "load": load, "python": platform.python_version(), "machine": platform.machine()}
    RESULTS.write_text(json.dumps({"machine": machine, "modes": figures}, indent=2) + "\n")
    print(f"load before {load[0]:.2f}; {RESULTS}")


if __name__ == "__main__":
    main()
