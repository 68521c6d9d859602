"""An ingress in a process of its own without Ray, over a real Redis: what it costs shows best where nothing else does.

    with lone_ingress(Setting(redis.socket, "p", policies)) as ingress:
        drive(ingress.url, BODY, HEADERS, …)

Models answer at once, and the router's work is done in the same process. The process (`python -m
loadtests.bench.lone_ingress SETTING`, as JSON) says its port, and serves until its input ends.
"""

import asyncio
import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import uvicorn
from redis.asyncio import Redis

from deployments.ingress.app import create_app
from deployments.ingress.state import IngressSettings, IngressState
from loadtests.bench.report.results import ROOT
from policies import Limiter
from policies.catalogue import Catalogue
from policies.catalogue.live import LiveCatalogue
from policies.catalogue.store import CatalogueStore
from tests.deployments.ingress.conftest import CATALOGUE, LocalPools, secret

BODY = json.dumps({"model": "small", "max_tokens": 5, "messages": [{"role": "user", "content": "hello there"}]})
HEADERS = {"Authorization": f"Bearer {secret('gus1')}"}
"""Of a key that the catalogue of the tests has."""
START_S = 60.0


class AtOnce:
    """A model that takes no time."""

    async def generate(self, _: Any) -> tuple[bytes, dict[str, int]]:
        return b'{"object": "chat.completion"}', {"input_tokens": 3, "output_tokens": 5}


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """What one process serves."""

    socket: str
    """Of Redis."""
    prefix: str
    """Of its keys in Redis."""
    policies: list[dict[str, Any]]
    feed: bool = False
    """Whether it tells the live feed."""


@dataclasses.dataclass(frozen=True, slots=True)
class LoneIngress:
    """A process that serves."""

    port: int
    process: psutil.Process

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/chat/completions"

    def cpu_s(self) -> float:
        """Spent so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def lone_ingress(setting: Setting) -> Iterator[LoneIngress]:
    """Runs one."""
    command = [sys.executable, "-m", "loadtests.bench.lone_ingress", json.dumps(dataclasses.asdict(setting))]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port = process.stdout.readline()
            if not port:
                raise RuntimeError("the ingress ended at its start: what it said stands above")
            yield LoneIngress(int(port), psutil.Process(process.pid))
        finally:
            process.stdin.close()
            process.wait(30)


async def serve(setting: Setting) -> None:
    """The process itself."""
    redis, catalogue_redis = Redis(unix_socket_path=setting.socket), Redis(unix_socket_path=setting.socket)
    pools = LocalPools()
    pools.services["small"] = AtOnce()
    live = LiveCatalogue(CatalogueStore(catalogue_redis, prefix=setting.prefix))
    limiter = Limiter(redis, prefix=setting.prefix, deadline_s=5)
    state = IngressState(IngressSettings(failed_authentications_per_minute=10**6), limiter, pools, live)
    state.use(Catalogue.parse({**CATALOGUE, "policies": setting.policies}))
    await live.start(START_S)
    if setting.feed:
        state.feed.start()
    config = uvicorn.Config(create_app(state), port=0, log_level="error", ws="none", lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await state.feed.close()
    server.should_exit = True
    await serving
    await state.close()
    await pools.close()
    for each in (redis, catalogue_redis):
        await each.aclose()


if __name__ == "__main__":
    asyncio.run(serve(Setting(**json.loads(sys.argv[1]))))
