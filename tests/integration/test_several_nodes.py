"""Three Ray nodes, an ingress and a model replica on each, and one Redis: one limit for all of them, held exactly also
when a node is killed in mid-traffic.

It is the drill of that name (`make drills ONLY=several-nodes`), which judges limit, replies and slots.
"""

import pytest

from tests.drills.several_nodes import DRILLS

pytestmark = [pytest.mark.serve, pytest.mark.timeout(300)]


async def test_one_limit_across_nodes_and_a_node_that_is_killed() -> None:
    result = await DRILLS["several-nodes"]()
    assert not result.problems
    assert (result.over, result.left) == (0, 0)
    assert result.seen["200"], result.seen
    assert result.seen["429 rate_limit_exceeded"], result.seen
