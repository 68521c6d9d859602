"""Streaming: every stream ends with its usage and [DONE], and who leaves in the middle holds no slot.

Two tenants read to the end; clients of a third leave after a few words, always. Its slots are few, so if any were lost
it would soon be served no more.
"""

import random

from locust import task

from loadtests.scenarios.kit.clients import Client
from loadtests.scenarios.kit.play import play
from loadtests.scenarios.kit.promises import (
    errors_are_exact,
    never_denied,
    never_over_a_limit,
    nothing_fails,
    slots_are_given_back,
    streams_end_whole,
)
from loadtests.scenarios.kit.scenario import Scenario
from loadtests.scenarios.kit.tenants import Limit, Tenant

SLOTS = 12

play(
    Scenario(
        name="streaming",
        tenants=(
            Tenant("reader", "premium", limits=(Limit("reader-rate", 500, 5),)),
            Tenant("listener", limits=(Limit("listener-rate", 500, 5),)),
            Tenant(
                "leaver",
                limits=(
                    Limit("leaver-rate", 500, 5),
                    Limit("leaver-slots", SLOTS, 30, scope="USER_MODEL", unit="concurrent_requests"),
                ),
            ),
        ),
        promises=(
            streams_end_whole,
            slots_are_given_back,
            never_denied("reader", "listener"),
            never_over_a_limit,
            errors_are_exact,
            nothing_fails("rate_limit_exceeded"),
        ),
        duration_s=30,
    )
)


class Reader(Client):
    """Reads to the end; replies of different lengths."""

    tenant = "reader"
    fixed_count = 10

    @task
    def read(self) -> None:
        self.ask(max_tokens=random.randint(1, 16), stream=True)
        self.pause(0.2)


class Listener(Reader):
    tenant = "listener"


class Leaver(Client):
    """Closes its connection in the middle of the reply."""

    tenant = "leaver"
    fixed_count = 10

    @task
    def leave(self) -> None:
        self.ask(max_tokens=16, stream=True, leave_after=random.randint(1, 6))
        self.pause(0.3)
