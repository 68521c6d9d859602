"""The ingress without Ray behind a port of loopback, for what has to come to it over a real connection."""

import asyncio
import socket
import threading
from collections.abc import Mapping
from typing import Any, Self

import uvicorn
from redis.asyncio import Redis

from deployments.ingress.app import create_app
from deployments.ingress.state import IngressSettings, IngressState
from policies import Limiter
from policies.catalogue import Catalogue
from policies.catalogue.live import LiveCatalogue
from policies.catalogue.store import CatalogueStore
from tests.deployments.ingress.conftest import DEADLINE_S, LocalPools

START_S = 20


class Server:
    """An ingress on a free port, over the Redis behind a socket, until it is closed."""

    def __init__(
        self,
        redis_socket: str,
        catalogue: Mapping[str, Any],
        pools: LocalPools,
        settings: IngressSettings | None = None,
    ) -> None:
        self._redis_socket, self._catalogue, self._pools = redis_socket, Catalogue.parse(catalogue), pools
        self._settings = settings or IngressSettings()
        # The protocol is named, since asyncio switches Nagle's algorithm off only where it is; with it, each reply
        # would wait 40 ms for an acknowledgement.
        self._listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._listening.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._uvicorn: uvicorn.Server | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        if not self._started.wait(START_S):
            raise TimeoutError("the server did not start")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._uvicorn is not None:
            self._uvicorn.should_exit = True
        self._thread.join(START_S)
        self._listening.close()

    async def _serve(self) -> None:
        redis, catalogue_redis = (Redis(unix_socket_path=self._redis_socket) for _ in range(2))
        live = LiveCatalogue(CatalogueStore(catalogue_redis))
        state = IngressState(self._settings, Limiter(redis, deadline_s=DEADLINE_S), self._pools, live)
        state.use(self._catalogue)
        await live.start()
        # No websockets: uvicorn's own use of them is deprecated, and warnings are errors in tests.
        config = uvicorn.Config(create_app(state), log_level="error", ws="none", lifespan="off")
        self._uvicorn = uvicorn.Server(config)
        serving = asyncio.create_task(self._uvicorn.serve([self._listening]))
        while not self._uvicorn.started and not serving.done():
            await asyncio.sleep(0.005)
        self._started.set()
        await serving
        await state.close()
        await self._pools.close()
        await redis.aclose()
