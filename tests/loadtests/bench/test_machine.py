"""The machine's name."""

from loadtests.bench.machine import described, machine


def test_it_names_what_figures_depend_on() -> None:
    found = {**machine("ray", **{"redis-server": "7.0.15"}), "load_after": 2.5}
    assert found["cores"] >= 1
    said = described(found)
    assert "load average" in said
    assert "before and 2.5 after" in said
    assert "redis-server 7.0.15, ray 2." in said
