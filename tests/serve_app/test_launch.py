"""The launcher end to end, over a real Ray Serve with a stand-in application: nothing is ever left running."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml

from serve_app.processes import has_ended
from serve_app.runtime_dir import runtime_dir_path
from tests.integration.conftest import free_port
from tests.serve_app.waiting import eventually

ROOT = Path(__file__).parents[2]
STOP_WITHIN_S = 15.0


@dataclass
class Run:
    """One launcher, and everything that was seen below it."""

    launcher: subprocess.Popen[str]
    below: list[psutil.Process]
    output: str

    def read_until(self, word: str) -> None:
        assert self.launcher.stdout is not None
        for line in self.launcher.stdout:
            self.output += line
            if line.startswith(word):
                break
        else:
            pytest.fail(f"{word} never came:\n{self.output}")
        self.below = psutil.Process(self.launcher.pid).children(recursive=True)

    def read_rest(self) -> str:
        assert self.launcher.stdout is not None
        self.output += self.launcher.stdout.read()
        self.launcher.wait()
        return self.output

    def named(self, part: str) -> list[psutil.Process]:
        return [process for process in self.below if part in " ".join(process.cmdline())]


class Machine:
    """Starts launchers over one state directory, and ends them whatever happens."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state_dir = directory / "state"
        self.port = free_port()
        self.runs: list[Run] = []

    def start(self, **args: str) -> Run:
        config = {
            "http_options": {"host": "127.0.0.1", "port": self.port},
            "applications": [
                {
                    "name": "standin",
                    "import_path": "tests.serve_app.standin:build",
                    "args": {"state_dir": str(self.state_dir), **args},
                }
            ],
        }
        path = self.directory / "serve_config.yaml"
        path.write_text(yaml.safe_dump(config))
        command = [sys.executable, "-m", "tests.serve_app.run_launcher", path, self.state_dir, str(self.port)]
        launcher = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.runs.append(Run(launcher, [], ""))
        return self.runs[-1]

    def clean(self) -> None:
        for run in self.runs:
            if run.launcher.poll() is None:
                run.launcher.terminate()
                run.launcher.wait(30)
            if run.launcher.stdout is not None:
                run.launcher.stdout.close()
            for process in run.below:
                if not has_ended(process):
                    process.kill()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.clean()


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def haproxy_listens_on(run: Run) -> set[str]:
    """Every address, of whichever HAProxy serves now."""
    found = set()
    for process in psutil.Process(run.launcher.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "haproxy -db" in " ".join(process.cmdline()):
                connections = process.net_connections("tcp")
                found |= {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN}
    return found


@pytest.mark.serve
@pytest.mark.timeout(300)
def test_up_then_a_second_one_then_ctrl_c(machine: Machine) -> None:
    run = machine.start()
    run.read_until("READY")
    assert answers(machine.port)
    # Its statistics and metrics too. At a reload another HAProxy takes over, and the one before it ends.
    assert eventually(lambda: haproxy_listens_on(run) == {"127.0.0.1"})
    assert run.named("redis-server")

    second = machine.start()
    assert f"`sluice up` runs already over {machine.state_dir}: pid {run.launcher.pid}" in second.read_rest()
    assert second.launcher.returncode == 1

    asked = time.monotonic()
    run.launcher.send_signal(signal.SIGINT)
    assert run.read_rest().endswith("STOPPED\n"), run.output
    assert run.launcher.returncode == 0
    assert [process for process in run.below if not has_ended(process)] == []
    assert time.monotonic() - asked < STOP_WITHIN_S
    assert not answers(machine.port)


@pytest.mark.serve
@pytest.mark.timeout(300)
def test_killed_outright_then_the_next_start_is_clean(machine: Machine) -> None:
    first = machine.start()
    first.read_until("READY")
    (haproxy,) = first.named("haproxy -db")
    (redis,) = first.named("redis-server")
    # Everything but HAProxy and Redis at once, so that nobody is left to end these two in order.
    first.launcher.kill()
    for process in first.below:
        if process not in (haproxy, redis):
            with contextlib.suppress(psutil.NoSuchProcess):  # it saw the launcher go, and went by itself
                process.kill()
    first.read_rest()
    assert eventually(lambda: has_ended(redis), 1.0)
    assert not has_ended(haproxy)
    assert answers(machine.port)

    second = machine.start()
    second.read_until("READY")
    assert [process for process in first.below if not has_ended(process)] == [], second.output
    assert f"ended what an earlier run left behind: pid {haproxy.pid} (" in second.output

    second.launcher.send_signal(signal.SIGTERM)
    assert second.read_rest().endswith("STOPPED\n"), second.output
    assert [process for process in second.below if not has_ended(process)] == []
    assert [path.name for path in runtime_dir_path(machine.state_dir).iterdir() if path.name != "redis.sock"] == []


@pytest.mark.serve
@pytest.mark.timeout(300)
def test_an_application_that_cannot_be_built_is_reported_and_ended(machine: Machine) -> None:
    run = machine.start(fail="vanilla")
    output = run.read_rest()
    assert run.launcher.returncode == 1
    assert "FAILED the application 'standin' is DEPLOY_FAILED; Serve says:" in output
    assert "ValueError: no such flavour: vanilla" in output


def test_a_port_in_use_stops_the_start(machine: Machine) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", machine.port))
        server.listen()
        output = machine.start().read_rest()
    assert f"FAILED port {machine.port} (http_options.port) is in use by pid {os.getpid()} (" in output
    assert "set another http_options.port in" in output
