"""Eight processes, mixed costs, sliding windows: what they were admitted is replayed by the server's time, and no
window may ever have held more than its limit. `--exactness-seconds 60` for a long run."""

import json
import subprocess
import sys
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

import pytest

from tests.policies.exactness_worker import POLICIES
from tests.policies.redis_server import RedisServer, binaries

PROCESSES, CALLERS = 8, 6
LIMITS = {policy.name: policy for policy in POLICIES}


def _run(
    server: RedisServer, seconds: float, skew_s: Callable[[int], float], disturb: Callable[[], None]
) -> dict[str, Any]:
    """Runs the workers; `disturb` is called half-way. Everything that they were admitted, and the counts."""
    workers = []
    for number in range(PROCESSES):
        orders = {
            "seed": number,
            "socket": server.socket,
            "callers": CALLERS,
            "skew_s": skew_s(number),
            "deadline_s": 5,
        }
        command = [sys.executable, "-m", "tests.policies.exactness_worker", json.dumps(orders)]
        workers.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    assert [worker.stdout.readline() for worker in workers if worker.stdout] == ["ready\n"] * PROCESSES
    until = time.monotonic() + seconds
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(f"{until}\n")
        worker.stdin.flush()
    time.sleep(seconds / 2)
    disturb()
    total: dict[str, Any] = {"admitted": [], "held": [], "denied": 0, "failed": 0}
    for worker in workers:
        out, _ = worker.communicate(timeout=seconds + 60)
        assert worker.returncode == 0
        for name, part in json.loads(out).items():
            total[name] += part
    return total


def _fullest(admitted: list[tuple[str, str, int, int]]) -> dict[str, float]:
    """For each policy the fullest window that ever was, as a share of its limit: 1.0 is exactly full."""
    logs: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for policy, subject, at_ms, cost in admitted:
        logs[policy, subject].append((at_ms, cost))
    fullest: dict[str, float] = defaultdict(float)
    for (policy, _), entries in logs.items():
        entries.sort()
        times = [at_ms for at_ms, _ in entries]
        sums = [0, *accumulate(cost for _, cost in entries)]
        for at_ms in times:
            held = sums[bisect_right(times, at_ms)] - sums[bisect_right(times, at_ms - LIMITS[policy].window)]
            fullest[policy] = max(fullest[policy], held / LIMITS[policy].limit)
    return fullest


def _most_held(held: list[tuple[str, float, float]]) -> int:
    """Most requests of one subject that held a slot at the same moment, by the machine's monotonic clock."""
    most = 0
    for subject in {subject for subject, _, _ in held}:
        steps = sorted((t, step) for s, a, b in held if s == subject for t, step in ((a, 1), (b, -1)))
        most = max(most, *accumulate(step for _, step in steps))
    return most


@pytest.fixture
def durable_server() -> Iterator[RedisServer]:
    options = ("--appendonly", "yes", "--appendfsync", "everysec")
    server = RedisServer(next(iter(binaries().values())), *options).start()
    yield server
    server.close()


@pytest.mark.timeout(0)
@pytest.mark.parametrize("trouble", ["none", "client clocks an hour off", "redis killed and restarted"])
def test_no_window_ever_holds_more_than_its_limit(
    durable_server: RedisServer, request: pytest.FixtureRequest, trouble: str
) -> None:
    seconds: float = request.config.getoption("--exactness-seconds")
    skewed, killed = trouble.startswith("client"), trouble.startswith("redis")

    def restart() -> None:
        durable_server.kill()
        time.sleep(0.3)
        durable_server.start()

    total = _run(
        durable_server,
        seconds,
        lambda number: (3600 if number % 2 else -3600) if skewed else 0,
        restart if killed else lambda: None,
    )
    fullest = _fullest(total["admitted"])
    print(  # shown by pytest -s, for the long run
        f"\n{trouble}: {len(total['admitted']) // 3} admitted, {total['denied']} denied, {total['failed']} failed;",
        f"fullest windows {dict(fullest)}; most slots held {_most_held(total['held'])} of {LIMITS['slots'].limit}",
    )
    assert all(share <= 1 for share in fullest.values()), fullest
    assert _most_held(total["held"]) <= LIMITS["slots"].limit
    # The test would prove nothing were the windows never full, or the trouble never felt.
    assert max(fullest.values()) > 0.95
    assert total["denied"] > 100
    assert bool(total["failed"]) == killed
