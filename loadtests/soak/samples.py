"""What processes and Redis hold, from time to time; and how fast that grows."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import linear_regression

import psutil
import redis

MIB = 2**20
READ_EVERY_S = 2.3
"""A few readings of each of Ray's ten seconds (below), and not always the same ones."""


@dataclass
class Sample:
    """One moment. Keys are roles, as in `Ingress`, `haproxy`, `redis-server`."""

    at_s: float
    memory_mib: dict[str, float] = field(default_factory=dict)
    """Of its own: what a process would give back if it ended (USS)."""
    descriptors: dict[str, int] = field(default_factory=dict)
    threads: dict[str, int] = field(default_factory=dict)
    redis_mib: float = 0.0
    redis_keys: int = 0
    redis_clients: int = 0


@contextmanager
def least_held(processes: Mapping[str, psutil.Process]) -> Iterator[dict[str, float]]:
    """The least memory that each process was seen with meanwhile, MiB; complete when this ends.

    It is what tells growth: every ten seconds Ray exports a process's metrics, which takes some MiB for some seconds,
    and single readings drift in and out of step with that.
    """
    least: dict[str, float] = {}
    ended = threading.Event()

    def read() -> None:
        while True:
            for role, held in memory_mib(processes).items():
                least[role] = min(held, least.get(role, held))
            if ended.wait(READ_EVERY_S):
                return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield least
    finally:
        ended.set()
        reader.join()


def memory_mib(processes: Mapping[str, psutil.Process]) -> dict[str, float]:
    """Now. A process that has ended is left out."""
    found = {}
    for role, process in processes.items():
        try:
            found[role] = process.memory_full_info().uss / MIB
        except psutil.Error:
            continue
    return found


def sample(
    processes: Mapping[str, psutil.Process], redis_url: str, began_s: float, held_mib: dict[str, float] | None = None
) -> Sample:
    """Now. A process that has ended is left out, which the report will notice. `held_mib`: what was seen of their
    memory, instead of what it is now."""
    taken = Sample(time.monotonic() - began_s, memory_mib(processes) if held_mib is None else held_mib)
    for role, process in processes.items():
        try:
            descriptors, threads = process.num_fds(), process.num_threads()
        except psutil.Error:
            taken.memory_mib.pop(role, None)
            continue
        taken.descriptors[role], taken.threads[role] = descriptors, threads
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
