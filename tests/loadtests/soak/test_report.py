"""What the soak makes of what it saw."""

import time
from typing import Any

import psutil
import pytest

from loadtests.bench.wrk import Figures
from loadtests.soak import samples as module
from loadtests.soak.leftovers import left_behind
from loadtests.soak.report import OURS, failures, grows, growth
from loadtests.soak.samples import Sample, least_held, memory_mib, slope_mib_h
from loadtests.soak.traffic import CLIENTS, pause_for


def seen(minute: float, **memory_mib: float) -> Sample:
    same = dict.fromkeys(memory_mib, 10)
    return Sample(60 * minute, dict(memory_mib), same, same)


def test_a_slope_is_per_hour_and_ignores_the_warm_up() -> None:
    samples = [seen(minute, Ingress=80 if minute < 10 else 100 + minute / 10) for minute in range(31)]
    assert slope_mib_h(samples, "Ingress", 600) == pytest.approx(6)
    found = growth(samples)["Ingress"]
    assert (found["warm_mib"], found["last_mib"]) == (101, 103)
    assert found["slope_mib_h"] == pytest.approx(6)
    assert grows(found)


def test_what_is_held_for_a_moment_is_not_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_EVERY_S", 0.01)
    processes = {"me": psutil.Process()}
    before = memory_mib(processes)["me"]
    passing = b"x" * 2**26
    with least_held(processes) as held:
        while "me" not in held:
            time.sleep(0.01)
        assert held["me"] > before + 50
        del passing
        time.sleep(0.2)
    assert held["me"] < before + 10


@pytest.mark.parametrize(
    ("warm", "slope", "verdict"), [(50, 1.9, False), (50, 2.1, True), (500, 9, False), (500, 11, True)]
)
def test_what_grows(warm: float, slope: float, verdict: bool) -> None:
    assert grows({"warm_mib": warm, "slope_mib_h": slope}) is verdict


FLAT = {"warm_mib": 100.0, "slope_mib_h": 0.1}


def whole(**changed: Any) -> dict[str, Any]:
    return {
        "growth": {**dict.fromkeys(OURS, FLAT), "raylet": FLAT},
        "leftovers": [{"what": "slots in use", "found": 0, "gone": True}],
        "share": 0.7,
        "by_status": {"200": 75, "429": 25},
        "errors": 0,
        "cut_short": 0,
        "lost": 0,
        "troubles": {},
        "left": 100,
        "minutes": 2,
        **changed,
    }


def test_all_is_well() -> None:
    assert failures(whole()) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"growth": dict.fromkeys(OURS, FLAT) | {"Ingress": {"warm_mib": 100.0, "slope_mib_h": 30.0}}},
            "Ingress grows by 30 MiB an hour",
        ),
        ({"growth": dict.fromkeys(OURS[1:], FLAT)}, "nothing is known of Ingress"),
        ({"leftovers": [{"what": "slots in use", "found": 2, "gone": False}]}, "left behind: slots in use: 2"),
        ({"by_status": {"200": 75, "429": 25, "503": 1}}, "replies other than 200 and 429"),
        ({"by_status": {"200": 60, "429": 40}}, "40.0% of the replies are denials, and 25% should be"),
        ({"by_status": {"200": 90, "429": 10}}, "10.0% of the replies are denials, and 25% should be"),
        ({"share": 0.5}, "the pace was not held: 50% of saturation"),
        ({"errors": 4}, "broken connections: 4"),
        ({"cut_short": 2}, "not whole: 2"),
        ({"lost": 1}, "without figures: 1"),
        ({"troubles": {"stream: 503": 3}}, "stream: 503"),
        ({"left": 59}, "only 59 streams"),
    ],
)
def test_each_broken_promise_is_said(changed: dict[str, Any], said: str) -> None:
    [sentence] = failures(whole(**changed))
    assert said in sentence


def test_the_pause_comes_to_the_rate() -> None:
    reply_ms, rate_s, pause_ms = 20.0, 400.0, 0.0
    for _ in range(3):  # replies that take as long at every pace
        turn_ms = pause_ms + reply_ms
        figures = Figures(CLIENTS / turn_ms * 1000, reply_ms, reply_ms, {200: 1})
        pause_ms = pause_for(rate_s, figures, pause_ms)
    assert CLIENTS / (pause_ms + reply_ms) * 1000 == pytest.approx(rate_s)
    assert pause_for(10_000, Figures(100, 20, 20, {200: 1}), 0) == 0
    assert pause_for(400, Figures(0, 0, 0, {}), 30) == 30, "nobody was answered"


def test_what_came_and_what_went() -> None:
    before, after = seen(0, Ingress=1, haproxy=1), seen(30, Ingress=1)
    after.redis_keys = before.redis_keys + 1
    left = [each for each in left_behind(before, after, {"haproxy'", "IDLE'"}) if not each.gone]
    assert [(each.what, each.found) for each in left] == [
        ("keys in Redis", 1),
        ("processes that ended haproxy", 1),
        ("processes that came haproxy'", 1),
    ]
