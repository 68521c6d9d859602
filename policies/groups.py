"""One decision over several nodes: the charges of a request that no single script can reach.

A Redis Cluster runs a script on the keys of one hash tag. A decision's charges are therefore taken in groups, one
script call each, one after the other, narrowest scope first: a tenant beyond its own limit never touches the windows
that all share. When a group denies or cannot be asked, those taken before it are given back as though they had never
been asked. Each window is exact on its own, so the whole never admits too much; what was taken and given back counted
for that moment, so another request may be denied that would have fitted.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from policies.decision import Charge, Decision, Window
from policies.entities import Scope
from policies.errors import StoreError
from policies.local import LocalEntry
from policies.places import Place, window_of

_BREADTH = {
    Scope.API_KEY: 0,
    Scope.USER_MODEL: 0,
    Scope.TENANT: 1,
    Scope.MODEL: 2,
    Scope.MODEL_TIER: 3,
    Scope.GLOBAL: 4,
}


class _Decide(Protocol):
    async def __call__(
        self, identifier: str, charges: Sequence[Charge], places: Sequence[Place], deadline_s: float, *, log: bool
    ) -> Decision: ...


class _TakeBack(Protocol):
    def __call__(self, decision: Decision) -> "asyncio.Task[None]": ...


@dataclass(slots=True)
class _Group:
    """The charges of one hash tag, and where each stood in the request."""

    breadth: int
    at: list[int] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)


class Groups:
    """Decides group by group. How one group is decided, and given back, is the limiter's business."""

    def __init__(self, decide: _Decide, take_back: _TakeBack, deadline_s: float) -> None:
        self._decide, self._take_back, self._deadline_s = decide, take_back, deadline_s

    async def decide(
        self, identifier: str, charges: Sequence[Charge], places: Sequence[Place], *, log: bool
    ) -> Decision:
        """The answer to the whole request, within one deadline."""
        groups = _groups(charges, places)
        if len(groups) == 1:
            return await self._decide(identifier, charges, places, self._deadline_s, log=log)
        ends = asyncio.get_running_loop().time() + self._deadline_s
        if not log:
            found = await self._peek(identifier, groups, ends)
            for each in found:
                if isinstance(each, BaseException):
                    raise each
            return _merged(identifier, places, groups, [each for each in found if isinstance(each, Decision)])
        parts: list[Decision] = []
        try:
            for group in groups:
                parts.append(await self._decide(identifier, group.charges, group.places, _left_s(ends), log=True))
                if not parts[-1].allowed:
                    break
        except BaseException:  # whatever ended it, a caller that left included: what was taken goes back
            self._give_back(parts)
            raise
        if parts[-1].allowed:
            return _merged(identifier, places, groups, parts)
        returning = self._give_back(parts[:-1])
        parts = [_as_never_asked(part, group) for part, group in zip(parts, groups, strict=False)]
        rest = groups[len(parts) :]
        for group, each in zip(rest, await self._peek(identifier, rest, ends), strict=True):
            if isinstance(each, BaseException) and not isinstance(each, StoreError):
                raise each
            parts.append(_unread(identifier, group) if isinstance(each, BaseException) else each)
        if returning:  # so that whoever got this answer finds the windows as they were
            await asyncio.wait(returning, timeout=_left_s(ends))
        return _merged(identifier, places, groups, parts)

    async def _peek(self, identifier: str, groups: Sequence[_Group], ends: float) -> list[Decision | BaseException]:
        left_s = _left_s(ends)
        return await asyncio.gather(
            *(self._decide(identifier, group.charges, group.places, left_s, log=False) for group in groups),
            return_exceptions=True,
        )

    def _give_back(self, parts: Sequence[Decision]) -> "list[asyncio.Task[None]]":
        return [self._take_back(part) for part in parts if part.allowed]


def _groups(charges: Sequence[Charge], places: Sequence[Place]) -> list[_Group]:
    by_tag: dict[str, _Group] = {}
    for at, (charge, place) in enumerate(zip(charges, places, strict=True)):
        breadth = _BREADTH[place.policy.scope]
        group = by_tag.setdefault(place.tag, _Group(breadth))
        group.breadth = min(group.breadth, breadth)
        group.at.append(at)
        group.charges.append(charge)
        group.places.append(place)
    return sorted(by_tag.values(), key=lambda group: group.breadth)


def _left_s(ends: float) -> float:
    return max(0.0, ends - asyncio.get_running_loop().time())


def _as_never_asked(part: Decision, group: _Group) -> Decision:
    """What a group found before it was taken: where it was, it is given back."""
    if not part.allowed:
        return part
    windows = []
    for window, place in zip(part.windows, group.places, strict=True):
        used = max(0, window.used - window.cost)
        retry_ms = -1 if window.retry_after_s == float("inf") else round(window.retry_after_s * 1000)
        reset_ms = round(window.reset_after_s * 1000) if used else 0
        windows.append(window_of(place, window.cost, used, retry_ms, reset_ms))
    return Decision(part.id, True, 0.0, None, part.time_s, tuple(windows), part.degraded)


def _unread(identifier: str, group: _Group) -> Decision:
    """Of a request that is denied already: a group that cannot be asked what it would have said."""
    windows = [window_of(p, charge.cost, 0, 0, 0) for charge, p in zip(group.charges, group.places, strict=True)]
    return Decision(identifier, True, 0.0, None, 0.0, tuple(windows), True)


def _merged(identifier: str, places: Sequence[Place], groups: Sequence[_Group], parts: Sequence[Decision]) -> Decision:
    allowed = all(part.allowed for part in parts)
    count = len(places)
    charges: list[Charge | None] = [None] * count
    windows: list[Window | None] = [None] * count
    entries: list[tuple[int, int]] = [(0, 0)] * count
    local: list[LocalEntry | None] = [None] * count
    for group, part in zip(groups, parts, strict=True):
        for i, at in enumerate(group.at):
            charges[at], windows[at] = group.charges[i], part.windows[i]
            if allowed and part._entries:
                entries[at] = part._entries[i]
            if allowed and part._local:
                local[at] = part._local[i]
    found = tuple(window for window in windows if window is not None)
    denied_by, longest_s = None, 0.0
    for window in found:
        if window.enforced and not window.fits and window.retry_after_s > longest_s:
            denied_by, longest_s = window.policy, window.retry_after_s
    return Decision(
        identifier,
        allowed,
        longest_s,
        denied_by,
        parts[0].time_s,
        found,
        any(part.degraded for part in parts),
        tuple(charge for charge in charges if charge is not None),
        tuple(entries),
        tuple(local),
    )
