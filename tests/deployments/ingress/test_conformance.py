"""What /openapi.json says, and what the server does: compared by schemathesis, with every check it has.

schemathesis makes requests from the description, right ones and wrong ones, and judges the replies. It is bounded (a
number of cases for each operation, one seed), so it finds the same on every machine.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deployments.ingress.authentication import sha256_of
from deployments.ingress.state import IngressSettings
from tests.deployments.ingress.conftest import LocalPools, secret
from tests.deployments.ingress.served import Server
from tests.policies.redis_server import RedisServer

ROOT = Path(__file__).parents[3]
CASES = 20
"""For each operation and phase."""

ROLES = ("admin", "gateway", "inference")
CATALOGUE: dict[str, Any] = {
    "tenants": [{"name": "platform"}],
    "users": [{"name": "ada", "tenant": "platform"}],
    "keys": [
        *({"id": f"{r}1", "user": "ada", "role": r, "sha256": sha256_of(secret(f"{r}1"))} for r in ROLES),
        # The one that the description's examples name.
        {"id": "demo-premium", "user": "ada", "demo": True, "sha256": sha256_of("sk-demo-premium")},
    ],
    "tiers": [{"name": "cheap"}],
    "models": [{"name": "sim-small", "pool": "small", "tier": "cheap", "aliases": ["default"]}],
    "policies": [{"name": "everyone", "scope": "GLOBAL", "limit": 1_000_000, "window": "1m"}],
}
SETTINGS = IngressSettings(demo=True, failed_authentications_per_minute=0)


@pytest.mark.timeout(400)
def test_the_server_does_what_its_description_says(redis_server: RedisServer) -> None:
    with redis_server.sync() as redis:
        redis.flushall()
    with Server(redis_server.socket, CATALOGUE, LocalPools(), SETTINGS) as server:
        command = [
            Path(sys.executable).with_name("schemathesis"),
            "--config-file",
            Path(__file__).with_name("schemathesis.toml"),
        ]
        command += ["run", f"{server.url}/openapi.json", "--checks", "all", "--max-examples", str(CASES), "--no-color"]
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=380
        )
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:]
    counted = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert counted is not None, done.stdout[-2_000:]
    assert int(counted[1]) == int(counted[2]) > 1_000
