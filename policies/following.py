"""Following a window's log: what is new in it since the last look, exact at every look.

One script reads the window and its log at the same moment (`lua/follow.lua`). What was read before is kept here, so
that each look tells the difference only: new entries, and those whose cost was settled or taken back meanwhile.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from policies.decision import Window
from policies.entities import RateLimitPolicy
from policies.limiter import Limiter
from policies.places import Place, window_of
from policies.scripts import FOLLOW

_SETTLED = 1 << 31


@dataclass(frozen=True, slots=True)
class Profile:
    """How many entries there are in each span of time. Times are the server's, in ms since 1970."""

    from_ms: int
    span_ms: int
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a log found."""

    at_ms: int
    """Server time."""
    window: Window
    fresh: bool
    """Whether this is all of the log, and what was told before is to be forgotten."""
    entries: Sequence[tuple[int, int, int]] = ()
    """New ones: when each was logged, its ordinal, its cost."""
    changed: Sequence[tuple[int, int]] = ()
    """Ordinals and costs of earlier ones that were settled."""
    profile: Profile | None = None
    """Instead of entries, where there are too many; None too where it was not asked for."""


class LogFollower:
    """Follows one log. Not for leases, which have none, nor for the whole of a window that is split."""

    def __init__(
        self,
        limiter: Limiter,
        policy: RateLimitPolicy,
        subject: str,
        slot: str | None,
        *,
        most: int,
        spans: int = 200,
        steered_ms: int | None = None,
    ) -> None:
        """`most`: of a log with more entries than this, a profile of about `spans` spans is told instead.
        `steered_ms` is for tests: stands in for the server's clock."""
        self._limiter, self._most, self._spans = limiter, most, spans
        self.policy, self.subject, self.slot = policy, subject, slot
        self.steered_ms = steered_ms
        self._entries: dict[int, tuple[int, int]] = {}
        """By ordinal, in order: when it was logged, and its cost. Those in the window."""
        self._last = (0, 0)
        self._costs = (0, b"")
        """The head, and what stood in Redis for it and all after it."""
        self._whole = False
        """Whether `_entries` is all that counts: false at the start, and while there are too many."""

    @property
    def crowded(self) -> bool:
        """Whether there were too many entries at the last look to tell them one by one."""
        return not self._whole and self._last[1] > 0

    def use(self, policy: RateLimitPolicy) -> None:
        """Looks by this policy from now on: its limit or its window may have been edited."""
        if policy.window != self.policy.window:
            self.forget()
        self.policy = policy

    def forget(self) -> None:
        """The next look is a fresh one."""
        self._entries.clear()
        self._last, self._whole = (0, 0), False

    def everything(self) -> list[tuple[int, int, int]]:
        """All entries that are known to be in the window: for those who come later."""
        return [(at_ms, ordinal, cost) for ordinal, (at_ms, cost) in self._entries.items()]

    async def look(self, deadline_s: float, *, profile: bool = True) -> Look:
        """What is new. Raises `StoreError`; then what was known stays known. `profile`: tell one where need be."""
        place = Place(self.policy, self.subject, self.slot, None, self._limiter.prefix)
        # Fewer suffice to go on with entries than to go over to them, so that a log at the border does not flutter.
        most = self._most if self._whole or not self._last[1] else self._most * 4 // 5
        span_ms = max(1, -(-place.window_ms // self._spans)) if profile else 0
        steered = b"" if self.steered_ms is None else b"%d" % self.steered_ms
        numbers = (place.window_ms, place.limit, *(self._last if self._whole else (0, 0)), most, span_ms)
        at_ms, since_ms, used, retry_ms, oldest_ms, head, tail, costs, kind, *told = await self._limiter.store.of(
            place.tag
        ).run(
            FOLLOW,
            (len(place.keys), place.keys_wire),
            (*(b"%d" % number for number in numbers), steered),
            deadline_s=deadline_s,
        )
        reset_ms = oldest_ms + place.window_ms - at_ms if oldest_ms else 0
        window = window_of(place, 1, used, retry_ms, reset_ms)
        if kind:
            self._entries.clear()
            self._last, fresh, self._whole = (at_ms, tail - 1), self._whole or not self._last[1], False
            found = Profile(kind, span_ms, tuple(told)) if kind > 0 else None
            return Look(at_ms, window, fresh, profile=found)
        fresh = not self._whole or tail <= self._last[1]
        if fresh:
            self._entries.clear()
        changed = self._settle(since_ms, head, costs)
        entries = []
        for entry_ms, ordinal in zip(told[::2], told[1::2], strict=True):
            cost = _cost(costs, ordinal - head)
            self._entries[ordinal] = (entry_ms, cost)
            entries.append((entry_ms, ordinal, cost))
        if entries:
            self._last = entries[-1][:2]
        elif fresh:
            self._last = (0, 0)
        self._whole = True
        return Look(at_ms, window, fresh, entries, changed)

    def _settle(self, since_ms: int, head: int, costs: bytes) -> list[tuple[int, int]]:
        """Forgets entries that have left, and finds those that count for something else now."""
        gone = []
        for ordinal, (entry_ms, _) in self._entries.items():
            if entry_ms >= since_ms:
                break
            gone.append(ordinal)
        for ordinal in gone:
            del self._entries[ordinal]
        first = next(iter(self._entries), head)
        before_head, before = self._costs
        self._costs = (head, costs)
        kept = before[(head - before_head) * 4 :]
        if first >= head >= before_head and costs.startswith(kept) and bool(costs) == bool(before):
            return []
        changed = []
        for ordinal, (entry_ms, cost) in self._entries.items():
            # What stands before the head is still in the window, and was taken back.
            now = 0 if ordinal < head else _cost(costs, ordinal - head)
            if now != cost:
                self._entries[ordinal] = (entry_ms, now)
                changed.append((ordinal, now))
        return changed


def _cost(costs: bytes, at: int) -> int:
    return struct.unpack_from(">I", costs, at * 4)[0] % _SETTLED if costs else 1
