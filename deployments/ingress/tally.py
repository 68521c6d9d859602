"""What this replica's requests have come to, counted on their way for metrics: docs/metrics.md.

On the way a request adds to plain numbers in dicts; what those are called, and that there are not too many names, is
settled once a second, when they are read. Neither tenants nor keys are told apart.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from deployments.ingress.inference.exchange import Exchange
from deployments.metrics import definitions as metric
from deployments.metrics.definitions import MOST_NAMES, NONE, Metric
from deployments.metrics.readings import Names, Reading, reading, times
from policies import Decision, Limiter, Window
from policies.counts import Times
from policies.http import denying

MOST_KINDS = 10_000
"""Of how many policies the scope and unit are remembered, and how many combinations of them are counted before they
are added up; policies come and go."""


class Tally:
    """One for each ingress replica; used from its event loop."""

    def __init__(self, limiter: Limiter, most_names: int = MOST_NAMES) -> None:
        self._limiter = limiter
        self._policies, self._models = Names(most_names), Names(most_names)
        self._check = Times()
        # By band:
        self._admission: dict[str, Times] = {}
        self._first_token: dict[str, Times] = {}
        self._whole: dict[str, Times] = {}
        # Since they were last read, by what was at hand:
        self._decided: dict[tuple[str | None, tuple[str, ...]], list[int]] = {}
        """By the policy that denied, as the client is told (None where it was allowed), and all that applied."""
        self._ended: dict[tuple[str, str, str], list[int]] = {}
        # Since this process began, by labels:
        self._decisions: Counter[tuple[str, str, str, str]] = Counter()
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._tokens: Counter[tuple[str, str, str]] = Counter()
        self._kinds: dict[str, tuple[str, str]] = {}
        """Scope and unit of policies, by name."""

    def decided(self, decision: Decision, took_s: float) -> None:
        """The limits have answered, after this time."""
        self._check.add(took_s)
        windows = decision.windows
        by = None if decision.allowed else denying(decision).policy
        key = by, tuple([window.policy for window in windows])
        counted = self._decided.get(key)
        if counted is None:
            if len(self._decided) >= MOST_KINDS:  # nobody may be reading
                self._fold()
            self._decided[key] = [1]
            self._learn(windows)
        else:
            counted[0] += 1

    def ended(self, exchange: Exchange) -> None:
        """A request has ended, whether or not anybody served it."""
        identity, used = exchange.identity, exchange.used
        band = NONE if identity is None else identity.qos_tier
        outcome = outcome_of(exchange.status, exchange.code)
        key = (outcome, band, exchange.model)
        counted = self._ended.get(key)
        if counted is None:
            counted = self._ended[key] = [0, 0, 0]
        counted[0] += 1
        if used is not None and used.ran:
            counted[1] += used.input_tokens
            counted[2] += used.output_tokens
        if exchange.wait_s is not None:
            _of(self._admission, band).add(exchange.wait_s)
        if outcome == "served":
            first_s, total_s = exchange.times_s()
            _of(self._whole, band).add(total_s)
            if first_s is not None:
                _of(self._first_token, band).add(first_s)

    def readings(self) -> Iterator[Reading]:
        """Every series of this replica."""
        self._fold()
        counts = self._limiter.counts
        yield from times(metric.CHECK, (), self._check)
        for of, by_band in (
            (metric.ADMISSION, self._admission),
            (metric.FIRST_TOKEN, self._first_token),
            (metric.WHOLE, self._whole),
        ):
            for band, counted in by_band.items():
                yield from times(of, (band,), counted)
        yield from times(metric.REDIS_EXCHANGE, (), counts.exchange)
        yield reading(metric.OPEN_CIRCUITS, (), self._limiter.store.open_circuits)
        yield reading(metric.FROM_MEMORY, (), counts.from_memory)
        yield reading(metric.LEASES_EXPIRED, (), counts.leases_expired)
        yield from _each(metric.DECISIONS, self._decisions.items())
        yield from _each(metric.REQUESTS, self._requests.items())
        yield from _each(metric.TOKENS, self._tokens.items())
        for of, by_label in (
            (metric.REDIS_FAILURES, counts.redis_failures),
            (metric.FALLBACKS, counts.fallbacks),
            (metric.SETTLEMENTS, counts.settlements),
        ):
            yield from _each(of, (((label,), number) for label, number in by_label.items()))

    def _learn(self, windows: Iterable[Window]) -> None:
        if len(self._kinds) >= MOST_KINDS:
            self._kinds.clear()
        for window in windows:
            self._kinds[window.policy] = (window.scope, window.unit)

    def _fold(self) -> None:
        decided, self._decided = self._decided, {}
        for (by, policies), (number,) in decided.items():
            if by is not None:
                self._decide("denied", by, number)
                continue
            for policy in policies:
                self._decide("allowed", policy, number)
        shadowed, self._limiter.would_have_denied = self._limiter.would_have_denied, Counter()
        for policy, number in shadowed.items():
            self._decide("would_deny", policy, number)
        ended, self._ended = self._ended, {}
        for (outcome, band, model), (number, input_tokens, output_tokens) in ended.items():
            name = self._models.of(model) if model else NONE
            self._requests[outcome, band, name] += number
            self._tokens["input", band, name] += input_tokens
            self._tokens["output", band, name] += output_tokens

    def _decide(self, outcome: str, policy: str, number: int) -> None:
        if number:
            scope, unit = self._kinds.get(policy, (NONE, NONE))
            self._decisions[outcome, scope, self._policies.of(policy), unit] += number


def outcome_of(status: int, code: str | None) -> str:
    """In a word: `served`, `denied` by a limit, `shed` by the queue, `left` by the client, `failed` on our side, or
    `refused`, which is the client's to mend."""
    if code is None:
        return "served" if status == 200 else "left" if status == 499 else "failed"
    if code in ("queue_full", "queue_timeout"):
        return "shed"
    if code == "rate_limit_exceeded":
        return "denied"
    return "failed" if status >= 500 else "refused"


def _of(by_band: dict[str, Times], band: str) -> Times:
    counted = by_band.get(band)
    if counted is None:
        counted = by_band[band] = Times()
    return counted


def _each(of: Metric, counted: Iterable[tuple[tuple[str, ...], int]]) -> Iterator[Reading]:
    return (reading(of, labels, number) for labels, number in counted)
