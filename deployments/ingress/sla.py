"""Service levels: what was agreed for each QoS tier, and what each tenant got, over the last minute and hour.

Kept by each ingress replica in memory that is bounded, whatever is sent: per tenant a ring of slices of time, and in
each slice times by bucket instead of one by one. `merged` puts the replicas' figures together.

What counts: replies that were complete (success), and those that failed through this side (a broken model, no slot, a
deadline of ours). Denials by a limit, requests that were wrong and clients that left say nothing about the service.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

MOST_TENANTS = 2_000
"""How many tenants are remembered; the one that was served longest ago goes first."""

STEP = 1.1
"""Each bucket ends so many times later than the one before: a percentile is at most a tenth too high."""

SHORTEST_S = 0.001
"""End of the first bucket, in seconds."""

LAST_BUCKET = 160
"""Everything above 70 minutes is in it."""


@dataclass(frozen=True, slots=True)
class SlaTarget:
    """What is agreed for a QoS tier."""

    ttft_p95_ms: int | None = None
    """Of streamed replies, 95 in 100 have their first token within this time, in milliseconds."""
    success_rate: float | None = None
    """Share of requests that end with a complete reply, as in `0.999`."""


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time that figures are given for."""

    name: str
    slices: int
    slice_s: float


WINDOWS = (Window("1m", 12, 5.0), Window("1h", 60, 60.0))
"""A figure covers the window to within one slice: the youngest is not full yet."""


@dataclass(slots=True)
class Tally:
    """What was counted in some time."""

    succeeded: int = 0
    failed: int = 0
    ttft: dict[int, int] = field(default_factory=dict)
    """How many streamed replies had their first token in each bucket."""
    latency: dict[int, int] = field(default_factory=dict)
    """How many replies were complete in each bucket."""

    def add(self, other: "Tally") -> None:
        self.succeeded += other.succeeded
        self.failed += other.failed
        for mine, theirs in ((self.ttft, other.ttft), (self.latency, other.latency)):
            for bucket, count in theirs.items():
                mine[bucket] = mine.get(bucket, 0) + count


@dataclass(slots=True)
class _Tenant:
    qos_tier: str
    rings: dict[str, dict[int, Tally]] = field(default_factory=lambda: {window.name: {} for window in WINDOWS})
    """By window: tallies by the number of their slice of time."""


Figures = Mapping[str, tuple[str, Mapping[str, Tally]]]
"""By tenant: its QoS tier, and a tally for each window. What one replica tells and `merged` puts together."""


class SlaBook:
    """What this replica has seen."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tenants: OrderedDict[str, _Tenant] = OrderedDict()

    def succeeded(self, tenant: str, qos_tier: str, ttft_s: float | None, latency_s: float) -> None:
        """A complete reply; `ttft_s` is None for one that was not streamed."""
        for tally in self._tallies(tenant, qos_tier):
            tally.succeeded += 1
            _count(tally.latency, latency_s)
            if ttft_s is not None:
                _count(tally.ttft, ttft_s)

    def failed(self, tenant: str, qos_tier: str) -> None:
        """A request that did not get a complete reply, and through no fault of the client's."""
        for tally in self._tallies(tenant, qos_tier):
            tally.failed += 1

    def figures(self) -> Figures:
        """Every tenant that was served within the longest window."""
        now = self._clock()
        figures = {}
        for name, tenant in self._tenants.items():
            sums: dict[str, Tally] = {}
            for window in WINDOWS:
                total = sums[window.name] = Tally()
                youngest = int(now // window.slice_s)
                for number, tally in tenant.rings[window.name].items():
                    if number > youngest - window.slices:
                        total.add(tally)
            if any(total.succeeded or total.failed for total in sums.values()):
                figures[name] = (tenant.qos_tier, sums)
        return figures

    def _tallies(self, name: str, qos_tier: str) -> list[Tally]:
        tenant = self._tenants.get(name)
        if tenant is None:
            tenant = self._tenants[name] = _Tenant(qos_tier)
            if len(self._tenants) > MOST_TENANTS:
                self._tenants.popitem(last=False)
        else:
            self._tenants.move_to_end(name)
        tenant.qos_tier = qos_tier
        now = self._clock()
        tallies = []
        for window in WINDOWS:
            ring, number = tenant.rings[window.name], int(now // window.slice_s)
            tally = ring.get(number)
            if tally is None:
                tally = ring[number] = Tally()
                for old in [n for n in ring if n <= number - window.slices]:
                    del ring[old]
            tallies.append(tally)
        return tallies


def merged(replicas: Iterable[Figures]) -> Figures:
    """The figures of all replicas together."""
    together: dict[str, tuple[str, dict[str, Tally]]] = {}
    for figures in replicas:
        for name, (qos_tier, tallies) in figures.items():
            mine = together.setdefault(name, (qos_tier, {window.name: Tally() for window in WINDOWS}))[1]
            for window, tally in tallies.items():
                mine[window].add(tally)
    return together


def report(figures: Figures, targets: Mapping[str, SlaTarget]) -> dict[str, object]:
    """What `GET /admin/sla` answers: targets by tier, and by tenant and window what was attained."""
    return {
        "targets": {
            tier: {"ttft_p95_ms": target.ttft_p95_ms, "success_rate": target.success_rate}
            for tier, target in targets.items()
        },
        "tenants": [
            {
                "tenant": name,
                "qos_tier": tier,
                "windows": {w: _attained(tally, targets.get(tier, SlaTarget())) for w, tally in tallies.items()},
            }
            for name, (tier, tallies) in sorted(figures.items())
        ],
    }


def _attained(tally: Tally, target: SlaTarget) -> dict[str, object]:
    requests = tally.succeeded + tally.failed
    success_rate = tally.succeeded / requests if requests else None
    ttft_p95_ms = percentile_ms(tally.ttft, 0.95)
    return {
        "requests": requests,
        "success_rate": success_rate,
        "ttft_p50_ms": percentile_ms(tally.ttft, 0.5),
        "ttft_p95_ms": ttft_p95_ms,
        "latency_p50_ms": percentile_ms(tally.latency, 0.5),
        "latency_p95_ms": percentile_ms(tally.latency, 0.95),
        "met": _met(ttft_p95_ms, target.ttft_p95_ms, success_rate, target.success_rate),
    }


def _met(
    ttft_ms: float | None, ttft_target_ms: int | None, rate: float | None, rate_target: float | None
) -> bool | None:
    """Whether everything that was agreed and can be judged holds; None where there is nothing to judge."""
    verdicts = []
    if ttft_ms is not None and ttft_target_ms is not None:
        verdicts.append(ttft_ms <= ttft_target_ms)
    if rate is not None and rate_target is not None:
        verdicts.append(rate >= rate_target)
    return all(verdicts) if verdicts else None


def percentile_ms(buckets: Mapping[int, int], share: float) -> float | None:
    """The end of the bucket in which this share of the times is reached, in milliseconds; None where there is none."""
    left = math.ceil(sum(buckets.values()) * share)
    if not left:
        return None
    for bucket in sorted(buckets):
        left -= buckets[bucket]
        if left <= 0:
            return round(SHORTEST_S * STEP**bucket * 1000, 1)
    raise AssertionError("a share is at most 1")


def _count(buckets: dict[int, int], time_s: float) -> None:
    bucket = math.ceil(math.log(time_s / SHORTEST_S, STEP)) if time_s > SHORTEST_S else 0
    bucket = min(bucket, LAST_BUCKET)
    buckets[bucket] = buckets.get(bucket, 0) + 1
