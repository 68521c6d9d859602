"""What this replica's requests have come to since it was last told: gathered on their way, exact and bounded.

While nobody watches, `watched` is false and nothing is called. While somebody does, a request appends to a list; what
is in it is counted and sampled when it is told, ten times a second (`publisher`).
"""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from zlib import crc32

from deployments.ingress.live.frames import WAIT_STEP
from policies import Decision
from policies.http import denying
from policies.resolver import Identity

MOST_SHOWN = 64
"""Of how many requests, and of how many endings, one message tells one by one."""

MOST_WINDOWS = 256
"""How many windows one message tells."""

MOST_COUNTED = 2_000
"""How many tenants and bands are told apart in one message; what is beyond them is counted for all together."""

MOST_GATHERED = 4_096
"""How many events wait to be counted; the next one has them counted at once."""

MOST_SAMPLED = 1 << 16

LAST_BUCKET = 160
"""Everything above 70 minutes is in it."""

ALLOWED, DENIED, SHADOW, REFUSED, FAILED, FINISHED = range(6)
"""Places in a row of counts."""

_REFUSALS = ("queue_full", "queue_timeout")
_LOG_STEP = math.log(WAIT_STEP)


class Ended(NamedTuple):
    """How a request ended. Times in seconds."""

    id: str
    identity: Identity
    model: str
    status: int
    code: str | None
    wait_s: float | None
    ttft_s: float | None
    total_s: float
    input_tokens: int
    output_tokens: int


Decided = tuple[str, Identity, str, Decision]
"""What the limits said to a request: its id, who asked, for which model, and what."""


@dataclass(slots=True)
class Counted:
    """One tenant's requests of one band."""

    numbers: list[int] = field(default_factory=lambda: [0] * 6)
    waits: dict[int, int] = field(default_factory=dict)


class Sample:
    """At most so many of what it is given: one in `one_in`, chosen by the id, so that whoever is shown a request is
    shown its ending too."""

    def __init__(self, most: int = MOST_SHOWN) -> None:
        self._most = most
        self.one_in = 1
        self.kept: list[tuple[int, Any]] = []

    def add(self, identifier: str, item: Any) -> None:
        rank = crc32(identifier.encode())
        if rank % self.one_in:
            return
        self.kept.append((rank, item))
        while len(self.kept) > self._most:
            if self.one_in == MOST_SAMPLED:  # all of the same id, or nearly
                del self.kept[self._most :]
                return
            self.thin(self.one_in * 2)

    def thin(self, one_in: int) -> None:
        """Keeps one in so many, where it keeps more than that."""
        self.one_in = max(self.one_in, one_in)
        self.kept = [each for each in self.kept if not each[0] % self.one_in]


class Recorder:
    """One for each ingress replica; used from its event loop."""

    def __init__(self) -> None:
        self.watched = False
        """Whether anybody watches. If not, nothing need be recorded."""
        self._decided: list[Decided] = []
        self._ended: list[Ended] = []
        self._first_at: float | None = None
        self._begin()

    def decided(self, identifier: str, identity: Identity, model: str, decision: Decision) -> None:
        """The limits have decided on a request."""
        if self._first_at is None:
            self._first_at = time.monotonic()
        self._decided.append((identifier, identity, model, decision))
        if len(self._decided) >= MOST_GATHERED:
            self._fold()

    def ended(self, ended: Ended) -> None:
        """A request has ended."""
        if self._first_at is None:
            self._first_at = time.monotonic()
        self._ended.append(ended)
        if len(self._ended) >= MOST_GATHERED:
            self._fold()

    def forget(self) -> None:
        """Nobody watches any more."""
        self.watched = False
        self._decided.clear()
        self._ended.clear()
        self._begin()

    def take(self) -> dict[str, Any] | None:
        """Everything since the last time, as a message tells it; None where nothing happened."""
        self._fold()
        if self._first_at is None:
            return None
        one_in = max(self._requests.one_in, self._endings.one_in)
        self._requests.thin(one_in)
        self._endings.thin(one_in)
        taken = {
            "age": round((time.monotonic() - self._first_at) * 1000),
            "counts": [[*whose, each.numbers, each.waits] for whose, each in self._counts.items()],
            "denied_by": [[*whose, number] for whose, number in self._denied_by.items()],
            "one_in": one_in,
            "requests": [request_row(each) for _, each in self._requests.kept],
            "endings": [_ending_row(each) for _, each in self._endings.kept],
            "windows": list(self._window_rows()),
        }
        self._begin()
        return taken

    def _begin(self) -> None:
        self._first_at = None
        self._counts: dict[tuple[str, str], Counted] = {}
        self._denied_by: dict[tuple[str, str], int] = {}
        self._requests, self._endings = Sample(), Sample()
        self._latest: dict[tuple[str, str], Decision] = {}

    def _fold(self) -> None:
        """Counts what has come, and keeps a sample of it."""
        decided, self._decided = self._decided, []
        for event in decided:
            self._count_decision(event)
            self._requests.add(event[0], event)
        ended, self._ended = self._ended, []
        for ending in ended:
            self._count_ending(ending)
            self._endings.add(ending.id, ending)

    def _count_decision(self, event: Decided) -> None:
        _, identity, model, decision = event
        numbers = self._of(identity).numbers
        if decision.allowed:
            numbers[ALLOWED] += 1
            for window in decision.windows:
                if not window.fits:
                    numbers[SHADOW] += 1
                    break
        else:
            numbers[DENIED] += 1
            by = (identity.tenant, denying(decision).policy)
            if by not in self._denied_by and len(self._denied_by) >= MOST_COUNTED:
                by = ("", by[1])
            self._denied_by[by] = self._denied_by.get(by, 0) + 1
        whose = (identity.key.id, model)
        if whose in self._latest or len(self._latest) < MOST_WINDOWS:
            self._latest[whose] = decision

    def _count_ending(self, event: Ended) -> None:
        counted = self._of(event.identity)
        if event.code in _REFUSALS:
            counted.numbers[REFUSED] += 1
        elif event.status >= 500:
            counted.numbers[FAILED] += 1
        elif event.status == 200:
            counted.numbers[FINISHED] += 1
        if event.wait_s is not None:
            at = bucket(event.wait_s)
            counted.waits[at] = counted.waits.get(at, 0) + 1

    def _of(self, identity: Identity) -> Counted:
        whose = (identity.tenant, identity.qos_tier)
        counted = self._counts.get(whose)
        if counted is None:
            if len(self._counts) >= MOST_COUNTED:
                whose = ("", identity.qos_tier)
            counted = self._counts.setdefault(whose, Counted())
        return counted

    def _window_rows(self) -> Iterable[list[Any]]:
        """The windows of the latest decisions, each once, as the latest found it."""
        found: dict[tuple[str, str], list[Any]] = {}
        for decision in self._latest.values():
            if not _tells_windows(decision):
                continue
            at_ms = round(decision.time_s * 1000)
            for window, charge in zip(decision.windows, decision._charges, strict=True):
                known = found.get((window.policy, window.subject))
                if known is None or known[-1] <= at_ms:
                    found[window.policy, window.subject] = window_row(window, charge.slot, at_ms)
        return list(found.values())[:MOST_WINDOWS]


def bucket(wait_s: float) -> int:
    """Of a histogram of waits."""
    return min(math.ceil(math.log(wait_s * 1000) / _LOG_STEP), LAST_BUCKET) if wait_s > 0.001 else 0


def window_row(window: Any, slot: str | None, at_ms: int) -> list[Any]:
    """A window as messages tell it: what `WindowNow` has, where it is kept, and when it was so."""
    w = window
    shown = (
        w.policy,
        w.scope,
        w.subject,
        w.unit,
        w.limit,
        w.window_s,
        w.used,
        w.remaining,
        w.reset_after_s,
        w.enforced,
    )
    return [*shown, slot, at_ms]


def request_row(event: Decided) -> list[Any]:
    """A decision as messages tell it, the tenant first."""
    identifier, identity, model, decision = event
    full = None if decision.allowed else denying(decision)
    return [
        identity.tenant,
        identifier,
        round(decision.time_s * 1000),
        identity.user,
        identity.api_key,
        model,
        identity.qos_tier,
        decision.allowed,
        full and full.policy,
        full and full.subject,
        decision.retry_after_s,
        [window.policy for window in decision.windows if not window.enforced and not window.fits],
    ]


def _ending_row(event: Ended) -> list[Any]:
    return [
        event.identity.tenant,
        event.id,
        event.identity.qos_tier,
        event.model,
        event.status,
        event.code,
        _ms(event.wait_s),
        _ms(event.ttft_s),
        _ms(event.total_s),
        event.input_tokens,
        event.output_tokens,
    ]


def _ms(time_s: float | None) -> float | None:
    return None if time_s is None else round(time_s * 1000, 1)


def _tells_windows(decision: Decision) -> bool:
    """Whether what it says of windows is what Redis said then: not where this process decided by itself."""
    if decision.degraded:
        return False
    # A block is answered from memory, with the windows as they were when it began.
    return decision.allowed or all(charge.policy.block is None for charge in decision._charges)
