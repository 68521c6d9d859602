"""How many of everything a rate needs, from what one of each was measured to spend. Pure; docs/scaling.md shows it."""

from dataclasses import dataclass
from math import ceil
from typing import Any

from policies.entities import MAX_SHARDS

FULL = 0.6
"""Part of a core that is planned with: beyond it queues grow, and nothing is left for a node that dies."""

RATES = (1_000, 10_000, 100_000, 1_000_000)
WINDOW_S = 60
"""Of the windows whose memory is counted."""
WINDOWS = 6

Figure = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Costs:
    """Microseconds of a core, unless the name says otherwise."""

    ingress_us: float
    """Of the ingress's process, for an admitted request."""
    denied_us: float
    """The same for a denied one."""
    proxy_us: float
    """Of the HTTP proxy of Ray Serve."""
    alone_us: float
    """Of one Redis, from acquiring to settling six windows."""
    cluster_us: float
    """The same of all primaries of the largest Cluster, with what all share split: the more primaries, the fewer calls
    travel together, and the more each costs."""
    busiest: float
    """How much more than an even share the busiest primary of the largest Cluster had to do: 1 is even."""
    window_us: float
    """Of a primary, for a decision of one window that travels alone."""
    call_us: float
    """Of the router, for a call in which nothing happens: each ingress makes one every second."""
    start_us: float
    """Of the router, for a request that had to wait for its slot."""
    entry_bytes: float
    """Of an entry in a log of requests."""
    request_bytes: float
    """What travels to Redis and back for a decision of six windows."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Of one rate."""

    rate: int
    ingresses: int
    """Replicas, a process each."""
    cores: int
    """For the ingresses and the proxies before them."""
    primaries: int
    redis_mb: int
    redis_mbit_s: int
    shards: int
    """Parts of a GLOBAL window; 1: whole."""
    cells: int
    """Routers, where no request waits for a slot."""
    cells_waiting: int
    """Routers, where every request waits for one."""


def costs_of(results: dict[str, Any]) -> Costs:
    """Reads loadtests/results/growth.json."""
    chain, primary, cluster, router = (results[name] for name in ("replicas", "primary", "cluster", "router_in_ray"))
    most = max((size for size in cluster["split"] if size.isdigit()), key=int)
    even = 1 / int(most)
    return Costs(
        ingress_us=chain["six"]["1"]["ingress_us"]["median"],
        denied_us=chain["denied"]["1"]["ingress_us"]["median"],
        proxy_us=chain["six"]["1"]["proxy_us"]["median"],
        alone_us=cluster["whole"]["one Redis"]["cpu_us"]["median"],
        cluster_us=cluster["split"][most]["cpu_us"]["median"],
        busiest=round(cluster["split"][most]["busiest_share"]["median"] / even, 2),
        window_us=primary["1"]["one at a time"]["cpu_us"]["median"],
        call_us=router["idle"]["call_us"]["median"],
        start_us=router["contended"]["start_us"]["median"],
        entry_bytes=results["bytes"]["sluice"][str(max(map(int, results["bytes"]["sluice"])))],
        request_bytes=sum(primary["6"]["one at a time"][way]["median"] for way in ("in_bytes", "out_bytes")),
    )


def carries(cost_us: float) -> int:
    """How many a second one core takes at `FULL`."""
    return int(FULL * 1e6 / cost_us)


def needs(rate: int, costs: Costs) -> Needs:
    """Of so many requests a second, all admitted."""
    ingresses = ceil(rate / carries(costs.ingress_us))
    alone = rate <= carries(costs.alone_us)
    primaries = 1 if alone else max(2, ceil(rate / carries(costs.cluster_us) * costs.busiest))
    per_window = carries(costs.window_us)
    return Needs(
        rate=rate,
        ingresses=ingresses,
        cores=ingresses + ceil(rate * costs.proxy_us / 1e6 / FULL),
        primaries=primaries,
        redis_mb=ceil(rate * WINDOW_S * WINDOWS * costs.entry_bytes / 1e6),
        redis_mbit_s=ceil(rate * costs.request_bytes * 8 / 1e6),
        shards=1 if alone or rate <= per_window else ceil(rate / per_window),
        cells=ceil(ingresses * costs.call_us / 1e6 / FULL),
        cells_waiting=ceil((rate * costs.start_us + ingresses * costs.call_us) / 1e6 / FULL),
    )


def ends(costs: Costs) -> dict[str, tuple[int, str]]:
    """At how many requests a second what is full, in order, and what comes then."""
    per_window = carries(costs.window_us)
    found = {
        "one ingress replica, requests that are admitted": (
            carries(costs.ingress_us),
            "more replicas, on every node",
        ),
        "one ingress replica, requests that are denied": (carries(costs.denied_us), "the same"),
        "the router, if every request has to wait for a slot": (
            carries(costs.start_us),
            "several cells; or more slots, so that fewer wait",
        ),
        "one Redis, six windows": (carries(costs.alone_us), "Redis Cluster"),
        "one window that is not split: a MODEL, MODEL_TIER or TENANT one, GLOBAL without `shards`": (
            per_window,
            "`per: [tenant]`; `shards` for GLOBAL",
        ),
        "the router, if none waits": (
            int(FULL * 1e6 / costs.call_us) * carries(costs.ingress_us),
            "several cells",
        ),
        f"a GLOBAL window in {MAX_SHARDS} parts": (per_window * MAX_SHARDS, "a limit for each region or tier instead"),
    }
    return dict(sorted(found.items(), key=lambda item: item[1][0]))
