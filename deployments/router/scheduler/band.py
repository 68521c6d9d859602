"""One band of one pool: its queue, its slots, and what it has done."""

from bisect import bisect_left

from deployments.router.scheduler.fair_queue import FairQueue
from deployments.router.scheduler.settings import BandSettings
from deployments.router.scheduler.statistics import WAIT_BUCKETS_S, BandStatistics


class Band:
    """Books only; who goes next between bands is decided in `pool`."""

    def __init__(self, rank: int, settings: BandSettings) -> None:
        self.rank = rank
        """0 is the highest."""
        self.settings = settings
        self.queue = FairQueue()
        self.reserve_slots = 0
        self.cap_slots = 0
        self.running = 0
        self.leased = 0
        self.started = 0
        self.completed = 0
        self.cancelled = 0
        self.shed_full = 0
        self.shed_timeout = 0
        self.expired = 0
        self.overtakings = 0
        self.waited_s = 0.0
        self.longest_wait_s = 0.0
        self.charged_tokens = 0
        self._wait_counts = [0] * (len(WAIT_BUCKETS_S) + 1)

    @property
    def used(self) -> int:
        """Slots that count against reserve, cap and capacity: running, and on loan whether busy or not."""
        return self.running + self.leased

    @property
    def within_reserve(self) -> bool:
        """Whether one more slot would still be within what it is entitled to."""
        return self.used < self.reserve_slots

    @property
    def below_cap(self) -> bool:
        return self.used < self.cap_slots

    def count_start(self, waited_s: float, overtaking: bool) -> None:
        self.started += 1
        self.overtakings += overtaking
        self.waited_s += waited_s
        self.longest_wait_s = max(self.longest_wait_s, waited_s)
        self._wait_counts[bisect_left(WAIT_BUCKETS_S, waited_s)] += 1

    def statistics(self) -> BandStatistics:
        return BandStatistics(
            name=self.settings.name,
            waiting=len(self.queue),
            running=self.running,
            leased=self.leased,
            reserve_slots=self.reserve_slots,
            cap_slots=self.cap_slots,
            started=self.started,
            completed=self.completed,
            cancelled=self.cancelled,
            shed_full=self.shed_full,
            shed_timeout=self.shed_timeout,
            expired=self.expired,
            overtakings=self.overtakings,
            waited_s=self.waited_s,
            longest_wait_s=self.longest_wait_s,
            wait_counts=tuple(self._wait_counts),
            charged_tokens=self.charged_tokens,
        )
