"""Service levels of all replicas together: each tells Redis its own figures now and then, and any can add them up.

What a replica tells is a few kilobytes for each tenant that it served in the last hour, every `TELL_EVERY_S`, off the
way of requests. One that has not told for `FORGOTTEN_S` is gone, and its figures with it.
"""

import asyncio
import contextvars
import logging
from collections.abc import Mapping
from dataclasses import asdict
from secrets import token_hex
from typing import Any

import orjson

from deployments.ingress.sla import Figures, SlaBook, Tally, merged
from policies.catalogue.store import CatalogueStore, mapped
from policies.errors import StoreError

TELL_EVERY_S = 5.0
"""How often a replica tells, and so about how old another's figures are at most."""

FORGOTTEN_S = 30
"""A replica that was silent for this long is counted no more."""

_log = logging.getLogger(__name__)


class SlaSharing:
    """One for each replica; `start` on the event loop that serves."""

    def __init__(self, book: SlaBook, store: CatalogueStore) -> None:
        self._book, self._redis = book, store.redis
        self._key = f"{store.prefix}:{{sla}}"
        """A hash: replica -> its figures, with the server's time in seconds when it told them."""
        self._replica = token_hex(8)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to tell; again does nothing."""
        if self._task is None:
            # An empty context: it outlives the request that happened to start it.
            self._task = asyncio.get_running_loop().create_task(self._tell_forever(), context=contextvars.Context())

    async def close(self) -> None:
        """Ends telling. What was told is counted until it is forgotten."""
        task, self._task = self._task, None
        while task is not None and not task.done():
            task.cancel()  # redis-py may swallow it while it connects, so it is said again
            await asyncio.wait([task], timeout=0.05)

    async def tell(self) -> None:
        """Tells this replica's figures now."""
        figures = self._book.figures()
        async with mapped():
            if not figures:
                await self._redis.hdel(self._key, self._replica)
                return
            seconds, _ = await self._redis.time()
            await self._redis.hset(self._key, self._replica, _packed(seconds, figures))

    async def together(self) -> Figures:
        """The figures of all replicas; this one's as they are now."""
        async with mapped():
            seconds, _ = await self._redis.time()
            told = await self._redis.hgetall(self._key)
        others, gone = [], []
        for replica, packed in told.items():
            if replica == self._replica.encode():
                continue
            at_s, figures = _unpacked(packed)
            if seconds - at_s > FORGOTTEN_S:
                gone.append(replica)
            else:
                others.append(figures)
        if gone:
            async with mapped():
                await self._redis.hdel(self._key, *gone)
        return merged([self._book.figures(), *others])

    async def _tell_forever(self) -> None:
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            try:
                await self.tell()
            except StoreError as error:
                _log.debug("service levels could not be told: %s", error)


def _packed(at_s: int, figures: Figures) -> bytes:
    told = {
        tenant: [tier, {window: asdict(tally) for window, tally in tallies.items()}]
        for tenant, (tier, tallies) in figures.items()
    }
    return orjson.dumps([at_s, told], option=orjson.OPT_NON_STR_KEYS)


def _unpacked(packed: bytes) -> tuple[int, Figures]:
    at_s, told = orjson.loads(packed)
    return at_s, {
        tenant: (tier, {window: _tally(fields) for window, fields in tallies.items()})
        for tenant, (tier, tallies) in told.items()
    }


def _tally(fields: Mapping[str, Any]) -> Tally:
    ttft, latency = ({int(bucket): n for bucket, n in fields[name].items()} for name in ("ttft", "latency"))
    return Tally(fields["succeeded"], fields["failed"], ttft, latency)
