"""Ramp to saturation: more and more clients, until more of them get nothing more served; nothing breaks there.

What saturates is the CPU of the server, and of the load where that runs on the same machine: the model has more slots
than there are clients, so few wait in its queue, and one that is full says so (429 `queue_full`, `queue_timeout`). The
report has the rate of each five seconds: where it stays the same, the server is saturated.
"""

from locust import task

from loadtests.scenarios.kit.clients import Client
from loadtests.scenarios.kit.play import play
from loadtests.scenarios.kit.promises import errors_are_exact, never_over_a_limit, no_collapse, nothing_fails
from loadtests.scenarios.kit.scenario import Scenario
from loadtests.scenarios.kit.tenants import Limit, Tenant

CLIENTS = 240
FULL_AFTER = 0.7
"""Share of the run after which all clients are there."""

play(
    Scenario(
        name="ramp",
        tenants=(Tenant("crowd", limits=(Limit("crowd-rate", 1_900, 1),)),),
        promises=(
            no_collapse(),
            never_over_a_limit,
            errors_are_exact,
            nothing_fails("queue_full", "queue_timeout", "rate_limit_exceeded"),
        ),
        duration_s=50,
    )
)


class Climber(Client):
    """Comes when it is its turn, and asks as fast as it is answered from then on."""

    tenant = "crowd"
    fixed_count = CLIENTS
    _came = 0

    def on_start(self) -> None:
        super().on_start()
        type(self)._came += 1
        # In a distributed run each worker has its share of the clients, and ramps that up.
        share = self._came / (CLIENTS / self.current.processes)
        self.sleep_until(FULL_AFTER * self.current.duration_s * share)

    @task
    def ask_again(self) -> None:
        outcome = self.ask(max_tokens=1)
        if outcome.retry_after_ms is not None:
            self.pause(outcome.retry_after_ms / 1000)
