"""One Ray Serve with several applications, started as a user starts it: contestants take turns in one run."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
START_S = 240
"""A start of many replicas on two cores takes a minute."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What runs."""

    base_url: str
    log: Path
    started_in_s: float
    """From the command to the first answers of all."""
    process: "subprocess.Popen[bytes]"


@contextmanager
def serving(
    applications: Sequence[Mapping[str, Any]], port: int, ready: Sequence[str], *, environment: Mapping[str, str] = {}
) -> Iterator[Serving]:
    """Runs `sluice up` (Ray Serve in its fast lane) with these applications until the context ends.

    `ready`: paths that all answer 200 when everything is up.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, log = folder / "serve_config.yaml", folder / "log"
        path.write_text(
            yaml.safe_dump(
                {
                    "proxy_location": "HeadOnly",
                    "http_options": {"host": "127.0.0.1", "port": port, "keep_alive_timeout_s": 90},
                    "logging_config": {"enable_access_log": False},
                    "applications": [_with_state(each, folder) for each in applications],
                },
                sort_keys=False,
            )
        )
        begun = time.monotonic()
        with log.open("wb") as out:
            process = subprocess.Popen(
                [Path(sys.executable).with_name("sluice"), "up", str(path)],
                cwd=ROOT,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            )
        try:
            base_url = f"http://127.0.0.1:{port}"
            _wait_until_ready([base_url + each for each in ready], process, log)
            yield Serving(base_url, log, time.monotonic() - begun, process)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _with_state(application: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    if application["import_path"] != "serve_app:build":
        return dict(application)
    return {**application, "args": {**application["args"], "state_dir": str(folder / "state")}}


def _wait_until_ready(urls: Sequence[str], process: "subprocess.Popen[bytes]", log: Path) -> None:
    give_up = time.monotonic() + START_S
    for url in urls:
        while not _answers(url):
            if time.monotonic() > give_up or process.poll() is not None:
                raise SystemExit(f"{url} does not answer:\n{log.read_text()[-3_000:]}")
            time.sleep(0.25)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:  # noqa: S310 - of our own making, on loopback
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False
