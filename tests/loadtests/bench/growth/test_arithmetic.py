"""How many of everything a rate needs."""

from dataclasses import replace
from typing import Any

import pytest

from loadtests.bench.growth.arithmetic import Costs, carries, costs_of, ends, needs
from policies.entities import MAX_SHARDS


@pytest.fixture
def costs(results: dict[str, Any]) -> Costs:
    return costs_of(results)


def test_costs_are_read_from_the_results(costs: Costs) -> None:
    assert costs == Costs(
        ingress_us=600,
        denied_us=300,
        proxy_us=60,
        alone_us=100,
        cluster_us=200,
        busiest=1.5,  # a quarter of the work, of six primaries
        window_us=20,
        call_us=1000,
        start_us=50,
        entry_bytes=11,
        request_bytes=250,
    )


def test_a_core_is_planned_with_in_part() -> None:
    assert carries(600) == 1_000
    assert carries(100) == 6_000


def test_a_small_rate_needs_one_of_each(costs: Costs) -> None:
    need = needs(1_000, costs)
    assert (need.ingresses, need.cores, need.primaries, need.shards, need.cells) == (1, 2, 1, 1, 1)
    assert need.redis_mb == 4  # 1,000 a second, 60 s, 6 entries of 11 bytes
    assert need.redis_mbit_s == 2


def test_a_million_a_second(costs: Costs) -> None:
    need = needs(1_000_000, costs)
    assert need.ingresses == 1_000
    assert need.cores == 1_000 + 100
    assert need.primaries == 500  # 333.3 by what is spent in all, half as many again for the busiest
    assert need.shards == 34  # each within the 30,000 that a primary carries of one window
    assert need.cells == 2
    assert need.cells_waiting == 85
    assert need.redis_mb == 3_960


def test_a_cluster_begins_where_one_primary_ends(costs: Costs) -> None:
    assert needs(6_000, costs).primaries == 1
    assert needs(6_001, costs).primaries == 4


def test_what_is_full_comes_in_order(costs: Costs) -> None:
    found = ends(costs)
    rates = [rate for rate, _ in found.values()]
    assert rates == sorted(rates)
    assert rates[0] == 1_000
    assert rates[-1] == 30_000 * MAX_SHARDS
    dearer = ends(replace(costs, ingress_us=6_000))
    assert dearer["one ingress replica, requests that are admitted"][0] == 100
