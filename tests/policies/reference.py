"""What the limiter must answer, said as plainly as possible: lists, sums and searches, one process, no Redis.

Times are whole milliseconds. A log's time never runs backwards: where the clock does, its newest entry's time stands
in for it. A lease is judged by the clock as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from policies import Charge, RateLimitPolicy
from policies.entities import Mode


@dataclass(slots=True)
class Entry:
    ms: int
    counts: int
    """What it counts for: the cost reserved, or less once it is settled."""
    settled: bool = False


@dataclass(slots=True)
class Log:
    """The entries of one window. Entry i has the ordinal i + 1."""

    entries: list[Entry] = field(default_factory=list)
    forgotten: int = 0
    """How many of the first had left the window when the last one was admitted: a longer window finds them no more."""

    def live(self, window_ms: int, now: int) -> list[Entry]:
        now = max(now, self.entries[-1].ms) if self.entries else now
        return [entry for entry in self.entries[self.forgotten :] if entry.ms > now - window_ms]

    def used(self, window_ms: int, now: int) -> int:
        return sum(entry.counts for entry in self.live(window_ms, now))

    def retry_ms(self, cost: int, limit: int, window_ms: int, now: int) -> int:
        if cost > limit:
            return -1
        if self.used(window_ms, now) + cost <= limit:
            return 0
        ends = (entry.ms + window_ms for entry in self.live(window_ms, now))
        return next(end for end in ends if self.used(window_ms, end) + cost <= limit) - now

    def reset_ms(self, window_ms: int, now: int) -> int:
        counting = [entry for entry in self.live(window_ms, now) if entry.counts]
        return counting[0].ms + window_ms - now if counting else 0

    def append(self, cost: int, now: int) -> Entry:
        now = max(now, self.entries[-1].ms) if self.entries else now
        self.entries.append(Entry(now, cost))
        return self.entries[-1]

    def settle(self, entry: Entry, actual: int, now: int) -> None:
        if not entry.settled:
            entry.settled = True
            reserved, entry.counts = entry.counts, min(entry.counts, actual)
            if actual > reserved:
                self.append(actual - reserved, now)


@dataclass(slots=True)
class Leases:
    """Who holds slots of one window, and until when."""

    holders: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By holder: slots, and when its lease ends."""

    def live(self, now: int) -> dict[str, tuple[int, int]]:
        return {holder: held for holder, held in self.holders.items() if held[1] > now}

    def used(self, now: int) -> int:
        return sum(slots for slots, _ in self.live(now).values())

    def retry_ms(self, cost: int, limit: int, now: int) -> int:
        if cost > limit:
            return -1
        if self.used(now) + cost <= limit:
            return 0
        ends = sorted(end for _, end in self.live(now).values())
        return next(end for end in ends if self.used(end) + cost <= limit) - now


@dataclass(slots=True)
class Answer:
    allowed: bool
    retry_ms: int
    denied_by: str | None
    used: list[int]
    retries_ms: list[int]
    resets_ms: list[int]


@dataclass(slots=True)
class Held:
    """What an admitted request took."""

    id: str
    charges: Sequence[Charge]
    entries: list[Entry | None]
    ended: bool = False


class Reference:
    """The limiter's operations on plain values."""

    def __init__(self) -> None:
        self.logs: dict[tuple[str, str], Log] = {}
        self.leases: dict[tuple[str, str], Leases] = {}

    def decide(self, charges: Sequence[Charge], now: int, log_as: str | None) -> tuple[Answer, Held | None]:
        """Acquires for the holder `log_as`, or peeks where there is none."""
        answer = Answer(True, 0, None, [], [], [])
        for charge in charges:
            policy = charge.policy
            if policy.is_lease:
                leases = self._leases(charge)
                used, retry = leases.used(now), leases.retry_ms(charge.cost, policy.limit, now)
            else:
                log = self.log(charge)
                used, retry = log.used(policy.window, now), log.retry_ms(charge.cost, policy.limit, policy.window, now)
            answer.used.append(used)
            answer.retries_ms.append(retry)
            if retry and policy.mode is Mode.ENFORCE:
                answer.allowed = False
                if retry > answer.retry_ms:
                    answer.retry_ms, answer.denied_by = retry, policy.name
        held = None
        if answer.allowed and log_as is not None:
            held = Held(log_as, charges, [self._take(charge, log_as, now) for charge in charges])
            answer.used = [used + charge.cost for used, charge in zip(answer.used, charges, strict=True)]
        for charge in charges:
            policy = charge.policy
            answer.resets_ms.append(0 if policy.is_lease else self.log(charge).reset_ms(policy.window, now))
        return answer, held

    def settle(self, held: Held, actual: Mapping[str, int], now: int) -> None:
        if held.ended:
            return
        held.ended = True
        for charge, entry in zip(held.charges, held.entries, strict=True):
            if entry is None:
                self._leases(charge).holders.pop(held.id, None)
            elif (used := actual.get(charge.policy.unit, charge.cost)) != charge.cost:
                self.log(charge).settle(entry, used, now)

    def renew(self, held: Held, now: int) -> bool:
        renewed = True
        for charge in held.charges:
            if charge.policy.is_lease:
                leases = self._leases(charge)
                alive = held.id in leases.live(now)
                renewed = renewed and alive
                if alive:
                    leases.holders[held.id] = (charge.cost, now + charge.policy.window)
        return renewed

    def _take(self, charge: Charge, holder: str, now: int) -> Entry | None:
        if not charge.policy.is_lease:
            log = self.log(charge)
            log.forgotten = len(log.entries) - len(log.live(charge.policy.window, now))
            return log.append(charge.cost, now)
        leases = self._leases(charge)
        leases.holders = leases.live(now)
        leases.holders[holder] = (charge.cost, now + charge.policy.window)
        return None

    def log(self, charge: Charge) -> Log:
        return self.logs.setdefault(_place(charge.policy, charge.subject), Log())

    def _leases(self, charge: Charge) -> Leases:
        return self.leases.setdefault(_place(charge.policy, charge.subject), Leases())


def _place(policy: RateLimitPolicy, subject: str) -> tuple[str, str]:
    return f"{policy.name}/{policy.unit}", subject
