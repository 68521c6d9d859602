"""`sluice up`: starts Ray Serve with the fast lane on, waits until the application answers, and ends all of it.

It owns the order of things: lock, leftovers, ports, child, readiness, watch, end. The parts are its neighbours:
`serve_app.fast_lane` (the environment), `serve_app.leftovers` (earlier runs), `serve_app.serve_status` (readiness),
`serve_app.processes`. It runs whatever file it is given; `serve_app.cli` has it checked first.

Ray and everything below it is one child, `serve run`, in a session of its own: Ctrl-C reaches this process
alone, which then ends the rest in order. The kernel tells the child when this process is gone (SIGTERM), and
hands every orphan below to this process, so that nothing that was started can hide.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil

from serve_app import haproxy, leftovers, serve_status
from serve_app.errors import AlreadyRunningError, LaunchError
from serve_app.fast_lane import environment
from serve_app.log_tail import LogTail, is_error
from serve_app.ports import require_free
from serve_app.processes import (
    become_subreaper,
    descendants,
    describe,
    dies_with_parent,
    end,
    holders_of,
    reap_orphans,
)
from serve_app.runtime_dir import ensure_runtime_dir

START_TIMEOUT_S = 240.0
"""Longest wait for every application to answer; a start takes 30 to 50 s on two cores."""

GRACEFUL_STOP_S = 7.0
"""How long Serve may take to finish what it is answering and end by itself."""

TERMINATE_S = 2.0
"""How long Ray may take to end its processes when it is told to."""

ORPHAN_GRACE_S = 1.0
"""How long what is left after that may take before it is ended by force."""

REDIS_LOCK_WAIT_S = 3.0
"""A server of a run that was killed is gone well before; one that still holds its lock is in use."""

_POLL_S = 0.25
_RECORD_EVERY_S = 2.0
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Say = Callable[[str], None]
"""Shows one line to the person at the terminal."""


@dataclass(frozen=True)
class Plan:
    """What to start."""

    config_path: Path
    state_dir: Path
    http_host: str
    http_port: int
    ready_paths: tuple[str, ...] = ("/readyz",)
    """Paths that all answer 200 once everything is up, one for each application."""

    @property
    def base_url(self) -> str:
        """Where a browser on this machine finds it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.http_host, self.http_host)  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host and host[0] != '[' else host}:{self.http_port}"


class Launcher:
    """One start, from the lock to the last process gone. Must run in the main thread: it takes the signals."""

    def __init__(self, plan: Plan, caller_environment: Mapping[str, str], say: Say) -> None:
        self._plan = plan
        self._caller_environment = caller_environment
        self._say = say
        self._state_dir = plan.state_dir.resolve()
        self._log_path = self._state_dir / "serve.log"
        self._log = LogTail(self._log_path)
        self._wake = threading.Event()
        self._stops_asked = 0
        self._serve: subprocess.Popen[bytes] | None = None
        self._next_record = 0.0

    def run(self, on_ready: Callable[[], None]) -> None:
        """Start, call `on_ready` once everything answers, and watch until a signal asks to stop.

        Returns when all that was started has ended. `LaunchError` (and below) when it cannot be started or it fails.
        """
        self._state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock(), self._signals():
            self._clear_the_way()
            try:
                self._start()
                if self._wait_until_ready():
                    on_ready()
                    self._watch()
            finally:
                self._end_everything()

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        path = self._state_dir / "launch.lock"
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held_by = ", ".join(describe(pid) for pid in holders_of(path) if pid != os.getpid())
                raise AlreadyRunningError(
                    f"`sluice up` runs already over {self._state_dir}: {held_by or 'a process of another user'}. "
                    "Stop that one with Ctrl-C first, or give this one an args.state_dir and an http_options.port "
                    "of its own."
                ) from None
            yield

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def ask_to_stop(number: int, frame: FrameType | None) -> None:
            self._stops_asked += 1
            self._wake.set()

        before = {number: signal.signal(number, ask_to_stop) for number in _STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _clear_the_way(self) -> None:
        """End what an earlier run left, and make sure that what this one needs is free."""
        become_subreaper()
        self._runtime_dir = ensure_runtime_dir(self._state_dir)
        for ended in leftovers.end_all(self._runtime_dir):
            self._say(f"ended what an earlier run left behind: {ended}")
        self._require_redis_free()
        require_free(
            self._plan.http_host,
            self._plan.http_port,
            "http_options.port",
            f"End it, or set another http_options.port in {self._plan.config_path}.",
        )
        self._environment = environment(self._caller_environment, self._runtime_dir, self._plan.http_port)
        if haproxy.VARIABLE not in self._environment:
            self._environment = {**haproxy.environment(self._runtime_dir), **self._environment}

    def _require_redis_free(self) -> None:
        path = self._state_dir / "redis" / "lock"
        deadline = time.monotonic() + REDIS_LOCK_WAIT_S
        while path.exists():
            with path.open("a+") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
                except BlockingIOError:
                    pass
            if time.monotonic() > deadline:
                held_by = ", ".join(map(describe, holders_of(path)))
                raise AlreadyRunningError(
                    f"another start of this application (`serve run`?) uses {self._state_dir}: {held_by}. "
                    "Stop it first, or set another args.state_dir."
                )
            time.sleep(_POLL_S)

    def _start(self) -> None:
        if self._log_path.exists():
            self._log_path.replace(self._log_path.with_suffix(".log.1"))
        serve_run = ["-m", "ray.serve.scripts", "run", str(self._plan.config_path), "--address", "local"]
        with self._log_path.open("ab") as log:
            self._serve = subprocess.Popen(  # noqa: S603  our own interpreter, no shell
                dies_with_parent([sys.executable, *serve_run], signal.SIGTERM),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )

    def _wait_until_ready(self) -> bool:
        """True once every application answers; False when asked to stop before."""
        began = time.monotonic()
        shown = ""
        while time.monotonic() - began < START_TIMEOUT_S:
            self._look_after_children()
            if self._stops_asked:
                return False
            self._require_serve_alive("ended while it was starting")
            states = self._application_states()
            self._require_not_failed(states)
            waiting = [path for path in self._plan.ready_paths if self._not_ready(path)]
            if states and not waiting:
                return True
            stage = _stage(states, waiting)
            # A dashboard that is too busy to answer says nothing new.
            if stage != shown and (states or not shown):
                self._say(f"{time.monotonic() - began:3.0f} s  {stage}")
                shown = stage
            self._wake.wait(_POLL_S)
        raise LaunchError(
            f"not ready after {START_TIMEOUT_S:g} s: {shown}. From {self._log_path}:\n{self._log.relevant()}"
        )

    def _watch(self) -> None:
        while not self._stops_asked:
            self._look_after_children()
            self._require_serve_alive("ended by itself")
            self._wake.wait(4 * _POLL_S)

    def _not_ready(self, path: str) -> bool:
        return serve_status.answers(self._plan.base_url + path) is not None

    def _application_states(self) -> list[serve_status.ApplicationState]:
        assert self._serve is not None  # noqa: S101  for the type checker: started before
        with contextlib.suppress(psutil.Error):
            port = serve_status.dashboard_port(psutil.Process(self._serve.pid))
            if port is not None:
                return serve_status.applications(port, self._environment) or []
        return []

    def _require_not_failed(self, states: list[serve_status.ApplicationState]) -> None:
        for state in states:
            if state.status in serve_status.FAILED:
                lines = "\n".join(f"    {line}" for line in state.failure().splitlines()[-15:])
                raise LaunchError(
                    f"the application {state.name!r} is {state.status}; Serve says:\n{lines}\n"
                    f"The whole log is {self._log_path}."
                )

    def _require_serve_alive(self, what: str) -> None:
        assert self._serve is not None  # noqa: S101  for the type checker: started before
        code = self._serve.poll()
        if code is not None:
            raise LaunchError(f"Ray Serve {what} (exit status {code}). From {self._log_path}:\n{self._log.relevant()}")

    def _look_after_children(self) -> None:
        """What has to happen all the time: errors to the terminal, dead orphans collected, the record kept true."""
        assert self._serve is not None  # noqa: S101  for the type checker: started before
        for line in self._log.new_lines():
            if is_error(line):
                self._say(line)
        reap_orphans(besides=self._serve.pid)
        if time.monotonic() >= self._next_record:
            leftovers.record(self._runtime_dir, descendants())
            self._next_record = time.monotonic() + _RECORD_EVERY_S

    def _end_everything(self) -> None:
        """Serve first and in order, then whatever is left, by force at last: 13 s in all. A second signal skips the
        patience."""
        serve = self._serve
        if serve is None:
            return
        asked = self._stops_asked
        if serve.poll() is None:
            self._say("stopping (once more to stop at once)")
            serve.send_signal(signal.SIGINT)
            deadline = time.monotonic() + GRACEFUL_STOP_S
            while serve.poll() is None and time.monotonic() < deadline and self._stops_asked <= asked:
                self._wake.clear()
                self._wake.wait(_POLL_S)
        if serve.poll() is None:
            serve.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                serve.wait(TERMINATE_S)
        # Killing one process can orphan others, and those come to us: look until nothing is left.
        for grace_s in (ORPHAN_GRACE_S, 0.0, 0.0):
            reap_orphans(besides=serve.pid)
            remaining = descendants()
            if not remaining:
                break
            end(remaining, grace_s)
        serve.poll()
        reap_orphans(besides=serve.pid)
        if not descendants():
            leftovers.forget(self._runtime_dir)


def _stage(states: list[serve_status.ApplicationState], waiting: list[str]) -> str:
    if not states:
        return "starting Ray and Serve"
    parts = []
    for state in states:
        unready = [f"{name} ({how})" for name, how in state.deployments.items() if how != "ready"]
        parts.append(f"{state.name}: {state.status.lower()} {', '.join(unready)}".rstrip())
    if all(state.status == "RUNNING" for state in states):
        parts.append(f"waiting for {', '.join(waiting)}")
    return "; ".join(parts)
