"""`sluice up` as a process of its own, for what measures or breaks it: started with a configuration, ended as by
Ctrl-C.

When it is ready, and what is asked of it, is the callers' business.
"""

import random
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from serve_app.processes import dies_with_parent

ROOT = Path(__file__).parents[1]
STOP_S = 60.0
"""How long an orderly end may take."""


def free_port() -> int:
    """One that stays free until a start has come to it: below those that the system gives to whoever connects."""
    while True:
        port = random.randrange(23_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def started(config: dict[str, Any], folder: Path) -> "subprocess.Popen[bytes]":
    """With this configuration; it is written to `serve_config.yaml` in the folder, and what it says to `log`. It ends
    with us, however we end, and Ctrl-C comes to us alone."""
    (path := folder / "serve_config.yaml").write_text(yaml.safe_dump(config))
    command = [str(Path(sys.executable).with_name("sluice")), "up", str(path)]
    with (folder / "log").open("wb") as out:
        return subprocess.Popen(
            dies_with_parent(command, signal.SIGINT),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def end(process: "subprocess.Popen[bytes]") -> None:
    """In order; `sluice up` ends all that it started. What does not is ended by force."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
