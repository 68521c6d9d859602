"""What an earlier run left behind: recognised as ours beyond doubt, and ended before the next one starts.

A run that is killed outright cannot clean up. Most of it ends by itself then (`serve_app.die_with_parent`,
and Ray's own ties between its processes), but HAProxy does not, and some of Ray's helpers linger for a
minute.

Two marks make a process ours: its command line is HAProxy's with a file of our runtime directory, or the record of
that run names it by process id *and* start time. Nothing else is ever touched. Whoever calls this holds the lock of the
state directory (`serve_app.launch`), so no run that is alive can own what is found.
"""

import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import psutil

from serve_app import haproxy
from serve_app.errors import LaunchError
from serve_app.processes import describe, end, has_ended

GRACE_S = 3.0
"""How long a leftover may take to end when asked, before it is ended by force."""

_RECORD = "processes.json"
_NODE_ID = re.compile("[0-9a-f]{56}")


def record(runtime_dir: Path, processes: Iterable[psutil.Process]) -> None:
    """Write down which processes belong to the run that is under way."""
    entries = [[process.pid, start] for process in processes if (start := _start_mark(process.pid)) is not None]
    part = runtime_dir / f"{_RECORD}.part"
    part.write_text(json.dumps(entries))
    part.replace(runtime_dir / _RECORD)


def forget(runtime_dir: Path) -> None:
    """The run has ended and left no process: remove its record, what HAProxy wrote and what stood for it."""
    (runtime_dir / _RECORD).unlink(missing_ok=True)
    (runtime_dir / haproxy.PROGRAM).unlink(missing_ok=True)
    for entry in runtime_dir.iterdir():
        # Ray Serve names HAProxy's directory by the node's id.
        if _NODE_ID.fullmatch(entry.name) and entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)


def find(runtime_dir: Path) -> list[psutil.Process]:
    """Processes of an earlier run over this runtime directory that are still there."""
    recorded = _recorded(runtime_dir)
    mark = f"{runtime_dir}{os.sep}"
    found = []
    for process in psutil.process_iter():
        try:
            if _is_recorded(recorded, process.pid) or _is_our_haproxy(mark, process):
                found.append(process)
        except psutil.Error:
            continue  # ended meanwhile, or of another user and so not ours
    return [process for process in found if process.pid != os.getpid() and not has_ended(process)]


def end_all(runtime_dir: Path) -> list[str]:
    """End every leftover; describe what was ended. `LaunchError` when one does not end."""
    found = find(runtime_dir)
    described = [describe(process.pid) for process in found]
    alive = end(found, GRACE_S)
    if alive:
        listed = ", ".join(describe(process.pid) for process in alive)
        raise LaunchError(f"processes of an earlier run do not end: {listed}. End them, then start again.")
    forget(runtime_dir)
    return described


def _is_recorded(recorded: dict[int, str], pid: int) -> bool:
    return pid in recorded and _start_mark(pid) == recorded[pid]


def _is_our_haproxy(mark: str, process: psutil.Process) -> bool:
    command = process.cmdline()
    return (
        bool(command)
        and Path(command[0]).name == "haproxy"
        and process.uids().real == os.getuid()
        and any(argument.startswith(mark) for argument in command)
    )


def _recorded(runtime_dir: Path) -> dict[int, str]:
    try:
        return {int(pid): str(start) for pid, start in json.loads((runtime_dir / _RECORD).read_text())}
    except (OSError, ValueError, TypeError):
        return {}  # no run before, or one that was cut off while it wrote


def _start_mark(pid: int) -> str | None:
    """What tells a process from any other that ever had or will have its id: this boot, and the tick it began in.

    Not psutil's `create_time`, which moves when the machine's clock is set.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # The command, in parentheses, may hold anything; after it, the start time is the 20th field.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return f"{boot}:{fields[19]}"
