"""The application that is drilled: `sluice up` as an operator starts it, with two replicas of the ingress and of the
model, and Redis elsewhere."""

import copy
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from deployments.ingress.authentication import sha256_of
from loadtests.sluice_up import free_port, started
from policies import RateLimitPolicy
from serve_app.serve_status import dashboard_port
from tests.integration.conftest import ROOT, end_outright

START_S = 240.0
KEYS = {name: f"sk-{name}-{'d' * 24}" for name in ("limited", "roomy", "admin")}
LIMIT = RateLimitPolicy(
    name="drilled", scope="TENANT", limit=40, window="5s", match={"tenant": "limited"}, on_redis_failure="deny"
)
"""Its window is longer than any fault, so that what was logged just before one is still to be read after it."""

SLOTS, IDLE_SLOTS = "slots-of-user", "slots-of-idle"
LEASE_S = 5
"""After which a slot in a window is free that nobody gave back."""

IDLE_TOKEN_S = 60
"""Between two tokens of the model that keeps streams idle."""

DEADLINE_MS = 1_000
"""Of a check: a busy machine must not be taken for a fault."""

CATALOGUE: dict[str, Any] = {
    "tenants": [{"name": name} for name in KEYS],
    "users": [{"name": name, "tenant": name} for name in KEYS],
    "keys": [
        {"id": name, "user": name, "sha256": sha256_of(key), "role": "admin" if name == "admin" else "inference"}
        for name, key in KEYS.items()
    ],
    "tiers": [{"name": "only"}],
    "models": [{"name": "quick", "tier": "only"}, {"name": "long", "tier": "only"}],
    "policies": [
        {"name": "drilled", "scope": "TENANT", "limit": 40, "window": "5s", "match": {"tenant": "limited"}},
        # Held leases are renewed three times in their length: thousands of idle ones have the usual length.
        *(
            {
                "name": name,
                "scope": "USER_MODEL",
                "unit": "concurrent_requests",
                "limit": 100_000,
                "window": f"{lease_s}s",
                "match": {"model": model},
            }
            for name, model, lease_s in ((SLOTS, "quick", LEASE_S), (IDLE_SLOTS, "long", 30))
        ),
    ],
}


def configuration(redis_url: str, port: int, state_dir: Path) -> dict[str, Any]:
    """The whole file."""
    small = {"num_cpus": 0.1}
    return {
        "proxy_location": "HeadOnly",
        "http_options": {"host": "127.0.0.1", "port": port, "keep_alive_timeout_s": 90},
        "applications": [
            {
                "name": "sluice",
                "route_prefix": "/",
                "import_path": "serve_app:build",
                "args": {
                    "state_dir": str(state_dir),
                    "redis": {"url": redis_url, "deadline_ms": DEADLINE_MS},
                    "models": [
                        {
                            "name": "quick",
                            "engine": {
                                "kind": "simulated",
                                "options": {"first_token_ms": 20, "inter_token_ms": 10, "reply_tokens": 8},
                            },
                        },
                        {
                            "name": "long",
                            "engine": {
                                "kind": "simulated",
                                "options": {
                                    "first_token_ms": 50,
                                    "inter_token_ms": IDLE_TOKEN_S * 1000,
                                    "reply_tokens": 100_000,
                                },
                            },
                        },
                    ],
                },
                "deployments": [
                    {
                        "name": "Ingress",
                        "num_replicas": 2,
                        "max_ongoing_requests": 20_000,
                        "ray_actor_options": small,
                        "user_config": {"catalogue": copy.deepcopy(CATALOGUE)},
                    },
                    {"name": "ModelRouter", "max_ongoing_requests": 1000, "ray_actor_options": small},
                    {
                        "name": "model-quick",
                        "num_replicas": 2,
                        "max_ongoing_requests": 16,
                        "ray_actor_options": small,
                    },
                    {"name": "model-long", "max_ongoing_requests": 12_000, "ray_actor_options": small},
                ],
            }
        ],
    }


class Application:
    """A running `sluice up`."""

    def __init__(self, url: str, config: dict[str, Any], folder: Path, process: "subprocess.Popen[bytes]") -> None:
        self.url, self.config, self.folder, self.process = url, config, folder, process

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def processes(self, title: str) -> list[psutil.Process]:
        """Those of it that are called so: `ServeReplica:sluice:Ingress`, `ServeController`."""
        found = []
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    if "".join(process.cmdline()[:1]).startswith(f"ray::{title}"):
                        found.append(process)
        return found

    def deploy(self, config: dict[str, Any]) -> None:
        """`serve deploy` of another configuration."""
        path = self.folder / "deployed.yaml"
        path.write_text(yaml.safe_dump(config))
        serve, address = Path(sys.executable).with_name("serve"), f"http://127.0.0.1:{self._dashboard_port()}"
        command = [serve, "deploy", "--address", address, str(path)]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "RAY_AUTH_MODE": "token"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-300:]  # the end says what it was

    def _dashboard_port(self) -> int:
        """Another than 8265 where somebody else's Ray has that."""
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if (port := dashboard_port(process)) is not None:
                    return port
        raise AssertionError("no dashboard listens")


@contextmanager
def application(redis_url: str) -> Iterator[Application]:
    """Started, ready, and ended afterwards with all that is below it."""
    with tempfile.TemporaryDirectory(prefix="sluice-drills-") as name:
        folder, port = Path(name), free_port()
        config = configuration(redis_url, port, folder / "state")
        process = started(config, folder)
        running = Application(f"http://127.0.0.1:{port}", config, folder, process)
        try:
            _until_ready(running)
            yield running
        finally:
            end_outright(process)


def _until_ready(running: Application) -> None:
    give_up, last = time.monotonic() + START_S, ""
    while time.monotonic() < give_up and running.process.poll() is None:
        try:
            reply = httpx.get(f"{running.url}/readyz", timeout=5, trust_env=False)
            if reply.status_code == 200 and len(running.processes("ServeReplica:sluice:Ingress")) == 2:
                return
            last = reply.text
        except httpx.TransportError as error:
            last = repr(error)
        time.sleep(0.5)
    raise AssertionError(f"not ready: {last}\n{running.log.read_text()[-4_000:]}")
