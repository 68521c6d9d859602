"""What a proposed limit would have denied: the logs of a policy, replayed against another limit and window.

The rule is the limiter's own (`lua/log.lua`): a request is admitted if and only if what was admitted in the window
ending at its time plus its cost is within the limit, and a denied one takes no room. What the logs do not hold cannot
be replayed, and `DryRun.notes` says what that is.
"""

import asyncio
import struct
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nlargest

from policies.decision import Charge
from policies.entities import Dimension, Mode, RateLimitPolicy, Unit
from policies.errors import PoliciesError
from policies.limiter import Limiter
from policies.places import Place
from policies.quantities import format_duration
from policies.resolver import SCOPE_DIMENSIONS
from policies.scripts import HISTORY
from policies.usage import DEADLINE_S, FoundWindow, Usage

ENTRIES_AT_ONCE = 1_000
"""How many entries Redis reads in one go: about a millisecond of its time."""

MOST_ENTRIES = 200_000
"""How many entries one dry run reads; what is beyond them is left out, and `complete` is false."""

MOST_SUBJECTS = 2_000
"""How many subjects one dry run looks at."""

MOST_LOOKED_FOR = 50
"""In how many pages their logs are looked for."""

WORST = 20
"""Of how many subjects, those denied most, the outcome is told one by one."""

_SETTLED = 1 << 31


class NoHistoryError(PoliciesError):
    """No log can answer. Says why, and what to do."""


class Replay:
    """One window under the proposed limit. Times are whole milliseconds, and never run backwards."""

    def __init__(self, limit: int, window_ms: int) -> None:
        self._limit, self._window_ms = limit, window_ms
        self._admitted: deque[tuple[int, int]] = deque()
        self._used = 0

    def admits(self, at_ms: int, cost: int) -> bool:
        """Whether a request of this cost would have been admitted then; if so, it takes room."""
        admitted = self._admitted
        while admitted and admitted[0][0] + self._window_ms <= at_ms:
            self._used -= admitted.popleft()[1]
        if self._used + cost > self._limit:
            return False
        admitted.append((at_ms, cost))
        self._used += cost
        return True


@dataclass(slots=True)
class SubjectOutcome:
    """What would have become of the requests of one subject."""

    subject: str
    requests: int = 0
    """How many its log holds."""
    cost: int = 0
    """What they count for together, in the policy's unit."""
    denied: int = 0
    denied_cost: int = 0
    first_denied_ms: int | None = None
    """Server time of the first that would have been denied, in ms since 1970."""
    from_ms: int | None = None
    to_ms: int | None = None
    """Server times of its first and its last request, in ms since 1970."""


@dataclass(frozen=True, slots=True)
class DryRun:
    """The outcome for all subjects together."""

    source: RateLimitPolicy
    """The policy whose logs were replayed."""
    complete: bool
    """Whether all of its logs were read to their ends."""
    subjects: int
    requests: int
    cost: int
    denied: int
    denied_cost: int
    subjects_denied: int
    """Of how many subjects at least one request would have been denied."""
    from_ms: int | None
    to_ms: int | None
    """Server times of the first and the last request in the logs, in ms since 1970."""
    first: SubjectOutcome | None
    """The subject that would have been denied first."""
    worst: tuple[SubjectOutcome, ...]
    """Those that would have been denied most, the worst first."""
    notes: tuple[str, ...] = field(default=())
    """What the logs cannot tell, a sentence each."""


def source_for(
    proposed: RateLimitPolicy, policies: Sequence[RateLimitPolicy], named: str | None = None
) -> RateLimitPolicy:
    """The policy whose logs answer for a proposed one: the one that was named, else the one of the same name, else one
    that is kept for the same subjects. Raises `NoHistoryError` where there is none, with what to do."""
    if proposed.is_lease:
        raise NoHistoryError(
            "concurrent_requests keeps no history: slots that were given back are gone. Run the policy in shadow mode "
            "(mode: shadow) and watch how often it would deny"
        )
    shadow = "with mode: shadow, which denies nothing, and ask again when it has run for a window"
    alike = [each for each in policies if _same_windows(each, proposed)]
    name = named if named is not None else proposed.name
    source = next((each for each in policies if each.name == name), None)
    if source is None and named is not None:
        raise NoHistoryError(
            f"policy {named!r} does not exist: name one that does in from, or write the policy {shadow}"
        )
    if source is None:
        # The same match sees the same requests; without one, at least these; a long window remembers most.
        alike.sort(key=lambda each: (each.match != proposed.match, bool(each.match.conditions()), -each.window))
        if not alike:
            raise NoHistoryError(
                f"no log holds what policy {proposed.name!r} would count: there is no policy with scope "
                f"{proposed.scope}, {_per(proposed)} and unit {proposed.unit}. Write it {shadow}"
            )
        return alike[0]
    if not _same_windows(source, proposed):
        others = ", ".join(each.name for each in alike[:5])
        raise NoHistoryError(
            f"the logs of policy {source.name!r} are of scope {source.scope}, {_per(source)} and unit {source.unit}; "
            f"the proposed policy's are of scope {proposed.scope}, {_per(proposed)} and unit {proposed.unit}. "
            + (f"Name one of these in from: {others}; or write it {shadow}" if others else f"Write it {shadow}")
        )
    return source


class DryRunner:
    """Reads logs with a limiter's own connections, in bounded pieces."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter, self._usage = limiter, Usage(limiter)

    async def run(self, proposed: RateLimitPolicy, source: RateLimitPolicy, subject: str | None = None) -> DryRun:
        """Replays the logs of `source` against the limit and window of `proposed`. `subject`: of this one alone."""
        outcomes: list[SubjectOutcome] = []
        left, complete, seen = MOST_ENTRIES, True, set[tuple[str, str]]()
        cursor = None
        for page in range(MOST_LOOKED_FOR):
            found, cursor = await self._usage.find(
                policy=source.name, unit=source.unit, cursor=cursor, limit=200, subject=subject
            )
            for window in found:
                which = (window.slot, window.subject)
                if which in seen or not _is_judged(proposed, window):
                    continue
                if left == 0 or len(outcomes) == MOST_SUBJECTS:
                    complete, cursor = False, None
                    break
                seen.add(which)
                judge = _Judge(proposed, window.subject)
                async for entries, whole in self._log(source, window, left):
                    judge.hear(entries)
                    left, complete = left - len(entries), complete and whole
                outcomes.append(judge.outcome)
            if cursor is None:
                break
            complete = complete and page + 1 < MOST_LOOKED_FOR
        return _summed(proposed, source, [each for each in outcomes if each.requests], complete=complete)

    async def _log(
        self, source: RateLimitPolicy, window: FoundWindow, most: int
    ) -> AsyncIterator[tuple[Sequence[tuple[int, int]], bool]]:
        """The times and costs in a window's log, piece by piece, the oldest first; and whether nothing was left out."""
        if source.shards == 1:
            async for each in self._part(window.charge(source), most):
                yield each
            return
        together: list[tuple[int, int]] = []
        complete = True
        for part in range(source.shards):
            charge = Charge(source, window.subject, 1, window.slot, part)
            async for entries, whole in self._part(charge, most - len(together)):
                together += entries
                complete = complete and whole
        together.sort()
        for first in range(0, len(together), ENTRIES_AT_ONCE):
            yield together[first : first + ENTRIES_AT_ONCE], complete
            await asyncio.sleep(0)  # other work of the event loop has its turn

    async def _part(self, charge: Charge, most: int) -> AsyncIterator[tuple[Sequence[tuple[int, int]], bool]]:
        place = Place(charge.policy, charge.subject, charge.slot, charge.shard, self._limiter.prefix)
        store, keys = self._limiter.store.of(place.tag), (len(place.keys), place.keys_wire)
        after_ms = after = 0
        while most > 0:
            count = min(ENTRIES_AT_ONCE, most)
            args = (b"%d" % after_ms, b"%d" % after, b"%d" % count)
            costs, *ids = await store.run(HISTORY, keys, args, deadline_s=DEADLINE_S)
            entries = list(zip(ids[::2], _costs(costs, len(ids) // 2), strict=True))
            most -= len(entries)
            yield entries, len(entries) < count or most > 0
            if len(entries) < count:
                return
            after_ms, after = ids[-2:]
        if not after:  # nothing may be read any more
            yield (), False


def _costs(packed: bytes, count: int) -> Iterable[int]:
    if not packed:
        return [1] * count
    return [cost % _SETTLED for cost in struct.unpack(f">{count}I", packed)]


class _Judge:
    """Hears the requests of one subject in order, and keeps what would have become of them."""

    def __init__(self, proposed: RateLimitPolicy, subject: str) -> None:
        self._replay = Replay(proposed.limit, proposed.window)
        self.outcome = SubjectOutcome(subject)

    def hear(self, entries: Sequence[tuple[int, int]]) -> None:
        """Times and costs."""
        outcome, admits = self.outcome, self._replay.admits
        for at_ms, cost in entries:
            if not cost:  # taken back: as though it had never been asked
                continue
            outcome.requests += 1
            outcome.cost += cost
            outcome.from_ms, outcome.to_ms = at_ms if outcome.from_ms is None else outcome.from_ms, at_ms
            if not admits(at_ms, cost):
                outcome.denied += 1
                outcome.denied_cost += cost
                outcome.first_denied_ms = at_ms if outcome.first_denied_ms is None else outcome.first_denied_ms


def _summed(
    proposed: RateLimitPolicy, source: RateLimitPolicy, outcomes: Sequence[SubjectOutcome], *, complete: bool
) -> DryRun:
    denied = [each for each in outcomes if each.denied]
    return DryRun(
        source=source,
        complete=complete,
        subjects=len(outcomes),
        requests=sum(each.requests for each in outcomes),
        cost=sum(each.cost for each in outcomes),
        denied=sum(each.denied for each in outcomes),
        denied_cost=sum(each.denied_cost for each in outcomes),
        subjects_denied=len(denied),
        from_ms=min((each.from_ms for each in outcomes if each.from_ms is not None), default=None),
        to_ms=max((each.to_ms for each in outcomes if each.to_ms is not None), default=None),
        first=min(denied, key=lambda each: (each.first_denied_ms or 0, each.subject), default=None),
        worst=tuple(nlargest(WORST, denied, key=lambda each: (each.denied, each.denied_cost))),
        notes=tuple(_notes(proposed, source, outcomes)),
    )


def _notes(proposed: RateLimitPolicy, source: RateLimitPolicy, outcomes: Sequence[SubjectOutcome]) -> Iterable[str]:
    if not outcomes:
        yield (
            f"The logs of {source.name!r} are empty: nothing that counts was admitted within its window, or it is new. "
            "Nothing follows from that."
        )
    yield (
        f"The logs of {source.name!r} go back {format_duration(source.window)} from their newest request. What was "
        f"before is not known, so the first {format_duration(proposed.window)} of each are judged as though nothing "
        "had been: the proposed policy may deny more than this."
    )
    if proposed.window > source.window:
        yield (
            f"The proposed window of {format_duration(proposed.window)} is longer than that: to see it whole, run the "
            "policy in shadow mode for as long."
        )
    denied_by = "it or by any other policy" if source.mode is Mode.ENFORCE else "another policy"
    yield f"A request that was denied by {denied_by} is in no log, so how it would have fared is not known."
    if proposed.unit is not Unit.REQUESTS:
        yield (
            "A request counts for what it used in the end, and for what it reserved while that is not known. A limit "
            "is judged by reservations, which are larger. Use beyond a reservation counts as a request of its own."
        )
    for dimension, names in proposed.match.conditions().items():
        unknown = Dimension(dimension) not in (*SCOPE_DIMENSIONS[source.scope], *source.per, Dimension.TENANT)
        if unknown and source.match.conditions().get(dimension) != names:
            yield f"Which requests match on {dimension} cannot be told from the logs: those of all are counted."
    if source.shards > 1 or proposed.shards > 1:
        yield "Split windows are judged as one whole: split, the policy may deny a little earlier."


def _is_judged(proposed: RateLimitPolicy, window: FoundWindow) -> bool:
    """Whether the proposed policy's `match` lets the requests of this window in, as far as that can be told from it."""
    known = _dimensions(proposed, window)
    conditions = proposed.match.conditions().items()
    return all(known.get(Dimension(name), names[0]) in names for name, names in conditions)


def _dimensions(policy: RateLimitPolicy, window: FoundWindow) -> Mapping[Dimension, str]:
    """What a window's subject and place tell of its requests (`policies.resolver` writes them)."""
    own = SCOPE_DIMENSIONS[policy.scope]
    parts = window.subject.split("|") if window.subject else []
    known = dict(zip(own, parts, strict=False))
    for part in parts[len(own) :]:
        name, _, value = part.partition("=")
        known[Dimension(name)] = value
    kind, _, value = window.slot.partition(":")
    if kind == "tenant":
        known[Dimension.TENANT] = value
    return known


def _same_windows(one: RateLimitPolicy, other: RateLimitPolicy) -> bool:
    return (one.scope, one.per, one.unit) == (other.scope, other.per, other.unit)


def _per(policy: RateLimitPolicy) -> str:
    return f"per [{', '.join(policy.per)}]"
