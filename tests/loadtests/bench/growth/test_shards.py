"""The simulation of split windows."""

from loadtests.bench.growth.shards import Case, simulate


def test_one_process_loses_nothing_where_costs_are_equal() -> None:
    found = simulate(Case(processes=1, shards=8, limit=80, load=0.9), seed=1)
    assert found == {"lost": 0.0, "early": 0.0}


def test_many_processes_lose_a_little_and_never_gain() -> None:
    lost = [simulate(Case(processes=16, shards=8, limit=80, load=1.5), seed)["lost"] for seed in range(5)]
    assert min(lost) >= 0
    assert 0 < max(lost) < 0.5
