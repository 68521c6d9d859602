"""Edge burst: many clients of one key ask again at the very moment at which they were told that there is room.

A limiter with fixed windows lets twice the limit through at such an edge. Here no window holds more than the limit,
wherever it begins; and the time that a client was told is exact, so the edge is where everybody meets.
"""

import gevent
from locust import task

from loadtests.scenarios.kit.clients import Client
from loadtests.scenarios.kit.play import play
from loadtests.scenarios.kit.promises import errors_are_exact, limits_were_reached, never_over_a_limit, nothing_fails
from loadtests.scenarios.kit.scenario import Scenario
from loadtests.scenarios.kit.tenants import Limit, Tenant

play(
    Scenario(
        name="edge_burst",
        tenants=(
            Tenant("crowd", limits=(Limit("burst", 20, 2), Limit("key-burst", 25, 3, scope="API_KEY"))),
            Tenant("other", limits=(Limit("other-burst", 10, 1.5),)),
        ),
        promises=(
            never_over_a_limit,
            limits_were_reached("burst", "key-burst", "other-burst"),
            errors_are_exact,
            nothing_fails("rate_limit_exceeded"),
        ),
        duration_s=30,
    )
)


class Synchronised(Client):
    """Sleeps exactly as long as it is told, like the SDKs do, and so comes back together with all others."""

    abstract = True

    @task
    def burst(self) -> None:
        told_ms = self.ask(max_tokens=1).retry_after_ms
        if told_ms is not None:
            gevent.sleep(told_ms / 1000)


class InTheCrowd(Synchronised):
    tenant = "crowd"
    fixed_count = 60


class Elsewhere(Synchronised):
    tenant = "other"
    fixed_count = 20
