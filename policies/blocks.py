"""Blocked requests, remembered in this process: they cost Redis nothing until their block ends.

This is the one denial that may be answered from memory. Whether a window has room can change at any moment (another
process settles or cancels); a block ends by time and by nothing else.
"""

import time
from collections.abc import Callable, Hashable
from dataclasses import replace

from policies.decision import Decision

MOST_BLOCKED = 10_000
"""How many requests are remembered."""


class Blocks:
    """By what was asked: the decision, when it came and until when it stands (local monotonic clock)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[Hashable, tuple[float, float, Decision]] = {}

    def now(self) -> float:
        return self._clock()

    def remember(self, asked: Hashable, decision: Decision, sent_at: float, blocked_s: float) -> None:
        """`sent_at`: when the question was sent, so that this never outlasts the block as the server counts it."""
        if len(self._known) >= MOST_BLOCKED:
            self._known.clear()
        self._known[asked] = (self._clock(), sent_at + blocked_s, decision)

    def recall(self, asked: Hashable, identifier: str) -> Decision | None:
        """The denial, with the time that is left; what its windows hold is as it was when Redis was last asked."""
        known = self._known.get(asked)
        if known is None:
            return None
        came_at, until, decision = known
        now = self._clock()
        if now >= until:
            del self._known[asked]
            return None
        passed_s = now - came_at
        windows = [w._replace(retry_after_s=max(0.0, w.retry_after_s - passed_s)) for w in decision.windows]
        return replace(
            decision,
            id=identifier,
            retry_after_s=decision.retry_after_s - passed_s,
            time_s=decision.time_s + passed_s,
            windows=tuple(windows),
        )
