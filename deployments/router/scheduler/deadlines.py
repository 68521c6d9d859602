"""Which waiting request expires next: a heap from which what left the queue otherwise is dropped late."""

from heapq import heapify, heappop, heappush
from math import isinf

from deployments.router.scheduler.entry import Entry

SLACK = 64
"""How many dead items the heap may hold beyond as many as live ones, before it is built anew."""


class Deadlines:
    """O(log n) to add, O(1) to leave, amortised O(log n) to expire."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Entry]] = []

    def add(self, entry: Entry) -> None:
        if not isinf(entry.expires_s):
            heappush(self._heap, (entry.expires_s, entry.sequence, entry))

    def tidy(self, waiting: int) -> None:
        """Keeps memory in proportion to what waits."""
        if len(self._heap) > 2 * waiting + SLACK:
            self._heap = [item for item in self._heap if item[2].waiting]
            heapify(self._heap)

    def next_s(self) -> float | None:
        """When the next one expires."""
        while self._heap and not self._heap[0][2].waiting:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now_s: float) -> Entry | None:
        """One that has expired by now, still waiting; None if there is none."""
        at_s = self.next_s()
        return heappop(self._heap)[2] if at_s is not None and at_s <= now_s else None
