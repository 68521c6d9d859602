"""A scheduler on a clock of the test's own, and requests in few words."""

from itertools import count
from typing import Any

from deployments.router.scheduler import Outcome, QosSettings, Recall, Request, Scheduler, Shed, Started

POOL = "large"


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def bands(**knobs: dict[str, Any]) -> QosSettings:
    """Settings with these bands, highest first."""
    return QosSettings.model_validate({"bands": [{"name": name, **given} for name, given in knobs.items()]})


class Harness:
    """One pool. `submit` names requests itself, in order of their arrival: r1, r2, …"""

    def __init__(self, settings: QosSettings | None = None, slots: int = 1) -> None:
        self.clock = Clock()
        self.scheduler = Scheduler(settings or QosSettings(), self.clock)
        self.scheduler.add_pool(POOL, slots)
        self._numbers = count(1)

    def submit(self, band: str = "standard", tenant: str = "acme", **given: Any) -> list[Outcome]:
        given = {"id": f"r{next(self._numbers)}", "holder": "h1", "pool": POOL, "cost_tokens": 100, **given}
        return self.scheduler.submit(Request(band=band, tenant=tenant, **given))

    def complete(self, request_id: str, tokens: int = 100) -> list[Outcome]:
        return self.scheduler.complete(request_id, tokens)

    def after(self, seconds: float) -> None:
        self.clock.now_s += seconds

    def band(self, name: str) -> Any:
        return next(band for band in self.pool().bands if band.name == name)

    def pool(self) -> Any:
        return self.scheduler.statistics()[0]


def started(outcomes: list[Outcome]) -> list[str]:
    return [outcome.id for outcome in outcomes if isinstance(outcome, Started)]


def shed(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    return [(outcome.id, str(outcome.reason)) for outcome in outcomes if isinstance(outcome, Shed)]


def recalled(outcomes: list[Outcome]) -> dict[tuple[str, str], int]:
    return {(o.holder, o.band): o.slots for o in outcomes if isinstance(o, Recall)}
