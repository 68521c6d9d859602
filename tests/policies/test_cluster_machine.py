"""The limiter on a Redis Cluster against its model: while nobody else asks, the answers are those of one Redis."""

from collections.abc import Iterator, Sequence

import pytest

from policies import Charge
from policies.connect import connect
from tests.policies.redis_nodes import ClusterGroup
from tests.policies.redis_server import binaries
from tests.policies.reference import Answer, Held, Reference
from tests.policies.test_limiter_machine import LimiterMachine, run_machine

BREADTH = ["API_KEY", "TENANT", "MODEL", "MODEL_TIER", "GLOBAL"]


class GroupedReference(Reference):
    """Takes a request's windows group by group, narrowest first, and gives them back where a later one denies."""

    def decide(self, charges: Sequence[Charge], now: int, log_as: str | None) -> tuple[Answer, Held | None]:
        answer, _ = super().decide(charges, now, None)
        if log_as is None or answer.allowed:
            return super().decide(charges, now, log_as)
        groups: dict[tuple[str, str], list[Charge]] = {}
        for charge in charges:
            groups.setdefault((charge.policy.scope, charge.subject), []).append(charge)
        for _, group in sorted(groups.items(), key=lambda each: _breadth(each[0][0])):
            _, held = super().decide(group, now, log_as)
            if held is None:
                break
            self.settle(held, {charge.policy.unit: 0 for charge in group}, now)
        return answer, None


def _breadth(scope: str) -> int:
    return 0 if scope == "USER_MODEL" else BREADTH.index(scope)


@pytest.fixture(scope="module", params=list(binaries()))
def cluster(request: pytest.FixtureRequest) -> Iterator[ClusterGroup]:
    made = ClusterGroup(binaries()[request.param])
    yield made
    made.close()


def test_any_schedule_answers_as_the_model_does(cluster: ClusterGroup) -> None:
    class ClusterMachine(LimiterMachine):
        reference = GroupedReference

    assert run_machine(ClusterMachine, lambda: connect(cluster.url), 800, shrink=False) >= 800
