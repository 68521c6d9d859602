"""Schedules at random against the invariants, held by a plain model that looks at everything every time.

The model knows only what was asked and what was answered. It does not decide; it judges every outcome in its turn.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from deployments.router.scheduler import (
    Lease,
    Outcome,
    QosSettings,
    Recall,
    Request,
    Running,
    Scheduler,
    Shed,
    ShedReason,
    Started,
)
from deployments.router.scheduler.shares import whole_slots

from .harness import Clock, bands

POOLS = ("p", "q")
HOLDERS = ("h1", "h2", "h3")
BANDS = ("high", "middle", "low")
SETTINGS = (
    bands(high={}, middle={}, low={}),
    bands(high={"reserve": 0.3}, middle={"reserve": 0.3, "cap": 0.5}, low={"reserve": 0.3, "cap": 0.7}),
    bands(high={"cap": 0.4}, middle={"reserve": 0.5, "queue_bound": 3}, low={"reserve": 0.1, "longest_wait": "3s"}),
    bands(high={"reserve": 1.0}, middle={"queue_bound": 0}, low={"cap": 0.2, "queue_bound": 2}),
)


@dataclass
class PlainPool:
    """What one pool must look like, from the outside."""

    capacity: int = 0
    waiting: dict[str, tuple[Request, float]] = field(default_factory=dict)
    """With the instant of expiry; in order of arrival."""
    running: dict[str, Request] = field(default_factory=dict)
    lent: dict[tuple[str, str], int] = field(default_factory=dict)
    """By (holder, band)."""
    recalled: dict[tuple[str, str], int] = field(default_factory=dict)

    def used_by(self, band: str) -> int:
        running = sum(request.band == band for request in self.running.values())
        return running + sum(slots for (_, of), slots in self.lent.items() if of == band)

    @property
    def used(self) -> int:
        return len(self.running) + sum(self.lent.values())

    def waits(self, band: str) -> list[Request]:
        return [request for request, _ in self.waiting.values() if request.band == band]


class SchedulerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.settings: QosSettings = SETTINGS[0]
        self.pools = {name: PlainPool() for name in POOLS}
        self.number = 0
        self.scheduler = self.fresh_scheduler()

    def fresh_scheduler(self) -> Scheduler:
        scheduler = Scheduler(self.settings, self.clock)
        for name in POOLS:
            scheduler.add_pool(name)
        return scheduler

    def slots(self, name: str) -> dict[str, tuple[int, int]]:
        shares = whole_slots(self.settings.bands, self.pools[name].capacity)
        return dict(zip(BANDS, shares, strict=True))

    # Every outcome is judged against the state in which it was decided

    def judge(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, Started):
                self.judge_start(outcome)
            elif isinstance(outcome, Shed):
                self.judge_shed(outcome)
            else:
                self.judge_recall(outcome)

    def judge_start(self, outcome: Started) -> None:
        pool, slots = self.pools[outcome.pool], self.slots(outcome.pool)
        request, expires_s = pool.waiting[outcome.id]
        assert outcome == Started(request.id, request.holder, request.pool, request.band, outcome.waited_s)
        assert self.clock.now_s < expires_s, "started at or after its deadline"
        assert pool.used < pool.capacity, "over capacity"
        assert pool.used_by(request.band) < slots[request.band][1], "over its cap"
        entitled = [band for band in BANDS if pool.waits(band) and pool.used_by(band) < slots[band][0]]
        allowed = [band for band in BANDS if pool.waits(band) and pool.used_by(band) < slots[band][1]]
        assert request.band == (entitled or allowed)[0], "precedence"
        assert request == next(r for r in pool.waits(request.band) if r.tenant == request.tenant), "not the oldest"
        del pool.waiting[outcome.id]
        pool.running[outcome.id] = request

    def judge_shed(self, outcome: Shed) -> None:
        pool = self.pools[outcome.pool]
        request, expires_s = pool.waiting.pop(outcome.id)
        assert (outcome.holder, outcome.band) == (request.holder, request.band)
        assert outcome.retry_after_s > 0
        bound = next(band.queue_bound for band in self.settings.bands if band.name == request.band)
        if outcome.reason is ShedReason.QUEUE_FULL:
            assert len(pool.waits(request.band)) >= bound  # without the one that was shed
        elif expires_s > self.clock.now_s:  # on arrival: the expected wait is longer than it may wait
            assert outcome.estimated
            assert outcome.waited_s == 0

    def judge_recall(self, outcome: Recall) -> None:
        pool, key = self.pools[outcome.pool], (outcome.holder, outcome.band)
        assert outcome.slots > 0
        pool.recalled[key] = pool.recalled.get(key, 0) + outcome.slots
        assert pool.recalled[key] <= pool.lent[key]

    # What can happen

    @initialize(choice=st.sampled_from(SETTINGS), slots=st.sampled_from((1, 4, 8, 10)))
    def begin(self, choice: QosSettings, slots: int) -> None:
        self.reconfigure(choice)
        self.resize("p", slots)

    @rule(bands=st.lists(st.sampled_from(BANDS), min_size=5, max_size=15))
    def crowd(self, bands: list[str]) -> None:
        """Enough of every band at once that they get in each other's way."""
        for band in bands:
            given = {"pool": "p", "tenant": "acme", "holder": "h1", "deadline_in_s": 60.0}
            self.submit(count=1, band=band, tokens=100, **given)

    @rule(
        pool=st.sampled_from(POOLS),
        band=st.sampled_from(BANDS),
        tenant=st.sampled_from(("acme", "globex", "initech")),
        holder=st.sampled_from(HOLDERS),
        tokens=st.integers(1, 1_000),
        deadline_in_s=st.sampled_from((0.0, 0.5, 2.0, 60.0)),
        count=st.integers(1, 4),
    )
    def submit(self, count: int, **given: Any) -> None:
        tokens, longest = given.pop("tokens"), {band.name: band.longest_wait_s for band in self.settings.bands}
        for _ in range(count):
            self.number += 1
            request = Request(id=f"r{self.number}", cost_tokens=tokens, weight=1.0, **given)
            expires_s = self.clock.now_s + min(request.deadline_in_s, longest[request.band])
            self.pools[request.pool].waiting[request.id] = (request, expires_s)
            self.judge(self.scheduler.submit(request))

    @precondition(lambda self: any(pool.running for pool in self.pools.values()))
    @rule(data=st.data(), tokens=st.integers(0, 2_000), how=st.sampled_from(("complete", "complete", "cancel")))
    def end(self, data: st.DataObject, tokens: int, how: str) -> None:
        request_id = data.draw(st.sampled_from([r for pool in self.pools.values() for r in pool.running]))
        for pool in self.pools.values():
            pool.running.pop(request_id, None)
        done = self.scheduler.complete(request_id, tokens) if how == "complete" else self.scheduler.cancel(request_id)
        self.judge(done)
        assert self.scheduler.complete(request_id, tokens) == []

    @precondition(lambda self: any(pool.waiting for pool in self.pools.values()))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        request_id = data.draw(st.sampled_from([r for pool in self.pools.values() for r in pool.waiting]))
        request = next(pool.waiting.pop(request_id)[0] for pool in self.pools.values() if request_id in pool.waiting)
        outcomes = self.scheduler.cancel(request_id)
        assert not any(isinstance(outcome, Started) for outcome in outcomes)
        self.judge(outcomes)
        # The same id may come again, as new.
        again = replace(request, deadline_in_s=60.0)
        longest = {band.name: band.longest_wait_s for band in self.settings.bands}[request.band]
        self.pools[request.pool].waiting[request.id] = (again, self.clock.now_s + min(60.0, longest))
        self.judge(self.scheduler.submit(again))

    @rule(seconds=st.sampled_from((0.1, 0.5, 2.0, 40.0)))
    def wait(self, seconds: float) -> None:
        self.clock.now_s += seconds
        due = {r for pool in self.pools.values() for r, (_, at_s) in pool.waiting.items() if at_s <= self.clock.now_s}
        outcomes = self.scheduler.expire()
        assert {o.id for o in outcomes if isinstance(o, Shed)} == due
        assert len(outcomes) == len(due)
        self.judge(outcomes)

    @rule(pool=st.sampled_from(POOLS), slots=st.sampled_from((0, 1, 2, 3, 5, 8, 13)))
    def resize(self, pool: str, slots: int) -> None:
        self.pools[pool].capacity = slots
        self.judge(self.scheduler.set_capacity(pool, slots))

    @rule(choice=st.sampled_from(SETTINGS))
    def reconfigure(self, choice: QosSettings) -> None:
        self.settings = choice
        self.judge(self.scheduler.reconfigure(choice))

    @rule(
        holder=st.sampled_from(HOLDERS),
        name=st.sampled_from(POOLS),
        band=st.sampled_from(BANDS),
        slots=st.integers(1, 6),
    )
    def lease(self, holder: str, name: str, band: str, slots: int) -> None:
        pool, shares = self.pools[name], self.slots(name)
        granted = self.scheduler.lease(holder, name, band, slots)
        assert 0 <= granted <= min(slots, self.settings.lease_block)
        if granted:
            pool.lent[holder, band] = pool.lent.get((holder, band), 0) + granted
            assert pool.used <= pool.capacity
            assert pool.used_by(band) <= shares[band][1]
            assert not pool.waits(band)
        elif not pool.waiting:  # nobody is in the way: only the want of slots is a reason
            assert pool.used >= pool.capacity or pool.used_by(band) >= shares[band][1]

    @precondition(lambda self: any(pool.lent for pool in self.pools.values()))
    @rule(data=st.data(), slots=st.integers(1, 5), used=st.booleans())
    def return_lease(self, data: st.DataObject, slots: int, used: bool) -> None:
        name, (holder, band) = data.draw(
            st.sampled_from([(name, key) for name, pool in self.pools.items() for key in pool.lent])
        )
        pool, key = self.pools[name], (holder, band)
        if used:
            self.scheduler.lease_used(name, band, "acme", 50, held_s=1.0)
        returned = min(slots, pool.lent[key])
        pool.lent[key] -= returned
        pool.recalled[key] = max(0, pool.recalled.get(key, 0) - returned)
        if not pool.lent[key]:
            del pool.lent[key]
        self.judge(self.scheduler.return_lease(holder, name, band, slots))

    @rule(holder=st.sampled_from(HOLDERS))
    def forget(self, holder: str) -> None:
        self.drop(holder)
        for pool in self.pools.values():
            pool.waiting = {i: held for i, held in pool.waiting.items() if held[0].holder != holder}
        self.judge(self.scheduler.forget(holder))
        assert holder not in self.scheduler.holders()

    @rule(holder=st.sampled_from(HOLDERS), lost=st.booleans())
    def report(self, holder: str, lost: bool) -> None:
        """A live router takes a holder's report: the same as its books, or without what the holder has lost."""
        running, leased = self.report_of(holder)
        self.drop(holder)
        kept = running[len(running) // 2 :] if lost else running
        self.take(holder, kept, leased)
        self.judge(self.scheduler.restore(holder, kept, leased))

    @rule()
    def restart(self) -> None:
        """The router dies; the next one hears every holder, and only then learns how many slots there are."""
        reports = {holder: self.report_of(holder) for holder in HOLDERS}
        waiting = [request for pool in self.pools.values() for request, _ in pool.waiting.values()]
        capacities = {name: pool.capacity for name, pool in self.pools.items()}
        self.pools = {name: PlainPool() for name in POOLS}
        self.scheduler = self.fresh_scheduler()
        for holder, (running, leased) in reports.items():
            self.take(holder, running, leased)
            self.judge(self.scheduler.restore(holder, running, leased))
        longest = {band.name: band.longest_wait_s for band in self.settings.bands}
        for request in waiting:
            expires_s = self.clock.now_s + min(request.deadline_in_s, longest[request.band])
            self.pools[request.pool].waiting[request.id] = (request, expires_s)
            outcomes = self.scheduler.submit(request)
            assert not any(isinstance(outcome, Started) for outcome in outcomes)
            self.judge(outcomes)
        for name, capacity in capacities.items():
            self.resize(name, capacity)

    def report_of(self, holder: str) -> tuple[list[Running], list[Lease]]:
        running = [Running(r) for pool in self.pools.values() for r in pool.running.values() if r.holder == holder]
        lent = [
            (n, band, slots) for n, p in self.pools.items() for (who, band), slots in p.lent.items() if who == holder
        ]
        return running, [Lease(*lease) for lease in lent]

    def drop(self, holder: str) -> None:
        for pool in self.pools.values():
            pool.running = {i: request for i, request in pool.running.items() if request.holder != holder}
            pool.lent = {key: slots for key, slots in pool.lent.items() if key[0] != holder}
            pool.recalled = {key: slots for key, slots in pool.recalled.items() if key[0] != holder}

    def take(self, holder: str, running: list[Running], leased: list[Lease]) -> None:
        for run in running:
            self.pools[run.request.pool].running[run.request.id] = run.request
        for lease in leased:
            self.pools[lease.pool].lent[holder, lease.band] = lease.slots

    # What holds after every step

    @invariant()
    def no_slot_idles_while_somebody_may_use_it(self) -> None:
        for name, pool in self.pools.items():
            if pool.used < pool.capacity:
                for band, (_, cap) in self.slots(name).items():
                    assert not pool.waits(band) or pool.used_by(band) >= cap

    @invariant()
    def what_is_on_loan_is_recalled_where_it_is_in_the_way(self) -> None:
        for name, pool in self.pools.items():
            slots = self.slots(name)
            blocked = any(pool.waits(band) and pool.used_by(band) < slots[band][1] for band in BANDS)
            for (holder, band), lent in pool.lent.items():
                if blocked or pool.used > pool.capacity or pool.waits(band):
                    assert pool.recalled.get((holder, band), 0) == lent
            told = {(r.holder, r.band): r.slots for r in self.scheduler.recalls() if r.pool == name}
            assert told == {key: slots for key, slots in pool.recalled.items() if slots}

    @invariant()
    def nothing_waits_beyond_its_time(self) -> None:
        ends = [expires_s for pool in self.pools.values() for _, expires_s in pool.waiting.values()]
        assert self.scheduler.next_wakeup_s() == min(ends, default=None)
        # A pool that no call has touched since its time came is late by the tick; the rule `wait` ticks at once.
        assert all(expires_s > self.clock.now_s for expires_s in ends)

    @invariant()
    def the_books_agree(self) -> None:
        for stand in self.scheduler.statistics():
            pool, slots = self.pools[stand.name], self.slots(stand.name)
            assert (stand.capacity, stand.used, stand.waiting) == (pool.capacity, pool.used, len(pool.waiting))
            for band in stand.bands:
                assert (band.waiting, band.used) == (len(pool.waits(band.name)), pool.used_by(band.name))
                assert (band.reserve_slots, band.cap_slots) == slots[band.name]
        holders = {r.holder for pool in self.pools.values() for r in pool.running.values()}
        holders |= {r.holder for pool in self.pools.values() for r, _ in pool.waiting.values()}
        holders |= {holder for pool in self.pools.values() for holder, _ in pool.lent}
        assert self.scheduler.holders() == holders

    def teardown(self) -> None:
        for holder in HOLDERS:
            self.forget(holder)
        assert all(stand.used == 0 and stand.waiting == 0 for stand in self.scheduler.statistics())
        assert self.scheduler.recalls() == []


SchedulerMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
TestSchedulerMachine = SchedulerMachine.TestCase
