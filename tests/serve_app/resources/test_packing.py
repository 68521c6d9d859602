"""The search says no only where there is no placement, and yes only where there is one."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.resources.needs import Group, Resources
from serve_app.resources.packing import MOST_GROUPS, fits


def gpus(*amounts: float) -> list[Group]:
    return [({"GPU": amount},) for amount in amounts]


CASES: list[tuple[str, list[Group], list[Resources], bool]] = [
    ("nothing on nothing", [], [], True),
    ("something on nothing", gpus(1), [], False),
    ("halves share", gpus(0.5, 0.5, 0.5, 0.5), [{"GPU": 2}], True),
    ("a part is of one GPU", gpus(0.6, 0.6, 0.6), [{"GPU": 2}], False),
    ("whole ones take untouched GPUs", gpus(0.5, 1), [{"GPU": 1}], False),
    ("and find them", gpus(0.5, 0.5, 1), [{"GPU": 2}], True),
    ("one node each", gpus(2, 2), [{"GPU": 1}, {"GPU": 3}], False),
    ("parts of a group together", [({"GPU": 1}, {"GPU": 1})], [{"GPU": 1}, {"GPU": 1}], False),
    ("parts of a group on a larger node", [({"GPU": 1}, {"GPU": 1})], [{"GPU": 1}, {"GPU": 2}], True),
    ("decimals add up", [({"CPU": 0.1},)] * 10, [{"CPU": 1}], True),
    ("and no further", [({"CPU": 0.1},)] * 11, [{"CPU": 1}], False),
    ("greed is not enough", [({"CPU": c},) for c in (3, 3, 2, 2, 2)], [{"CPU": 6}, {"CPU": 6}], True),
    ("both of two kinds", [({"CPU": 1, "GPU": 1},)], [{"CPU": 4}, {"GPU": 1}], False),
]


@pytest.mark.parametrize(("groups", "nodes", "fit"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_cases(groups: list[Group], nodes: list[Resources], fit: bool) -> None:
    assert fits(groups, nodes) is fit


@settings(max_examples=300, deadline=None)
@given(
    asked=st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0, 0.25, 0.5, 0.75, 1, 2])), max_size=5),
    there=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=3),
)
def test_as_trying_everything_says(asked: list[tuple[int, float]], there: list[tuple[int, int]]) -> None:
    groups: list[Group] = [({"CPU": cpus, "GPU": part},) for cpus, part in asked]
    nodes: list[Resources] = [{"CPU": cpus, "GPU": count} for cpus, count in there]
    assert fits(groups, nodes) is _by_trying_everything(asked, there)


def _by_trying_everything(asked: list[tuple[int, float]], there: list[tuple[int, int]]) -> bool:
    """Every node for every group, and there every GPU for every part of one."""
    for places in product(range(len(there)), repeat=len(asked)):
        if all(
            _on_one_node([each for each, place in zip(asked, places, strict=True) if place == at], node)
            for at, node in enumerate(there)
        ):
            return True
    return False


def _on_one_node(asked: list[tuple[int, float]], node: tuple[int, int]) -> bool:
    if sum(cpus for cpus, _ in asked) > node[0]:
        return False
    parts = [part for _, part in asked if 0 < part < 1]
    shared = node[1] - int(sum(part for _, part in asked if part >= 1))
    if shared < 0:
        return False
    return any(
        all(sum(part for part, of in zip(parts, places, strict=True) if of == gpu) <= 1 for gpu in range(shared))
        for places in product(range(shared), repeat=len(parts))
    )


def test_too_much_to_search_is_not_known() -> None:
    assert fits(gpus(*[0.01] * (MOST_GROUPS + 1)), [{"GPU": 100}]) is None
    assert fits(gpus(*[0.01] * (MOST_GROUPS + 1)), [{"GPU": 4}]) is False
    hard: list[Group] = [({"CPU": 1.67 + n / 100},) for n in range(25)]  # no node takes three, which is not tried for
    assert fits(hard, [{"CPU": 5}] * 12) is None
    assert fits(hard, [{"CPU": 5}] * 13) is True
