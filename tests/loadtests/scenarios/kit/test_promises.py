"""Each promise is kept by a run as it should be, and broken by the smallest thing that breaks it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from loadtests.scenarios.kit import promises
from loadtests.scenarios.kit.evidence import Evidence
from loadtests.scenarios.kit.logs import LogCopy, SeenDenial
from loadtests.scenarios.kit.outcomes import Outcome
from loadtests.scenarios.kit.promises import Promise
from loadtests.scenarios.kit.scenario import STOP_S
from loadtests.scenarios.kit.tenants import Limit, Tenant

BURST = Limit("burst", 3, 10, block={"denials": 2, "within": "10s", "duration": "20s"})
TOKENS = Limit("tokens", 1_000, 10, unit="total_tokens")
TENANT = Tenant("acme", limits=(BURST, TOKENS))


def log_of(limit: Limit, *told: tuple[int, int]) -> LogCopy:
    """Of when and how much."""
    log = LogCopy("acme", limit)
    entries = [(at_ms, ordinal, cost) for ordinal, (at_ms, cost) in enumerate(told, 1)]
    log.read({"window": {"used": 0}, "entries": entries, "changed": [], "profile": None})
    return log


def served(number: int, **fields: Any) -> Outcome:
    return Outcome("acme", "chat", "", f"s{number}", float(number), 5.0, status=200, tokens=7)._replace(**fields)


def denied(number: int, retry_after_ms: int, **fields: Any) -> Outcome:
    outcome = Outcome("acme", "chat", "", f"d{number}", 0.0, 5.0, status=429, code="rate_limit_exceeded")
    return outcome._replace(policy="burst", retry_after_ms=retry_after_ms, **fields)


EVIDENCE = Evidence(
    tenants=(TENANT,),
    outcomes=(served(1), served(2), served(3), denied(1, 5_000)),
    phases={"": 30.0},
    logs=(log_of(BURST, (0, 1), (1_000, 1), (2_000, 1)), log_of(TOKENS, (0, 7), (1_000, 7), (2_000, 7))),
    denials=(SeenDenial("d1", 5_000, "burst", 5_000),),
    slots_in_use={"acme": 0},
)
EMPTY = Evidence(tenants=(TENANT,), outcomes=(), logs=(log_of(BURST), log_of(TOKENS)))


def with_outcomes(*outcomes: Outcome) -> Evidence:
    return replace(EVIDENCE, outcomes=(*EVIDENCE.outcomes, *outcomes))


def with_burst(*told: tuple[int, int], outcomes: Sequence[Outcome] = ()) -> Evidence:
    return replace(EVIDENCE, logs=(log_of(BURST, *told), EVIDENCE.logs[1]), outcomes=outcomes or EVIDENCE.outcomes)


NEVER_OVER = promises.never_over_a_limit
FOUR = [served(number) for number in range(4)]


@pytest.mark.parametrize(
    ("promise", "broken"),
    [
        # One request too many, 1 ms before there is room; it was served, and is in every log.
        (
            NEVER_OVER,
            replace(
                EVIDENCE,
                outcomes=FOUR,
                logs=(
                    log_of(BURST, (0, 1), (1_000, 1), (2_000, 1), (9_999, 1)),
                    log_of(TOKENS, (0, 7), (1_000, 7), (2_000, 7), (9_999, 7)),
                ),
            ),
        ),
        (NEVER_OVER, with_outcomes(served(4))),  # served, and not in the log
        (NEVER_OVER, with_burst((0, 1), (1_000, 1), (2_000, 1), (12_000, 1))),  # logged, and served to nobody
        (NEVER_OVER, with_burst((0, 1), (1_000, 1), (2_000, 0))),  # served, and taken back
        (NEVER_OVER, EMPTY),
        (promises.limits_were_reached("burst"), with_burst((0, 1), (1_000, 1), (15_000, 1))),
        (promises.limits_were_reached("burst"), EMPTY),
        (promises.errors_are_exact, with_outcomes(denied(2, 1, problem="no retry-after-ms"))),
        (promises.errors_are_exact, replace(EVIDENCE, denials=(SeenDenial("d1", 5_000, "burst", 5_001),))),
        (promises.errors_are_exact, replace(EVIDENCE, denials=(SeenDenial("d1", 5_001, "burst", 5_000),))),
        (promises.errors_are_exact, replace(EVIDENCE, denials=())),
        (promises.nothing_fails("rate_limit_exceeded"), with_outcomes(served(4, status=503, code="x"))),
        (promises.nothing_fails("rate_limit_exceeded"), with_outcomes(served(4, status=0, problem="reset"))),
        (promises.nothing_fails("rate_limit_exceeded"), with_outcomes(served(4, problem="no usage"))),
        (promises.nothing_fails(), EVIDENCE),  # has a 429
        (promises.nothing_fails("rate_limit_exceeded"), EMPTY),
        (promises.slots_are_given_back, replace(EVIDENCE, slots_in_use={"acme": 1})),
        (promises.slots_are_given_back, EMPTY),
        (promises.tokens_settle("tokens"), with_outcomes(served(4))),
        (promises.tokens_settle("tokens"), EMPTY),
        (promises.tokens_settle("other"), EVIDENCE),
    ],
)
def test_the_smallest_thing_that_breaks_a_promise(promise: Promise, broken: Evidence) -> None:
    assert not promise(broken).kept


@pytest.mark.parametrize(
    "promise",
    [
        NEVER_OVER,
        promises.limits_were_reached("burst"),
        promises.errors_are_exact,
        promises.nothing_fails("rate_limit_exceeded"),
        promises.slots_are_given_back,
        promises.tokens_settle("tokens"),
    ],
)
def test_what_a_run_as_it_should_be_keeps(promise: Promise) -> None:
    assert promise(EVIDENCE).kept, promise(EVIDENCE)


def test_who_may_not_be_denied() -> None:
    promise = promises.never_denied("acme")
    alone = replace(EVIDENCE, outcomes=EVIDENCE.outcomes[:3])
    assert promise(alone).kept
    assert promise(replace(alone, outcomes=(*alone.outcomes, served(4, status=0, code="left")))).kept
    assert not promise(EVIDENCE).kept
    assert not promise(EMPTY).kept


@pytest.mark.parametrize(
    ("took_s", "hangs_s", "kept"), [(14, 15, True), (16, 15, False), (16, 60, True), (6, 5, False)]
)
def test_a_reply_that_hangs_is_not_excused_by_the_end(took_s: float, hangs_s: float, kept: bool) -> None:
    cut = with_outcomes(served(4, status=0, code=promises.CUT, took_ms=took_s * 1000.0))
    assert promises.nothing_fails("rate_limit_exceeded", hangs_s=hangs_s)(cut).kept == kept
    alone = replace(cut, outcomes=[each for each in cut.outcomes if each.status != 429])
    assert promises.never_denied("acme", hangs_s=hangs_s)(alone).kept == kept
    left = with_outcomes(served(4, status=0, code="left", took_ms=took_s * 1000.0))
    assert promises.nothing_fails("rate_limit_exceeded", hangs_s=hangs_s)(left).kept


def test_the_end_gives_a_request_longer_than_an_honest_one_takes() -> None:
    assert promises.HANGS_S < STOP_S


@pytest.mark.parametrize(("second", "kept"), [(20, True), (19, True), (18, False), (0, False)])
def test_the_same_rate_in_two_phases(second: int, kept: bool) -> None:
    outcomes = [served(n, phase="before") for n in range(20)] + [served(n, phase="after") for n in range(second)]
    evidence = replace(EVIDENCE, outcomes=outcomes, phases={"before": 10.0, "after": 10.0})
    assert promises.served_as_before("before", "after", "acme")(evidence).kept == kept


@pytest.mark.parametrize(("after_ms", "kept"), [(5.0, True), (250.0, True), (251.0, False)])
def test_the_same_rate_of_slower_replies_is_not_as_before(after_ms: float, kept: bool) -> None:
    outcomes = [
        served(n, phase=phase, took_ms=ms) for phase, ms in (("before", 100.0), ("after", after_ms)) for n in (1, 2)
    ]
    evidence = replace(EVIDENCE, outcomes=outcomes, phases={"before": 10.0, "after": 10.0})
    assert promises.served_as_before("before", "after", "acme")(evidence).kept == kept
    assert not promises.served_as_before("before", "after", "acme")(EMPTY).kept


@pytest.mark.parametrize(("crowded_ms", "count", "kept"), [(130, 60, True), (131, 60, False), (100, 40, False)])
def test_the_ratio_of_first_tokens(crowded_ms: float, count: int, kept: bool) -> None:
    outcomes = [
        served(n, kind="stream", phase=phase, first_ms=ms)
        for phase, ms in (("alone", 100.0), ("flood", crowded_ms))
        for n in range(count)
    ]
    promise = promises.first_token_ratio("acme", "alone", "flood", at_most=1.3)
    assert promise(replace(EVIDENCE, outcomes=outcomes)).kept == kept
    assert not promise(EMPTY).kept


@pytest.mark.parametrize(
    ("ended", "took_ms", "count", "kept"),
    [
        ({}, 600.0, 60, True),
        ({}, 599.0, 60, False),
        ({}, 600.0, 40, False),
        ({"status": 0, "code": "cut"}, 600.0, 60, True),  # it waited when the end came
        ({"status": 429, "code": "queue_full"}, 600.0, 60, False),  # told to go away: nobody waited
    ],
)
def test_there_was_a_flood(ended: dict[str, Any], took_ms: float, count: int, kept: bool) -> None:
    guest = [served(n, phase="alone", took_ms=100.0) for n in range(9)]
    before = [served(n, tenant="batch", took_ms=10.0) for n in range(60)]
    flood = [served(n, tenant="batch", phase="flood", took_ms=took_ms, **ended) for n in range(count)]
    promise = promises.flooded("batch", "flood", "acme", "alone", times=6)
    assert promise(replace(EVIDENCE, outcomes=[*guest, *before, *flood])).kept == kept
    assert not promise(replace(EVIDENCE, outcomes=[*before, *flood])).kept
    hung = [each._replace(status=0, code="cut") for each in flood]
    assert not promise(replace(EVIDENCE, outcomes=[*guest, *hung])).kept  # batch was served nothing at all


@pytest.mark.parametrize(("problem", "kept"), [(None, True), ("a stream that ends without [DONE]", False)])
def test_streams_end_whole(problem: str | None, kept: bool) -> None:
    evidence = replace(EVIDENCE, outcomes=[served(1, kind="stream", problem=problem)])
    assert promises.streams_end_whole(evidence).kept == kept
    assert not promises.streams_end_whole(EVIDENCE).kept  # none was streamed


BLOCK = (SeenDenial("d1", 5_000, "burst", 20_000), SeenDenial("d2", 24_000, "burst", 1_001))


@pytest.mark.parametrize(
    ("logged_ms", "denials", "kept"),
    [
        (25_000, BLOCK, True),  # at its end
        (24_000, BLOCK, False),
        (25_000, (SeenDenial("d1", 5_000, "burst", 5_000),), False),  # an ordinary denial
        (25_000, (SeenDenial("d1", 5_000, "burst", 19_998),), True),  # rounded
        (25_000, (SeenDenial("d1", 5_000, "burst", 19_997),), False),  # shorter than the policy's
        (25_003, (SeenDenial("d1", 5_000, "burst", 20_003),), False),  # longer
        (25_000, (*BLOCK, SeenDenial("d3", 26_000, "burst", 12_000)), False),  # the second one
    ],
)
def test_a_block_lasts(logged_ms: int, denials: tuple[SeenDenial, ...], kept: bool) -> None:
    evidence = replace(with_burst((0, 1), (1_000, 1), (2_000, 1), (logged_ms, 1)), denials=denials)
    assert promises.blocked("acme", "burst")(evidence).kept == kept


@pytest.mark.parametrize(
    ("at_ms", "second_ms", "kept"),
    [(24_000, 1_001, True), (24_000, 900, True), (24_000, 1_100, False), (25_000, 0, True), (25_001, 0, False)],
)
def test_all_denials_of_a_block_tell_its_end(at_ms: int, second_ms: int, kept: bool) -> None:
    denials = (BLOCK[0], BLOCK[1]._replace(at_ms=at_ms, retry_after_ms=second_ms))
    outcomes = (*EVIDENCE.outcomes[:3], denied(1, 20_000), denied(2, second_ms))
    evidence = replace(EVIDENCE, outcomes=outcomes, denials=denials)
    assert promises.errors_are_exact(evidence).kept == kept


@pytest.mark.parametrize(("last", "kept"), [(100, True), (80, True), (70, False)])
def test_no_collapse_at_full_load(last: int, kept: bool) -> None:
    rates = (20, 60, 100, 100, last, last)
    outcomes = [
        served(n, sent_s=step * 5 + 5 * n / (rate * 5), took_ms=0.0)
        for step, rate in enumerate(rates)
        for n in range(rate * 5)
    ]
    assert promises.no_collapse()(replace(EVIDENCE, outcomes=outcomes)).kept == kept
    assert not promises.no_collapse()(EMPTY).kept
