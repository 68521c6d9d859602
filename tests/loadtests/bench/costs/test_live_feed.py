"""What the feed costs, by rounds that stood beside one another."""

from loadtests.bench.costs.live_feed import NOBODY, ONE, Round, against


def test_each_round_is_held_against_the_one_beside_it() -> None:
    found = against(
        {
            NOBODY: [Round(100, 500, 50, 9, 0), Round(200, 250, 50, 9, 0), Round(100, 500, 50, 9, 0)],
            ONE: [Round(90, 550, 50, 9, 7), Round(190, 250, 50, 9, 7), Round(100, 510, 50, 9, 7)],
        },
        NOBODY,
    )
    assert found[ONE]["requests_s"] == {"median": 100, "low": 90, "high": 190}
    assert found[ONE]["requests_s_ratio"] == {"median": 0.95, "low": 0.9, "high": 1}
    assert found[ONE]["cpu_us_ratio"] == {"median": 1.02, "low": 1, "high": 1.1}
    assert found[NOBODY]["requests_s_ratio"] == {"median": 1, "low": 1, "high": 1}
