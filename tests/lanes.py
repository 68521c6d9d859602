"""`make test`: pytest twice at the same time, because much of a run is waiting.

One lane has the tests that start Ray Serve (marked `serve`): its ports are fixed and its processes many, so those run
one after the other. The other lane has the rest. Each is an ordinary pytest; `pytest` alone runs all of them in turn.

What a lane does is shown line by line, with its name in front; its report (failures, skips and why) comes as a whole
when it has ended. What failed is listed again at the very end. Ctrl-C reaches both lanes, and this waits until they
have ended what they started.
"""

import contextlib
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from types import FrameType

from serve_app.processes import dies_with_parent

PYTEST = (sys.executable, "-m", "pytest")
LANES = {"serve": (*PYTEST, "-m", "serve"), "rest": (*PYTEST, "-m", "not serve")}

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_REPORT = re.compile(r"=+ (?!test session starts)\S.* =+$")
"""The title of a part of pytest's report."""


class Lane:
    """One pytest that runs, in a group of processes of its own: signals come to it from here alone, and once."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self.failed: list[str] = []
        self.report: list[str] = []
        self.last = ""
        self.took_s = 0.0
        self._began = time.monotonic()
        self._process = subprocess.Popen(
            dies_with_parent(command, signal.SIGINT),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
            process_group=0,
        )

    def read(self, shown: "queue.SimpleQueue[Lane | str]") -> None:
        """Puts every line to show, and the lane itself when it has ended."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.last = plain = _COLOUR.sub("", line.rstrip())
            if plain.startswith(("FAILED ", "ERROR ")):
                self.failed.append(line.rstrip())
            if self.report or _REPORT.match(plain):
                self.report.append(line)
            else:
                shown.put(f"{self.name:>5} | {line}")
        self._process.wait()
        self.took_s = time.monotonic() - self._began
        shown.put(self)

    def interrupt(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGINT)

    @property
    def code(self) -> int:
        """The exit status; of a process that a signal ended, as a shell gives it."""
        code = self._process.wait()
        return code if code >= 0 else 128 - code


def run(commands: Mapping[str, Sequence[str]]) -> int:
    """Runs them all, and gives the first exit status that is not 0."""
    environment = {**os.environ, "COLUMNS": str(shutil.get_terminal_size().columns - 8)}
    shown: queue.SimpleQueue[Lane | str] = queue.SimpleQueue()
    lanes: list[Lane] = []

    def stop(number: int, frame: FrameType | None) -> None:
        for lane in lanes:
            lane.interrupt()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    for name, command in commands.items():
        lanes.append(Lane(name, command, environment))
        threading.Thread(target=lanes[-1].read, args=(shown,), daemon=True).start()
    ended: list[Lane] = []
    while len(ended) < len(lanes):
        line = shown.get()
        if isinstance(line, Lane):
            ended.append(line)
            line = "".join([f"\n{line.name} ended after {line.took_s:.0f} s:\n", *line.report, "\n"])
        print(line, end="", flush=True)
    print(
        *(f"{lane.name:>5} | {lane.last}" for lane in lanes),
        *(each for lane in lanes for each in lane.failed),
        sep="\n",
    )
    return next((lane.code for lane in lanes if lane.code), 0)


if __name__ == "__main__":
    colour = ("--color=yes",) if sys.stdout.isatty() else ()
    sys.exit(run({name: (*command, *colour) for name, command in LANES.items()}))
