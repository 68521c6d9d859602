"""What processes hold, summed."""

from loadtests.bench.costs.memory import MIB, summed, total


def test_processes_of_one_role_stand_together() -> None:
    found = summed([("ray", (MIB, 2 * MIB)), ("redis-server", (3 * MIB, 4 * MIB)), ("ray", (MIB, MIB))])
    assert found == {
        "ray": {"processes": 2, "own_mib": 2, "share_mib": 3},
        "redis-server": {"processes": 1, "own_mib": 3, "share_mib": 4},
    }
    assert total(found) == {"processes": 3, "own_mib": 5, "share_mib": 7}
