"""Windows as they are known to be: told by decisions, and looked at again when time or a settlement may have changed
them. Bounded, however many there are."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from deployments.ingress.live.recorder import window_row
from policies import Charge, RateLimitPolicy, Window

MOST_KNOWN = 2_000
"""How many windows are remembered; the one that changed longest ago goes first."""

MOST_LOOKED_AT = 64
"""How many are looked at again in one go."""

SOONEST_MS, LATEST_MS = 300, 2_000
"""A window in which something counts is looked at again when its oldest entry leaves, but not sooner and not later than
this after the last time."""

SETTLED_MS = 600
"""The same for tokens and slots, which also change when a request ends."""

STEADY_MS = 50
"""A reset that moves by less is no change."""

Key = tuple[str, str]
"""The policy's name and the subject."""

_FIELDS = (
    *("policy", "scope", "subject", "unit", "limit", "window_s", "used", "remaining", "reset_after_s"),
    "enforced",
)
_USED, _RESET = _FIELDS.index("used"), _FIELDS.index("reset_after_s")


@dataclass(slots=True)
class Known:
    """One window."""

    fields: list[Any]
    slot: str | None
    at_ms: int
    resets_ms: float
    due_ms: float

    def shown(self, now_ms: int) -> dict[str, Any]:
        """As frames show it."""
        shown = dict(zip(_FIELDS, self.fields, strict=True))
        shown["reset_after_s"] = max(0.0, round(self.resets_ms - now_ms) / 1000) if self.resets_ms else 0.0
        return shown


class KnownWindows:
    """One for each hub."""

    def __init__(self) -> None:
        self._known: dict[Key, Known] = {}
        self.changed: set[Key] = set()
        """Since `settle` was called."""

    def put(self, row: list[Any]) -> None:
        """A window as a message tells it (`recorder.window_row`)."""
        *fields, slot, at_ms = row
        key = (fields[0], fields[2])
        before = self._known.pop(key, None)
        if before is not None and before.at_ms > at_ms:
            self._known[key] = before
            return
        resets_ms = at_ms + fields[_RESET] * 1000 if fields[_RESET] else 0.0
        due_ms = at_ms + _again_ms(fields, resets_ms - at_ms) if fields[_USED] else float("inf")
        self._known[key] = Known(fields, slot, at_ms, resets_ms, due_ms)
        if (
            before is None
            or abs(before.resets_ms - resets_ms) > STEADY_MS
            or before.fields[:_RESET] != fields[:_RESET]
            or before.fields[-1] != fields[-1]
        ):
            self.changed.add(key)
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]

    def put_window(self, window: Window, slot: str | None, at_ms: int) -> None:
        """A window as the limiter found it."""
        self.put(window_row(window, slot, at_ms))

    def wish(self, charges: Iterable[Charge]) -> list[Charge]:
        """Of these windows, those that nothing is known of."""
        return [each for each in charges if (each.policy.name, each.subject) not in self._known]

    def due(self, now_ms: int, policy_of: Callable[[str], RateLimitPolicy | None]) -> list[Charge]:
        """Those to look at again now."""
        late = sorted((known.due_ms, key) for key, known in self._known.items() if known.due_ms <= now_ms)
        charges = []
        for _, key in late[:MOST_LOOKED_AT]:
            known, policy = self._known[key], policy_of(key[0])
            if policy is None or policy.unit != known.fields[3] or policy.shards > 1:
                known.due_ms = float("inf")
                continue
            known.due_ms = now_ms + SOONEST_MS  # should it not be answered
            charges.append(Charge(policy, key[1], 1, known.slot))
        return charges

    def shown(self, now_ms: int, visible: frozenset[Key] | None, *, everything: bool) -> list[dict[str, Any]]:
        """Those that changed, or all of them, as far as they may be seen (None: all may)."""
        keys = self._known if everything else self.changed
        return [
            self._known[key].shown(now_ms) for key in keys if (visible is None or key in visible) and key in self._known
        ]

    def settle(self) -> None:
        """What changed has been shown."""
        self.changed = set()


def _again_ms(fields: list[Any], resets_in_ms: float) -> float:
    latest = LATEST_MS if fields[3] == "requests" else SETTLED_MS
    return min(max(resets_in_ms, SOONEST_MS), latest) if resets_in_ms > 0 else latest
