"""The command line against the whole HTTP surface over a real Redis: a server on loopback, commands run in process."""

import asyncio
import hashlib
import io
import json
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from redis.asyncio import Redis

from deployments.ingress.app import create_app
from deployments.ingress.state import IngressSettings, IngressState
from deployments.models.service import ModelService
from policies import Limiter
from policies.catalogue import Catalogue
from policies.catalogue.live import LiveCatalogue
from policies.catalogue.store import CatalogueStore
from serve_app.cli import main
from tests.deployments.ingress.conftest import LocalPools
from tests.policies.redis_server import RedisServer, binaries

START_S = 20


def secret(identifier: str) -> str:
    """The whole key with this id."""
    return f"sk-{identifier}-{'s' * 24}"


def _key(identifier: str, role: str) -> dict[str, Any]:
    sha256 = hashlib.sha256(secret(identifier).encode()).hexdigest()
    return {"id": identifier, "user": "ada", "role": role, "sha256": sha256}


CONFIGURED: dict[str, Any] = {
    "tenants": [{"name": "platform", "qos_tier": "internal"}],
    "users": [{"name": "ada", "tenant": "platform"}],
    "keys": [_key(f"{role}1", role) for role in ("admin", "operator", "gateway", "inference")],
    "tiers": [{"name": "cheap"}],
    "models": [{"name": "small", "tier": "cheap", "aliases": ["default"]}],
    "policies": [{"name": "everyone", "scope": "GLOBAL", "limit": 1000, "window": "1m"}],
}
"""What the server's configuration file holds."""


def _pools(catalogue: Mapping[str, Any]) -> LocalPools:
    """Simulated models that run what this catalogue has."""
    pools = LocalPools()
    quick = {"first_token_ms": 1, "inter_token_ms": 1, "reply_tokens": 2}
    pools.services = {model["name"]: ModelService("simulated", quick) for model in catalogue["models"]}
    return pools


class Server:
    """An ingress on a free port of loopback, over the Redis behind a socket, until it is closed."""

    def __init__(
        self,
        redis_socket: str,
        *,
        max_body_bytes: int = 1 << 20,
        catalogue: Mapping[str, Any] = CONFIGURED,
        demo: bool = False,
    ) -> None:
        self._redis_socket, self._catalogue = redis_socket, catalogue
        self._settings = IngressSettings(max_body_bytes=max_body_bytes, demo=demo)
        # The protocol is named, since asyncio switches Nagle's algorithm off only where it is; with it, each reply
        # would wait 40 ms for an acknowledgement.
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._sockets = [listening]
        self._uvicorn: uvicorn.Server | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        if not self._started.wait(START_S):
            raise TimeoutError("the server did not start")

    def close(self) -> None:
        if self._uvicorn is not None:
            self._uvicorn.should_exit = True
        self._thread.join(START_S)
        self._sockets[0].close()

    async def _serve(self) -> None:
        redis, catalogue_redis = (Redis(unix_socket_path=self._redis_socket) for _ in range(2))
        live = LiveCatalogue(CatalogueStore(catalogue_redis))
        state = IngressState(self._settings, Limiter(redis, deadline_s=5.0), _pools(self._catalogue), live)
        state.use(Catalogue.parse(self._catalogue))
        await live.start()
        # No websockets: uvicorn's own use of them is deprecated, and warnings are errors in tests.
        config = uvicorn.Config(create_app(state), log_level="error", ws="none", lifespan="off")
        self._uvicorn = uvicorn.Server(config)
        serving = asyncio.create_task(self._uvicorn.serve(self._sockets))
        while not self._uvicorn.started and not serving.done():
            await asyncio.sleep(0.005)
        self._started.set()
        await serving
        await live.close()
        await live.store.close()
        await state.settlement.close()
        await state.limiter.close()
        await redis.aclose()


@dataclass
class Answer:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Sluice:
    """Runs the command line in this process."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    environ: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str | Path, stdin: str = "", key: str | None = None) -> Answer:
        """`key`: the id of the key to use, where it is not the one that is set."""
        self.capsys.readouterr()
        with self.monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["sluice", *map(str, arguments)])
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            for name in ("SLUICE_URL", "SLUICE_KEY", "SLUICE_KEY_FILE", "COLUMNS"):
                patch.delenv(name, raising=False)
            for name, value in self.environ.items():
                patch.setenv(name, value)
            if key is not None:
                patch.setenv("SLUICE_KEY", secret(key))
            try:
                main()
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
        out, err = self.capsys.readouterr()
        return Answer(code, out, err)

    def ok(self, *arguments: str | Path, stdin: str = "", key: str | None = None) -> Answer:
        """The same, and it must work."""
        answer = self(*arguments, stdin=stdin, key=key)
        assert answer.code == 0, answer.err
        return answer


@pytest.fixture(scope="package")
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer(next(iter(binaries().values()))).start()
    yield server
    server.close()


@pytest.fixture
def server(redis_server: RedisServer) -> Iterator[Server]:
    """A server whose API has written nothing yet."""
    with redis_server.sync() as redis:
        redis.flushall()
    server = Server(redis_server.socket)
    yield server
    server.close()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Sluice:
    """The command line without a server."""
    return Sluice(monkeypatch, capsys)


@pytest.fixture
def sluice(offline: Sluice, server: Server) -> Sluice:
    """The command line with the server's address and an admin's key."""
    offline.environ = {"SLUICE_URL": server.url, "SLUICE_KEY": secret("admin1")}
    return offline
