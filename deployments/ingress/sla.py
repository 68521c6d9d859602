"""Service levels: what was agreed for each QoS tier, and what each tenant got, over the last minute and hour.

Kept by each ingress replica in memory that is bounded, whatever is sent: per tenant a ring of slices of time, and in
each slice times by bucket instead of one by one. `merged` puts the replicas' figures together.

What counts: replies that were complete (success), and those that failed through this side (a broken model, no slot, a
deadline of ours). Denials by a limit, requests that were wrong and clients that left say nothing about the service.
"""

import math
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
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


class _Ring:
    """A window's slices of time, by their numbers. The one that is counted in is a `Tally`; the others are kept packed,
    in a tenth of the room: a busy tenant has over a hundred of them."""

    __slots__ = ("_number", "_packed", "_slices", "_tally")

    def __init__(self, slices: int) -> None:
        self._slices = slices
        self._number: int | None = None
        self._tally = Tally()
        self._packed: dict[int, tuple[int, int, bytes, bytes]] = {}

    def counting(self, number: int) -> Tally:
        """What is counted in at this time."""
        if number != self._number:
            if self._number is not None:
                done = self._tally
                self._packed[self._number] = done.succeeded, done.failed, _packed(done.ttft), _packed(done.latency)
            for old in [each for each in self._packed if each <= number - self._slices]:
                del self._packed[old]
            self._number, self._tally = number, Tally()
        return self._tally

    def total(self, youngest: int) -> Tally:
        """All that is in the window which ends with this slice."""
        found = Tally()
        oldest = youngest - self._slices + 1
        if self._number is not None and self._number >= oldest:
            found.add(self._tally)
        for number, (succeeded, failed, ttft, latency) in self._packed.items():
            if number >= oldest:
                found.succeeded += succeeded
                found.failed += failed
                _add_packed(found.ttft, ttft)
                _add_packed(found.latency, latency)
        return found


@dataclass(slots=True)
class _Tenant:
    qos_tier: str
    rings: dict[str, _Ring] = field(default_factory=lambda: {each.name: _Ring(each.slices) for each in WINDOWS})
    """By window."""


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
        return dict(self.each())

    def each(self) -> Iterator[tuple[str, tuple[str, Mapping[str, Tally]]]]:
        """The same one by one, each as it is when it is reached: a tenth of a millisecond's work and more."""
        for name, tenant in list(self._tenants.items()):
            now = self._clock()
            sums: dict[str, Tally] = {}
            for window in WINDOWS:
                sums[window.name] = tenant.rings[window.name].total(int(now // window.slice_s))
            if any(total.succeeded or total.failed for total in sums.values()):
                yield name, (tenant.qos_tier, sums)

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
        return [tenant.rings[window.name].counting(int(now // window.slice_s)) for window in WINDOWS]


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


def _packed(buckets: Mapping[int, int]) -> bytes:
    """A byte for each bucket, then four for each of their counts."""
    return bytes(buckets) + array("I", buckets.values()).tobytes()


def _add_packed(sums: dict[int, int], packed: bytes) -> None:
    length = len(packed) // (1 + array("I").itemsize)
    for bucket, count in zip(packed[:length], memoryview(packed)[length:].cast("I"), strict=True):
        sums[bucket] = sums.get(bucket, 0) + count


def _count(buckets: dict[int, int], time_s: float) -> None:
    bucket = math.ceil(math.log(time_s / SHORTEST_S, STEP)) if time_s > SHORTEST_S else 0
    bucket = min(bucket, LAST_BUCKET)
    buckets[bucket] = buckets.get(bucket, 0) + 1
