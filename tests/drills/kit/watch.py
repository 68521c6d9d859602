"""The log of the drilled limit, copied entry by entry from Redis itself, past whatever is broken on the way to it.

All times are the Redis server's. What a window ever held is counted from the copy; an admitted reply for which the log
has no entry would be an over-admission too, and is counted by whoever holds both.
"""

import asyncio
import contextlib

from redis.asyncio import Redis

from loadtests.scenarios.kit.logs import Entry, fullest
from policies import Limiter, RateLimitPolicy
from policies.errors import StoreError
from policies.following import LogFollower

LOOK_EVERY_S = 0.2
DEADLINE_S = 1.0


class Watch:
    """Looks at one log until it is stopped; reads nothing through the application."""

    def __init__(self, redis: Redis, policy: RateLimitPolicy, subject: str, slot: str) -> None:
        self.policy = policy
        self._redis = redis
        self._limiter = Limiter(redis, deadline_s=DEADLINE_S)
        self._follower = LogFollower(self._limiter, policy, subject, slot, most=100_000)
        self._costs: dict[tuple[int, int], int] = {}
        self._times: dict[int, int] = {}
        self._going = True
        self._task = asyncio.create_task(self._follow())

    def restart(self) -> None:
        """Forgets what was copied."""
        self._costs.clear()

    async def look(self) -> None:
        """Once more, now. Raises `StoreError`."""
        look = await self._follower.look(DEADLINE_S)
        for at_ms, ordinal, cost in look.entries:
            self._costs[at_ms, ordinal] = cost
            self._times[ordinal] = at_ms
        for ordinal, cost in look.changed:
            if (self._times[ordinal], ordinal) in self._costs:
                self._costs[self._times[ordinal], ordinal] = cost

    def entries(self) -> list[Entry]:
        """In order. Ordinals have no gaps: what was logged between two looks and had left by the second (a clock that
        jumped) is known to have been there, and stands here at the time of the entry before it."""
        found: list[Entry] = []
        for (at_ms, ordinal), cost in sorted(self._costs.items()):
            if found and ordinal > found[-1].ordinal:
                before = found[-1]
                found += [Entry(before.at_ms, missed, 1) for missed in range(before.ordinal + 1, ordinal)]
            found.append(Entry(at_ms, ordinal, cost))
        return found

    def over(self) -> int:
        """By how much the fullest window that there ever was held more than the limit."""
        return max(0, fullest(self.entries(), self.policy.window).held - self.policy.limit)

    def logged(self) -> int:
        """How many requests were logged, and not taken back."""
        return sum(entry.cost > 0 for entry in self.entries())

    async def close(self) -> None:
        self._going = False
        await self._task
        await self._limiter.close()
        await self._redis.aclose()

    async def _follow(self) -> None:
        while self._going:
            with contextlib.suppress(StoreError):  # it is down or frozen: nothing is logged meanwhile
                await self.look()
            await asyncio.sleep(LOOK_EVERY_S)
