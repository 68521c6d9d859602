"""Rounds, their medians, and ratios within them."""

import pytest

from loadtests.bench.chain.cases import CASES, Contestant, applications
from loadtests.bench.chain.measures import Rounds, WrongReplyError, ratios
from loadtests.bench.wrk import Figures


def rounds(name: str, *rates: float, status: int = 200, clients: int = 16, long: bool = False) -> Rounds:
    found = Rounds(Contestant(name, name, status=status), clients, long)
    for rate in rates:
        found.figures.append(Figures(rate, 1000 / rate, 2000 / rate, {status: round(rate)}, mean_ms=1000 / rate))
        found.cpu_us.append(100)
    return found


def test_medians_with_their_spread() -> None:
    summary = rounds("ours", 100, 80, 400).summary()
    assert summary["requests_s"] == {"median": 100, "low": 80, "high": 400}
    assert summary["p50_ms"] == {"median": 10, "low": 2.5, "high": 12.5}
    assert summary["by_status"] == {200: 580}
    assert summary["wrong"] == 0


def test_ratios_are_of_the_same_round() -> None:
    found = ratios({"ours": rounds("ours", 100, 200, 900), "base": rounds("base", 50, 200, 300)}, "base")
    assert list(found) == ["ours"]
    assert found["ours"]["requests_s"] == {"median": 2, "low": 1, "high": 3}
    assert found["ours"]["p50_ms"]["median"] == 0.5


def test_a_round_in_which_the_base_finished_nothing_says_nothing() -> None:
    base = rounds("base", 50, 100)
    base.figures[0] = Figures(0, 0, 0, {})
    found = ratios({"ours": rounds("ours", 100, 300), "base": base}, "base")
    assert found["ours"]["requests_s"] == {"median": 3, "low": 3, "high": 3}
    base.figures[1] = Figures(0, 0, 0, {})
    with pytest.raises(WrongReplyError, match="rounds longer"):
        ratios({"ours": rounds("ours", 100, 300), "base": base}, "base")


def test_what_fails_fast_is_not_fast() -> None:
    failing = rounds("ours", 100)
    failing.figures[0] = Figures(1_000, 1, 2, {200: 100, 503: 900}, sample="why")
    summary = failing.summary()
    assert summary["requests_s"]["median"] == pytest.approx(100)
    assert (summary["wrong"], summary["sample"]) == (900, "why")
    denied = rounds("ours", 100, status=429)
    assert denied.summary()["wrong"] == 0
    denied.figures[0] = Figures(100, 1, 2, {200: 1, 429: 99})
    assert denied.summary()["wrong"] == 1


def test_long_requests_are_counted_by_how_long_they_take() -> None:
    long = rounds("ours", 32, clients=16, long=True)
    long.figures[0] = Figures(32, 400, 410, {200: 64}, mean_ms=400)
    assert long.right_s() == [pytest.approx(40)]


def test_requests_that_hang_do_not_make_a_rate_better() -> None:
    hanging = rounds("ours", 20, clients=16, long=True)
    hanging.figures[0] = Figures(20, 400, 410, {200: 40}, mean_ms=400)  # 8 of 16 clients wait for ever, 2 s
    assert hanging.right_s() == [pytest.approx(20 + 16 / 2)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_has_its_base_and_the_applications_that_it_asks(case: object) -> None:
    chosen = next(each for each in CASES if each is case)
    assert chosen.base in [contestant.name for contestant in chosen.contestants]
    started = {entry["name"] for entry in applications("redis://127.0.0.1:6379/0", (chosen,))}
    assert started == {contestant.application for contestant in chosen.contestants}
