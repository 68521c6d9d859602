"""TCP ports of this machine: is one free, and if not, who has it.

Which ports the application needs is `serve_app.fast_lane` and the configuration file.
"""

import contextlib
import errno
import socket

import psutil

from serve_app.errors import PortInUseError
from serve_app.processes import describe

LOOPBACK = "127.0.0.1"


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now.

    SO_REUSEADDR as servers set it, so that connections which are only fading away do not count as somebody.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                return False
            raise PortInUseError(
                f"cannot listen on {host}:{port}: {exc.strerror}. "
                "Choose another http_options.host or http_options.port."
            ) from exc
    return True


def holders(port: int) -> list[int]:
    """Ids of the processes that listen on a port, as far as this user may see them."""
    pids = []
    with contextlib.suppress(psutil.AccessDenied):
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and tuple(connection.laddr)[1:] == (port,):
                pids.append(connection.pid)
    return sorted({pid for pid in pids if pid is not None})


def require_free(host: str, port: int, purpose: str, fix: str) -> None:
    """`PortInUseError` with the holder and the fix unless the port is free."""
    if is_free(host, port):
        return
    pids = holders(port)
    held_by = ", ".join(map(describe, pids)) or "a process of another user"
    stale = [pid for pid in pids if _is_orphaned_haproxy(pid)]
    if stale:
        fix = (
            "That is a HAProxy which an earlier Ray Serve left behind, not one that `sluice up` started: "
            f"end it with `kill {' '.join(map(str, stale))}`. Or {fix[:1].lower()}{fix[1:]}"
        )
    raise PortInUseError(f"port {port} ({purpose}) is in use by {held_by}. {fix}")


def free_port(preferred: int, taken: set[int]) -> int:
    """`preferred`, or the first free port above it that is not in `taken`."""
    for port in range(preferred, min(preferred + 1000, 65536)):
        # The wildcard address: free there means free on every address of the machine.
        if port not in taken and is_free("0.0.0.0", port):  # noqa: S104  a probe that never accepts
            return port
    raise PortInUseError(f"no free port between {preferred} and {preferred + 999}")


def _is_orphaned_haproxy(pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        return process.name() == "haproxy" and process.ppid() == 1
    except psutil.Error:
        return False
