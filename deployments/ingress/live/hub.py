"""All viewers of one replica: each tick what was told is read once, put together, and encoded once for each scope.

`tick` is called ten times a second while there are viewers (`feed`). What is asked of Redis in a tick goes out at once
and comes back in one round trip; where Redis does not answer, frames go on once a second and say so.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from deployments.ingress.live.channel import DEADLINE_S, Channel, Heard
from deployments.ingress.live.frames import MOST_MARKS
from deployments.ingress.live.known_windows import Key, KnownWindows
from deployments.ingress.live.news import News, Scope
from deployments.ingress.live.pools_now import PoolsNow, waits, without_waits
from deployments.ingress.live.viewer import Reason, Viewer, frame_bytes
from deployments.ingress.live.watched_log import WatchedLog
from policies import Charge, Limiter, StoreError
from policies.entities import QOS_TIERS
from policies.resolver import Resolver

LONGEST_S = 1.0
"""Between two frames."""

MOST_VIEWERS = 64
"""Of one replica."""

MOST_WISHED = 256
"""How many windows are looked at for viewers who have just come."""

_T = TypeVar("_T")


@dataclass(slots=True)
class Sight:
    """What the viewers of a scope may see beyond their own tenant's requests; None: everything."""

    windows: frozenset[Key] | None = None
    pools: frozenset[str] | None = None


@dataclass(slots=True)
class _Group:
    """Viewers of one scope, who get the same frames."""

    sight: Sight
    viewers: list[Viewer] = field(default_factory=list)
    newcomers: list[Viewer] = field(default_factory=list)
    sent_at: float = float("-inf")
    pools: list[Any] = field(default_factory=list)
    """As they were when they were looked at last, without waits."""
    pools_version: int = -1


class Hub:
    """One for each replica."""

    def __init__(self, limiter: Limiter, channel: Channel, resolver: Callable[[], Resolver]) -> None:
        self._limiter, self._channel, self._resolver = limiter, channel, resolver
        self._groups: dict[Scope, _Group] = {}
        self._logs: dict[Key, WatchedLog] = {}
        self._offset_ms = time.time() * 1000 - time.monotonic() * 1000
        self._reachable = True
        self._wished: list[Charge] = []
        self._begin()

    def _begin(self) -> None:
        self._windows, self.pools = KnownWindows(), PoolsNow()

    # Viewers

    @property
    def viewers(self) -> int:
        return sum(len(group.viewers) + len(group.newcomers) for group in self._groups.values())

    def now_ms(self) -> int:
        """The server's time, as far as it is known here."""
        return round(time.monotonic() * 1000 + self._offset_ms)

    def bands(self) -> Sequence[str]:
        """Highest first."""
        return self.pools.bands or QOS_TIERS

    def join(
        self, viewer: Viewer, scope: Scope, sight: Sight, watched: Charge | None, wished: Sequence[Charge]
    ) -> None:
        """Shows frames to a viewer from now on. `watched`: the window of `scope.watching`. `wished`: windows that it
        should be shown at once."""
        group = self._groups.get(scope)
        if group is None:
            group = self._groups[scope] = _Group(sight)
        group.newcomers.append(viewer)
        group.sight = sight
        if scope.watching is not None and watched is not None and scope.watching not in self._logs:
            self._logs[scope.watching] = WatchedLog(self._limiter, watched, MOST_MARKS)
        self._wished = [*self._wished, *self._windows.wish(wished)][:MOST_WISHED]

    def leave(self, viewer: Viewer, scope: Scope) -> None:
        """It has gone."""
        group = self._groups.get(scope)
        if group is None:
            return
        for members in (group.viewers, group.newcomers):
            if viewer in members:
                members.remove(viewer)
        if group.viewers or group.newcomers:
            return
        del self._groups[scope]
        if scope.watching is not None and all(each.watching != scope.watching for each in self._groups):
            self._logs.pop(scope.watching, None)
        if not self._groups:
            self._channel.leave()
            self._begin()

    def see(self, scope: Scope, sight: Sight) -> None:
        """What the viewers of this scope may see from now on."""
        group = self._groups.get(scope)
        if group is not None and group.sight != sight:
            group.sight, group.pools_version = sight, -1

    def end_all(self, reason: Reason) -> None:
        """Every stream ends."""
        for group in self._groups.values():
            for viewer in (*group.viewers, *group.newcomers):
                viewer.end(reason)

    # Ticks

    async def tick(self) -> None:
        """Reads what is new, and offers every viewer its frame where there is anything to say."""
        policy_of, now = self._resolver().policy, time.monotonic()
        for (name, _), log in self._logs.items():
            policy = policy_of(name)
            if policy is not None:
                log.use(policy)
        wished, self._wished = self._wished, []
        looked_at = wished + self._windows.due(self.now_ms(), policy_of)
        logs = list(self._logs.values())
        heard, windows, _ = await asyncio.gather(
            _unless_away(self._channel.hear()),
            _unless_away(self._limiter.peek_each(looked_at, DEADLINE_S)),
            asyncio.gather(*(log.look(now, self._reachable) for log in logs)),
        )
        self._reachable = heard is not None
        if heard is not None:
            self._offset_ms = heard.now_ms - time.monotonic() * 1000
        for charge, window in zip(looked_at, windows or (), strict=False):
            self._windows.put_window(window, charge.slot, self.now_ms())
        for log in logs:
            if log.window is not None:
                self._windows.put_window(log.window, log.slot, log.at_ms or self.now_ms())
        self._show(self._news_of(heard), time.monotonic())

    def _news_of(self, heard: Heard | None) -> News:
        news, now = News(), time.monotonic()
        for told_ms, message in heard.messages if heard is not None else ():
            if self.pools.heard(message, now):
                news.add(told_ms, message)
        for row in news.windows:
            self._windows.put(row)
        return news

    def _show(self, news: News, now: float) -> None:
        at_ms = self.now_ms()
        always: dict[str, Any] = {
            "at_ms": at_ms,
            "lag_ms": 0 if news.oldest_ms is None else max(0, at_ms - news.oldest_ms),
            "store": "ok" if self._reachable else "unreachable",
            "replicas": self.pools.replicas(now),
            "sampled": news.one_in,
        }
        names = sorted({model.pool_name for model in self._resolver().models})
        for scope, group in list(self._groups.items()):
            self._show_group(scope, group, always, news, names, now)
        if self._reachable:
            self._windows.settle()

    def _show_group(
        self, scope: Scope, group: _Group, always: dict[str, Any], news: News, names: Sequence[str], now: float
    ) -> None:
        at_ms = always["at_ms"]
        log = self._logs.get(scope.watching) if scope.watching is not None else None
        beat = now - group.sent_at >= LONGEST_S
        told = news.shown_to(scope.tenant) if self._reachable else {}
        pools = None
        if beat or group.newcomers or group.pools_version != self.pools.version:
            shown = [name for name in names if group.sight.pools is None or name in group.sight.pools]
            pools = self.pools.shown(shown, self.bands(), scope.tenant)
            now_without = without_waits(pools)
            moved, group.pools, group.pools_version = now_without != group.pools, now_without, self.pools.version
        if group.viewers:
            frame = {**told, **self._state(log, at_ms, group.sight, everything=False, beat=beat)}
            if pools is not None and (moved or (beat and waits(pools))):
                frame["pools"] = pools
            if beat or (frame and self._reachable):
                _offer(group.viewers, {**always, **frame})
                group.sent_at = now
            elif "pools" in frame:  # it is shown once there are frames again
                group.pools, group.pools_version = [], -1
        if group.newcomers:
            state = self._state(log, at_ms, group.sight, everything=True, beat=True)
            _offer(group.newcomers, {**always, **told, **state, "pools": pools})
            group.sent_at = now
            group.viewers += group.newcomers
            group.newcomers = []

    def _state(
        self, log: WatchedLog | None, at_ms: int, sight: Sight, *, everything: bool, beat: bool
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        windows = self._windows.shown(at_ms, sight.windows, everything=everything)
        if windows:
            found["windows"] = windows
        if log is not None:
            told = log.everything() if everything else log.news(beat=beat)
            if told is not None:
                found["log"] = told
        return found


def _offer(viewers: Sequence[Viewer], frame: dict[str, Any]) -> None:
    encoded = frame_bytes(frame)
    for viewer in viewers:
        viewer.offer(encoded)


async def _unless_away(call: Awaitable[_T]) -> _T | None:
    try:
        return await call
    except StoreError:
        return None
