"""The API does what /openapi.json says, and says what it does: schemathesis makes requests of the description, right
ones and wrong ones, sends them, and judges the replies by every check it has.

The number of requests is bounded, and they are drawn from one seed. (Ids that the server makes up are among them, so
two runs are not quite the same; hence most operations must succeed at least once, and not all.) `schemathesis.toml`
configures it, and `conformance_hooks` tells it what it cannot know.
"""

import json
import subprocess
import sys
from array import array
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.ingress.authentication import sha256_of
from deployments.ingress.state import IngressSettings
from deployments.models.engines.protocol import Embeddings, EmbedRequest, InferRequest
from deployments.models.engines.simulated import SimulatedEngine
from tests.deployments.ingress.conftest import LocalPools, secret
from tests.deployments.ingress.served import Server
from tests.policies.redis_server import RedisServer

HERE = Path(__file__).parent
TIMEOUT_S = 400

KEYS = [("admin1", "admin"), ("gateway1", "gateway"), ("inference1", "inference"), ("demo-premium", "inference")]
CATALOGUE: dict[str, Any] = {
    "tenants": [{"name": "platform"}],
    "users": [{"name": "ada", "tenant": "platform"}],
    "keys": [
        {
            "id": key_id,
            "user": "ada",
            "role": role,
            "sha256": sha256_of(secret(key_id)),
            "demo": key_id.startswith("demo-"),
        }
        for key_id, role in KEYS
    ],
    "tiers": [{"name": "cheap"}],
    "models": [{"name": "base", "tier": "cheap", "pool": "small"}],
    "policies": [
        {"name": "everyone", "scope": "GLOBAL", "limit": 1_000_000, "window": "1h"},
        {"name": "each-tenant", "scope": "TENANT", "limit": 1_000_000, "window": "1h"},
        {"name": "slots", "scope": "TENANT", "unit": "concurrent_requests", "limit": 100_000},
    ],
}
# What the description's examples ask for. Not where the admin API is tested, which is to create it.
ASKED = {**CATALOGUE, "models": [{"name": "sim-small", "tier": "cheap", "pool": "small", "aliases": ["default"]}]}

# Requests without a valid key are many here, and all come from one address.
SETTINGS = IngressSettings(demo=True, failed_authentications_per_minute=1_000_000)


class Able(SimulatedEngine):
    """Offers every operation."""

    async def embed(self, request: EmbedRequest) -> Embeddings:
        return Embeddings(tuple(array("f", [0.6, 0.8]) for _ in request.inputs), len(request.inputs))

    async def infer(self, request: InferRequest) -> bytes:
        return b'{"length": %d}' % len(request.body)


@pytest.fixture
def pools() -> LocalPools:
    pools = LocalPools()
    for service in pools.services.values():
        service._engine = Able(service._engine._options)
    return pools


@pytest.mark.parametrize(
    ("paths", "catalogue"), [("^/admin", CATALOGUE), ("^/(v1|page|healthz|readyz)", ASKED)], ids=["admin", "requests"]
)
@pytest.mark.timeout(TIMEOUT_S + 30)
def test_the_api_is_as_it_says(
    redis_server: RedisServer,
    pools: LocalPools,
    tmp_path: Path,
    paths: str,
    catalogue: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("deployments.ingress.live.viewer.LONGEST_S", 0.05)  # the live feed would not end
    with redis_server.sync() as redis:
        redis.flushall()
    with Server(redis_server.socket, catalogue, pools, SETTINGS) as server:
        _ask(server.url, catalogue["models"][0]["name"])
        run = schemathesis(server.url, paths, tmp_path / "events.ndjson")
    assert run.returncode == 0, run.stdout
    replies = _replies(tmp_path / "events.ndjson")
    assert len(replies) > 5
    never = [operation for operation, statuses in replies.items() if not any(200 <= s < 300 for s in statuses)]
    assert len(never) <= len(replies) // 8, f"nothing was judged of what these do when they do it: {never}"


def _ask(url: str, model: str) -> None:
    """Something in the logs."""
    body = {"model": model, "messages": [{"role": "user", "content": "What is a sluice?"}]}
    headers = {"authorization": f"Bearer {secret('inference1')}"}
    for _ in range(3):
        httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers).raise_for_status()


def schemathesis(url: str, paths: str, events: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", HERE / "schemathesis.toml"),
            *("run", f"{url}/openapi.json", "--include-path-regex", paths),
            *("--checks", "all", "--no-color"),
            *("--report", "ndjson", "--report-ndjson-path", events),
            *more,
        ],
        cwd=HERE.parents[2],  # where it finds the hooks
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
    )


def _replies(events: Path) -> dict[str, set[int]]:
    """The statuses that each operation has answered with."""
    found: dict[str, set[int]] = defaultdict(set)
    for operation, status in answered(events):
        found[operation].add(status)
    return {operation: statuses for operation, statuses in found.items() if statuses != {405}}


def answered(events: Path) -> Iterator[tuple[str, int]]:
    for line in events.read_text().splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for case_id, interaction in recorder.get("interactions", {}).items():
            case = recorder["cases"][case_id]["value"]
            if interaction.get("response"):
                yield f"{case['method']} {case['path']}", interaction["response"]["status_code"]
