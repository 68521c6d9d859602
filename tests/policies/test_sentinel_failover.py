"""Behind Sentinel, under traffic: the primary is killed or steps down, and decisions resume on the new one."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from policies import Charge, Limiter, RateLimitPolicy
from policies.connect import connect
from policies.errors import StoreError
from tests.policies.redis_nodes import SentinelGroup, until
from tests.policies.redis_server import RedisServer, binaries

CALLERS = 6
RESUMES_S = 10
"""Down after 0.3 s; then the Sentinels elect, promote and tell."""

SLIDING = RateLimitPolicy(name="sliding", scope="TENANT", limit=40, window="700ms")
EVER = RateLimitPolicy(name="ever", scope="TENANT", limit=10**6, window="10m")
EVER_LOG = "sluice:{TENANT:}:ever:r:"


@pytest.fixture
def group() -> Iterator[SentinelGroup]:
    made = SentinelGroup(next(iter(binaries().values())))
    yield made
    made.close()


@pytest_asyncio.fixture
async def limiter(group: SentinelGroup) -> AsyncIterator[Limiter]:
    client = connect(group.url)
    made = Limiter(client, deadline_s=0.2)
    yield made
    await made.close()
    await client.aclose()


@dataclass
class Traffic:
    """Callers that ask without pause, and what they were told."""

    limiter: Limiter
    admitted: list[tuple[int, int]] = field(default_factory=list)
    """Time in ms and ordinal of each in the log that keeps all."""
    failed: int = 0
    going: bool = True

    async def ask(self) -> None:
        while self.going:
            try:
                decision = await self.limiter.acquire([Charge(SLIDING), Charge(EVER)])
            except StoreError:
                self.failed += 1
                await asyncio.sleep(0.01)
                continue
            if decision.allowed:
                self.admitted.append(decision._entries[1])
            await asyncio.sleep(0.002)

    async def admits_since(self, count: int, within_s: float = RESUMES_S) -> float:
        """Seconds until more than so many were admitted."""
        start = time.monotonic()
        while len(self.admitted) <= count:
            assert time.monotonic() - start < within_s, "decisions do not resume"
            await asyncio.sleep(0.005)
        return time.monotonic() - start


def logged(server: RedisServer) -> set[tuple[int, int]]:
    with server.sync() as client:
        ids = [entry[0].decode().split("-") for entry in client.xrange(EVER_LOG)]
    return {(int(ms), int(ordinal)) for ms, ordinal in ids}


def most_over(admitted: list[tuple[int, int]]) -> int:
    """How far beyond its limit the sliding window ever was."""
    times = sorted(ms for ms, _ in admitted)
    held = (sum(end - SLIDING.window < ms <= end for ms in times) for end in times)
    return max(0, max(held) - SLIDING.limit)


def taken_over(group: SentinelGroup) -> RedisServer | None:
    for server in group.replicas:
        with server.sync() as client:
            if client.role()[0] == b"master":
                return server
    return None


async def test_killed_under_traffic_and_back_later(group: SentinelGroup, limiter: Limiter) -> None:
    traffic = Traffic(limiter)
    callers = [asyncio.create_task(traffic.ask()) for _ in range(CALLERS)]
    await traffic.admits_since(60)
    group.primary.kill()
    killed_ms = time.time() * 1000
    await asyncio.sleep(0.1)  # what was under way has come back
    await traffic.admits_since(len(traffic.admitted) + 60)
    resumed_s = min(ms for ms, _ in traffic.admitted if ms > killed_ms) / 1000 - killed_ms / 1000
    new = await asyncio.to_thread(group.promoted)
    assert new is not group.primary

    # The old primary comes back, empty, and is a primary in its own eyes until the Sentinels make it a replica, which
    # they do after 8 s. Nobody may ask it.
    group.primary.start()
    await traffic.admits_since(len(traffic.admitted) + 80)
    traffic.going = False
    await asyncio.gather(*callers)

    there = logged(new)
    lost = [entry for entry in traffic.admitted if entry not in there]
    orphans = len(there) - (len(traffic.admitted) - len(lost))
    over = most_over(traffic.admitted)
    print(
        f"resumed after {resumed_s:.2f} s; {len(traffic.admitted)} admitted, {len(lost)} not replicated, "
        f"{orphans} logged for nobody, {traffic.failed} failed, over by {over}"
    )
    assert len(set(traffic.admitted)) == len(traffic.admitted)
    assert not logged(group.primary) - there, "somebody went to the old primary"
    assert all(ms <= killed_ms for ms, _ in lost), "only what the old primary admitted may be lost"
    assert over <= len(lost)
    assert orphans <= traffic.failed, "an acquire was sent twice"


async def test_a_primary_that_steps_down_is_left(group: SentinelGroup, limiter: Limiter) -> None:
    """Alive all the while: its connections must go all the same, or it would refuse (READONLY) or answer from a copy.
    And with one Sentinel frozen, the first that would be asked."""
    traffic = Traffic(limiter)
    callers = [asyncio.create_task(traffic.ask()) for _ in range(CALLERS)]
    await traffic.admits_since(60)
    group.sentinels[0].send_signal(signal.SIGSTOP)
    with group.sentinel() as sentinel:
        sentinel.sentinel_failover("main")

    start = time.monotonic()
    new = await asyncio.to_thread(until, lambda: taken_over(group), "a replica takes over")
    promoted_s, at_ms = time.monotonic() - start, time.time() * 1000
    while not (since := [ms for ms, _ in logged(new) if ms > at_ms]):
        assert time.monotonic() - start < RESUMES_S, "decisions do not resume"
        await asyncio.sleep(0.02)
    await asyncio.sleep(2)  # the old primary would still take what it is asked
    traffic.going = False
    await asyncio.gather(*callers)
    there = logged(new)
    lost = [entry for entry in traffic.admitted if entry not in there]
    over = most_over(traffic.admitted)
    print(
        f"promoted after {promoted_s:.2f} s, decides there {(min(since) - at_ms) / 1000:.2f} s later; "
        f"{len(lost)} lost, over by {over}"
    )
    assert all(ms < min(since) + 600 for ms, _ in lost), "somebody stayed with the old primary"
    assert over <= len(lost)
    assert len(there) - (len(traffic.admitted) - len(lost)) <= traffic.failed
