"""Noisy neighbour: one tenant asks for ten times its limit; its neighbours are served as before.

In the first part the neighbours are alone. In the second a tenant of the same tier hammers on the same model as fast as
it is answered.
"""

from locust import constant_pacing, task

from loadtests.scenarios.kit.clients import Client
from loadtests.scenarios.kit.play import play
from loadtests.scenarios.kit.promises import (
    errors_are_exact,
    limits_were_reached,
    never_denied,
    never_over_a_limit,
    nothing_fails,
    served_as_before,
)
from loadtests.scenarios.kit.scenario import Scenario
from loadtests.scenarios.kit.tenants import Limit, Tenant

NOISE_BEGINS = 0.5
QUIET, NOISE = "quiet", "noise"

SCENARIO = Scenario(
    name="noisy_neighbour",
    tenants=(
        Tenant("noisy", limits=(Limit("noisy-rate", 20, 2),)),
        Tenant("left", limits=(Limit("left-rate", 20, 2),)),
        Tenant("right", limits=(Limit("right-rate", 20, 2),)),
    ),
    promises=(
        never_over_a_limit,
        limits_were_reached("noisy-rate"),
        never_denied("left", "right"),
        served_as_before(QUIET, NOISE, "left", "right"),
        errors_are_exact,
        nothing_fails("rate_limit_exceeded"),
    ),
    phases={QUIET: (0.0, NOISE_BEGINS), NOISE: (NOISE_BEGINS, 1.0)},
    duration_s=40,
)
play(SCENARIO)


class Neighbour(Client):
    """Asks once a second, whatever happens."""

    abstract = True
    wait_time = constant_pacing(1)

    @task
    def chat(self) -> None:
        self.ask()


class Left(Neighbour):
    tenant = "left"
    fixed_count = 5


class Right(Neighbour):
    tenant = "right"
    fixed_count = 5


class Noisy(Client):
    """Does not look at what it is told. Ten clients, each with ten requests a second."""

    tenant = "noisy"
    fixed_count = 10
    wait_time = constant_pacing(0.1)

    def on_start(self) -> None:
        super().on_start()
        self.sleep_until(NOISE_BEGINS * self.current.duration_s)

    @task
    def hammer(self) -> None:
        self.ask()
