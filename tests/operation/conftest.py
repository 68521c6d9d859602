"""`sluice up` with two ingress replicas, as it runs where somebody depends on it."""

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from loadtests.sluice_up import free_port, started
from tests.integration.conftest import ROOT, end_outright

START_S = 150


@dataclass
class Service:
    """A running `sluice up`, and the file that it was started with."""

    url: str
    config: dict[str, Any]
    folder: Path

    def client(self, key: str = "sk-demo-admin") -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {key}"}, timeout=30)

    def written(self, config: dict[str, Any], name: str) -> Path:
        path = self.folder / name
        path.write_text(yaml.safe_dump(config))
        return path


def _configuration(port: int, state_dir: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    config["http_options"]["port"] = port
    application = config["applications"][0]
    application["args"]["state_dir"] = str(state_dir)
    # Replicas start while requests come, on however few cores there are: Redis may be late for want of one.
    application["args"]["redis"]["deadline_ms"] = 2_000
    ingress = application["deployments"][0]
    ingress |= {"num_replicas": 2, "ray_actor_options": {"num_cpus": 0.1}}
    for policy in ingress["user_config"]["catalogue"]["policies"]:
        policy["limit"] = 1_000_000
    return config


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder, port = tmp_path_factory.mktemp("operation"), free_port()
    service = Service(f"http://127.0.0.1:{port}", _configuration(port, folder / "state"), folder)
    process = started(service.config, folder)
    try:
        _until_ready(service, process)
        yield service
    finally:
        end_outright(process)


def _until_ready(service: Service, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + START_S
    last = ""
    while time.monotonic() < give_up and process.poll() is None:
        try:
            reply = httpx.get(f"{service.url}/readyz", timeout=5)
            if reply.status_code == 200 and "http" in (service.folder / "log").read_text():
                return
            last = reply.text
        except httpx.TransportError as error:
            last = repr(error)
        time.sleep(0.5)
    pytest.fail(f"not ready: {last}\n{(service.folder / 'log').read_text()[-4_000:]}")
