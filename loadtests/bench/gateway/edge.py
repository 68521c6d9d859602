"""How many requests of one key come through at the edge of a fixed window, if it has one.

The first request begins the window. Just before that has passed the rest of the limit is asked for at once, and just
after it twice the limit: all of that within one window's time, so some of it must be denied. Whoever counts a sliding
window lets one more through after the edge (the room of the first request); whoever counts fixed windows lets the whole
limit through again.
"""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from loadtests.bench.applications import body, headers
from loadtests.bench.gateway.cases import EDGE, EDGE_LIMIT, WINDOW_S

BEFORE_S, AFTER_S = 2.5, 0.7
"""When the bursts begin: so long before the window's end, and so long after it. The slower of both answers a burst of
`EDGE_LIMIT` within a second."""


class EdgeError(Exception):
    """The bursts did not fall where they should, or were answered with something else than 200 and 429."""


@dataclass(frozen=True, slots=True)
class Edge:
    """What came of both bursts."""

    before: int
    """Admitted in the first burst. The request that began the window has left it when the second one comes."""
    after: int
    """Admitted in the second."""
    denied: int

    @property
    def ratio(self) -> float:
        """What was admitted within one window's time, against the limit."""
        return (self.before + self.after) / EDGE_LIMIT


def at_the_edge(url: str) -> Edge:
    """Asks; it takes a window and a second."""
    with httpx.Client(trust_env=False, timeout=30) as client, ThreadPoolExecutor(EDGE_LIMIT) as pool:

        def ask(_: int) -> int:
            return client.post(url, content=body(), headers=headers(EDGE)).status_code

        def burst(count: int) -> Counter[int]:
            return Counter(pool.map(ask, range(count)))

        began = time.monotonic()
        first = burst(1)
        _sleep_until(began + WINDOW_S - BEFORE_S)
        first_burst_began = time.monotonic()
        before = burst(EDGE_LIMIT - 1)
        if time.monotonic() > began + WINDOW_S - 0.3:
            raise EdgeError(f"{url}: {EDGE_LIMIT - 1} requests took until the window's end; is the machine busy?")
        _sleep_until(began + WINDOW_S + AFTER_S)
        after = burst(EDGE_LIMIT) + burst(EDGE_LIMIT)
        if time.monotonic() > first_burst_began + WINDOW_S:
            raise EdgeError(f"{url}: both bursts together took longer than a window; is the machine busy?")
    statuses = first + before + after
    if set(statuses) != {200, 429}:
        raise EdgeError(f"{url}: answered {dict(statuses)}; 200 and 429 were to be expected, and nothing else")
    return Edge(before=before[200], after=after[200], denied=statuses[429])


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
