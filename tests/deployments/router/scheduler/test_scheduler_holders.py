"""What holders have: slots on loan, what a dead one gives back, what a report restores."""

import pytest

from deployments.router.scheduler import Lease, QosSettings, Recall, Request, Running

from .harness import POOL, Harness, bands, recalled, started

# Slots on loan


def test_slots_are_lent_in_blocks_and_at_most_half_of_what_is_free() -> None:
    at = Harness(slots=10)
    asked = [at.scheduler.lease("h1", POOL, "standard", 8) for _ in range(7)]
    assert asked == [4, 3, 2, 1, 0, 0, 0]
    assert at.scheduler.leases("h1") == [Lease(POOL, "standard", 10)]


def test_a_loan_counts_against_the_cap() -> None:
    at = Harness(bands(high={}, low={"cap": 0.25}), slots=8)
    assert at.scheduler.lease("h1", POOL, "low", 8) == 2
    assert at.submit("low") == [Recall("h1", POOL, "low", 2)]
    assert started(at.scheduler.return_lease("h1", POOL, "low", 1)) == ["r1"]


def test_nothing_is_lent_while_somebody_waits_who_could_use_it() -> None:
    at = Harness(bands(high={}, low={"cap": 0.5}), slots=4)
    for _ in range(3):
        at.submit("low")
    assert at.scheduler.lease("h1", POOL, "low", 1) == 0  # one of its own band waits
    assert at.scheduler.lease("h1", POOL, "high", 1) == 1  # who waits is at its cap: it could not use the slot


def test_loans_are_recalled_as_soon_as_somebody_queues() -> None:
    at = Harness(slots=4)
    at.scheduler.lease("h1", POOL, "standard", 2)
    at.scheduler.lease("h2", POOL, "batch", 2)
    at.scheduler.lease("h1", POOL, "premium", 2)
    assert at.pool().used == 4
    outcomes = at.submit("premium", holder="h3")
    assert recalled(outcomes) == {("h1", "standard"): 2, ("h2", "batch"): 1, ("h1", "premium"): 1}
    assert recalled(at.submit("premium")) == {}  # once is enough
    assert len(at.scheduler.recalls()) == 3
    assert started(at.scheduler.return_lease("h2", POOL, "batch", 1)) == ["r1"]
    assert started(at.scheduler.return_lease("h1", POOL, "standard", 1)) == ["r2"]
    assert Recall("h1", POOL, "standard", 1) in at.scheduler.recalls()


def test_what_ran_on_a_loan_is_charged_and_learned_from() -> None:
    at = Harness(slots=4)
    at.scheduler.lease("h1", POOL, "standard", 1)
    at.scheduler.lease_used(POOL, "standard", "acme", 500, held_s=2.0)
    assert at.band("standard").charged_tokens == 500
    assert at.pool().drain_per_s == pytest.approx(2.0)
    assert at.band("standard").leased == 1


def test_without_blocks_nothing_is_lent() -> None:
    at = Harness(QosSettings(lease_block=0), slots=4)
    assert at.scheduler.lease("h1", POOL, "standard", 1) == 0


# Holders


def test_a_holder_that_dies_gives_everything_back() -> None:
    at = Harness(slots=4)
    at.scheduler.lease("dead", POOL, "standard", 2)
    at.submit(holder="dead")
    at.submit(holder="dead")
    at.submit(holder="dead")
    for _ in range(5):
        at.submit(holder="alive")
    assert at.scheduler.holders() == {"dead", "alive"}
    outcomes = at.scheduler.forget("dead")
    assert started(outcomes) == ["r4", "r5", "r6", "r7"]
    assert at.scheduler.holders() == {"alive"}
    assert at.scheduler.recalls() == []
    assert at.pool().waiting == 1


def test_a_restarted_router_gives_no_slot_twice_and_loses_none() -> None:
    at = Harness(slots=0)
    run = Running(Request("old", "h1", POOL, "standard", "acme", 100), running_for_s=2.0)
    assert at.scheduler.restore("h1", [run], [Lease(POOL, "batch", 2)]) == [Recall("h1", POOL, "batch", 2)]
    at.submit(holder="h2")
    assert at.scheduler.set_capacity(POOL, 3) == []
    at.after(1)
    assert started(at.complete("old")) == ["r1"]
    assert at.pool().drain_per_s == pytest.approx(1.0)  # it held its slot for three seconds in all
    at.scheduler.return_lease("h1", POOL, "batch", 2)
    at.complete("r1")
    assert at.pool().used == 0


def test_a_report_replaces_what_was_known_of_the_holder() -> None:
    at = Harness(slots=4)
    at.submit()
    at.submit()
    at.scheduler.lease("h1", POOL, "standard", 1)
    at.submit()
    at.submit()
    kept = Running(Request("r2", "h1", POOL, "standard", "acme", 100))
    waited = Running(Request("r4", "h1", POOL, "standard", "acme", 100))
    other = Running(Request("x", "h1", "elsewhere", "standard", "acme", 100))
    outcomes = at.scheduler.restore("h1", [kept, waited, other], [Lease("elsewhere", "standard", 9)])
    assert started(outcomes) == []
    assert (at.pool().used, at.pool().waiting) == (2, 0)
    assert at.complete("r1") == []
    assert at.scheduler.leases("h1") == []
