"""What the live feed costs those who are served: the ingress alone, and the whole chain.

Rounds of all modes take turns, since the machine may be shared; figures are of each round against the one beside it in
which the feed is off (or, in the chain, in which nobody watches). CPU time is the server's own, for each request;
Redis' is told beside it. Viewers watch a window that is in use by every request.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis

from loadtests.bench.applications import ADMIN, MODEL, ROOMY, body, headers
from loadtests.bench.applications import secret as secret_of
from loadtests.bench.lone_ingress import BODY, HEADERS, Setting, lone_ingress
from loadtests.bench.report.spreads import ratio, spreads
from loadtests.bench.serving import Served
from loadtests.bench.wrk import Figures, drive
from tests.deployments.ingress.conftest import secret

CLIENTS = 16
OFF, NOBODY, ONE, FIVE = "feed off", "nobody watches", "1 viewer", "5 viewers"
ALONE: dict[str, int | None] = {OFF: None, NOBODY: 0, ONE: 1, FIVE: 5}
"""How many watch an ingress alone; None: the feed is not even started."""
CHAIN: dict[str, int] = {NOBODY: 0, ONE: 1, FIVE: 5}
"""How many watch the whole chain."""

POLICIES: list[dict[str, Any]] = [
    {"name": "everyone", "scope": "GLOBAL", "limit": 1_000_000, "window": "1m"},
    {"name": "busy", "scope": "TENANT", "limit": 500, "window": "1s"},
    {"name": "key", "scope": "API_KEY", "limit": 100_000, "window": "1m"},
    {"name": "model", "scope": "MODEL", "limit": 1_000_000, "window": "1m"},
    {"name": "slots", "scope": "USER_MODEL", "unit": "concurrent_requests", "limit": 500},
    {"name": "tokens", "scope": "TENANT", "unit": "total_tokens", "limit": 100_000_000, "window": "1m"},
]
"""Of the ingress alone: most requests are denied, as in a flood."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round."""

    requests_s: float
    cpu_us: float
    """The server's, for each request."""
    redis_us: float
    p99_ms: float
    viewed_kb_s: float
    """What one viewer was sent."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A server under load, and the feed that it tells."""

    load: Callable[[float], Figures]
    """For so many seconds."""
    cpu_s: Callable[[], float]
    feed_url: str
    key: str
    statuses: tuple[int, ...]
    """That replies may have."""


@asynccontextmanager
async def viewers(watched: Watched, count: int) -> AsyncIterator[list[int]]:
    """So many watch; how many bytes each got."""
    got = [0] * count
    url = urlsplit(watched.feed_url)
    request = f"GET {url.path}?{url.query} HTTP/1.1\r\nhost: sluice\r\nauthorization: Bearer {watched.key}\r\n\r\n"

    async def watch(number: int) -> None:
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.write(request.encode())
        try:
            while piece := await reader.read(1 << 16):
                if not got[number] and b" 200 " not in piece.partition(b"\r\n")[0]:
                    raise ConnectionError(f"{watched.feed_url} answers {piece[:300]!r}")
                got[number] += len(piece)
        finally:
            writer.close()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(watch(number)) for number in range(count)]
        if tasks:
            await asyncio.sleep(0.5)
        yield got
        for task in tasks:
            task.cancel()


async def one_round(watched: Watched, redis: Redis, watching: int, seconds: float) -> Round:
    """So many viewers for so long. Raises where they saw nothing, or a reply was not as it should be."""
    async with viewers(watched, watching) as got:
        redis_s, cpu_s, before = await _redis_s(redis), watched.cpu_s(), sum(got)
        figures = await asyncio.to_thread(watched.load, seconds)
        cpu_s, redis_s = watched.cpu_s() - cpu_s, await _redis_s(redis) - redis_s
        seen = sum(got) - before
    count = sum(figures.by_status.values())
    wrong = {status: n for status, n in figures.by_status.items() if status not in watched.statuses}
    if wrong or figures.errors or (watching and not seen):
        raise RuntimeError(f"{wrong or figures} with {watching} viewers, who were sent {seen} bytes")
    per_viewer_kb_s = seen / max(watching, 1) / seconds / 1000
    return Round(figures.requests_s, cpu_s / count * 1e6, redis_s / count * 1e6, figures.p99_ms, per_viewer_kb_s)


async def _redis_s(redis: Redis) -> float:
    told = await redis.info("cpu")
    return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])


def alone(socket: str, rounds: int, seconds: float) -> dict[str, Any]:
    """The ingress alone, by how many watch."""
    setting = Setting(socket, "off", POLICIES)
    with lone_ingress(setting) as off, lone_ingress(Setting(socket, "on", POLICIES, feed=True)) as on:
        watched = {
            server: Watched(
                lambda seconds, server=server: drive(  # type: ignore[misc]
                    server.url, BODY, HEADERS, connections=CLIENTS, duration_s=seconds
                ),
                server.cpu_s,
                f"http://127.0.0.1:{server.port}/admin/live?policy=busy&subject=globex",
                secret("admin1"),
                (200, 429),
            )
            for server in (off, on)
        }
        modes = {name: (watched[off if count is None else on], count or 0) for name, count in ALONE.items()}
        redis = Redis(unix_socket_path=socket)
        return against(asyncio.run(in_turns(modes, redis, rounds, seconds)), OFF)


def chain(served: Served, application: str, redis_url: str, rounds: int, seconds: float) -> dict[str, Any]:
    """The whole chain, by how many watch. All requests are admitted."""
    replicas = served.replicas(application)

    def cpu_s() -> float:
        return sum(sum(each.cpu_times()[:2]) for each in replicas)

    url = served.url(application)
    watched = Watched(
        lambda seconds: drive(url, body(), headers(ROOMY), connections=CLIENTS, duration_s=seconds),
        cpu_s,
        served.url(application, f"/admin/live?policy=model&subject={MODEL}"),
        secret_of(ADMIN),
        (200,),
    )
    modes = {name: (watched, count) for name, count in CHAIN.items()}
    return against(asyncio.run(in_turns(modes, Redis.from_url(redis_url), rounds, seconds)), NOBODY)


async def in_turns(
    modes: Mapping[str, tuple[Watched, int]], redis: Redis, rounds: int, seconds: float
) -> dict[str, list[Round]]:
    """All modes once a round: a server and how many watch it."""
    found: dict[str, list[Round]] = {mode: [] for mode in modes}
    for watched in {id(watched): watched for watched, _ in modes.values()}.values():
        await one_round(watched, redis, 0, 1)  # warm
    for number in range(rounds):
        order = list(modes.items())
        for mode, (watched, watching) in order if number % 2 == 0 else reversed(order):
            found[mode].append(await one_round(watched, redis, watching, seconds))
            await asyncio.sleep(0.2)
    await redis.aclose()
    return found


def against(found: Mapping[str, Sequence[Round]], base: str) -> dict[str, Any]:
    """The figures of each mode, and requests/s and CPU against the base beside it."""
    rows = {mode: [asdict(each) for each in rounds] for mode, rounds in found.items()}
    return {
        mode: {
            **spreads(rounds),
            "requests_s_ratio": ratio(rounds, rows[base], "requests_s"),
            "cpu_us_ratio": ratio(rounds, rows[base], "cpu_us"),
        }
        for mode, rounds in rows.items()
    }
