"""Processes: tied to their parent, described for a person, and ended for certain."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from serve_app.processes import describe, dies_with_parent, end, has_ended, holders_of
from tests.serve_app.waiting import eventually

PARENT = """
import signal, subprocess, sys, time
from serve_app.processes import dies_with_parent
child = subprocess.Popen(dies_with_parent(["sleep", "600"], signal.Signals(int(sys.argv[1]))))
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGKILL])
def test_a_child_ends_with_its_parent(signal_number: signal.Signals) -> None:
    command = [sys.executable, "-c", PARENT, str(int(signal_number))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert eventually(lambda: child.name() == "sleep")
        parent.kill()
    assert eventually(lambda: has_ended(child), 1.0)


def test_a_child_whose_parent_is_gone_already_does_not_start(tmp_path: Path) -> None:
    command = dies_with_parent(["touch", str(tmp_path / "started")], signal.SIGTERM)
    command[command.index(str(os.getpid()))] = "1"  # not the parent it has
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert not (tmp_path / "started").exists()


def test_what_ignores_the_request_is_ended_by_force() -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    )
    with (
        subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE) as first,
        subprocess.Popen(["sleep", "600"]) as second,
    ):
        assert first.stdout is not None
        first.stdout.readline()
        assert end([psutil.Process(first.pid), psutil.Process(second.pid)], 0.2) == []
    assert (first.returncode, second.returncode) == (-signal.SIGKILL, -signal.SIGTERM)


def test_a_process_runs_while_a_thread_of_it_does() -> None:
    """The first thread has ended, so the process shows as a zombie; its files and ports are still open."""
    program = (
        "import ctypes, sys, threading\n"
        "threading.Thread(target=sys.stdin.read).start()\n"
        "print(1, flush=True)\n"
        "ctypes.CDLL(None).pthread_exit(None)"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        assert started.stdin is not None
        started.stdout.readline()
        process = psutil.Process(started.pid)
        assert eventually(lambda: process.status() == psutil.STATUS_ZOMBIE)
        assert not has_ended(process)
        started.stdin.close()
        assert eventually(lambda: has_ended(process))


def test_a_process_is_described_by_its_command() -> None:
    with subprocess.Popen(["sleep", "600"]) as process:
        assert eventually(lambda: describe(process.pid) == f"pid {process.pid} (sleep 600)")
        process.kill()
    assert describe(process.pid) == f"pid {process.pid} (gone)"


def test_who_has_a_file_open(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w"):
        assert holders_of(tmp_path / "file") == [os.getpid()]
    assert holders_of(tmp_path / "file") == []
