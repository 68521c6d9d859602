"""The face of the scheduler: pools by name, requests by id, holders; decisions are made in `pool`.

Not thread-safe and never waiting: one caller (the router that is the single writer of these pools) calls it, and
carries the outcomes to those they name. Every call returns all that follows from it, so that after each of them no slot
is idle that a waiting request may use.
"""

from collections.abc import Callable, Iterable

from deployments.router.scheduler.entry import Entry
from deployments.router.scheduler.errors import BandsChangedError, UnknownPoolError
from deployments.router.scheduler.messages import Lease, Outcome, Recall, Request, Running, ShedReason
from deployments.router.scheduler.pool import Pool
from deployments.router.scheduler.settings import QosSettings
from deployments.router.scheduler.statistics import PoolStatistics


class Scheduler:
    """Decides which request gets a slot next.

    `clock` gives seconds and need not be a wall clock; it is read once a call, and going backwards stops it. Each
    decision costs O(log n) in what waits.

    Pools: `add_pool`, `set_capacity`, `shed`, `reconfigure`, `remove_pool`.
    Requests: `submit`, `complete`, `cancel`, `expire` (by `next_wakeup_s`).
    Slots on loan: `lease`, `return_lease`, `lease_used`, `recalls`.
    Holders: `restore` after this scheduler was restarted, `forget` after a holder died.
    """

    def __init__(self, settings: QosSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._now_s = clock()
        self._pools: dict[str, Pool] = {}
        self._entries: dict[str, Entry] = {}
        self._holders: dict[str, dict[str, Entry]] = {}

    # Pools

    def add_pool(self, pool: str, capacity: int = 0, settings: QosSettings | None = None) -> None:
        """A new pool of `capacity` slots, with settings of its own where given. One that exists stays as it is.

        A restarted router adds its pools with capacity 0, restores every holder (or waits until those that are missing
        must be gone), and only then sets the capacity: nothing starts before, requests are queued, and the slots that
        still run are not given twice.
        """
        if pool not in self._pools:
            self._pools[pool] = Pool(pool, settings or self._settings, self._leave)
            self._pools[pool].set_capacity(capacity, self._now())

    def set_capacity(self, pool: str, slots: int) -> list[Outcome]:
        """The pool has `slots` slots from now on. Starts what now fits. Fewer than are in use: nothing that runs is
        stopped, what is on loan is recalled, and nothing starts until it fits again. 0: requests wait."""
        return self._pool(pool).set_capacity(slots, self._now())

    def reconfigure(self, settings: QosSettings) -> list[Outcome]:
        """New reserves, caps, bounds and waits for every pool without settings of its own. What waits keeps the expiry
        it has, and nothing that runs is stopped. Raises `BandsChangedError` where the bands are others."""
        before, names = self._settings, [band.name for band in self._settings.bands]
        if names != [band.name for band in settings.bands]:
            raise BandsChangedError(f"the bands of running pools are {', '.join(names)}, in this order, and stay so")
        self._settings = settings
        now_s = self._now()
        outcomes: list[Outcome] = []
        for pool in self._pools.values():
            if pool.settings is before:
                outcomes += pool.reconfigure(settings, now_s)
        return outcomes

    def shed(self, pool: str) -> list[Outcome]:
        """Sheds what waits there (`pool_gone`): nobody will serve it. The pool stays, and what runs goes on."""
        return self._pool(pool).shed_all(ShedReason.POOL_GONE, self._now())

    def remove_pool(self, pool: str) -> list[Outcome]:
        """Sheds what waits there (`pool_gone`) and drops its books; what runs is nobody's concern here any more."""
        outcomes = self._pool(pool).shed_all(ShedReason.POOL_GONE, self._now())
        for entry in [entry for entry in self._entries.values() if entry.request.pool == pool]:
            self._leave(entry)
        del self._pools[pool]
        return outcomes

    # Requests

    def submit(self, request: Request) -> list[Outcome]:
        """A request for a slot. Returns its `Started` or `Shed` if that is decided at once; else it waits, and one of
        them will be among the outcomes of a later call (this one may return recalls, and `Shed` for a request that made
        room). An id that waits already changes nothing; one that runs is told `Started` again."""
        now_s = self._now()
        entry = self._entries.get(request.id)
        if entry is not None:
            return [] if entry.started_s is None else [entry.as_started()]
        entry, outcomes = self._pool(request.pool).submit(request, now_s)
        if entry is not None:
            self._enter(entry)
        return outcomes

    def complete(self, request_id: str, actual_tokens: int) -> list[Outcome]:
        """A request ended: its slot is free and its tenant has used `actual_tokens`. An unknown id changes nothing."""
        entry = self._entries.get(request_id)
        if entry is None:
            return []
        if entry.started_s is None:
            return self.cancel(request_id)
        self._leave(entry)
        return self._pools[entry.request.pool].complete(entry, actual_tokens, self._now())

    def cancel(self, request_id: str) -> list[Outcome]:
        """As though it had never been asked: it leaves the queue; one that was started meanwhile gives its slot and its
        charge back (the holder, which has not run it, drops the `Started`). An unknown id changes nothing."""
        entry = self._entries.get(request_id)
        if entry is None:
            return []
        self._leave(entry)
        return self._pools[entry.request.pool].cancel(entry, self._now())

    def expire(self) -> list[Outcome]:
        """Sheds (`queue_timeout`) every request whose time has passed: at its deadline it is too late to start. Every
        other call does so too for its own pool, so that a late tick starts nothing late."""
        now_s = self._now()
        return [outcome for pool in self._pools.values() for outcome in pool.expire(now_s)]

    def next_wakeup_s(self) -> float | None:
        """When, by the clock, `expire` next has something to do; None while nothing waits with an end."""
        return min((at_s for pool in self._pools.values() if (at_s := pool.next_expiry_s()) is not None), default=None)

    # Slots on loan

    def lease(self, holder: str, pool: str, band: str, slots: int) -> int:
        """Lends up to `slots` slots of the band to the holder, which may then start requests of that band without
        asking. Returns how many were lent: none while anybody waits who could use one, never more than the band's cap
        and the capacity leave, at most a block (`lease_block`) and half of what is free (rounded up) at once.

        What is lent counts as used from now until `return_lease`, whether it is busy or not."""
        return self._pool(pool).lease(holder, band, slots)

    def return_lease(self, holder: str, pool: str, band: str, slots: int) -> list[Outcome]:
        """The holder gives back slots that it had on loan and that are idle. More than it has are as many as it has."""
        return self._pool(pool).return_lease(holder, band, slots, self._now())

    def lease_used(
        self, pool: str, band: str, tenant: str, actual_tokens: int, weight: float = 1.0, held_s: float | None = None
    ) -> None:
        """A request ended that ran on a lent slot: its tenant is charged, and `held_s`, how long it held the slot, is
        learned from. The slot itself stays lent."""
        self._pool(pool).lease_used(band, tenant, actual_tokens, weight, held_s, self._now())

    def recalls(self) -> list[Recall]:
        """Everything that was recalled and is not back, in whole: for sending again what may have been lost."""
        return [recall for pool in self._pools.values() for recall in pool.recalls()]

    def leases(self, holder: str) -> list[Lease]:
        """What the holder has on loan, recalled slots included."""
        return [
            Lease(name, band, slots) for name, pool in self._pools.items() for band, slots in pool.leased_by(holder)
        ]

    # Holders

    def restore(self, holder: str, running: Iterable[Running], leased: Iterable[Lease]) -> list[Outcome]:
        """Makes the books of one holder equal to its report: exactly these requests run on slots of their own, exactly
        these slots are on loan. What waits stays, unless it is reported as running.

        The report must be newer than every `Started` and lease that was sent to the holder. Pools and bands that do
        not exist here are passed over. What is reported may exceed the capacity: it runs, so it counts, and nothing
        starts until it fits."""
        now_s = self._now()
        reported = {r.request.id: r for r in running if self._knows(r.request.pool, r.request.band)}
        lent: dict[str, dict[str, int]] = {}
        for lease in leased:
            bands = lent.setdefault(lease.pool, {})
            bands[lease.band] = bands.get(lease.band, 0) + max(0, lease.slots)
        for entry in list(self._holders.get(holder, {}).values()):
            if entry.started_s is not None and entry.request.id not in reported:
                self._abandon(entry)
        for run in reported.values():
            known = self._entries.get(run.request.id)
            if known is not None and known.started_s is None:
                self._abandon(known)
                known = None
            if known is None:
                self._enter(self._pools[run.request.pool].adopt(run, now_s))
        for name, pool in self._pools.items():
            pool.restore_leases(holder, lent.get(name, {}))
        return self._settle(now_s)

    def forget(self, holder: str) -> list[Outcome]:
        """The holder is gone: what it had waiting leaves, and every slot it held or had on loan is free. What its
        requests have really used is not known, so their estimates stand."""
        for entry in list(self._holders.get(holder, {}).values()):
            self._abandon(entry)
        for pool in self._pools.values():
            pool.restore_leases(holder, {})
        return self._settle(self._now())

    def holders(self) -> set[str]:
        """Everybody who has anything waiting, running or on loan."""
        return set(self._holders).union(*(pool.lessees() for pool in self._pools.values()))

    # Seen from outside

    def statistics(self) -> list[PoolStatistics]:
        """How every pool stands."""
        return [pool.statistics() for pool in self._pools.values()]

    def estimated_wait_s(self, request: Request) -> float | None:
        """How long this request would wait if it were submitted now, in seconds; 0 where it would start at once, None
        while that is not known. For choosing another pool before queueing in this one."""
        return self._pool(request.pool).estimated_wait_s(request, self._now())

    def _now(self) -> float:
        self._now_s = max(self._now_s, self._clock())
        return self._now_s

    def _pool(self, pool: str) -> Pool:
        try:
            return self._pools[pool]
        except KeyError:
            known = ", ".join(sorted(self._pools)) or "none"
            raise UnknownPoolError(f"there is no pool {pool!r}; known: {known}") from None

    def _knows(self, pool: str, band: str) -> bool:
        return pool in self._pools and self._pools[pool].has_band(band)

    def _abandon(self, entry: Entry) -> None:
        self._leave(entry)
        self._pools[entry.request.pool].abandon(entry)

    def _settle(self, now_s: float) -> list[Outcome]:
        """Starts and recalls what follows, only once the books are whole."""
        return [outcome for pool in self._pools.values() for outcome in pool.settle(now_s)]

    def _enter(self, entry: Entry) -> None:
        self._entries[entry.request.id] = entry
        self._holders.setdefault(entry.request.holder, {})[entry.request.id] = entry

    def _leave(self, entry: Entry) -> None:
        """Forgets an entry; pools call it for those they shed."""
        if self._entries.get(entry.request.id) is entry:
            del self._entries[entry.request.id]
            held = self._holders[entry.request.holder]
            del held[entry.request.id]
            if not held:
                del self._holders[entry.request.holder]
