"""How `make test` starts its two lanes: exit statuses, what is shown, and the end by Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lanes import LANES

ROOT = Path(__file__).parent.parent

REPORT = "\n".join(
    (
        "print('==== test session starts ====', flush=True)",
        "print('tests/a.py ..F', flush=True)",
        "print('==== FAILURES ====', 'assert 1 == 2', 'FAILED tests/a.py::b - assert', sep='\\n', flush=True)",
    )
)


def lanes(**programs: str) -> "subprocess.Popen[str]":
    commands = {name: [sys.executable, "-c", program] for name, program in programs.items()}
    return subprocess.Popen(
        [sys.executable, "-c", f"import sys, tests.lanes; sys.exit(tests.lanes.run({commands!r}))"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("one", "other", "status"),
    [("", "", 0), ("raise SystemExit(3)", "", 3), ("", "raise SystemExit(1)", 1), ("import os; os.abort()", "", 134)],
)
def test_either_lane_can_fail_the_run(one: str, other: str, status: int) -> None:
    started = lanes(one=one, other=other)
    started.communicate(timeout=30)
    assert started.returncode == status


def test_progress_comes_as_it_goes_and_a_report_as_a_whole() -> None:
    talks = "import time\nfor n in range(20):\n    print('line', n, flush=True)\n    time.sleep(0.02)"
    output, _ = lanes(one=f"{REPORT}\nimport time; time.sleep(0.3)\nprint('1 failed')", other=talks).communicate(
        timeout=30
    )
    assert "  one | tests/a.py ..F\n" in output
    assert "other | line 7\n" in output
    assert "==== FAILURES ====\nassert 1 == 2\nFAILED tests/a.py::b - assert\n1 failed\n" in output
    assert output.endswith("  one | 1 failed\nother | line 19\nFAILED tests/a.py::b - assert\n")
    assert output.count("FAILED tests/a.py::b") == 2, "in the report, and at the end"


def test_an_interrupt_reaches_each_lane_once_and_is_waited_for(tmp_path: Path) -> None:
    """SIGTERM to the run alone, as a CI ends it: each lane is asked as by Ctrl-C, and may take its time."""
    ends = f"""if True:
        import pathlib, signal, sys, time
        seen = []
        signal.signal(signal.SIGINT, lambda *_: seen.append(1))
        print("up", flush=True)
        while not seen:
            time.sleep(0.01)
        time.sleep(0.5)
        pathlib.Path({str(tmp_path)!r}, sys.argv[0] + str(time.monotonic_ns())).write_text(str(len(seen)))
        sys.exit(2)"""
    started = lanes(one=ends, other=ends)
    assert started.stdout is not None
    for _ in range(2):
        assert re.match(r" *(one|other) \| up", started.stdout.readline())
    os.kill(started.pid, signal.SIGTERM)
    started.communicate(timeout=30)
    assert started.returncode == 2
    assert [path.read_text() for path in tmp_path.iterdir()] == ["1", "1"]


def test_what_is_killed_outright_interrupts_its_lanes(tmp_path: Path) -> None:
    ends = f"""if True:
        import pathlib, time
        try:
            print("up", flush=True)
            time.sleep(60)
        finally:
            pathlib.Path({str(tmp_path / "ended")!r}).touch()"""
    started = lanes(one=ends)
    assert started.stdout is not None
    started.stdout.readline()
    started.kill()
    started.communicate(timeout=30)
    give_up = time.monotonic() + 10
    while not (tmp_path / "ended").exists():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_every_test_is_in_one_lane() -> None:
    marks = sorted(" ".join(command[3:]) for command in LANES.values())
    assert marks == ["-m not serve", "-m serve"]
