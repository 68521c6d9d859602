"""Exact windows in this process, for policies that say `on_redis_failure: local`.

A log's entry and a lease are the same here: something that counts until a certain time. The clock is this process's.
"""

import time
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_WINDOWS = 10_000
"""How many windows are kept; empty ones go first."""


@dataclass(slots=True, eq=False)
class LocalEntry:
    ends_ms: int
    counts: int


@dataclass(slots=True)
class _LocalWindow:
    entries: list[LocalEntry] = field(default_factory=list)
    """In order of their ends."""

    def expire(self, now_ms: int) -> None:
        gone = 0
        while gone < len(self.entries) and self.entries[gone].ends_ms <= now_ms:
            gone += 1
        del self.entries[:gone]

    def insert(self, entry: LocalEntry) -> None:
        insort(self.entries, entry, key=lambda each: each.ends_ms)


class LocalWindows:
    """Windows by key. Times are whole milliseconds of a clock that never runs back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[str, _LocalWindow] = {}

    def now_ms(self) -> int:
        return int(self._clock() * 1000)

    def find(self, key: str, cost: int, limit: int, now_ms: int) -> tuple[int, int, int]:
        """What the window holds, ms until the cost fits (-1: never), ms until its first entry leaves."""
        window = self._windows.get(key)
        if window is None:
            return 0, 0 if cost <= limit else -1, 0
        window.expire(now_ms)
        used = sum(entry.counts for entry in window.entries)
        reset_ms = next((entry.ends_ms - now_ms for entry in window.entries if entry.counts), 0)
        if cost > limit:
            return used, -1, reset_ms
        need = used + cost - limit
        if need <= 0:
            return used, 0, reset_ms
        for entry in window.entries:
            need -= entry.counts
            if need <= 0:
                return used, entry.ends_ms - now_ms, reset_ms
        raise AssertionError("a cost within the limit fits an empty window")

    def add(self, key: str, cost: int, lasts_ms: int, now_ms: int) -> LocalEntry:
        if len(self._windows) >= MOST_WINDOWS and key not in self._windows:
            self._drop_empty(now_ms)
        entry = LocalEntry(now_ms + lasts_ms, cost)
        self._windows.setdefault(key, _LocalWindow()).insert(entry)
        return entry

    def renew(self, key: str, entry: LocalEntry, lasts_ms: int) -> bool:
        """Prolongs an entry; False where it has ended."""
        now_ms, window = self.now_ms(), self._windows.get(key)
        if window is None or entry.ends_ms <= now_ms or entry not in window.entries:
            return False
        window.entries.remove(entry)
        entry.ends_ms = now_ms + lasts_ms
        window.insert(entry)
        return True

    def _drop_empty(self, now_ms: int) -> None:
        for key, window in list(self._windows.items()):
            window.expire(now_ms)
            if not window.entries:
                del self._windows[key]
