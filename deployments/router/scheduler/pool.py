"""One pool: its slots, and the decision whose request gets the next one.

The rule, whenever a slot is free (`_next_band`):
1. the highest band that has a request waiting and uses less than its reserve; if there is none,
2. the highest band that has a request waiting and uses less than its cap.
Within the band the fair queue names the request. `Pool` calls this until no slot is free or nobody may use one, at the
end of every operation that could have changed the answer.
"""

from collections import OrderedDict
from collections.abc import Callable
from math import inf

from deployments.router.scheduler.band import Band
from deployments.router.scheduler.deadlines import Deadlines
from deployments.router.scheduler.drain import HoldingTime, StartRates
from deployments.router.scheduler.entry import Entry
from deployments.router.scheduler.errors import UnknownBandError
from deployments.router.scheduler.loans import Loans
from deployments.router.scheduler.messages import (
    UNKNOWN_RETRY_AFTER_S,
    Outcome,
    Recall,
    Request,
    Running,
    Shed,
    ShedReason,
)
from deployments.router.scheduler.settings import QosSettings
from deployments.router.scheduler.shares import whole_slots
from deployments.router.scheduler.statistics import PoolStatistics


class Pool:
    """Books and decisions of one pool. `forget_entry` is told of every request that is shed here."""

    def __init__(self, name: str, settings: QosSettings, forget_entry: Callable[[Entry], None]) -> None:
        self.name = name
        self.settings = settings
        self._forget_entry = forget_entry
        self._bands = [Band(rank, band) for rank, band in enumerate(settings.bands)]
        self._by_name = {band.settings.name: band for band in self._bands}
        self._capacity = 0
        self._used = 0
        self._arrivals = 0
        self._waiting: OrderedDict[int, Entry] = OrderedDict()
        self._deadlines = Deadlines()
        self._loans = Loans(name)
        self._holding = HoldingTime()
        self._starts = StartRates(len(self._bands))

    # Settings and size

    def has_band(self, band: str) -> bool:
        return band in self._by_name

    def reconfigure(self, settings: QosSettings, now_s: float) -> list[Outcome]:
        self.settings = settings
        for band, new in zip(self._bands, settings.bands, strict=True):
            band.settings = new
        return self.set_capacity(self._capacity, now_s)

    def set_capacity(self, slots: int, now_s: float) -> list[Outcome]:
        self._capacity = max(0, slots)
        shares = whole_slots(self.settings.bands, self._capacity)
        for band, (reserve_slots, cap_slots) in zip(self._bands, shares, strict=True):
            band.reserve_slots, band.cap_slots = reserve_slots, cap_slots
        return self.settle(now_s)

    # Requests

    def submit(self, request: Request, now_s: float) -> tuple[Entry | None, list[Outcome]]:
        """The entry if it waits or runs now, else None; and what follows."""
        band = self._band(request.band)
        outcomes = self.expire(now_s)
        patience_s = min(request.deadline_in_s, band.settings.longest_wait_s)
        self._arrivals += 1
        entry = Entry(request, self._arrivals, now_s, now_s + patience_s)
        shed = self._refusal(entry, band, patience_s, now_s, outcomes)
        if shed is not None:
            return None, [*outcomes, shed]
        band.queue.push(entry)
        self._waiting[entry.sequence] = entry
        outcomes += self._dispatch(now_s)
        if entry.waiting:
            self._deadlines.add(entry)
            self._deadlines.tidy(len(self._waiting))
            outcomes += self._recall()
        return entry, outcomes

    def complete(self, entry: Entry, actual_tokens: int, now_s: float) -> list[Outcome]:
        band = self._end(entry, actual_tokens)
        band.completed += 1
        if entry.started_s is not None:
            self._holding.observe(now_s - entry.started_s)
        return self.settle(now_s)

    def cancel(self, entry: Entry, now_s: float) -> list[Outcome]:
        if entry.waiting:
            self.withdraw(entry)
        else:
            self._end(entry, 0)
        self._by_name[entry.request.band].cancelled += 1
        return self.settle(now_s)

    def abandon(self, entry: Entry) -> None:
        """Its holder is gone: it leaves; what it used is not known, so the estimate stands. `settle` comes after."""
        if entry.waiting:
            self.withdraw(entry)
        else:
            self._end(entry, entry.request.cost_tokens)

    def withdraw(self, entry: Entry) -> None:
        """A waiting request leaves the queue; nothing can start because of it."""
        self._by_name[entry.request.band].queue.remove(entry)
        del self._waiting[entry.sequence]

    def adopt(self, run: Running, now_s: float) -> Entry:
        """Books a request that runs already, whether it fits or not. `settle` comes after."""
        self._arrivals += 1
        entry = Entry(run.request, self._arrivals, now_s, inf)
        entry.started_s = now_s - max(0.0, run.running_for_s)
        band = self._by_name[run.request.band]
        band.queue.begin(run.request)
        band.charged_tokens += run.request.cost_tokens
        band.running += 1
        self._used += 1
        return entry

    def expire(self, now_s: float) -> list[Outcome]:
        outcomes: list[Outcome] = []
        while (entry := self._deadlines.pop_due(now_s)) is not None:
            band = self._by_name[entry.request.band]
            self.withdraw(entry)
            band.expired += 1
            outcomes.append(self._shed(entry, band, ShedReason.QUEUE_TIMEOUT, now_s))
        return outcomes

    def next_expiry_s(self) -> float | None:
        return self._deadlines.next_s()

    def shed_all(self, reason: ShedReason, now_s: float) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for entry in list(self._waiting.values()):
            self.withdraw(entry)
            outcomes.append(self._shed(entry, self._by_name[entry.request.band], reason, now_s))
        return outcomes

    # Slots on loan

    def lease(self, holder: str, band_name: str, slots: int) -> int:
        band = self._band(band_name)
        # A slot that is free is one that nobody who waits may use: whoever waits is at its cap, this band perhaps too.
        free = self._capacity - self._used
        granted = min(slots, self.settings.lease_block, (free + 1) // 2, band.cap_slots - band.used)
        if granted <= 0:
            return 0
        self._loans.lend(holder, band_name, granted)
        band.leased += granted
        self._used += granted
        return granted

    def return_lease(self, holder: str, band_name: str, slots: int, now_s: float) -> list[Outcome]:
        band = self._band(band_name)
        returned = self._loans.give_back(holder, band_name, slots)
        band.leased -= returned
        self._used -= returned
        return self.settle(now_s)

    def lease_used(
        self, band_name: str, tenant: str, actual_tokens: int, weight: float, held_s: float | None, now_s: float
    ) -> None:
        band = self._band(band_name)
        band.queue.charge_unqueued(tenant, weight, actual_tokens)
        band.charged_tokens += actual_tokens
        self._starts.observe(band.rank, now_s)
        if held_s is not None:
            self._holding.observe(held_s)

    def restore_leases(self, holder: str, wanted: dict[str, int]) -> None:
        """What the holder has on loan is this, by band, and none of it recalled. `settle` comes after."""
        for band_name, slots in self._loans.of(holder):
            self._loans.give_back(holder, band_name, slots)
            self._by_name[band_name].leased -= slots
            self._used -= slots
        for band_name, slots in wanted.items():
            if band_name in self._by_name and slots:
                self._loans.lend(holder, band_name, slots)
                self._by_name[band_name].leased += slots
                self._used += slots

    def recalls(self) -> list[Recall]:
        return self._loans.outstanding()

    def leased_by(self, holder: str) -> list[tuple[str, int]]:
        return self._loans.of(holder)

    def lessees(self) -> set[str]:
        return self._loans.holders()

    # Decisions

    def settle(self, now_s: float) -> list[Outcome]:
        """What follows after slots, caps or queues have changed."""
        return [*self.expire(now_s), *self._dispatch(now_s), *self._recall()]

    def _dispatch(self, now_s: float) -> list[Outcome]:
        started: list[Outcome] = []
        while self._used < self._capacity and (band := self._next_band()) is not None:
            entry = band.queue.pop()
            oldest = next(iter(self._waiting))
            del self._waiting[entry.sequence]
            entry.started_s = now_s
            band.running += 1
            self._used += 1
            band.charged_tokens += entry.request.cost_tokens
            band.count_start(now_s - entry.submitted_s, overtaking=oldest < entry.sequence)
            self._starts.observe(band.rank, now_s)
            started.append(entry.as_started())
        return started

    def _next_band(self) -> Band | None:
        for band in self._bands:
            if len(band.queue) and band.within_reserve:
                return band
        for band in self._bands:
            if len(band.queue) and band.below_cap:
                return band
        return None

    def _someone_could_start(self) -> bool:
        """Whether somebody waits whom only the want of a free slot keeps from starting."""
        return any(len(band.queue) and band.below_cap for band in self._bands)

    def _recall(self) -> list[Outcome]:
        """Recalls what is on loan where it is in somebody's way: everything when the pool uses more than it has or
        somebody lacks nothing but a slot; else the loans of bands that have requests waiting or are over their cap."""
        if self._used <= self._capacity and not self._waiting and not any(b.used > b.cap_slots for b in self._bands):
            return []
        all_bands = self._used > self._capacity or self._someone_could_start()
        recalls: list[Outcome] = []
        for band in self._bands:
            if all_bands or len(band.queue) or band.used > band.cap_slots:
                recalls += self._loans.recall(band.settings.name)
        return recalls

    def _end(self, entry: Entry, actual_tokens: int) -> Band:
        """A running request gives its slot back."""
        band = self._by_name[entry.request.band]
        band.running -= 1
        self._used -= 1
        band.queue.end(entry.request, actual_tokens)
        band.charged_tokens += actual_tokens - entry.request.cost_tokens
        return band

    # Shedding

    def _refusal(
        self, entry: Entry, band: Band, patience_s: float, now_s: float, outcomes: list[Outcome]
    ) -> Shed | None:
        """Why a newcomer is shed; None where it may wait, or starts at once. May make room in a full queue."""
        if patience_s <= 0:
            band.shed_timeout += 1
            return self._shed(entry, band, ShedReason.QUEUE_TIMEOUT, now_s)
        if not len(band.queue) and band.below_cap and self._used < self._capacity:
            return None
        wait_s = self._expected_wait_s(entry.request, band, now_s)
        if wait_s is not None and wait_s > patience_s and not self._loans_in_its_way(band):
            band.shed_timeout += 1
            return entry.as_shed(ShedReason.QUEUE_TIMEOUT, now_s, wait_s - patience_s, estimated=True)
        if len(band.queue) < band.settings.queue_bound:
            return None
        gives_way = band.queue.newest_of_longest(entry.request.tenant, entry.request.weight)
        band.shed_full += 1
        if gives_way is None:
            return self._shed(entry, band, ShedReason.QUEUE_FULL, now_s)
        self.withdraw(gives_way)
        outcomes.append(self._shed(gives_way, band, ShedReason.QUEUE_FULL, now_s))
        return None

    def _loans_in_its_way(self, band: Band) -> bool:
        """Whether slots are on loan that will be recalled once a request of this band waits: some may be unused, so how
        long it would wait is not known before they were asked for."""
        return self._loans.may_recall(None if band.below_cap else band.settings.name)

    def _shed(self, entry: Entry, band: Band, reason: ShedReason, now_s: float) -> Shed:
        """For one that was in the queue, or finds it full: a place is free when one more request has started."""
        self._forget_entry(entry)
        rate = self._band_rate_per_s(band, now_s)
        retry_after_s = UNKNOWN_RETRY_AFTER_S if rate is None else 1 / rate
        return entry.as_shed(reason, now_s, retry_after_s, estimated=rate is not None)

    def estimated_wait_s(self, request: Request, now_s: float) -> float | None:
        band = self._band(request.band)
        if not len(band.queue) and band.below_cap and self._used < self._capacity:
            return 0.0
        return self._expected_wait_s(request, band, now_s)

    def _expected_wait_s(self, request: Request, band: Band, now_s: float) -> float | None:
        """For a newcomer that must wait: what goes before it in its band, at the band's rate, and what waits in higher
        bands, at the pool's; not longer than its band's reserve alone would take. None while no rate is known."""
        drain = self._holding.drain_per_s(self._capacity)
        rate = self._band_rate_per_s(band, now_s)
        if drain is None or rate is None:
            return None
        places = band.queue.ahead_of(request.tenant, request.weight) + 1
        # A higher band at its cap waits for slots of its own, and keeps nobody from the others; unless it has them all.
        goes_first = [b for b in self._bands[: band.rank] if b.below_cap or b.cap_slots >= self._capacity]
        higher = sum(len(other.queue) for other in goes_first)
        wait_s = higher / drain + places / rate
        if band.reserve_slots:
            wait_s = min(wait_s, places / (drain * band.reserve_slots / self._capacity))
        return wait_s

    def _band_rate_per_s(self, band: Band, now_s: float) -> float | None:
        """Requests a second that a full pool starts from this band: what higher bands have lately left of the pool's
        drain rate, at least what its reserve is worth, at most what its cap is."""
        drain = self._holding.drain_per_s(self._capacity)
        if drain is None:
            return None
        part = max(self._starts.left_by_higher(band.rank, now_s, drain), band.reserve_slots / self._capacity, 0.01)
        return drain * min(part, band.cap_slots / self._capacity)

    def statistics(self) -> PoolStatistics:
        return PoolStatistics(
            name=self.name,
            capacity=self._capacity,
            used=self._used,
            drain_per_s=self._holding.drain_per_s(self._capacity),
            bands=tuple(band.statistics() for band in self._bands),
        )

    def _band(self, band: str) -> Band:
        try:
            return self._by_name[band]
        except KeyError:
            raise UnknownBandError(
                f"pool {self.name!r} has no band {band!r}; it has {', '.join(self._by_name)}"
            ) from None
