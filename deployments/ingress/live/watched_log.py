"""The window that viewers follow: its log, as frames show it."""

from typing import Any

from deployments.ingress.live.channel import DEADLINE_S
from deployments.ingress.windows import WindowNow
from policies import Charge, Limiter, RateLimitPolicy, StoreError, Window
from policies.following import LogFollower, Look, Profile

PROFILE_EVERY_S = 0.5
"""Spans of time take Redis longer to count than new entries to tell."""


class WatchedLog:
    """One window, for all viewers who follow it. Leases have no log: of them the window alone is told."""

    def __init__(self, limiter: Limiter, charge: Charge, most: int) -> None:
        self._limiter, self._charge = limiter, charge
        self._follower: LogFollower | None = None
        if not charge.policy.is_lease:
            self._follower = LogFollower(limiter, charge.policy, charge.subject, charge.slot, most=most)
        self._look: Look | None = None
        """The last one; None where it failed."""
        self._profile: Profile | None = None
        self._profiled_at = float("-inf")
        self._moved = False
        """Whether the window is another than at the look before."""
        self.at_ms = 0

    @property
    def slot(self) -> str | None:
        return self._charge.slot

    @property
    def window(self) -> Window | None:
        """As it was at the last look; None where that failed."""
        return None if self._look is None else self._look.window

    def use(self, policy: RateLimitPolicy) -> None:
        """Looks by this policy from now on: it may have been edited."""
        self._charge = Charge(policy, self._charge.subject, 1, self._charge.slot)
        if self._follower is not None:
            self._follower.use(policy)

    async def look(self, now: float, known: bool) -> None:
        """Reads what is new. `known`: whether the last tick could read; if not, what was read before may be no part of
        what there is now."""
        if self._follower is not None and (self._look is None or not known):
            self._follower.forget()
        try:
            look = await self._read(now)
        except StoreError:
            self._look = None
            return
        if look.profile is not None:
            self._profile, self._profiled_at = look.profile, now
        elif self._follower is not None and not self._follower.crowded:
            self._profile, self._profiled_at = None, float("-inf")
        before, self._look, self.at_ms = self.window, look, look.at_ms
        self._moved = before is None or (before.used, before.limit) != (look.window.used, look.window.limit)

    async def _read(self, now: float) -> Look:
        if self._follower is None:
            (window,) = await self._limiter.peek_each([self._charge], DEADLINE_S)
            return Look(0, window, fresh=False)
        profile = now - self._profiled_at >= PROFILE_EVERY_S
        return await self._follower.look(DEADLINE_S, profile=profile)

    def news(self, *, beat: bool) -> dict[str, Any] | None:
        """What changed since the last look; None where nothing did. `beat`: even then."""
        look = self._look
        if look is None:
            return None
        if not (beat or self._moved or look.fresh or look.entries or look.changed or look.profile):
            return None
        return self._told(look, fresh=look.fresh, entries=look.entries, changed=look.changed, profile=look.profile)

    def everything(self) -> dict[str, Any] | None:
        """All of it, for those who have just come."""
        if self._look is None:
            return None
        entries = self._follower.everything() if self._follower is not None else []
        return self._told(self._look, fresh=True, entries=entries, changed=(), profile=self._profile)

    def _told(self, look: Look, *, fresh: bool, entries: Any, changed: Any, profile: Profile | None) -> dict[str, Any]:
        spans = None
        if profile is not None:
            spans = {"from_ms": profile.from_ms, "span_ms": profile.span_ms, "counts": profile.counts}
        return {
            "window": WindowNow.of(look.window).model_dump(),
            "next_free_s": look.window.retry_after_s,
            "fresh": fresh,
            "entries": entries,
            "changed": changed,
            "profile": spans,
        }
