"""No band with a reserve starves: the bound on its wait (proved in docs/qos.md), under random floods of every band.

If no request holds a slot longer than S, capacity stays as it is, and R is the band's reserve in slots, then a request
that is the k-th of its band to start from its arrival on (itself counted) waits at most 2 * S * ceil(k / R).
"""

from heapq import heappop, heappush
from math import ceil

from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.router.scheduler import QosSettings, Request, Scheduler, Started

from .harness import bands

LONGEST_S = 10
"""S: no request holds its slot for longer."""

BANDS = ("high", "middle", "low")


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def run(
    settings_: QosSettings, slots: int, arrivals: list[tuple[int, str, str, int]]
) -> tuple[dict[str, list[tuple[float, float]]], int]:
    """(arrival, start) of everything that started, by band, in order of start; and how many never started.

    An arrival is (seconds after the one before, band, tenant, how long it holds its slot)."""
    clock = Clock()
    scheduler = Scheduler(settings_, clock)
    scheduler.add_pool("p", slots)
    events: list[tuple[float, int, str]] = []
    requests: dict[str, tuple[float, Request, int]] = {}
    at_s = 0.0
    for number, (gap_s, band, tenant, holds_s) in enumerate(arrivals):
        at_s += gap_s
        request = Request(f"r{number}", "h", "p", band, tenant, cost_tokens=holds_s)
        requests[request.id] = (at_s, request, holds_s)
        heappush(events, (at_s, number, request.id))
    starts: dict[str, list[tuple[float, float]]] = {band: [] for band in BANDS}
    running: set[str] = set()
    number = len(arrivals)
    while events:
        clock.now_s, _, request_id = heappop(events)
        arrived_s, request, holds_s = requests[request_id]
        ends = request_id in running
        for outcome in scheduler.complete(request_id, holds_s) if ends else scheduler.submit(request):
            if isinstance(outcome, Started):
                arrived_s, request, holds_s = requests[outcome.id]
                starts[request.band].append((arrived_s, clock.now_s))
                running.add(outcome.id)
                number += 1
                heappush(events, (clock.now_s + holds_s, number, outcome.id))
    return starts, len(arrivals) - len(running)


knobs = st.sampled_from(
    [
        {"high": {}, "middle": {"reserve": 0.25}, "low": {"reserve": 0.25}},
        {"high": {"reserve": 0.5}, "middle": {}, "low": {"reserve": 0.1}},
        {"high": {"reserve": 0.4}, "middle": {"reserve": 0.3}, "low": {"reserve": 0.3, "cap": 0.5}},
    ]
)
arrivals = st.tuples(
    st.sampled_from((0, 0, 0, 0, 1, 3)),
    st.sampled_from(("high", "high", "high", "middle", "low")),
    st.sampled_from(("acme", "globex")),
    st.integers(1, LONGEST_S),
)


@settings(max_examples=300, deadline=None)
@given(knobs=knobs, slots=st.integers(1, 12), arrivals=st.lists(arrivals, min_size=30, max_size=200))
def test_no_band_with_a_reserve_starves(
    knobs: dict[str, dict[str, float]], slots: int, arrivals: list[tuple[int, str, str, int]]
) -> None:
    # Nothing is shed: what is bounded is the wait itself.
    endless = {name: {"queue_bound": 1_000_000, "longest_wait": "31d", **given} for name, given in knobs.items()}
    qos = bands(**endless)
    starts, left = run(qos, slots, arrivals)
    assert left == 0
    scheduler = Scheduler(qos, lambda: 0.0)
    scheduler.add_pool("p", slots)
    for band in scheduler.statistics()[0].bands:
        if band.reserve_slots:
            judge(starts[band.name], band.reserve_slots)


def judge(starts: list[tuple[float, float]], reserve_slots: int) -> None:
    for at, (arrived_s, started_s) in enumerate(starts):
        since = next(n for n, (_, other_s) in enumerate(starts) if other_s >= arrived_s)
        assert started_s - arrived_s <= 2 * LONGEST_S * ceil((at - since + 1) / reserve_slots)


def test_without_a_reserve_a_band_does_starve() -> None:
    # What the bound is worth: the same flood, with and without one slot reserved for the low band.
    flood = [(1, "high", "acme", LONGEST_S) for _ in range(200)]
    mixed = [*flood[:20], (0, "low", "acme", 1), *flood[20:]]
    waits = {}
    for reserve in (0.0, 0.25):
        qos = bands(high={"longest_wait": "31d"}, middle={}, low={"longest_wait": "31d", "reserve": reserve})
        [(arrived_s, started_s)] = run(qos, 4, mixed)[0]["low"]
        waits[reserve] = started_s - arrived_s
    assert waits[0.25] <= 2 * LONGEST_S
    assert waits[0.0] > 20 * LONGEST_S
