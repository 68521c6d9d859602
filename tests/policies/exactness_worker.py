"""One of many processes that ask a limiter as fast as they can, for `test_exactness`. Run as a module: it reads its
orders as JSON from argv, says that it is ready, reads until when to go on (monotonic seconds) from standard input, and
writes what it was admitted as JSON to standard output."""

import asyncio
import json
import random
import sys
import time
from typing import Any

from redis.asyncio import Redis

from policies import Charge, Limiter, RateLimitPolicy, StoreError

POLICIES = [
    RateLimitPolicy(name="requests-short", scope="TENANT", limit=40, window="200ms"),
    RateLimitPolicy(name="requests-long", scope="GLOBAL", limit=150, window="1s"),
    RateLimitPolicy(name="tokens", scope="TENANT", unit="total_tokens", limit=900, window="400ms"),
    RateLimitPolicy(name="slots", scope="API_KEY", unit="concurrent_requests", limit=5, window="2s"),
]
TENANTS = ("acme", "globex")


def charges(chance: random.Random) -> list[Charge]:
    """A random request: requests and tokens of a tenant, everybody's requests, and sometimes a slot."""
    tenant = chance.choice(TENANTS)
    asked = [
        Charge(POLICIES[0], tenant, chance.choice((1, 1, 1, 3))),
        Charge(POLICIES[1], ""),
        Charge(POLICIES[2], tenant, chance.randint(1, 60)),
    ]
    return [*asked, Charge(POLICIES[3], tenant)] if chance.random() < 0.3 else asked


async def run(orders: dict[str, Any]) -> dict[str, Any]:
    """Asks until `until` (monotonic seconds), `callers` at a time."""
    chance = random.Random(orders["seed"])
    limiter = Limiter(Redis(unix_socket_path=orders["socket"]), deadline_s=orders["deadline_s"])
    admitted: list[tuple[str, str, int, int]] = []
    held: list[tuple[str, float, float]] = []
    counts = {"denied": 0, "failed": 0}

    async def caller() -> None:
        while time.monotonic() < orders["until"]:
            asked = charges(chance)
            try:
                decision = await limiter.acquire(asked)
            except StoreError:
                counts["failed"] += 1
                await asyncio.sleep(0.01)
                continue
            if not decision.allowed:
                counts["denied"] += 1
                await asyncio.sleep(min(decision.retry_after_s, 0.02))
                continue
            now_ms = round(decision.time_s * 1000)
            admitted.extend((w.policy, w.subject, now_ms, w.cost) for w in decision.windows if w.policy != "slots")
            if decision.holds_leases:
                since = time.monotonic()
                await asyncio.sleep(chance.random() * 0.03)
                held.append((asked[-1].subject, since, time.monotonic()))
            try:
                await limiter.settle(decision)
            except StoreError:
                counts["failed"] += 1

    await asyncio.gather(*(caller() for _ in range(orders["callers"])))
    await limiter.close()
    return {"admitted": admitted, "held": held, **counts}


def main() -> None:
    orders = json.loads(sys.argv[1])
    print("ready", flush=True)
    orders["until"] = float(sys.stdin.readline())
    skew_s, real = orders["skew_s"], time.time
    time.time = lambda: real() + skew_s  # a host whose clock is wrong; no decision may depend on it
    json.dump(asyncio.run(run(orders)), sys.stdout)


if __name__ == "__main__":
    main()
