"""Starts ONE Ray Serve with several applications, as `sluice up` does it, so that contestants take turns in one run.

    with redis_server() as redis_url, serving([sluice(redis_url), bare()]) as served:
        drive(served.url("bare"), …)

The applications are those of `loadtests.bench.applications`. Whatever happens inside, nothing is left behind: `sluice
up` is asked to end as by Ctrl-C, and what does not end is ended by force.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

from loadtests.bench.applications import Entry, serve_config
from serve_app.processes import dies_with_parent
from tests.policies.redis_server import RedisServer, binaries

ROOT = Path(__file__).parents[2]
START_S = 240.0
STOP_S = 40.0
"""How long an orderly end may take."""
POLL_S = 0.25
CHAT = "/v1/chat/completions"

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ServingError(Exception):
    """Ray Serve did not come up, or ended."""


@dataclass(frozen=True, slots=True)
class Served:
    """What runs."""

    base_url: str
    state_dir: Path
    log: Path
    """What `sluice up` said; Ray Serve's own output is `serve.log` in `state_dir`."""
    process: "subprocess.Popen[bytes]"
    started_in_s: float
    """From the start until every application answered."""

    def url(self, application: str, path: str = CHAT) -> str:
        """Of an application's chat completions, or of another path of it."""
        return f"{self.base_url}/{application}{path}"

    def replicas(self, application: str, deployment: str = "") -> list[psutil.Process]:
        """The processes of a deployment's replicas, or of all replicas of the application."""
        title = f"ray::ServeReplica:{application}:{deployment}"
        return [each for each in self.processes() if _title(each).startswith(title)]

    def roles(self) -> dict[str, psutil.Process]:
        """The processes that last as long as the server does, by what they are, as in `Ingress`, `haproxy`, `raylet`;
        further ones of a kind get marks behind it."""
        found: dict[str, psutil.Process] = {}
        for process in self.processes():
            try:
                title, name = "".join(process.cmdline()[:1]), process.name()
            except psutil.Error:
                continue
            if title.startswith("ray::ServeReplica:"):
                role = title.split(":")[-1].split(" ")[0]
            elif title.startswith("ray::"):
                role = title.removeprefix("ray::").split(".")[0].split(" ")[0]
            else:
                role = name
            while role in found:
                role += "'"
            found[role] = process
        return found

    def processes(self) -> list[psutil.Process]:
        """Everything below `sluice up`, and it."""
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]


def _title(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return "".join(process.cmdline()[:1])
    return ""


@contextmanager
def redis_server(*options: str) -> Iterator[str]:
    """A redis-server of our own on loopback; its URL, as a user has one. It keeps nothing on disk."""
    server = RedisServer(next(iter(binaries().values())), *options, port=free_port())
    try:
        server.start()
        yield f"redis://127.0.0.1:{server.port}/0"
    finally:
        server.close()


@contextmanager
def serving(entries: Iterable[Entry], start_s: float = START_S) -> Iterator[Served]:
    """All of these applications, once each of them answers under `/readyz`."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-bench-"))
    port, state_dir, log = free_port(), folder / "state", folder / "up.log"
    config = serve_config(entries, port, state_dir)
    path = folder / "serve_config.yaml"
    path.write_text(yaml.safe_dump(config))
    began = time.monotonic()
    command = [str(Path(sys.executable).with_name("sluice")), "up", str(path)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            dies_with_parent(command, signal.SIGTERM),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(os.environ),
            start_new_session=True,
        )
    try:
        base_url = f"http://127.0.0.1:{port}"
        prefixes = [entry["route_prefix"] for entry in config["applications"]]
        _wait(process, [f"{base_url}{prefix}/readyz" for prefix in prefixes], began + start_s, log)
        yield Served(base_url, state_dir, log, process, time.monotonic() - began)
    finally:
        _end(process)
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """One that stays free until a start has come to it: below those that the system gives to whoever connects."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _wait(process: "subprocess.Popen[bytes]", urls: list[str], give_up: float, log: Path) -> None:
    waiting = list(urls)
    while waiting:
        if _answers(waiting[0]):
            waiting.pop(0)
            continue
        if process.poll() is not None or time.monotonic() > give_up:
            ended = "ended" if process.poll() is not None else "is not ready in time"
            raise ServingError(f"`sluice up` {ended}; waiting for {waiting[0]}:\n{log.read_text()[-4_000:]}")
        time.sleep(POLL_S)


def _answers(url: str) -> bool:
    try:
        with _opener.open(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _end(process: "subprocess.Popen[bytes]") -> None:
    """As Ctrl-C does it; by force where that takes too long."""
    family = []
    with suppress(psutil.Error):
        family = psutil.Process(process.pid).children(recursive=True)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
    for each in family:
        with suppress(psutil.Error):
            each.kill()  # psutil knows a process that has taken over the id of another
    if process.poll() is None:
        process.kill()
        process.wait()
