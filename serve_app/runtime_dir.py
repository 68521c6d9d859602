"""The private directory for sockets and other things that live only as long as a run.

It stands under the system's temporary directory because the path of a Unix socket may have 107 bytes at most,
and a state directory (`serve_app.config.ApplicationArgs.state_dir`) can lie anywhere. Its name is derived
from the state directory, so that every process that is told the same state directory finds the same sockets,
and so that a process with that name in its command line is known to be ours.
"""

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from serve_app.errors import RuntimeDirectoryError

SOCKET_PATH_MAX_BYTES = 107
"""Longest path of a Unix socket: `sun_path` has 108 bytes on Linux, and the last is a zero."""

_SOCKET_NAME_MAX_BYTES = 76
"""Longest path of a socket below this directory. It is HAProxy's: a directory that Ray Serve names by the node's id
(56 characters), `h.sock`, and the `.<pid>.tmp` that HAProxy appends while it binds."""


def state_id(state_dir: Path) -> str:
    """Eight hexadecimal digits that stand for the state directory in names of sockets, actors and
    directories.
    """
    return hashlib.sha256(os.fsencode(state_dir.resolve())).hexdigest()[:8]


def runtime_dir_path(state_dir: Path) -> Path:
    """Where the runtime directory of `state_dir` is, made or not."""
    name = f"sluice-{os.getuid()}-{state_id(state_dir)}"
    path = Path(tempfile.gettempdir()) / name
    if len(os.fsencode(path)) + 1 + _SOCKET_NAME_MAX_BYTES > SOCKET_PATH_MAX_BYTES:
        return Path("/tmp") / name  # noqa: S108  made 0700 and checked in ensure_runtime_dir
    return path


def ensure_runtime_dir(state_dir: Path) -> Path:
    """Make the runtime directory, readable by this user only, and return its path.

    The temporary directory is open to everybody, so a directory of that name may be a trap somebody else
    laid: one that is not ours, or a symbolic link, is refused and never followed.
    """
    path = runtime_dir_path(state_dir)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as exc:
        raise RuntimeDirectoryError(
            f"cannot make the directory {path} for sockets: {exc.strerror}. "
            "Point TMPDIR at a directory that this user can write to."
        ) from exc
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        kind = "a directory" if stat.S_ISDIR(found.st_mode) else "not a directory"
        raise RuntimeDirectoryError(
            f"{path} is {kind} of user id {found.st_uid}, and sockets must lie in one made by user id "
            f"{os.getuid()}. "
            "Remove it, or point TMPDIR at a directory of your own."
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        path.chmod(0o700)
    return path
