"""A process of many that ask a Redis Cluster at once."""

import asyncio
import random
import time
from multiprocessing.connection import Connection

from policies import Charge, Limiter, RateLimitPolicy
from policies.connect import connect

CALLERS, RUN_S = 6, 3

BUSY = [
    RateLimitPolicy(name="tenant", scope="TENANT", limit=60, window="500ms"),
    RateLimitPolicy(name="model", scope="MODEL", limit=150, window="400ms"),
    RateLimitPolicy(name="all", scope="GLOBAL", limit=300, window="700ms", unit="total_tokens"),
    RateLimitPolicy(name="split", scope="GLOBAL", limit=170, window="600ms", shards=3),
    RateLimitPolicy(name="ever", scope="GLOBAL", limit=10**6, window="10m"),
]


def run_worker(url: str, seed: int, pipe: Connection) -> None:
    """Asks for a while; sends (policy, subject and shard, ms, cost) for each window of each admitted request, and how
    many were denied."""
    rng = random.Random(seed)

    async def serve() -> None:
        client = connect(url)
        limiter = Limiter(client, deadline_s=30)
        ends, admitted, denied = time.monotonic() + RUN_S, [], 0

        async def ask() -> None:
            nonlocal denied
            while time.monotonic() < ends:
                tenant, model, cost = rng.choice("abc"), rng.choice("xy"), rng.randrange(1, 5)
                subjects = [tenant, model, "", "", ""]
                charges = [
                    Charge(each, subject, cost if each.unit == "total_tokens" else 1)
                    for each, subject in zip(BUSY, subjects, strict=True)
                ]
                decision = await limiter.acquire(charges)
                denied += not decision.allowed
                for charge, (ms, _) in zip(decision._charges, decision._entries, strict=True):
                    if decision.allowed:
                        admitted.append((charge.policy.name, f"{charge.subject}#{charge.shard}", ms, charge.cost))

        await asyncio.gather(*(ask() for _ in range(CALLERS)))
        await limiter.close()
        await client.aclose()
        pipe.send((admitted, denied))

    asyncio.run(serve())
