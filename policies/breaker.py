"""The circuit breaker: while Redis does not answer, most calls are not even tried."""

import time
from collections.abc import Callable

FAILURES_TO_OPEN = 5
"""Calls in a row without an answer after which the circuit opens."""

OPEN_S = 0.5
"""How long the circuit stays open before one call is let through as a probe."""


class Breaker:
    """Closed: every call is let through. Open: none is. Half open: one is, and its outcome decides.

    Any answer closes it, also one that comes late: it shows that Redis is back.
    """

    def __init__(self, open_s: float = OPEN_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._open_s = open_s
        self._clock = clock
        self._failures = 0
        self._probe_at: float | None = None
        """When the next probe may go; None while the circuit is closed."""

    @property
    def is_open(self) -> bool:
        return self._probe_at is not None

    def lets_through(self) -> bool:
        if self._probe_at is None:
            return True
        now = self._clock()
        if now < self._probe_at:
            return False
        self._probe_at = now + self._open_s  # this call is the probe; the next may go when it has told nothing
        return True

    def answered(self) -> None:
        self._failures = 0
        self._probe_at = None

    def failed(self) -> None:
        self._failures += 1
        if self._failures >= FAILURES_TO_OPEN and self._probe_at is None:
            self._probe_at = self._clock() + self._open_s
