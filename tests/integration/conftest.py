"""The whole application as a user starts it: `serve run` in a process of its own, real Redis, HTTP on loopback."""

import os
import random
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
START_S = 150
"""A start takes 30 to 50 s on two idle cores."""


@dataclass
class Application:
    """A running application."""

    base_url: str
    state_dir: Path
    log: Path
    process: subprocess.Popen[bytes]

    def redis_process(self) -> psutil.Process:
        """Its embedded redis-server."""
        found = [p for p in psutil.process_iter(["name"]) if p.info["name"] == "redis-server" and self._is_ours(p)]
        assert len(found) == 1, found
        return found[0]

    def replica_pids(self, deployment: str) -> set[int]:
        """The processes of a deployment's replicas, those that are starting included."""
        found = set()
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.Error):
                title = "".join(process.cmdline()[:1])
                if title.startswith(f"ray::ServeReplica:sluice:{deployment}"):
                    found.add(process.pid)
        return found

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return Path(process.cwd()).is_relative_to(self.state_dir)
        except psutil.Error:
            return False

    def session_dir(self) -> Path:
        """Ray's folder for this start: its logs, and the ports that it chose."""
        for process in psutil.Process(self.process.pid).children(recursive=True):
            if process.name() == "raylet":
                folder = re.search(r"--session[_-]dir=(\S+)", " ".join(process.cmdline()))
                assert folder, process.cmdline()
                return Path(folder[1])
        raise AssertionError("no raylet runs")


def free_port() -> int:
    """One that stays free until a start has come to it: the system gives others to whoever connects meanwhile."""
    while True:
        port = random.randrange(23_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def configuration(port: int, state_dir: Path) -> dict[str, Any]:
    """serve_config.yaml as it is, on a free port and with files of its own; a key that is limited soon; and time for
    Redis, since other tests keep the machine's cores busy."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    config["http_options"]["port"] = port
    application = config["applications"][0]
    application["args"]["state_dir"] = str(state_dir)
    application["args"]["redis"]["deadline_ms"] = 2_000
    catalogue = application["deployments"][0]["user_config"]["catalogue"]
    catalogue["policies"].append(
        {"name": "slow", "scope": "API_KEY", "limit": 2, "window": "3s", "match": {"api_key": "demo-batch"}}
    )
    return config


@contextmanager
def serving(
    config: dict[str, Any], folder: Path, started: Callable[[Application], None] | None = None
) -> Iterator[Application]:
    """`serve run` of this configuration, once it is ready; ended afterwards. Its files are in `folder`. `started` waits
    for something else than readiness."""
    path, port = folder / "serve_config.yaml", config["http_options"]["port"]
    path.write_text(yaml.safe_dump(config))
    log = folder / "serve.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("serve"), "run", "--address", "local", str(path)],
            cwd=ROOT,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
        )
    running = Application(f"http://127.0.0.1:{port}", folder / "state", log, process)
    try:
        (started or wait_until_ready)(running)
        yield running
    finally:
        end_outright(process)


def end_outright(process: "subprocess.Popen[Any]") -> None:
    """Kills a program that started Ray, with all that is below it. Ending in order takes ten seconds, and has tests of
    its own (tests/serve_app/test_launch.py)."""
    with process:
        if process.poll() is None:
            family = list(_stopped(psutil.Process(process.pid)))
            for each in family:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            psutil.wait_procs(family, timeout=10)


def _stopped(process: psutil.Process) -> Iterator[psutil.Process]:
    """The process and all that is below it, stopped from above, so that none starts another and no end of one sets
    another free."""
    with suppress(psutil.NoSuchProcess):
        process.suspend()
        yield process
        for child in process.children():
            yield from _stopped(child)


def wait_until_ready(running: Application, start_s: float = START_S) -> None:
    give_up = time.monotonic() + start_s
    while True:
        try:
            reply = httpx.get(f"{running.base_url}/readyz", timeout=5)
            if reply.status_code == 200:
                return
            last = reply.text
        except httpx.TransportError as error:
            last = repr(error)
        if time.monotonic() > give_up or running.process.poll() is not None:
            pytest.fail(f"not ready: {last}\n{running.log.read_text()[-4_000:]}")
        time.sleep(0.5)
