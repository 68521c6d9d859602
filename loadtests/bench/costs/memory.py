"""What every process of a running server holds."""

from collections.abc import Iterable, Mapping
from typing import Any

import psutil

from loadtests.bench.applications import MODEL
from loadtests.bench.serving import Served

MIB = 2**20

OURS = {
    "Ingress": "an ingress replica",
    "ModelRouter": "the model router",
    f"model-{MODEL}": "a model replica (a simulated engine, which holds no model)",
    "redis-server": "the embedded Redis",
    "RedisHost": "the actor that keeps it running",
    "sluice": "`sluice up`",
}
SERVES = {
    "haproxy": "HAProxy",
    "HAProxyManager": "what manages HAProxy",
    "ProxyActor": "Ray Serve's own proxy",
    "ServeController": "Ray Serve's controller",
}
"""Of Ray Serve."""


def held(served: Served) -> dict[str, dict[str, float]]:
    """By role: how many processes there are, what they would give back if they ended (`own_mib`), and their share of
    all memory in use, in which what several use counts for each by its part (`share_mib`)."""
    return summed(
        (role.rstrip("'"), figures) for role, process in served.roles().items() if (figures := _figures(process))
    )


def summed(processes: Iterable[tuple[str, tuple[float, float]]]) -> dict[str, dict[str, float]]:
    """Those of one role together."""
    found: dict[str, dict[str, float]] = {}
    for role, (own, share) in processes:
        row = found.setdefault(role, {"processes": 0, "own_mib": 0.0, "share_mib": 0.0})
        row["processes"] += 1
        row["own_mib"] = round(row["own_mib"] + own / MIB, 1)
        row["share_mib"] = round(row["share_mib"] + share / MIB, 1)
    return found


def _figures(process: psutil.Process) -> tuple[float, float] | None:
    try:
        info = process.memory_full_info()
    except psutil.Error:  # it has ended
        return None
    return info.uss, getattr(info, "pss", info.rss)


def total(held_by: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Of all together."""
    return {
        field: round(sum(row[field] for row in held_by.values()), 1) for field in ("processes", "own_mib", "share_mib")
    }
