"""What replicas say of their pools, as a hub knows it."""

from typing import Any

from deployments.ingress.live.pools_now import REMEMBERED_S, SILENT_S, PoolsNow


def message(number: int) -> dict[str, Any]:
    return {"replica": "a", "number": number, "standings": []}


def test_a_message_that_comes_again_after_a_long_silence_is_not_new() -> None:
    pools = PoolsNow()
    assert pools.heard(message(1), now=0)
    assert pools.replicas(now=SILENT_S + 1) == 0
    assert not pools.heard(message(1), now=SILENT_S + 2)
    assert pools.heard(message(2), now=SILENT_S + 3)
    assert pools.replicas(now=SILENT_S + 4) == 1


def test_replicas_that_are_gone_for_good_are_forgotten() -> None:
    pools = PoolsNow()
    pools.heard(message(1), now=0)
    assert pools.replicas(now=REMEMBERED_S + 1) == 0
    assert pools.heard(message(1), now=REMEMBERED_S + 2)
