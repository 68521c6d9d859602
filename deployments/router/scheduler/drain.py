"""How fast a pool drains: learned from how long requests hold their slots, and from whom slots go to.

The rate is slots / mean holding time: what the pool finishes in a second *when it is full*. (Counting completions
would measure the load instead while the pool is not full, and promise the first of a burst far too long a wait.)
"""

from math import exp

SMOOTHING = 0.05
"""Weight of the newest holding time in their mean, once there are more than 1 / SMOOTHING of them."""

MEMORY_S = 60.0
"""Over what time the bands' starts are remembered, in seconds (they fade with this time constant)."""


class HoldingTime:
    """Mean time for which requests hold a slot: the plain mean of the first, then an exponentially weighted one."""

    def __init__(self) -> None:
        self._mean_s = 0.0
        self._seen = 0

    def observe(self, held_s: float) -> None:
        self._seen += 1
        self._mean_s += max(SMOOTHING, 1 / self._seen) * (max(0.0, held_s) - self._mean_s)

    def drain_per_s(self, slots: int) -> float | None:
        """Requests a second that so many slots finish; None while it is not known, or there are no slots."""
        if not self._seen or not slots:
            return None
        return slots / max(self._mean_s, 1e-6)


class StartRates:
    """How many requests of each band start in a second, over the last `MEMORY_S` or so.

    A band that has only just begun is taken for slower than it is. So the first of a burst are not told of waits that
    the burst is too short to cause.
    """

    def __init__(self, bands: int) -> None:
        self._counts = [0.0] * bands
        self._at_s = 0.0

    def observe(self, band: int, now_s: float) -> None:
        self._fade(now_s)
        self._counts[band] += 1

    def left_by_higher(self, band: int, now_s: float, drain_per_s: float) -> float:
        """The part of a pool's drain rate that the bands before this one leave to it and those after it."""
        self._fade(now_s)
        return max(0.0, 1 - sum(self._counts[:band]) / MEMORY_S / drain_per_s)

    def _fade(self, now_s: float) -> None:
        if now_s > self._at_s:
            kept = exp((self._at_s - now_s) / MEMORY_S)
            self._counts = [count * kept for count in self._counts]
            self._at_s = now_s
