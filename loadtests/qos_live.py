"""Quality of service on the live chain: starts Sluice twice over (with admission, and without) and measures.

    python -m loadtests.qos_live            # about four minutes; needs nothing but the installed package

Two applications in one Ray Serve on a port of their own, with simulated engines and no limits. Three measures:

1. What admission costs where nobody waits: p50 of single requests, `/on` against `/off`, in turns.
2. What batch does to premium: p99 of the time to first token of premium requests that arrive at random, alone and with
   ten times as many batch requests as there are slots; and how much of the slots' time was used meanwhile.
3. How equal tenants share: tokens by tenant, for three with different crowds and different lengths of reply.

Everything runs on one machine, the load included, so absolute times say little; the ratios are what counts. Nothing
that runs is interrupted, so a premium request that finds every slot taken waits for the next that falls free: the mean
of that is a reply's time over the slots, and how much it shows depends on how long a first token takes anyway.
"""

import argparse
import asyncio
import hashlib
import http.client
import json
import random
import statistics
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.sluice_up import end, started

SLOTS = 64
FIRST_TOKEN_S, INTER_TOKEN_S, TOKENS = 0.8, 0.1, 23
"""The engine's pace, and the mean length of a reply of batch. Lengths vary, from few tokens to almost twice the mean:
were all the same, slots would fall free all at once, whoever decides what runs on them."""

TENANTS = {
    "internal": "internal",
    "premium": "premium",
    "batch": "batch",
    "a": "standard",
    "b": "standard",
    "c": "standard",
}


def secret(tenant: str) -> str:
    """The key of a tenant."""
    return f"sk-{tenant}-{'s' * 24}"


def configuration(port: int, folder: Path) -> dict[str, Any]:
    """Both applications."""
    catalogue = {
        "tenants": [{"name": name, "qos_tier": tier} for name, tier in TENANTS.items()],
        "users": [{"name": name, "tenant": name} for name in TENANTS],
        "keys": [
            {"id": name, "user": name, "sha256": hashlib.sha256(secret(name).encode()).hexdigest()} for name in TENANTS
        ],
        "tiers": [{"name": "only"}],
        "models": [{"name": name, "tier": "only"} for name in ("slow", "quick")],
        "policies": [{"name": "roomy", "scope": "TENANT", "limit": 10_000_000, "window": "1m"}],
    }
    small = {"ray_actor_options": {"num_cpus": 0.05}}
    slow = {"first_token_ms": FIRST_TOKEN_S * 1000, "inter_token_ms": INTER_TOKEN_S * 1000, "reply_tokens": 1_000}
    quick = {"first_token_ms": 5, "inter_token_ms": 0, "reply_tokens": 1}
    return {
        "proxy_location": "HeadOnly",
        "http_options": {"host": "127.0.0.1", "port": port},
        "applications": [
            {
                "name": name,
                "route_prefix": f"/{name}",
                "import_path": "serve_app:build",
                "args": {
                    "state_dir": str(folder / "state"),
                    "redis": {"key_prefix": name, "deadline_ms": 1_000},
                    "qos": {"enabled": name == "on"},
                    "models": [
                        {"name": "slow", "engine": {"kind": "simulated", "options": slow}},
                        {"name": "quick", "engine": {"kind": "simulated", "options": quick}},
                    ],
                },
                "deployments": [
                    {
                        "name": "Ingress",
                        "max_ongoing_requests": 10_000,
                        "user_config": {"catalogue": catalogue},
                        **small,
                    },
                    {"name": "ModelRouter", **small},
                    {"name": "model-slow", "max_ongoing_requests": SLOTS, **small},
                    {"name": "model-quick", "max_ongoing_requests": SLOTS, **small},
                ],
            }
            for name in ("on", "off")
        ],
    }


@dataclass
class Reply:
    """One streamed reply."""

    status: int
    ttft_s: float
    tokens: int
    ended_at: float

    @property
    def engine_s(self) -> float:
        """How long the engine itself takes for this."""
        return FIRST_TOKEN_S + (self.tokens - 1) * INTER_TOKEN_S


async def stream(port: int, tenant: str, max_tokens: int) -> Reply:
    """One streamed request to the application with admission, on a connection of its own."""
    body = json.dumps(
        {
            "model": "slow",
            "stream": True,
            "max_tokens": max_tokens,
            "messages": [{"role": "user", "content": "hello"}],
        }
    )
    head = (
        f"POST /on/v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {secret(tenant)}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write((head + body).encode())
        status = int((await reader.readline()).split()[1])
        first_s, tokens = 0.0, 0
        while line := await reader.readline():
            if line.startswith(b"data: {"):
                first_s = first_s or time.perf_counter() - began
                tokens += b'"content"' in line and b'"role"' not in line
        return Reply(status, first_s, tokens, time.perf_counter())
    finally:
        writer.close()


def p(share: float, values: list[float]) -> float:
    """A percentile."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def uncontended(port: int, rounds: int, requests: int) -> None:
    """Measure 1."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    body = json.dumps({"model": "quick", "max_tokens": 1, "messages": [{"role": "user", "content": "hello"}]})
    headers = {"authorization": f"Bearer {secret('internal')}", "content-type": "application/json"}

    def p50_ms(application: str) -> float:
        times = []
        for _ in range(requests):
            began = time.perf_counter()
            connection.request("POST", f"/{application}/v1/chat/completions", body, headers)
            reply = connection.getresponse()
            reply.read()
            times.append((time.perf_counter() - began) * 1000)
            if reply.status != 200:
                raise SystemExit(f"/{application} answered {reply.status}")
        return statistics.median(times)

    p50_ms("on"), p50_ms("off")  # warm
    on: list[float] = []
    off: list[float] = []
    for number in range(rounds):
        for application, medians in (("on", on), ("off", off)) if number % 2 else (("off", off), ("on", on)):
            medians.append(p50_ms(application))
    ratios = sorted(a / b for a, b in zip(on, off, strict=True))
    print(
        f"1 uncontended p50: on {statistics.median(on):.2f} ms, off {statistics.median(off):.2f} ms; "
        f"ratio {statistics.median(on) / statistics.median(off):.3f} "
        f"(by rounds {ratios[0]:.3f} to {ratios[-1]:.3f}, {rounds} rounds of {requests})",
        flush=True,
    )


async def crowd(port: int, tenant: str, size: int, until: float, done: list[Reply], tokens: int = TOKENS) -> None:
    """So many clients that each ask again as soon as they have been answered, for `tokens` tokens in the mean."""

    async def client() -> None:
        await asyncio.sleep(random.uniform(0, 0.5))
        while time.perf_counter() < until:
            reply = await stream(port, tenant, random.randint(1, 2 * tokens - 1))
            done.append(reply)
            if reply.status != 200:
                await asyncio.sleep(1)

    await asyncio.gather(*(client() for _ in range(size)))


async def arrivals(port: int, tenant: str, per_s: float, until: float) -> list[Reply]:
    """Requests that arrive at random."""
    jobs = []
    while time.perf_counter() < until:
        await asyncio.sleep(random.expovariate(per_s))
        jobs.append(asyncio.create_task(stream(port, tenant, 10)))
    return [reply for reply in await asyncio.gather(*jobs) if reply.status == 200]


async def premium_and_batch(port: int, seconds: float) -> None:
    """Measure 2."""
    alone = await arrivals(port, "premium", 4, time.perf_counter() + seconds)
    done: list[Reply] = []
    start_s = 5.0  # until the crowd is there
    began = time.perf_counter()
    until = began + start_s + seconds
    batch = asyncio.create_task(crowd(port, "batch", SLOTS * 10, until, done))
    await asyncio.sleep(start_s)
    measured_from = time.perf_counter()
    crowded = await arrivals(port, "premium", 4, until)
    await batch
    # What the engine was busy with each reply within the time that was measured.
    spans = [
        min(r.ended_at, until) - max(r.ended_at - r.engine_s, measured_from)
        for r in (*done, *crowded)
        if r.status == 200
    ]
    used_s = sum(max(0.0, span) for span in spans)
    for share in (0.5, 0.99):
        a, c = (p(share, [reply.ttft_s for reply in replies]) * 1000 for replies in (alone, crowded))
        print(
            f"2 premium p{share * 100:.0f} to first token: alone {a:.0f} ms, with batch {c:.0f} ms; ratio {c / a:.2f}"
        )
    print(f"  ({len(alone)} and {len(crowded)} premium requests; {len(done)} of batch)")
    share = used_s / ((until - measured_from) * SLOTS)
    print(f"  engines' own time / slots' time: {share:.3f} (whatever else a request takes counts as idle here)")
    print(f"  answers to batch other than 200: {sum(reply.status != 200 for reply in done)}", flush=True)


async def equal_tenants(port: int, seconds: float) -> None:
    """Measure 3."""
    until = time.perf_counter() + seconds
    shapes = {"a": (120, TOKENS), "b": (80, 12), "c": (160, 5)}
    done: dict[str, list[Reply]] = {name: [] for name in shapes}
    await asyncio.gather(
        *(crowd(port, name, size, until, done[name], tokens) for name, (size, tokens) in shapes.items())
    )
    tokens = [sum(reply.tokens for reply in replies if reply.ended_at <= until) for replies in done.values()]
    jain = sum(tokens) ** 2 / (len(tokens) * sum(t * t for t in tokens))
    print(f"3 equal tenants: tokens {dict(zip(done, tokens, strict=True))}; Jain index {jain:.3f}", flush=True)


def _wait_until_ready(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    give_up = time.monotonic() + 180
    for application in ("on", "off"):
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/{application}/readyz", timeout=5) as reply:
                    if reply.status == 200:
                        break
            except OSError:
                pass
            if time.monotonic() > give_up or process.poll() is not None:
                raise SystemExit(f"not ready:\n{log.read_text()[-3_000:]}")
            time.sleep(0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=18_321)
    parser.add_argument("--seconds", type=float, default=40.0, help="of load for measures 2 and 3")
    parser.add_argument("--rounds", type=int, default=20, help="of measure 1")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process = started(configuration(options.port, folder), folder)
        try:
            _wait_until_ready(options.port, process, folder / "log")
            uncontended(options.port, options.rounds, 60)
            asyncio.run(premium_and_batch(options.port, options.seconds))
            asyncio.run(equal_tenants(options.port, options.seconds))
        finally:
            end(process)


if __name__ == "__main__":
    main()
