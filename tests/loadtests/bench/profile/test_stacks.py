"""Stacks of py-spy by area, and CPU time shared out by them."""

import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import psutil
import pytest

from loadtests.bench.profile.stacks import APPLICATION, LOOP, NATIVE, area, samples, shared_out
from loadtests.bench.report.results import ROOT

LIBRARY = sysconfig.get_paths()["stdlib"]
RUN = f"run_forever ({LIBRARY}/asyncio/base_events.py:607)"
RAY = "call (/x/.venv/lib/python3.11/site-packages/ray/serve/_private/replica.py:9)"
POLICIES = f"acquire ({ROOT}/policies/limiter.py:100)"
INGRESS = f"answer ({ROOT}/deployments/ingress/inference/endpoint.py:10)"


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([RUN], LOOP),
        ([RUN, RAY], "Ray Serve and Ray"),
        ([RUN, RAY, INGRESS], APPLICATION),
        ([RUN, RAY, INGRESS, POLICIES], "limits (`policies/`)"),
        ([RUN, INGRESS, f"dumps ({LIBRARY}/json/__init__.py:231)"], APPLICATION),
        ([RUN, INGRESS, "validate (/x/site-packages/pydantic/main.py:1)"], "pydantic"),
        ([RUN, INGRESS, "encode (/x/site-packages/msgspec/_x.py:1)"], "msgspec"),
        ([INGRESS, "<module> (<string>:1)"], APPLICATION),
    ],
)
def test_the_innermost_frame_outside_of_pythons_library_counts(frames: list[str], expected: str) -> None:
    assert area(frames) == expected


def test_samples_are_counted_by_thread() -> None:
    raw = f"thread (7): MainThread;{RUN};{RAY} 3\nthread (7): MainThread;{RUN} 1\nthread (9): a; b;{INGRESS} 2\n"
    assert samples(raw) == {7: {"Ray Serve and Ray": 3, LOOP: 1}, 9: {APPLICATION: 2}}


def test_a_line_without_a_thread_is_an_error() -> None:
    with pytest.raises(ValueError, match="not a line of py-spy's raw format"):
        samples(f"{RUN} 3")


def test_cpu_time_lies_as_a_threads_samples_do() -> None:
    seen = samples(f"thread (7): MainThread;{RUN};{RAY} 3\nthread (7): MainThread;{RUN} 1\n")
    assert shared_out({7: 2.0, 8: 0.5}, seen) == {"Ray Serve and Ray": 1.5, LOOP: 0.5, NATIVE: 0.5}


def test_what_py_spy_really_writes_is_read(tmp_path: Path) -> None:
    spinning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        deadline = time.monotonic() + 20
        while not psutil.Process(spinning.pid).cpu_times().user and time.monotonic() < deadline:
            time.sleep(0.05)
        command = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(spinning.pid)]
        command += ["--format", "raw", "--threads", "--full-filenames", "--duration", "1"]
        command += ["--output", str(tmp_path / "raw")]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode and "ermission" in ran.stderr:
            pytest.skip(f"no right to look into other processes: {ran.stderr.strip()}")
        assert ran.returncode == 0, ran.stderr
        seen = samples((tmp_path / "raw").read_text())
        assert list(seen) == [spinning.pid]
        assert seen[spinning.pid][LOOP] > 0
    finally:
        spinning.kill()
        spinning.wait()
