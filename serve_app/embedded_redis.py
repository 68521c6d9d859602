"""A real redis-server process under our care: started, watched, restarted when it dies, never orphaned.

This module owns the process, its configuration and the lock over its data directory. It knows nothing of Ray:
the actor that keeps one of these for a cluster is `serve_app.redis_actor`; which executable runs is
`serve_app.redis_binary`.

What is promised, and how:

- *Data survives.* Append-only file, fsync every second. Redis hands each write to the kernel before it
  answers, so a killed process (SIGKILL too) keeps everything it acknowledged. Two exceptions: a power cut can
  cost the last second; and while the disk is so slow that an fsync is still running, Redis holds its writes
  back, for at most two seconds.
- *One server per data directory.* A `flock` on a file beside the data, whose descriptor the server inherits:
  the lock lasts as long as the supervisor or the server does, whichever ends last, and needs no cleaning up.
- *No orphan.* The kernel kills the server when the supervising thread ends, however it ends
  (`serve_app.die_with_parent`).
"""

import contextlib
import fcntl
import logging
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from serve_app import redis_binary
from serve_app.errors import EmbeddedRedisError, RedisInUseError
from serve_app.processes import describe, dies_with_parent, holders_of
from serve_app.runtime_dir import ensure_runtime_dir

logger = logging.getLogger(__name__)

START_TIMEOUT_S = 60.0
"""How long `start` waits for the first PING to be answered; loading a large append-only file counts."""

LOCK_WAIT_S = 10.0
"""How long `start` waits for another server over the same data directory to end."""

BACKOFF_FIRST_S, BACKOFF_LAST_S = 0.05, 5.0
"""Pause before a restart: doubles from the first to the last while the server keeps dying."""

STEADY_AFTER_S = 10.0
"""A server that lived this long died of something new: the pause begins at the first again."""

STOP_TIMEOUT_S = 5.0
"""How long `stop` waits for Redis to flush and exit before it kills it."""

_POLL_S = 0.02
_LOG_KEPT_BYTES = 8 << 20


class EmbeddedRedis:
    """One redis-server over `<state_dir>/redis/`, reachable through a Unix socket of this user alone.

    >>> redis = EmbeddedRedis(Path(".sluice"))
    >>> redis.start()
    'unix:///tmp/sluice-1000-4f1c22ab/redis.sock'
    >>> redis.stop()
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        binaries: list[Path] | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
        lock_wait_s: float = LOCK_WAIT_S,
    ) -> None:
        self._state_dir = state_dir.resolve()
        self._data_dir = self._state_dir / "redis"
        self._log_path = self._state_dir / "redis.log"
        self._binaries = binaries
        self._start_timeout_s = start_timeout_s
        self._lock_wait_s = lock_wait_s
        self._lock_fd: int | None = None
        self._thread: threading.Thread | None = None
        self._guard = threading.Lock()  # over the two below: a server is never started once stopping
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._settled = threading.Event()  # the first server answered, or failed for good
        self._failure: EmbeddedRedisError | None = None
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Process id of the server that runs now."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    @property
    def url(self) -> str:
        return f"unix://{self._socket_path}"

    @property
    def log_path(self) -> Path:
        return self._log_path

    def start(self) -> str:
        """Start the server, wait until it answers, and return its URL. Once; `EmbeddedRedisError` when it
        cannot.
        """
        if self._thread is not None:
            raise EmbeddedRedisError("this embedded Redis was started before; make a new one instead")
        try:
            self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise EmbeddedRedisError(
                f"cannot make {self._data_dir} for the data of the embedded Redis: {exc.strerror}. "
                "Set args.state_dir to a directory that this user can write to."
            ) from exc
        self._socket_path = ensure_runtime_dir(self._state_dir) / "redis.sock"
        self._binary = redis_binary.choose(self._data_dir, self._binaries)
        self._lock_fd = self._lock_data_dir()
        self._thread = threading.Thread(target=self._supervise, name="embedded-redis", daemon=True)
        self._thread.start()
        self._settled.wait()
        if self._failure is not None:
            self.stop()
            raise self._failure
        return self.url

    def stop(self) -> None:
        """End the server (it flushes its file first) and free the data directory. May be called twice."""
        with self._guard:
            self._stopping.set()
            process = self._process
            if process is not None:
                process.terminate()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_S)
            if self._thread.is_alive() and process is not None:
                process.kill()
                self._thread.join()
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def _lock_data_dir(self) -> int:
        path = self._data_dir / "lock"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + self._lock_wait_s
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < deadline:
                    time.sleep(_POLL_S)
                    continue
                os.close(fd)
                held_by = ", ".join(map(describe, holders_of(path))) or "a process of another user"
                raise RedisInUseError(
                    f"{self._data_dir} is already served: its lock is held by {held_by}. End that, or set "
                    "args.state_dir "
                    "to a directory of its own for each application."
                ) from None
            return fd

    def _supervise(self) -> None:
        """Start the server again and again until told to stop. This thread forks every server, and lives as
        long as they may: the kernel ends a server when the thread that forked it does."""
        pause_s = BACKOFF_FIRST_S
        while True:
            try:
                log_start = self._spawn()
            except OSError as exc:
                # A full disk or a table of processes that is full may pass: keep trying once it has run.
                problem = f"cannot start {self._binary.path}: {exc}"
                if not self._settled.is_set():
                    self._failure = EmbeddedRedisError(problem)
                    break
                logger.error(problem)
                if self._stopping.wait(BACKOFF_LAST_S):
                    break
                continue
            if log_start is None:
                break
            began = time.monotonic()
            unready = self._wait_until_ready(began + self._start_timeout_s, log_start)
            if unready is None:
                self._settled.set()
            elif not self._settled.is_set():
                self._failure = EmbeddedRedisError(unready)
                self._kill()
                break
            else:
                logger.error(unready)
                self._kill()
            assert self._process is not None  # noqa: S101  for the type checker: _spawn set it
            code = self._process.wait()
            if self._stopping.is_set():
                break
            if time.monotonic() - began > STEADY_AFTER_S:
                pause_s = BACKOFF_FIRST_S
            logger.warning("the embedded Redis ended (%s); starting it again in %.2f s", _ending(code), pause_s)
            if self._stopping.wait(pause_s):
                break
            pause_s = min(2 * pause_s, BACKOFF_LAST_S)
            self.restarts += 1
        self._settled.set()

    def _spawn(self) -> int | None:
        """Start one server; where its part of the log begins (bytes), or None when we are stopping."""
        config_path = self._data_dir / "redis.conf"
        config_path.write_text(self._config())
        if self._log_path.exists() and self._log_path.stat().st_size > _LOG_KEPT_BYTES:
            self._log_path.replace(self._log_path.with_suffix(".log.1"))
        assert self._lock_fd is not None  # noqa: S101  for the type checker: held since start
        with self._guard, self._log_path.open("ab") as log:
            if self._stopping.is_set():
                return None
            log_start = log.tell()
            command = dies_with_parent([str(self._binary.path), str(config_path)], signal.SIGKILL)
            self._process = subprocess.Popen(  # noqa: S603  our own executable and configuration, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(self._lock_fd,),
                # Ctrl-C goes to every process of the terminal's group; the server ends when its owner says
                # so.
                start_new_session=True,
            )
        return log_start

    def _wait_until_ready(self, deadline: float, log_start: int) -> str | None:
        """None as soon as PING is answered, else what went wrong, for a person."""
        process = self._process
        assert process is not None  # noqa: S101  for the type checker: _spawn set it
        answer = "nothing"
        while time.monotonic() < deadline:
            if process.poll() is not None:
                return (
                    f"{self._binary.path} (version {self._binary.version_text}) ended at once "
                    f"({_ending(process.returncode)}). "
                    f"The end of {self._log_path}:\n{self._log_tail(log_start)}"
                )
            answer = _ping(self._socket_path)
            if answer == "+PONG":
                return None
            time.sleep(_POLL_S)
        return (
            f"the embedded Redis (pid {process.pid}) did not answer PING within {self._start_timeout_s:g} s; "
            f"its last answer: {answer}. The end of {self._log_path}:\n{self._log_tail(log_start)}"
        )

    def _kill(self) -> None:
        process = self._process
        if process is not None:
            process.kill()
            process.wait()

    def _log_tail(self, start: int, lines: int = 12) -> str:
        with contextlib.suppress(OSError), self._log_path.open("rb") as log:
            log.seek(start)
            text = log.read().decode(errors="replace")
            return "\n".join("    " + line for line in text.splitlines()[-lines:])
        return "    (nothing)"

    def _config(self) -> str:
        """redis.conf, for 6.2 and later. What is not here has Redis' default."""
        return (
            "\n".join(
                f"{name} {value}"
                for name, value in (
                    ("port", "0"),
                    ("unixsocket", _quoted(self._socket_path)),
                    ("unixsocketperm", "700"),
                    ("dir", _quoted(self._data_dir)),
                    ("daemonize", "no"),
                    ("appendonly", "yes"),
                    ("appendfsync", "everysec"),
                    # A file whose last command was cut short (power, full disk) is loaded up to there.
                    ("aof-load-truncated", "yes"),
                    ("auto-aof-rewrite-percentage", "100"),
                    ("auto-aof-rewrite-min-size", "16mb"),
                    ("save", '""'),
                    # Evicting a log would forget what was admitted; refusing a write is what the limits can
                    # handle.
                    ("maxmemory-policy", "noeviction"),
                    ("loglevel", "notice"),
                    ("always-show-logo", "no"),
                )
            )
            + "\n"
        )


def _quoted(path: Path) -> str:
    """A path as redis.conf wants it, spaces and quotes included."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _ending(code: int) -> str:
    """An exit status in words: `SIGKILL`, `exit status 1`."""
    if code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit status {code}"


def _ping(socket_path: Path) -> str:
    """The first line a server answers to PING, or why there was none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(socket_path))
            connection.sendall(b"PING\r\n")
            return connection.recv(256).decode(errors="replace").strip()
        except OSError as exc:
            return str(exc)
