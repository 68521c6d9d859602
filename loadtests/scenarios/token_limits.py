"""Token limits: tokens are reserved before and settled after; never over the limit, and the log has what was used.

Clients reserve twice what they use. At the end, the log of each limit, every entry as it was settled, adds up to the
usage that the replies told.
"""

import gevent
from locust import task

from loadtests.scenarios.kit.clients import Client
from loadtests.scenarios.kit.play import play
from loadtests.scenarios.kit.promises import (
    errors_are_exact,
    never_over_a_limit,
    nothing_fails,
    slots_are_given_back,
    tokens_settle,
)
from loadtests.scenarios.kit.scenario import Scenario
from loadtests.scenarios.kit.tenants import Limit, Tenant

REPLY_TOKENS = 16
"""Of the load tests' model: it stops there by itself, however many more are reserved."""

play(
    Scenario(
        name="token_limits",
        tenants=(
            Tenant("writer", limits=(Limit("writer-tokens", 1_500, 3, unit="total_tokens"),)),
            Tenant(
                "talker",
                "premium",
                limits=(
                    Limit("talker-tokens", 2_000, 3, unit="total_tokens"),
                    Limit("talker-output", 900, 2, unit="output_tokens"),
                ),
            ),
        ),
        promises=(
            never_over_a_limit,
            tokens_settle("writer-tokens", "talker-tokens"),
            errors_are_exact,
            slots_are_given_back,
            nothing_fails("rate_limit_exceeded"),
        ),
        duration_s=30,
    )
)


class Spender(Client):
    """Comes back when it was told to."""

    abstract = True
    stream: bool

    @task
    def spend(self) -> None:
        told_ms = self.ask(max_tokens=2 * REPLY_TOKENS, words=20, stream=self.stream).retry_after_ms
        if told_ms is not None:
            gevent.sleep(told_ms / 1000)


class Writer(Spender):
    tenant = "writer"
    stream = False
    fixed_count = 30


class Talker(Spender):
    tenant = "talker"
    stream = True
    fixed_count = 30
