"""Tells what this replica's requests come to, while anybody watches, at whichever replica."""

import time
from secrets import token_hex
from typing import Any

from deployments.ingress.live.channel import Channel
from deployments.ingress.live.recorder import Recorder
from deployments.router.contract import Pools

HEARTBEAT_S = 1.0
"""How often there is a message although nothing happened."""

MOST_WALKED = 500
"""Where more requests than this wait and run, how they stand is looked at only so often:"""

CENSUS_S = 0.5

MOST_STANDINGS = 2_000
"""Of how many pools, bands and tenants how they stand is told."""


class Publisher:
    """One for each replica."""

    def __init__(self, recorder: Recorder, channel: Channel, pools: Pools) -> None:
        self._recorder, self._channel, self._pools = recorder, channel, pools
        self.replica = token_hex(8)
        self._number = 0
        self._untold: dict[str, Any] | None = None
        """A message of which it is not known whether it was told. It goes again, under the same number."""
        self._made_at = 0.0
        self._told_at = self._census_at = float("-inf")
        self._standings: list[list[Any]] = []

    async def look(self) -> None:
        """Asks whether anybody watches."""
        watched, _ = await self._channel.tell(None)
        self._heed(watched)

    async def tell(self, *, watched_here: bool) -> None:
        """Tells what there is to tell. Raises `StoreError`; then it goes with the next message. `watched_here`: by
        somebody at this replica, so that it is kept although Redis may not know yet."""
        if self._untold is None:
            self._untold = self._message()
        if self._untold is None:
            return
        waited_ms = round((time.monotonic() - self._made_at) * 1000)
        watched, _ = await self._channel.tell({**self._untold, "age": self._untold.get("age", 0) + waited_ms})
        if watched or not watched_here:
            self._untold = None
            self._heed(watched or watched_here)

    def _heed(self, watched: bool) -> None:
        if watched:
            self._recorder.watched = True
        else:
            self._recorder.forget()
            self._told_at = self._census_at = float("-inf")
            self._standings = []

    def _message(self) -> dict[str, Any] | None:
        now = self._made_at = time.monotonic()
        message = self._recorder.take() or {}
        if now - self._census_at >= (CENSUS_S if self._pools.walked > MOST_WALKED else 0):
            self._census_at = now
            standings = [
                [*whose, waiting, running, round(oldest_s * 1000)]
                for whose, (waiting, running, oldest_s) in self._pools.census().items()
            ][:MOST_STANDINGS]
            changed = [row[:5] for row in standings] != [row[:5] for row in self._standings]
            self._standings = standings
        else:
            changed = False
        heartbeat = now - self._told_at >= HEARTBEAT_S
        if not (message or changed or heartbeat):
            return None
        if changed or heartbeat:
            message["standings"] = self._standings
            self._told_at = now
        self._number += 1
        return {"replica": self.replica, "number": self._number, **message}
