"""LiteLLM's proxy with a constant model behind it, started as its users start it, in an environment of its own.

`environment()` makes that (the Makefile knows how); `proxy(redis_url)` runs both until its end.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import yaml

from loadtests.bench.applications import MODEL
from loadtests.bench.gateway.cases import LIMITS, WINDOW_S
from loadtests.bench.serving import ROOT, free_port
from serve_app.processes import dies_with_parent

ENVIRONMENT = ROOT / ".venv-litellm"
AUTH = Path(__file__).with_name("litellm_auth.py")
START_S = 240.0
STOP_S = 10.0
POLL_S = 0.25


class ProxyError(Exception):
    """LiteLLM's proxy cannot be had, or did not come up."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """What runs."""

    base_url: str
    process: "subprocess.Popen[bytes]"
    started_in_s: float

    def processes(self) -> list[psutil.Process]:
        """The proxy's own; the model behind it is not among them."""
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]


def environment() -> str:
    """Makes LiteLLM's environment where there is none yet (a minute); the version that is in it."""
    made = subprocess.run(["make", "--no-print-directory", f"{ENVIRONMENT.name}/.installed"], cwd=ROOT, check=False)
    if made.returncode != 0:
        raise ProxyError(f"{ENVIRONMENT.name} could not be made (see above); `make clean` and try again")
    asked = "from importlib.metadata import version; print(version('litellm'))"
    told = subprocess.run([ENVIRONMENT / "bin/python", "-c", asked], capture_output=True, text=True, check=True)
    return told.stdout.strip()


def configuration(redis_url: str, upstream_url: str) -> dict[str, object]:
    """The proxy's config.yaml: one model, nothing tried twice, limits counted in Redis."""
    redis = urlsplit(redis_url)
    return {
        "model_list": [
            {
                "model_name": MODEL,
                "litellm_params": {"model": f"openai/{MODEL}", "api_base": f"{upstream_url}/v1", "api_key": "none"},
            }
        ],
        "litellm_settings": {"num_retries": 0, "callbacks": []},
        "general_settings": {
            "custom_auth": f"{AUTH.stem}.check",
            "coordination_redis": {"host": redis.hostname, "port": redis.port},
        },
    }


@contextmanager
def proxy(redis_url: str) -> Iterator[Proxy]:
    """One worker of the proxy, and its model. Whatever happens inside, neither is left behind."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-bench-litellm-"))
    started: list[subprocess.Popen[bytes]] = []
    try:
        upstream_port, port = free_port(), free_port()
        upstream_url, base_url = f"http://127.0.0.1:{upstream_port}", f"http://127.0.0.1:{port}"
        (folder / "config.yaml").write_text(yaml.safe_dump(configuration(redis_url, upstream_url)))
        (folder / "limits.json").write_text(json.dumps(LIMITS))
        shutil.copy(AUTH, folder)
        began = time.monotonic()
        upstream = [sys.executable, "-m", "loadtests.bench.gateway.upstream", str(upstream_port)]
        started.append(_start(upstream, ROOT, dict(os.environ), folder / "upstream.log"))
        command = [str(ENVIRONMENT / "bin/litellm"), "--config", "config.yaml", "--host", "127.0.0.1"]
        command += ["--port", str(port), "--num_workers", "1"]
        started.append(_start(command, folder, _variables(folder), folder / "proxy.log"))
        for url, process, log in (
            (upstream_url, started[0], folder / "upstream.log"),
            (f"{base_url}/health/liveliness", started[1], folder / "proxy.log"),
        ):
            _wait(url, process, log, began + START_S)
        yield Proxy(base_url, started[1], time.monotonic() - began)
    finally:
        _end(started)
        shutil.rmtree(folder, ignore_errors=True)


def _variables(home: Path) -> dict[str, str]:
    """What the proxy sees: nothing of ours. It wants a master key, and would ask the network for prices."""
    return {
        "HOME": str(home),
        "PATH": f"{ENVIRONMENT / 'bin'}:{os.defpath}",
        "LITELLM_MASTER_KEY": f"sk-{secrets.token_hex(32)}",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_RATE_LIMIT_WINDOW_SIZE": str(WINDOW_S),
    }


def _start(command: Sequence[str], folder: Path, variables: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as out:
        return subprocess.Popen(
            dies_with_parent(command, signal.SIGTERM),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=variables,
            start_new_session=True,
        )


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path, give_up: float) -> None:
    with httpx.Client(trust_env=False, timeout=5) as client:
        while True:
            try:
                if client.get(url).status_code == 200:
                    return
            except httpx.HTTPError:
                pass  # it does not listen yet
            if process.poll() is not None or time.monotonic() > give_up:
                ended = "ended" if process.poll() is not None else "is not ready in time"
                raise ProxyError(f"{log.stem} {ended}; waiting for {url}:\n{log.read_text()[-4_000:]}")
            time.sleep(POLL_S)


def _end(started: Sequence["subprocess.Popen[bytes]"]) -> None:
    """In order; by force where that takes too long."""
    for process in reversed(started):
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
