"""How replicas hear of each other's requests: one stream of messages in Redis, and a mark while anybody reads it.

A message is one replica's news of about a tenth of a second, as JSON. Redis keeps the latest few seconds of them.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from policies import Limiter
from policies.places import wire
from policies.scripts import HEAR, TELL

WATCH_MS = 3_000
"""For how long the mark of those who watch stands; hubs renew it ten times a second."""

KEPT_MESSAGES = 1_000
"""About how many messages are kept: 100 replicas' news of a second."""

KEPT_MS = 10_000
"""For how long after the newest."""

HEARD_AT_ONCE = 500
"""How many messages are read in one go; the others come with the next."""

DEADLINE_S = 0.5
"""For one exchange with Redis. Nobody's request waits for it."""

_TAG = "live"


@dataclass(frozen=True, slots=True)
class Heard:
    """What is new."""

    now_ms: int
    """Server time."""
    messages: list[tuple[int, dict[str, Any]]]
    """Each with the server's time at which it was told."""


class Channel:
    """One for each replica, over the limiter's own connections: what is asked in one turn of the event loop travels
    together."""

    def __init__(self, limiter: Limiter) -> None:
        self._store = limiter.store
        keys = [f"{limiter.prefix}:{{{_TAG}}}:{name}".encode() for name in ("news", "watched")]
        self._keys = (len(keys), b"".join(wire(key) for key in keys))
        self._after = b""

    async def tell(self, message: dict[str, Any] | None) -> tuple[bool, int]:
        """Adds a message, if anybody watches; says whether, and the server's time in ms. None only looks."""
        packed = b"" if message is None else orjson.dumps(message, option=orjson.OPT_NON_STR_KEYS)
        args = (packed, b"%d" % KEPT_MESSAGES, b"%d" % KEPT_MS)
        watched, now_ms = await self._store.of(_TAG).run(TELL, self._keys, args, deadline_s=DEADLINE_S)
        return bool(watched), now_ms

    async def hear(self) -> Heard:
        """What was told since the last time (the first time: nothing), and says that somebody watches."""
        args = (self._after, b"%d" % HEARD_AT_ONCE, b"%d" % WATCH_MS)
        now_ms, self._after, *told = await self._store.of(_TAG).run(HEAR, self._keys, args, deadline_s=DEADLINE_S)
        messages = [(at_ms, orjson.loads(text)) for at_ms, text in zip(told[::2], told[1::2], strict=True)]
        return Heard(now_ms, messages)

    def leave(self) -> None:
        """Nobody watches here any more; the mark ends by itself. What comes until somebody does is passed over."""
        self._after = b""
