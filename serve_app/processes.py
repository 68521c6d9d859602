"""Small tools over operating-system processes: bind a child's life to ours, describe a process, end a set of
them.

Knows nothing of Ray, Redis or HAProxy; `serve_app.leftovers` decides which processes are ours, and
`serve_app.embedded_redis` and `serve_app.launch` start them.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil

_WRAPPER = Path(__file__).with_name("die_with_parent.py")
_PR_SET_CHILD_SUBREAPER = 36
_POLL_S = 0.02

KILL_WAIT_S = 1.0
"""How long the kernel may take to clear away a process that was killed."""


def dies_with_parent(command: Sequence[str], signal_number: signal.Signals) -> list[str]:
    """The command line under which `command` gets `signal_number` when the thread that starts it ends."""
    return [sys.executable, "-I", "-S", str(_WRAPPER), str(int(signal_number)), str(os.getpid()), *command]


def become_subreaper() -> None:
    """Have every orphan among our descendants become our child, so that it can be found and ended. Linux
    only.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


def describe(pid: int, longest: int = 160) -> str:
    """`pid 123 (command line)`, as a person would look it up; says so when the process is gone or hidden."""
    try:
        process = psutil.Process(pid)
        # Split anew: a process that named itself pads its one argument with blanks.
        command = " ".join(" ".join(process.cmdline()).split()) or process.name()
    except psutil.NoSuchProcess:
        return f"pid {pid} (gone)"
    except psutil.AccessDenied:
        return f"pid {pid} (of another user)"
    return f"pid {pid} ({command if len(command) <= longest else command[: longest - 1] + '…'})"


def holders_of(path: Path) -> list[int]:
    """Ids of this user's processes that have `path` open."""
    wanted = str(path.resolve())
    pids = []
    for process in psutil.process_iter():
        try:
            if any(file.path == wanted for file in process.open_files()):
                pids.append(process.pid)
        except (psutil.Error, OSError):
            continue  # gone meanwhile, or of another user: not one that we could name
    return pids


def has_ended(process: psutil.Process) -> bool:
    """Whether a process runs no more. One that nobody collected yet (a zombie) does not run: in a container, the first
    process may take seconds to collect an orphan; but while a thread of it is left, so are its open ports."""
    try:
        if not process.is_running():
            return True
        return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
    except psutil.NoSuchProcess:
        return True


def descendants() -> list[psutil.Process]:
    """Every process below this one that runs."""
    return [process for process in psutil.Process().children(recursive=True) if not has_ended(process)]


def end(processes: Iterable[psutil.Process], grace_s: float) -> list[psutil.Process]:
    """Ask each process to end (SIGTERM), end by force what is left after `grace_s`; return those still there.

    psutil compares start times before it sends, so that a process id used again is never hit.
    """
    alive = [process for process in processes if not has_ended(process)]
    for send, wait_s in ((psutil.Process.terminate, grace_s), (psutil.Process.kill, KILL_WAIT_S)):
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                send(process)
        deadline = time.monotonic() + wait_s
        while alive := [process for process in alive if not has_ended(process)]:
            if time.monotonic() >= deadline:
                break
            time.sleep(_POLL_S)
    return alive


def reap_orphans(besides: int) -> None:
    """Collect children that have ended and that nobody waits for: orphans that came to a subreaper.

    `besides` is the child that the caller waits for itself, so its exit status is left for the caller.
    """
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess, ChildProcessError):
            if child.pid != besides and child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)
