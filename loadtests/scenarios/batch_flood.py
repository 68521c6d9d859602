"""Batch flood with premium: batch asks for ten times the model's slots; premium hardly notices.

In the first part premium is alone. In the second, clients of batch that each ask again as soon as they are answered are
ten for each slot. Nothing that runs is interrupted, so a premium request waits for the next slot that falls free, and
for nothing else. Made for `load-slow` (96 slots), and no other is asked unless `--model` names it: the
ratio is another there.
"""

import random

from locust import task

from loadtests.scenarios.kit.clients import Client
from loadtests.scenarios.kit.play import play
from loadtests.scenarios.kit.promises import errors_are_exact, first_token_ratio, flooded, never_denied, nothing_fails
from loadtests.scenarios.kit.scenario import Scenario
from loadtests.scenarios.kit.tenants import Tenant

SLOTS = 96
MEAN_TOKENS = 23
"""Of a reply of batch. Lengths vary: were all the same, slots would fall free all at once."""

BATCH_HANGS_S = 60
"""Ten clients for each slot wait for ten replies of 3 s each, half a minute: on purpose."""

WAITS = 6
"""Batch is under way for so many times as long as premium alone: 7 s. By itself a reply takes 3 s, at most 5.2 s.
With ten clients for each slot, half of those that the end cuts off have been under way for 17 s."""

ALONE, FLOOD = "alone", "flood"
FLOOD_BEGINS, FLOOD_IS_THERE = 0.42, 0.52

SCENARIO = Scenario(
    name="batch_flood",
    model="load-slow",
    tenants=(Tenant("premium", "premium"), Tenant("batch", "batch")),
    promises=(
        first_token_ratio("premium", ALONE, FLOOD, at_most=1.3),
        flooded("batch", FLOOD, "premium", ALONE, times=WAITS),
        never_denied("premium", hangs_s=4),  # its streams take 1.3 s
        errors_are_exact,
        nothing_fails("queue_full", "queue_timeout", hangs_s=BATCH_HANGS_S),
    ),
    phases={ALONE: (0.0, FLOOD_BEGINS - 0.04), FLOOD: (FLOOD_IS_THERE, 1.0)},
    duration_s=60,
    stop_s=3,
)
play(SCENARIO)


class Premium(Client):
    """Asks now and then."""

    tenant = "premium"
    fixed_count = 16

    @task
    def stream(self) -> None:
        self.pause(1.5)
        self.ask(max_tokens=5, stream=True)


class Batch(Client):
    """Waits for its turn, and asks again."""

    tenant = "batch"
    fixed_count = 10 * SLOTS

    def on_start(self) -> None:
        super().on_start()
        self.sleep_until(FLOOD_BEGINS * self.current.duration_s + random.random() * 2)

    @task
    def work(self) -> None:
        outcome = self.ask(max_tokens=random.randint(1, 2 * MEAN_TOKENS - 1))
        if outcome.retry_after_ms is not None:
            self.pause(outcome.retry_after_ms / 1000)
