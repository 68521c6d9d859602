"""Which part of a split window a request asks (`shards` of a policy).

Each process goes round the parts from a random start, so that they fill evenly, and passes over those that it knows to
be full until they have room again. A request asks one part only, and is denied where that one is full.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from policies.decision import Charge, Window
from policies.entities import RateLimitPolicy

MOST_WINDOWS = 10_000
"""How many split windows are remembered."""


@dataclass(slots=True)
class _Round:
    next: int
    full_until: list[float]
    """By part: when it has room again."""


class Shards:
    """Remembers where each window's round stands. Wrong guesses cost room, never exactness."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rounds: dict[tuple[str, str, int], _Round] = {}

    def choose(self, charge: Charge, *, advance: bool) -> Charge:
        """The same charge, to one part of its window. `advance`: the next request asks the next part."""
        policy, now = charge.policy, self._clock()
        turn = self._round(policy, charge.subject)
        # A part whose share is smaller than the cost can never hold it. Where none can, the first says so.
        parts = [(turn.next + i) % policy.shards for i in range(policy.shards)]
        parts = [part for part in parts if charge.cost <= policy.limit_of(part)] or [0]
        part = next((part for part in parts if turn.full_until[part] <= now), None)
        if part is None:
            part = min(parts, key=turn.full_until.__getitem__)
        if advance:
            turn.next = (part + 1) % policy.shards
        return replace(charge, shard=part)

    def learn(self, charges: Sequence[Charge], windows: Sequence[Window]) -> None:
        """Notes which parts are full, and until when."""
        for charge, window in zip(charges, windows, strict=True):
            if charge.shard is not None:
                wait_s = window.retry_after_s or (0.0 if window.remaining else window.reset_after_s)
                self._round(charge.policy, charge.subject).full_until[charge.shard] = self._clock() + wait_s

    def _round(self, policy: RateLimitPolicy, subject: str) -> _Round:
        key = (policy.name, subject, policy.shards)
        turn = self._rounds.get(key)
        if turn is None:
            if len(self._rounds) >= MOST_WINDOWS:
                self._rounds.clear()
            turn = self._rounds[key] = _Round(secrets.randbelow(policy.shards), [0.0] * policy.shards)
        return turn
