"""What is decided when Redis cannot be asked: each policy's `on_redis_failure`.

`deny` (of any enforced policy) passes the store's error on. `local` keeps an exact window in this process with the
limit divided by the number of processes that share it, rounded down, so that together they stay within it. `allow`
lets the request through and counts nothing.
"""

import time
from collections.abc import Callable, Sequence

from policies.counts import LimiterCounts
from policies.decision import Charge, Decision, Window
from policies.entities import OnRedisFailure
from policies.errors import StoreError
from policies.local import LocalEntry, LocalWindows
from policies.places import Place, window_of

RETRY_MS = 1_000
"""When to ask again for what only Redis could allow."""


class Degraded:
    """Decides without Redis. Holds this process's local windows."""

    def __init__(
        self, replicas: int, clock: Callable[[], float] = time.monotonic, counts: LimiterCounts | None = None
    ) -> None:
        self.replicas = max(1, replicas)
        """How many processes share a `local` policy's limit."""
        self._local = LocalWindows(clock)
        self._counts = counts or LimiterCounts()

    def decide(
        self, identifier: str, charges: Sequence[Charge], places: Sequence[Place], error: StoreError, *, log: bool
    ) -> Decision:
        """Decides by each policy's `on_redis_failure`; raises `error` where an enforced one says `deny`."""
        if any(place.enforced and place.policy.on_redis_failure is OnRedisFailure.DENY for place in places):
            self._counts.fallbacks["refused"] += log
            raise error
        now_ms = self._local.now_ms()
        found = [self._find(charge, place, now_ms) for charge, place in zip(charges, places, strict=True)]
        allowed, denied_by, longest_ms = True, None, 0
        for place, (_, retry_ms, _) in zip(places, found, strict=True):
            if retry_ms and place.enforced:
                allowed = False
                if denied_by is None or retry_ms > longest_ms:
                    denied_by, longest_ms = place.policy.name, max(longest_ms, retry_ms)
        self._counts.fallbacks["allowed" if allowed else "denied"] += log
        took = allowed and log
        entries: list[LocalEntry | None] = []
        windows: list[Window] = []
        for charge, place, (used, retry_ms, reset_ms) in zip(charges, places, found, strict=True):
            kept = _is_local(place)
            add = took and kept
            entries.append(self._local.add(place.log_key, charge.cost, place.window_ms, now_ms) if add else None)
            if add and not reset_ms:
                reset_ms = place.window_ms
            windows.append(window_of(place, charge.cost, used + charge.cost * add, retry_ms, reset_ms))
        return Decision(
            id=identifier,
            allowed=allowed,
            retry_after_s=longest_ms / 1000,
            denied_by=denied_by,
            time_s=time.time(),
            windows=tuple(windows),
            degraded=True,
            _charges=tuple(charges),
            _entries=((0, 0),) * len(charges),
            _local=tuple(entries),
        )

    def settle(self, decision: Decision, places: Sequence[Place], uses: Sequence[int]) -> None:
        """Corrects what a degraded decision counted in this process."""
        now_ms = self._local.now_ms()
        for place, entry, charge, used in zip(places, decision._local, decision._charges, uses, strict=True):
            if entry is None:
                continue
            entry.counts = 0 if place.is_lease else min(used, charge.cost)
            if used > charge.cost and not place.is_lease:
                self._local.add(place.log_key, used - charge.cost, place.window_ms, now_ms)

    def renew(self, decision: Decision, places: Sequence[Place]) -> bool:
        """Prolongs the leases that a degraded decision holds in this process."""
        renewed = True
        for place, entry in zip(places, decision._local, strict=True):
            if place.is_lease and entry is not None:
                renewed = self._local.renew(place.log_key, entry, place.window_ms) and renewed
        return renewed

    def _find(self, charge: Charge, place: Place, now_ms: int) -> tuple[int, int, int]:
        if not _is_local(place):
            return 0, 0, 0
        used, retry_ms, reset_ms = self._local.find(place.log_key, charge.cost, place.limit // self.replicas, now_ms)
        # What this process's share can never hold may fit once Redis is back.
        return used, retry_ms if retry_ms >= 0 else RETRY_MS, reset_ms


def _is_local(place: Place) -> bool:
    return place.policy.on_redis_failure is OnRedisFailure.LOCAL
