"""Service levels of all replicas together: each tells Redis its own figures now and then, and any can add them up.

What a replica tells is a few kilobytes for each tenant that it served in the last hour, every `TELL_EVERY_S`, off the
way of requests. One that has not told for `FORGOTTEN_S` is gone, and its figures with it.
"""

import asyncio
import contextvars
import logging
from collections.abc import Mapping
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

AT_ONCE = 8
"""How many tenants' figures are put together before requests have their turn: a millisecond's work or two."""

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
        figures = await self._figures()
        async with mapped():
            if not figures:
                await self._redis.hdel(self._key, self._replica)
                return
            seconds, _ = await self._redis.time()
            packed = await asyncio.to_thread(_packed, seconds, figures)
            await self._redis.hset(self._key, self._replica, packed)

    async def together(self) -> Figures:
        """The figures of all replicas; this one's as they are now."""
        async with mapped():
            seconds, _ = await self._redis.time()
            told = await self._redis.hgetall(self._key)
        told.pop(self._replica.encode(), None)
        own = await self._figures()
        together, gone = await asyncio.to_thread(_together, own, told, seconds)
        if gone:
            async with mapped():
                await self._redis.hdel(self._key, *gone)
        return together

    async def _figures(self) -> Figures:
        """This replica's, put together a few tenants at a time: requests are served on the same event loop."""
        figures = {}
        for number, (tenant, of_it) in enumerate(self._book.each()):
            figures[tenant] = of_it
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        return figures

    async def _tell_forever(self) -> None:
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            try:
                await self.tell()
            except StoreError as error:
                _log.debug("service levels could not be told: %s", error)


def _together(own: Figures, told: Mapping[bytes, bytes], now_s: int) -> tuple[Figures, list[bytes]]:
    """The figures of all replicas, and which replicas have not told for too long."""
    others, gone = [], []
    for replica, packed in told.items():
        at_s, figures = _unpacked(packed)
        if now_s - at_s > FORGOTTEN_S:
            gone.append(replica)
        else:
            others.append(figures)
    return merged([own, *others]), gone


def _packed(at_s: int, figures: Figures) -> bytes:
    told = {
        tenant: [tier, {window: _fields(tally) for window, tally in tallies.items()}]
        for tenant, (tier, tallies) in figures.items()
    }
    return orjson.dumps([at_s, told], option=orjson.OPT_NON_STR_KEYS)


def _unpacked(packed: bytes) -> tuple[int, Figures]:
    at_s, told = orjson.loads(packed)
    return at_s, {
        tenant: (tier, {window: _tally(fields) for window, fields in tallies.items()})
        for tenant, (tier, tallies) in told.items()
    }


def _fields(tally: Tally) -> dict[str, Any]:
    return {name: getattr(tally, name) for name in ("succeeded", "failed", "ttft", "latency")}


def _tally(fields: Mapping[str, Any]) -> Tally:
    ttft, latency = ({int(bucket): n for bucket, n in fields[name].items()} for name in ("ttft", "latency"))
    return Tally(fields["succeeded"], fields["failed"], ttft, latency)
