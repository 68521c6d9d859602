"""Many processes on one window: never one unit over the limit."""

import asyncio
import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

import pytest
from redis.asyncio import Redis

from policies import Charge, Limiter, RateLimitPolicy
from tests.policies.redis_server import RedisServer

PROCESSES, CALLERS, LIMIT, ROUNDS = 8, 100, 50, 20
SLIDING_S = 3


def _worker(socket: str, pipe: Connection) -> None:
    """Answers (policy, subject, cost, callers) with the costs admitted and their server times, until told None."""

    async def serve() -> None:
        redis = Redis(unix_socket_path=socket)
        limiter = Limiter(redis, deadline_s=30)
        await redis.ping()
        pipe.send("ready")
        while (asked := pipe.recv()) is not None:
            policy, subject, cost, callers = asked
            decisions = await asyncio.gather(
                *(limiter.acquire([Charge(policy, subject, cost)]) for _ in range(callers))
            )
            pipe.send([(decision.allowed, decision.time_s) for decision in decisions])
        await limiter.close()
        await redis.aclose()

    asyncio.run(serve())


@pytest.fixture(scope="module")
def workers(_newest_server: RedisServer) -> Iterator[list[Connection]]:
    context = multiprocessing.get_context("spawn")
    ends, processes = [], []
    for _ in range(PROCESSES):
        ours, theirs = context.Pipe()
        process = context.Process(target=_worker, args=(_newest_server.socket, theirs), daemon=True)
        process.start()
        ends.append(ours)
        processes.append(process)
    assert [end.recv() for end in ends] == ["ready"] * PROCESSES
    yield ends
    for end, process in zip(ends, processes, strict=True):
        end.send(None)
        process.join(10)


@pytest.mark.parametrize("unit", ["requests", "total_tokens", "concurrent_requests"])
def test_exactly_the_limit_is_admitted(newest_server: RedisServer, workers: list[Connection], unit: str) -> None:
    """A hundred callers over eight processes and a limit of fifty: fifty are admitted, twenty times in a row."""
    cost = 3 if unit == "total_tokens" else 1
    policy = RateLimitPolicy(name="p", scope="TENANT", unit=unit, limit=LIMIT * cost + cost - 1, window="10m")
    shares = [CALLERS // PROCESSES + (i < CALLERS % PROCESSES) for i in range(PROCESSES)]
    for turn in range(ROUNDS):
        for end, callers in zip(workers, shares, strict=True):
            end.send((policy, f"round {turn}", cost, callers))
        answers = [answer for end in workers for answer in end.recv()]
        assert len(answers) == CALLERS
        assert sum(allowed for allowed, _ in answers) == LIMIT


def test_a_sliding_window_is_never_over_its_limit(newest_server: RedisServer, workers: list[Connection]) -> None:
    """Replays what eight processes were admitted, by the server's time: no window ever held more than the limit."""
    policy = RateLimitPolicy(name="p", scope="TENANT", unit="total_tokens", limit=200, window=200)
    admitted: list[tuple[int, int]] = []
    give_up, turn = time.monotonic() + SLIDING_S, 0
    while time.monotonic() < give_up:
        turn += 1
        costs = [1 + (turn * 7 + i * 5) % 23 for i in range(PROCESSES)]
        for end, cost in zip(workers, costs, strict=True):
            end.send((policy, "one", cost, 6))
        for end, cost in zip(workers, costs, strict=True):
            admitted += [(round(at_s * 1000), cost) for allowed, at_s in end.recv() if allowed]
    admitted.sort()
    assert len(admitted) > 60  # several windows full
    for end_ms, _ in admitted:
        assert sum(cost for at_ms, cost in admitted if end_ms - policy.window < at_ms <= end_ms) <= policy.limit
