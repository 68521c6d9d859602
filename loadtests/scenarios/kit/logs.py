"""The server's own log of a limit, copied entry by entry from the live feed, and what can be proved by it.

All times in it are the Redis server's, in ms: no client's clock is asked. Ordinals have no gaps, so a copy shows
whether it is whole; and then the most that any window ever held is a matter of counting.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from loadtests.scenarios.kit.tenants import Limit


class Entry(NamedTuple):
    """What was logged for one admitted request. What it counts for may be settled later; 0: it was taken back."""

    at_ms: int
    ordinal: int
    cost: int


class SeenDenial(NamedTuple):
    """A denial as the server told the live feed."""

    id: str
    at_ms: int
    policy: str
    """Within the scenario."""
    retry_after_ms: int


class Fullest(NamedTuple):
    """The fullest window that there ever was."""

    at_ms: int
    held: int


@dataclass
class LogCopy:
    """One window's log, from its first entry on."""

    tenant: str
    limit: Limit
    _costs: dict[tuple[int, int], int] = field(default_factory=dict)
    _times_ms: dict[int, int] = field(default_factory=dict)
    most_used: int = 0
    """The most that any frame said is used: the server's own sum, of one moment."""
    crowded: bool = False
    """Whether there were ever too many entries for the feed to tell them one by one."""

    def read(self, log: Mapping[str, Any]) -> None:
        """What a frame says of the log."""
        self.most_used = max(self.most_used, log["window"]["used"])
        self.crowded = self.crowded or log["profile"] is not None
        for at_ms, ordinal, cost in log["entries"]:
            self._costs[at_ms, ordinal] = cost
            self._times_ms[ordinal] = at_ms
        for ordinal, cost in log["changed"]:
            if ordinal in self._times_ms:
                self._costs[self._times_ms[ordinal], ordinal] = cost

    @property
    def entries(self) -> list[Entry]:
        """In the order in which they were logged."""
        return [Entry(at_ms, ordinal, cost) for (at_ms, ordinal), cost in sorted(self._costs.items())]

    def gap(self) -> str | None:
        """What is missing of it; None where the copy is whole."""
        if self.crowded:
            return "too many entries at a time to be told one by one"
        before = Entry(-self.limit.window_ms, 0, 0)
        for entry in self.entries:
            # A log that has been empty for long is forgotten, and the next one counts from 1 again.
            anew = entry.ordinal == 1 and entry.at_ms - before.at_ms >= self.limit.window_ms
            if not anew and entry.ordinal != before.ordinal + 1:
                return f"entry {entry.ordinal} follows on {before.ordinal}"
            before = entry
        return None


def fullest(entries: Iterable[Entry], window_ms: int) -> Fullest:
    """Of all windows of this length, wherever they begin, the one that held most. An entry logged at t counts at every
    instant s with t <= s < t + window, so it suffices to look at the instants at which something was logged."""
    ordered = sorted(entries)
    most, held, oldest = Fullest(0, 0), 0, 0
    for entry in ordered:
        held += entry.cost
        while ordered[oldest].at_ms <= entry.at_ms - window_ms:
            held -= ordered[oldest].cost
            oldest += 1
        if held > most.held:
            most = Fullest(entry.at_ms, held)
    return most


def retry_problem(entries: Iterable[Entry], limit: Limit, denial: SeenDenial) -> str | None:
    """What is wrong with the time that a denied request (of cost 1) was told: None where the log says the same, to the
    millisecond: the window was full, and the entry whose leaving makes room leaves at just that time."""
    inside = [e for e in sorted(entries) if denial.at_ms - limit.window_ms < e.at_ms <= denial.at_ms]
    if any(entry.cost != 1 for entry in inside):
        return None  # one was taken back, and the log does not say when
    if len(inside) < limit.limit:
        return f"denied at {denial.at_ms} with {len(inside)} of {limit.limit} in the window"
    exact_ms = inside[-limit.limit].at_ms + limit.window_ms - denial.at_ms
    if exact_ms != denial.retry_after_ms:
        return f"denied at {denial.at_ms} and told {denial.retry_after_ms} ms; by the log it is {exact_ms} ms"
    return None
