"""What processes and Redis hold, from time to time; and how fast that grows."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import linear_regression

import psutil
import redis

MIB = 2**20


@dataclass
class Sample:
    """One moment. Keys are roles, as in `Ingress`, `haproxy`, `redis-server`."""

    at_s: float
    memory_mib: dict[str, float] = field(default_factory=dict)
    """Of its own: what a process would give back if it ended (USS), where the system tells; else resident."""
    descriptors: dict[str, int] = field(default_factory=dict)
    threads: dict[str, int] = field(default_factory=dict)
    redis_mib: float = 0.0
    redis_keys: int = 0
    redis_clients: int = 0


def sample(processes: dict[str, psutil.Process], redis_url: str, began_s: float) -> Sample:
    """Now. A process that has ended is left out, which the report will notice."""
    taken = Sample(time.monotonic() - began_s)
    for role, process in processes.items():
        try:
            taken.memory_mib[role] = process.memory_full_info().uss / MIB
            taken.descriptors[role] = process.num_fds()
            taken.threads[role] = process.num_threads()
        except psutil.Error:
            continue
    with redis.Redis.from_url(redis_url) as client:
        info = client.info()
        taken.redis_mib = info["used_memory"] / MIB
        taken.redis_clients = info["connected_clients"] - 1
        taken.redis_keys = client.dbsize()
    return taken


def slope_mib_h(samples: Sequence[Sample], role: str, after_s: float) -> float:
    """By how many MiB an hour a process grows, by least squares over what was seen after the warm-up."""
    points = [(each.at_s / 3600, each.memory_mib[role]) for each in samples if each.at_s >= after_s]
    return linear_regression(*zip(*points, strict=True)).slope if len(points) > 2 else 0.0
