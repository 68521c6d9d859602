"""What must be gone when traffic has ended and every window has passed."""

import json
import time
from collections.abc import Set
from dataclasses import dataclass

import httpx

from loadtests.bench.applications import ADMIN, secret
from loadtests.bench.serving import Served
from loadtests.soak.samples import Sample

SPARE_MIB = 1.0
"""By how much Redis' memory may differ: its own buffers and tables breathe."""
SPARE_DESCRIPTORS = 4
INGRESSES = 1
HEARD_S = 1.0
"""The live feed is read for so long after it has heard all: each tells how it stands ten times a second."""
IDLE = "IDLE"
"""Ray's name of a worker that it keeps in store."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing that was counted, and what it should be."""

    what: str
    found: float
    most: float

    @property
    def gone(self) -> bool:
        return self.found <= self.most


def held(served: Served) -> list[Leftover]:
    """What requests hold while they run, asked before any lease could have run out by itself. Where it cannot be asked,
    that is something left."""
    try:
        waiting, running = _slots(served)
        leases = _used(served, "slots-of-user")
    except (httpx.HTTPError, ValueError) as error:
        return [Leftover(f"questions without an answer ({error!r})", 1, 0)]
    return [
        Leftover("requests that wait for a slot", waiting, 0),
        Leftover("slots in use", running, 0),
        Leftover("leases held in windows of slots", leases, 0),
    ]


def left_behind(before: Sample, after: Sample, came: Set[str]) -> list[Leftover]:
    """Keys, memory, connections and processes; `before`: as everything was before the traffic, warmed up. `came`: what
    processes are there that were not."""
    found = [
        Leftover("keys in Redis", after.redis_keys, before.redis_keys),
        Leftover("memory of Redis, MiB", round(after.redis_mib, 2), round(before.redis_mib + SPARE_MIB, 2)),
        Leftover("connections to Redis", after.redis_clients, before.redis_clients),
    ]
    for role, most in before.descriptors.items():
        if role in after.descriptors:
            found.append(Leftover(f"open files of {role}", after.descriptors[role], most + SPARE_DESCRIPTORS))
    ended, new = (
        sorted(role for role in roles if not role.startswith(IDLE))
        for roles in (before.memory_mib.keys() - after.memory_mib.keys(), came)
    )
    return [
        *found,
        Leftover(f"processes that ended {' '.join(ended)}".strip(), len(ended), 0),
        Leftover(f"processes that came {' '.join(new)}".strip(), len(new), 0),
    ]


def _slots(served: Served) -> tuple[int, int]:
    """Requests that wait and that run, as the live feed tells them once every ingress was heard: its first frames know
    of nothing. Raises `ValueError`."""
    heard_at, bands = float("inf"), []
    with httpx.stream("GET", served.url("sluice", "/admin/live"), headers=_admin(), timeout=10) as reply:
        for line in reply.iter_lines():
            if not line.startswith("data: "):
                continue
            frame = json.loads(line[6:])
            if "pools" in frame:
                bands = [band for pool in frame["pools"] for band in pool["bands"]]
            if frame.get("replicas", 0) >= INGRESSES:
                heard_at = min(heard_at, time.monotonic())
            if bands and time.monotonic() - heard_at >= HEARD_S:
                return sum(band["waiting"] for band in bands), sum(band["running"] for band in bands)
    raise ValueError("the live feed ended without telling how the pools stand")


def _used(served: Served, policy: str) -> int:
    reply = httpx.get(served.url("sluice", "/admin/usage"), params={"policy": policy}, headers=_admin(), timeout=10)
    reply.raise_for_status()
    return sum(window["used"] for window in reply.json()["items"])


def _admin() -> dict[str, str]:
    return {"authorization": f"Bearer {secret(ADMIN)}"}
