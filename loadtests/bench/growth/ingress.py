"""An ingress in one process without Ray, over a real Redis: run by `loadtests.bench.growth.ingress_level`.

Argument: `Setting` as JSON. Models answer at once, and the router's work is done in this process, so nothing hides the
ingress's own. Says its port, and serves until its input ends.
"""

import asyncio
import dataclasses
import json
import sys
from typing import Any

import uvicorn
from redis.asyncio import Redis

from deployments.ingress.app import create_app
from deployments.ingress.state import IngressSettings, IngressState
from loadtests.bench.live_feed import AtOnce
from policies import Limiter
from policies.catalogue import Catalogue
from policies.catalogue.live import LiveCatalogue
from policies.catalogue.store import CatalogueStore
from tests.deployments.ingress.conftest import CATALOGUE, LocalPools

SIX: list[dict[str, Any]] = [
    {"name": "tenant", "scope": "TENANT"},
    {"name": "everyone", "scope": "GLOBAL"},
    {"name": "key", "scope": "API_KEY"},
    {"name": "model", "scope": "MODEL"},
    {"name": "slots", "scope": "USER_MODEL", "unit": "concurrent_requests"},
    {"name": "tokens", "scope": "TENANT", "unit": "total_tokens"},
]
WINDOWS = ("1s", "10s", "1m", "1h")
OUT_OF_REACH = 10**9


def policies(count: int, denied_beyond: int | None = None) -> list[dict[str, Any]]:
    """As many that apply to every request: the six over windows of four lengths. `denied_beyond`: the limit of the
    first; the others are out of reach."""
    found = []
    for n in range(count):
        base, window = SIX[n % len(SIX)], WINDOWS[n // len(SIX) % len(WINDOWS)]
        policy = {**base, "name": f"{base['name']}-{n}", "limit": OUT_OF_REACH}
        if policy.get("unit") != "concurrent_requests":
            policy["window"] = window
        found.append(policy)
    if denied_beyond is not None:
        found[0] |= {"limit": denied_beyond, "window": "1m"}
    return found


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """What one process serves."""

    socket: str
    prefix: str
    """Of its keys in Redis."""
    policies: list[dict[str, Any]]


async def serve(setting: Setting) -> None:
    redis, catalogue_redis = Redis(unix_socket_path=setting.socket), Redis(unix_socket_path=setting.socket)
    pools = LocalPools()
    pools.services["small"] = AtOnce()
    live = LiveCatalogue(CatalogueStore(catalogue_redis, prefix=setting.prefix))
    limiter = Limiter(redis, prefix=setting.prefix, deadline_s=5)
    state = IngressState(IngressSettings(failed_authentications_per_minute=10**6), limiter, pools, live)
    state.use(Catalogue.parse({**CATALOGUE, "policies": setting.policies}))
    await live.start(60)
    config = uvicorn.Config(create_app(state), port=0, log_level="error", ws="none", lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving
    await state.close()
    for each in (redis, catalogue_redis):
        await each.aclose()


if __name__ == "__main__":
    asyncio.run(serve(Setting(**json.loads(sys.argv[1]))))
