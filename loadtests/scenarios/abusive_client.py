"""Abusive client: a key that hammers on while it is denied is blocked; everybody else is served as before.

Its policy has a `block`: after so many denials it is shut out for a while, whatever room there is, and that costs Redis
nothing. In the first part the others are alone.
"""

from locust import constant_pacing, task

from loadtests.scenarios.kit.clients import Client
from loadtests.scenarios.kit.play import play
from loadtests.scenarios.kit.promises import (
    blocked,
    errors_are_exact,
    never_denied,
    never_over_a_limit,
    nothing_fails,
    served_as_before,
)
from loadtests.scenarios.kit.scenario import Scenario
from loadtests.scenarios.kit.tenants import Limit, Tenant

ABUSE_BEGINS = 0.3
BEFORE, ABUSE = "before", "abuse"

SCENARIO = Scenario(
    name="abusive_client",
    tenants=(
        Tenant(
            "abuser",
            limits=(
                Limit("abuser-key", 10, 2, scope="API_KEY", block={"denials": 20, "within": "2s", "duration": "5s"}),
            ),
        ),
        Tenant("good", "premium", limits=(Limit("good-rate", 40, 2),)),
        Tenant("kind", limits=(Limit("kind-rate", 40, 2),)),
    ),
    promises=(
        blocked("abuser", "abuser-key"),
        never_over_a_limit,
        never_denied("good", "kind"),
        served_as_before(BEFORE, ABUSE, "good", "kind"),
        errors_are_exact,
        nothing_fails("rate_limit_exceeded"),
    ),
    phases={BEFORE: (0.0, ABUSE_BEGINS), ABUSE: (ABUSE_BEGINS, 1.0)},
    duration_s=40,
)
play(SCENARIO)


class Customer(Client):
    """Asks twice a second."""

    abstract = True
    wait_time = constant_pacing(0.5)

    @task
    def chat(self) -> None:
        self.ask()


class Good(Customer):
    tenant = "good"
    fixed_count = 4


class Kind(Customer):
    tenant = "kind"
    fixed_count = 4


class Abuser(Client):
    """Never backs off: eight connections, each with ten requests a second."""

    tenant = "abuser"
    fixed_count = 8
    wait_time = constant_pacing(0.1)

    def on_start(self) -> None:
        super().on_start()
        self.sleep_until(ABUSE_BEGINS * self.current.duration_s)

    @task
    def hammer(self) -> None:
        self.ask()
