"""What a scenario is, and one run of it as a process has it. Nothing here knows Locust; `play` runs it under Locust."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from loadtests.scenarios.kit.outcomes import Outcome
from loadtests.scenarios.kit.promises import Promise
from loadtests.scenarios.kit.tenants import Registration, Tenant

STOP_S = 20
"""How long requests that run at the end may take to come to theirs."""


@dataclass(frozen=True)
class Scenario:
    """What is run and what is promised. The users are the locustfile's own classes."""

    name: str
    tenants: tuple[Tenant, ...]
    promises: tuple[Promise, ...]
    duration_s: float
    model: str = ""
    """Which one is asked, and no other; '': any will do."""
    phases: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """By name, the shares of the duration at which it begins and ends. What is sent outside them belongs to none."""
    stop_s: float = STOP_S
    """How long requests that run at the end may take to come to theirs; after that they are cut off."""

    def phase(self, share: float) -> str:
        """Which phase it is after this share of the duration."""
        return next((name for name, (begins, ends) in self.phases.items() if begins <= share < ends), "")


class Run:
    """One run of a scenario, as this process has it."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.registration: Registration
        self.outcomes: list[Outcome] = []
        """Of this process; in a master, of all."""
        self.duration_s = scenario.duration_s
        self.processes = 1
        """That send load; each has its share of the clients."""
        self._began = 0.0

    def elapsed_s(self) -> float:
        """Since the run began."""
        return time.monotonic() - self._began

    def begin(self) -> None:
        self.outcomes.clear()
        self._began = time.monotonic()

    def phase(self, at_s: float) -> str:
        """Which phase it is so many seconds after the run began."""
        return self.scenario.phase(at_s / self.duration_s)
