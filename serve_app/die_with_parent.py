"""Run a command that the kernel ends as soon as its parent is gone: `die_with_parent.py SIGNAL PARENT_PID
COMMAND…`.

A script of its own, run by `python -I -S` before the command takes the process over (`exec` keeps the
setting), because code between fork and exec in a process with threads may deadlock (`preexec_fn`).
`serve_app.processes` builds its command lines. It knows nothing of what it runs.

The signal comes when the *thread* that forked ends, not only its process: whoever starts this must keep that
thread.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    signal_number, parent_pid, command = int(argv[1]), int(argv[2]), argv[3:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
        if os.getppid() != parent_pid:
            # The parent ended before the line above: no signal will ever come, so end here.
            os.kill(os.getpid(), signal.SIGKILL)
    os.execvp(command[0], command)  # noqa: S606  the whole purpose


if __name__ == "__main__":
    main(sys.argv)
