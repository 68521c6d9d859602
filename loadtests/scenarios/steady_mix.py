"""Steady mix: four tenants of four tiers, well under their limits, ask and stream; everybody is served.

The ordinary day. Each tenant has a limit for its tier, about twice what it asks for, and the log of each is compared
with what its clients were served, request by request.
"""

from locust import task

from loadtests.scenarios.kit.clients import Client
from loadtests.scenarios.kit.play import play
from loadtests.scenarios.kit.promises import (
    never_denied,
    never_over_a_limit,
    nothing_fails,
    slots_are_given_back,
    streams_end_whole,
)
from loadtests.scenarios.kit.scenario import Scenario
from loadtests.scenarios.kit.tenants import Limit, Tenant

TENANTS = (
    Tenant("platform", "internal", limits=(Limit("platform-rate", 200, 10),)),
    Tenant("acme", "premium", weight=2, limits=(Limit("acme-rate", 200, 10), Limit("acme-key", 40, 1, "API_KEY"))),
    Tenant("globex", "standard", limits=(Limit("globex-rate", 200, 10),)),
    Tenant("nightly", "batch", limits=(Limit("nightly-rate", 300, 10),)),
)

play(
    Scenario(
        name="steady_mix",
        tenants=TENANTS,
        promises=(
            never_over_a_limit,
            never_denied(*(tenant.name for tenant in TENANTS)),
            nothing_fails(),
            streams_end_whole,
            slots_are_given_back,
        ),
        duration_s=40,
    )
)


class Person(Client):
    """Reads what came before asking again; every other reply is streamed."""

    abstract = True

    @task(2)
    def chat(self) -> None:
        self.ask(max_tokens=8)
        self.pause(0.5)

    @task(2)
    def stream(self) -> None:
        self.ask(max_tokens=16, stream=True)
        self.pause(0.5)


class Platform(Person):
    tenant = "platform"
    fixed_count = 2


class Acme(Person):
    tenant = "acme"
    fixed_count = 6


class Globex(Person):
    tenant = "globex"
    fixed_count = 4


class Nightly(Person):
    """A job: nobody reads."""

    tenant = "nightly"
    fixed_count = 2

    @task(4)
    def batch(self) -> None:
        self.ask(max_tokens=16)
        self.pause(0.1)
