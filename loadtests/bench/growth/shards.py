"""What splitting a GLOBAL window costs in exactness: simulated with the real choice of parts (`policies.shards`).

Requests arrive at random at some processes; each asks the part that its process chooses, and the process learns from
the answer. Beside it, one whole window gets the same requests. Every part is exact, so the split window never admits
more.
"""

import random
import time
from bisect import bisect
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import accumulate, repeat
from multiprocessing import get_context

from loadtests.bench.report.spreads import spreads
from policies import Charge, RateLimitPolicy, Window
from policies.entities import Scope, Unit
from policies.shards import Shards

WINDOW_S = 10.0
TOKENS_MEAN = 100.0


@dataclass(frozen=True, slots=True)
class Case:
    """One run."""

    processes: int
    shards: int
    limit: int
    """In requests; with tokens, so many mean requests."""
    load: float
    """Arrivals against the limit."""
    skewed: bool = False
    """The n-th process gets a share in proportion to 1/n; else all get the same."""
    tokens: bool = False
    """Costs are spread over two orders of magnitude; else every request costs 1."""

    def row(self) -> dict[str, float | str]:
        names = ("processes", "shards", "limit", "load", "skewed", "tokens")
        return {name: getattr(self, name) for name in names}


CASES = (
    *(Case(1, 64, 16_000, load) for load in (0.95, 1.5)),
    *(Case(16, 64, 16_000, load) for load in (0.95, 1.0, 1.5)),
    *(Case(256, 64, 16_000, load) for load in (0.95, 1.0, 1.5)),
    Case(256, 64, 16_000, 0.95, skewed=True),
    Case(256, 64, 16_000, 1.5, skewed=True),
    Case(256, 64, 16_000, 0.95, tokens=True),
    Case(256, 64, 16_000, 1.5, tokens=True),
    Case(256, 8, 16_000, 0.95),
    Case(256, 8, 16_000, 1.5),
    Case(16, 64, 1_600, 0.95),
    Case(16, 64, 1_600, 1.5),
)


class _Log:
    """A sliding-window log in plain Python, exact as the real one."""

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0
        self._entries: deque[tuple[float, int]] = deque()

    def take(self, now_s: float, cost: int) -> bool:
        self.leave(now_s)
        if self.used + cost > self.limit:
            return False
        self.used += cost
        self._entries.append((now_s, cost))
        return True

    def leave(self, now_s: float) -> None:
        while self._entries and self._entries[0][0] <= now_s - WINDOW_S:
            self.used -= self._entries.popleft()[1]

    def retry_after_s(self, now_s: float, cost: int) -> float:
        """When this cost fits; 0 where it does."""
        over = self.used + cost - self.limit
        for at_s, entry in self._entries:
            if over <= 0:
                return 0.0
            over -= entry
            if over <= 0:
                return at_s + WINDOW_S - now_s
        return 0.0

    def reset_after_s(self, now_s: float) -> float:
        return self._entries[0][0] + WINDOW_S - now_s if self._entries else 0.0


def simulate(case: Case, seed: int, windows: int = 4) -> dict[str, float]:
    """A run of so many windows, of which the first is not counted. `lost`: how much less than the whole window it
    admitted, in what it counts. `early`: the part of all requests that were denied although the parts together had
    room."""
    rng = random.Random(seed)
    mean = TOKENS_MEAN if case.tokens else 1.0
    limit = round(case.limit * mean)
    policy = RateLimitPolicy(
        name="p",
        scope=Scope.GLOBAL,
        limit=limit,
        window=round(WINDOW_S * 1000),
        shards=case.shards,
        unit=Unit.TOTAL_TOKENS if case.tokens else Unit.REQUESTS,
    )
    now_s = 0.0
    rounds = [Shards(lambda: now_s) for _ in range(case.processes)]
    whole, parts = _Log(limit), [_Log(policy.limit_of(n)) for n in range(case.shards)]
    taken, early, asked = [0, 0], 0, 0
    arrivals = _arrivals(rng, case, mean)
    for now_s, process, cost in arrivals:
        if now_s > windows * WINDOW_S:
            break
        counts = now_s > WINDOW_S
        turn = rounds[process]
        charge = turn.choose(Charge(policy, cost=cost), advance=True)
        assert charge.shard is not None
        part = parts[charge.shard]
        admitted = [whole.take(now_s, cost), part.take(now_s, cost)]
        if not admitted[1] and counts:
            for each in parts:
                each.leave(now_s)
            early += sum(each.used for each in parts) + cost <= limit
        turn.learn([charge], [_window(charge, part, now_s, fits=admitted[1])])
        if counts:
            asked += 1
            taken = [so_far + cost * fits for so_far, fits in zip(taken, admitted, strict=True)]
    return {"lost": 1 - taken[1] / taken[0], "early": early / asked}


def _arrivals(rng: random.Random, case: Case, mean: float) -> Iterator[tuple[float, int, int]]:
    """When, at which process, and what it costs."""
    rate = case.load * case.limit / WINDOW_S
    shares = list(accumulate(1 / (n + 1) if case.skewed else 1.0 for n in range(case.processes)))
    at_s = 0.0
    while True:
        at_s += rng.expovariate(rate)
        process = bisect(shares, rng.random() * shares[-1])
        cost = max(1, round(rng.lognormvariate(0, 1) * mean * 0.6065)) if case.tokens else 1  # e ** -0.5: the mean
        yield at_s, process, cost


def _window(charge: Charge, part: _Log, now_s: float, *, fits: bool) -> Window:
    policy, left = charge.policy, part.limit - part.used
    return Window(
        policy=policy.name,
        scope=policy.scope,
        subject="",
        unit=policy.unit,
        limit=part.limit,
        window_s=WINDOW_S,
        cost=charge.cost,
        used=part.used,
        remaining=left,
        fits=fits,
        retry_after_s=0.0 if fits else part.retry_after_s(now_s, charge.cost),
        reset_after_s=0.0 if fits and left else part.reset_after_s(now_s),
        enforced=True,
    )


def simulated(seeds: int, windows: int) -> list[dict[str, object]]:
    """All cases; each figure over some seeds. One process for each core: nothing is timed."""
    turns = [(case, seed) for case in CASES for seed in range(seeds)]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        runs = list(pool.map(simulate, *zip(*turns, strict=True), repeat(windows)))
    found: list[dict[str, object]] = []
    for at, case in enumerate(CASES):
        rows = runs[at * seeds : (at + 1) * seeds]
        found.append({**case.row(), **spreads(rows)})
    return found


def choosing_us(shards: int, count: int = 20_000) -> float:
    """What the choice of a part costs a process, each."""
    policy = RateLimitPolicy(name="p", scope=Scope.GLOBAL, limit=10**9, window=1_000, shards=shards)
    rounds, charge = Shards(time.monotonic), Charge(policy)
    begun = time.process_time()
    for _ in range(count):
        rounds.choose(charge, advance=True)
    return round((time.process_time() - begun) / count * 1e6, 2)
