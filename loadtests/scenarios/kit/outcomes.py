"""What came of each request, as a client saw it; and figures over many."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

NO_REPLY = 0
"""Stands for the status where none came: connection refused or broken, a reply that broke off, a timeout."""

LEFT = "left"
"""Stands for the error's code where the client left before the end, on purpose."""


class Outcome(NamedTuple):
    """One request. It travels from workers to the master as a plain list, so its fields are plain values."""

    tenant: str
    kind: str
    """`chat` or `stream`."""
    phase: str
    """Of the scenario, when it was sent; '' where there are none."""
    id: str
    """Its `x-request-id`."""
    sent_s: float
    """When it was sent, since the run began, by the client's clock. For rates only: no limit is judged by it."""
    took_ms: float
    """Until the last byte."""
    first_ms: float | None = None
    """Until the first token, where it was streamed."""
    status: int = NO_REPLY
    code: str | None = None
    """The error's."""
    policy: str | None = None
    """Which denied it."""
    retry_after_ms: int | None = None
    tokens: int = 0
    """Both kinds together, by the reply's usage."""
    problem: str | None = None
    """What was wrong with the reply itself; or why there is none."""

    @property
    def admitted(self) -> bool:
        return self.status == 200


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least this share of them does not exceed; NaN of none."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def rate_per_s(outcomes: Sequence[Outcome], seconds: float) -> float:
    """How many of them were admitted, for each second."""
    return sum(each.admitted for each in outcomes) / seconds if seconds > 0 else math.nan


def by_result(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """How many had which result: `200`, `429 rate_limit_exceeded`, `no reply`, most frequent first."""
    counted: Counter[str] = Counter()
    for each in outcomes:
        name = "no reply" if each.status == NO_REPLY else str(each.status)
        counted[f"{name} {each.code}" if each.code else name] += 1
    return dict(counted.most_common())
