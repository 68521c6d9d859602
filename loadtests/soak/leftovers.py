"""What must be gone when traffic has ended and every window has passed."""

import json
from dataclasses import dataclass

import httpx

from loadtests.bench.applications import ADMIN, secret
from loadtests.bench.serving import Served
from loadtests.soak.samples import Sample

SPARE_MIB = 1.0
"""By how much Redis' memory may differ: its own buffers and tables breathe."""
SPARE_DESCRIPTORS = 4


@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing that was counted, and what it should be."""

    what: str
    found: float
    most: float

    @property
    def gone(self) -> bool:
        return self.found <= self.most


def leftovers(served: Served, before: Sample, after: Sample) -> list[Leftover]:
    """Slots, leases, keys, memory and connections; `before`: as everything was before the traffic, warmed up."""
    waiting, running = _slots(served)
    found = [
        Leftover("requests that wait for a slot", waiting, 0),
        Leftover("slots in use", running, 0),
        Leftover("leases held in windows of slots", _used(served, "slots-of-user"), 0),
        Leftover("tokens in windows that have passed", _used(served, "tokens-of-tenant"), 0),
        Leftover("keys in Redis", after.redis_keys, before.redis_keys),
        Leftover("memory of Redis, MiB", round(after.redis_mib, 2), round(before.redis_mib + SPARE_MIB, 2)),
        Leftover("connections to Redis", after.redis_clients, before.redis_clients),
    ]
    for role, most in before.descriptors.items():
        if role in after.descriptors:
            found.append(Leftover(f"open files of {role}", after.descriptors[role], most + SPARE_DESCRIPTORS))
    ended = sorted(before.memory_mib.keys() - after.memory_mib.keys())
    return [*found, Leftover(f"processes that ended {' '.join(ended)}".strip(), len(ended), 0)]


def _slots(served: Served) -> tuple[int, int]:
    """Requests that wait and that run, as the live feed tells them."""
    with httpx.stream("GET", served.url("sluice", "/admin/live"), headers=_admin(), timeout=10) as reply:
        for line in reply.iter_lines():
            if line.startswith("data: ") and '"pools":[' in line:
                bands = [band for pool in json.loads(line[6:])["pools"] for band in pool["bands"]]
                return sum(band["waiting"] for band in bands), sum(band["running"] for band in bands)
    raise RuntimeError("the live feed ended without telling how the pools stand")


def _used(served: Served, policy: str) -> int:
    reply = httpx.get(served.url("sluice", "/admin/usage"), params={"policy": policy}, headers=_admin(), timeout=10)
    reply.raise_for_status()
    return sum(window["used"] for window in reply.json()["items"])


def _admin() -> dict[str, str]:
    return {"authorization": f"Bearer {secret(ADMIN)}"}
