"""What the scheduler decides, case by case. Schedules at random are in test_scheduler_machine."""

from typing import Any

import pytest

from deployments.router.scheduler import (
    UNKNOWN_RETRY_AFTER_S,
    BandsChangedError,
    QosSettings,
    Request,
    Scheduler,
    Shed,
    ShedReason,
    Started,
    UnknownBandError,
    UnknownPoolError,
)

from .harness import POOL, Clock, Harness, bands, recalled, shed, started

TWO = {"high": {}, "low": {}}


def test_a_free_slot_is_given_at_once() -> None:
    at = Harness(slots=2)
    assert at.submit() == [Started("r1", "h1", POOL, "standard", 0.0)]
    assert started(at.submit()) == ["r2"]
    assert at.submit() == []
    at.after(3)
    assert at.complete("r1") == [Started("r3", "h1", POOL, "standard", 3.0)]


@pytest.mark.parametrize(
    ("knobs", "running", "waiting", "order"),
    [
        # Who runs in the pool's slots, who waits (in order of arrival), and who starts as slots fall free.
        ({"high": {}, "low": {}}, ["low"] * 4, ["low", "high", "low", "high"], "high high low low"),
        ({"high": {}, "low": {"reserve": 0.25}}, ["high"] * 4, ["high", "low", "high", "low"], "low high high low"),
        ({"high": {"reserve": 0.5}, "low": {"reserve": 0.5}}, ["low"] * 4, ["low", "high", "high"], "high high low"),
        ({"high": {"cap": 0.5}, "low": {}}, ["high", "high", "low", "low"], ["high", "low", "low"], "low low high"),
        ({"a": {}, "b": {}, "c": {}}, ["c"] * 4, ["c", "b", "a", "c"], "a b c c"),
    ],
)
def test_who_goes_next(knobs: dict[str, Any], running: list[str], waiting: list[str], order: str) -> None:
    at = Harness(bands(**knobs), slots=4)
    for band in running:
        assert len(started(at.submit(band))) == 1
    for band in waiting:
        assert at.submit(band) == []
    # The last to start ends first.
    ending = [f"r{4 - n}" for n in range(4)]
    seen = [band for ended in ending for o in at.complete(ended) if isinstance(o, Started) for band in [o.band]]
    assert seen == order.split()


def test_a_cap_holds_even_while_slots_are_idle() -> None:
    at = Harness(bands(high={}, low={"cap": 0.5}), slots=4)
    assert [len(started(at.submit("low"))) for _ in range(3)] == [1, 1, 0]
    assert at.pool().used == 2
    assert started(at.submit("high")) == ["r4"]


def test_unequal_weights_share_a_band_by_weight() -> None:
    at = Harness(slots=1)
    at.submit(tenant="first")
    for _ in range(12):
        at.submit(tenant="light", weight=1.0)
        at.submit(tenant="heavy", weight=3.0)
    ended, tenants = "r1", []
    for _ in range(12):
        [ended] = started(at.complete(ended))
        tenants.append("heavy" if int(ended[1:]) % 2 else "light")
    assert tenants.count("heavy") == 9


# Growing and shrinking


def test_more_slots_start_what_waits() -> None:
    at = Harness(slots=0)
    at.submit("batch")
    at.submit("premium")
    at.submit("standard")
    assert started(at.scheduler.set_capacity(POOL, 2)) == ["r2", "r3"]


def test_fewer_slots_start_nothing_until_it_fits() -> None:
    at = Harness(slots=3)
    for _ in range(4):
        at.submit()
    assert at.scheduler.set_capacity(POOL, 1) == []
    assert at.complete("r1") == []
    assert at.complete("r2") == []
    assert started(at.complete("r3")) == ["r4"]


def test_a_smaller_pool_recalls_what_is_on_loan() -> None:
    at = Harness(slots=8)
    assert at.scheduler.lease("h1", POOL, "standard", 4) == 4
    assert recalled(at.scheduler.set_capacity(POOL, 4)) == {}  # it fits
    assert recalled(at.scheduler.set_capacity(POOL, 3)) == {("h1", "standard"): 4}


# Shedding


def test_a_full_queue_sheds() -> None:
    at = Harness(bands(standard={"queue_bound": 2}), slots=1)
    for _ in range(3):
        at.submit()
    [outcome] = at.submit()
    assert outcome == Shed("r4", "h1", POOL, "standard", ShedReason.QUEUE_FULL, 0.0, UNKNOWN_RETRY_AFTER_S, False)
    assert at.band("standard").shed_full == 1


def test_no_queue_at_all() -> None:
    at = Harness(bands(standard={"queue_bound": 0}), slots=1)
    assert started(at.submit()) == ["r1"]
    assert shed(at.submit()) == [("r2", "queue_full")]


def test_in_a_full_queue_the_longest_makes_room_for_others() -> None:
    at = Harness(bands(standard={"queue_bound": 3}), slots=1)
    for _ in range(4):
        at.submit(tenant="flood")
    assert shed(at.submit(tenant="flood")) == [("r5", "queue_full")]
    assert shed(at.submit(tenant="quiet")) == [("r4", "queue_full")]  # the newest of the flood
    assert shed(at.submit(tenant="quiet")) == [("r7", "queue_full")]  # both would have two: nobody makes room
    assert started(at.complete("r1")) == ["r6"]
    assert at.complete("r4") == []  # it is gone for good


def test_retry_after_comes_from_the_drain_rate() -> None:
    at = Harness(bands(standard={"queue_bound": 1}), slots=4)
    for _ in range(5):
        at.submit()
    at.after(2)
    for number in range(1, 5):
        at.complete(f"r{number}")
    for _ in range(3):
        at.submit()
    assert at.pool().drain_per_s == pytest.approx(2.0)  # four slots, two seconds each
    at.submit()
    [outcome] = at.submit()
    assert isinstance(outcome, Shed)
    assert (outcome.retry_after_s, outcome.estimated) == (pytest.approx(0.5), True)


def test_one_that_would_wait_too_long_is_shed_on_arrival() -> None:
    at = Harness(bands(standard={"longest_wait": "10s"}), slots=1)
    at.submit()
    at.after(4)
    at.complete("r1")  # four seconds a request
    at.submit()
    assert at.submit() == []  # waits 4 s
    assert at.scheduler.estimated_wait_s(Request("x", "h1", POOL, "standard", "acme", 1)) == pytest.approx(8.0)
    [outcome] = at.submit(deadline_in_s=5.0)
    assert isinstance(outcome, Shed)
    assert outcome.reason is ShedReason.QUEUE_TIMEOUT
    assert outcome.retry_after_s == pytest.approx(3.0)  # then it would be 5 s
    assert at.submit(deadline_in_s=9.0) == []
    assert shed(at.submit()) == [("r6", "queue_timeout")]  # 12 s, and the band allows 10
    assert at.band("standard").shed_timeout == 2


def test_nobody_is_shed_for_an_expected_wait_that_is_not_known() -> None:
    at = Harness(slots=1)
    for _ in range(500):
        assert shed(at.submit(deadline_in_s=0.001)) == []


def test_a_flood_of_one_tenant_is_not_taken_for_the_wait_of_another() -> None:
    at = Harness(slots=1)
    at.submit(tenant="flood")
    at.after(1)
    at.complete("r1")
    for _ in range(25):
        assert shed(at.submit(tenant="flood")) == []
    assert shed(at.submit(tenant="quiet", deadline_in_s=3.0)) == []
    assert shed(at.submit(tenant="flood", deadline_in_s=3.0)) == [("r28", "queue_timeout")]


def test_a_deadline_that_has_passed_starts_nothing() -> None:
    at = Harness(slots=1)
    assert shed(at.submit(deadline_in_s=0.0)) == [("r1", "queue_timeout")]


def test_a_reserve_bounds_the_expected_wait() -> None:
    at = Harness(bands(high={}, low={"reserve": 0.5}), slots=2)
    at.submit("high")
    at.after(1)
    at.complete("r1")  # one second a request: two a second, one of them the low band's by right
    for _ in range(22):
        at.submit("high")
    assert at.scheduler.estimated_wait_s(Request("x", "h1", POOL, "low", "t", 1)) == pytest.approx(1.0)


def test_a_burst_of_all_bands_is_not_taken_for_what_always_comes() -> None:
    """The lowest band has seen only others start, for a second: that says nothing of the minutes to come."""
    at = Harness(bands(high={}, low={"longest_wait": "30s"}), slots=4)
    for _ in range(40):
        at.submit("high")
    for first in range(1, 21, 4):
        at.after(0.1)  # a tenth of a second each, so 40 a second
        for n in range(first, first + 4):
            at.complete(f"r{n}")
    assert [shed(at.submit("low")) for _ in range(15)] == [[]] * 15
    wait_s = at.scheduler.estimated_wait_s(Request("x", "h1", POOL, "low", "t", 1))
    assert wait_s is not None
    assert wait_s == pytest.approx((16 + 2) / 40, rel=0.1)  # 16 of the high band; of the other tenant, one


# Expiry and cancellation


def test_requests_expire_at_their_deadline_and_not_before() -> None:
    at = Harness(slots=1)
    at.submit()
    assert at.scheduler.next_wakeup_s() is None
    at.submit(deadline_in_s=5.0)
    at.submit()  # 30 s, the band's
    at.submit(deadline_in_s=99.0)  # cannot lengthen it
    assert at.scheduler.next_wakeup_s() == pytest.approx(105.0)
    at.after(4.999)
    assert at.scheduler.expire() == []
    at.after(0.001)
    assert shed(at.scheduler.expire()) == [("r2", "queue_timeout")]
    assert at.scheduler.next_wakeup_s() == pytest.approx(130.0)
    at.after(25)
    assert shed(at.scheduler.expire()) == [("r3", "queue_timeout"), ("r4", "queue_timeout")]
    assert at.scheduler.next_wakeup_s() is None
    assert at.band("standard").expired == 3


def test_a_late_tick_starts_nothing_late() -> None:
    at = Harness(slots=1)
    at.submit()
    at.submit(deadline_in_s=5.0)
    at.submit()
    at.after(5)
    outcomes = at.complete("r1")
    assert (shed(outcomes), started(outcomes)) == ([("r2", "queue_timeout")], ["r3"])


def test_a_clock_that_goes_backwards_stands_still() -> None:
    at = Harness(slots=1)
    at.submit()
    at.after(10)
    at.submit(deadline_in_s=5.0)
    at.after(-60)
    at.submit(deadline_in_s=5.0)
    at.after(10)
    assert at.scheduler.expire() == []
    assert at.complete("r1") == [Started("r2", "h1", POOL, "standard", 0.0)]
    at.after(54.9)
    assert at.scheduler.expire() == []
    at.after(0.1)
    assert shed(at.scheduler.expire()) == [("r3", "queue_timeout")]


def test_cancelling_one_that_waits() -> None:
    at = Harness(slots=1)
    for _ in range(3):
        at.submit()
    assert at.scheduler.cancel("r2") == []
    assert started(at.complete("r1")) == ["r3"]
    assert at.scheduler.cancel("r2") == []


def test_cancelling_one_that_was_started_meanwhile_gives_back_slot_and_charge() -> None:
    at = Harness(slots=1)
    at.submit()
    at.submit()
    assert started(at.scheduler.cancel("r1")) == ["r2"]
    at.complete("r2", tokens=70)
    assert (at.band("standard").cancelled, at.band("standard").charged_tokens) == (1, 70)


def test_submitting_again_is_harmless() -> None:
    at = Harness(slots=1)
    at.submit(id="same")
    assert started(at.submit(id="same")) == ["same"]
    at.submit(id="waits")
    assert at.submit(id="waits") == []
    assert at.pool().waiting == 1
    assert at.complete("unknown") == []


def test_ending_one_that_waits_takes_it_out() -> None:
    at = Harness(slots=1)
    at.submit()
    at.submit()
    assert at.complete("r2") == []
    assert at.pool().waiting == 0


# Pools and settings


def test_pools_do_not_touch_each_other() -> None:
    at = Harness(slots=1)
    at.scheduler.add_pool("other", 1)
    at.submit()
    assert started(at.submit(pool="other")) == ["r2"]
    at.scheduler.add_pool("other", 5)  # there already: stays as it is
    assert at.submit(pool="other") == []


def test_a_pool_that_goes_sheds_what_waits() -> None:
    at = Harness(slots=1)
    at.submit()
    at.submit()
    assert shed(at.scheduler.remove_pool(POOL)) == [("r2", "pool_gone")]
    assert at.scheduler.holders() == set()
    assert at.complete("r1") == []
    with pytest.raises(UnknownPoolError, match="there is no pool 'large'; known: none"):
        at.submit()


def test_an_unknown_band_is_named() -> None:
    with pytest.raises(UnknownBandError, match="has no band 'gold'; it has internal, premium, standard, batch"):
        Harness().submit("gold")


def test_new_settings_hold_at_once() -> None:
    at = Harness(bands(high={}, low={"cap": 0.25}), slots=4)
    for _ in range(4):
        at.submit("low")
    assert started(at.scheduler.reconfigure(bands(high={}, low={"cap": 0.75}))) == ["r2", "r3"]
    with pytest.raises(BandsChangedError, match="high, low"):
        at.scheduler.reconfigure(bands(low={}, high={}))


def test_a_lower_cap_recalls_what_the_band_has_on_loan() -> None:
    at = Harness(bands(high={}, low={}), slots=4)
    at.scheduler.lease("h1", POOL, "low", 2)
    at.scheduler.lease("h1", POOL, "high", 1)
    assert recalled(at.scheduler.reconfigure(bands(high={}, low={"cap": 0.25}))) == {("h1", "low"): 2}


def test_a_pool_can_have_settings_of_its_own() -> None:
    scheduler = Scheduler(QosSettings(), Clock())
    scheduler.add_pool("own", 4, bands(only={"cap": 0.5}))
    scheduler.reconfigure(QosSettings(lease_block=1))
    assert scheduler.lease("h", "own", "only", 4) == 2
    assert [band.name for band in scheduler.statistics()[0].bands] == ["only"]


def test_statistics_say_who_waited_and_who_was_overtaken() -> None:
    at = Harness(slots=1)
    at.submit("batch")
    at.submit("batch")
    at.submit("premium")
    at.after(0.5)
    at.complete("r1")
    at.after(1.0)
    at.complete("r3")
    premium, batch = at.band("premium"), at.band("batch")
    assert (premium.overtakings, batch.overtakings) == (1, 0)
    assert (premium.waited_s, batch.waited_s, batch.longest_wait_s) == (0.5, 1.5, 1.5)
    assert (batch.started, batch.completed, batch.running, batch.used) == (2, 1, 1, 1)
    assert (batch.wait_counts[0], sum(batch.wait_counts)) == (1, 2)
