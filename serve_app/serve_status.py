"""What a Serve that is starting says about itself: is it ready, how far is it, what went wrong.

Asks the application over HTTP and Ray's dashboard over its REST interface; never connects to Ray itself. Starting and
ending the processes is `serve_app.launch`.
"""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

TIMEOUT_S = 2.0
"""For one question; a machine that is busy starting answers late, and is asked again."""

FAILED = ("DEPLOY_FAILED", "UNHEALTHY")
"""States of an application that it does not leave by itself while it starts."""

# Without the proxies that the caller's environment may name: every address here is this machine's.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class ApplicationState:
    """One application, as the dashboard tells it."""

    name: str
    status: str
    message: str
    deployments: Mapping[str, str]
    """Deployment -> how far it is, for example `0/1`, and what Serve says of it in a line."""

    def failure(self) -> str:
        """What went wrong, for a person: why each deployment failed that did, else what Serve says of the whole."""
        reasons = [f"{name}: {how}" for name, how in self.deployments.items() if how != "ready"]
        # A failed build has no deployments yet; its message is the reason.
        return "\n".join(reasons) if reasons and "Traceback" not in self.message else self.message.strip()


def answers(url: str) -> str | None:
    """None when `url` answers 200, else in a few words what it does instead."""
    try:
        with _opener.open(url, timeout=TIMEOUT_S):
            return None
    except urllib.error.HTTPError as exc:
        return f"answers {exc.code}"
    except OSError as exc:
        return str(getattr(exc, "reason", exc))


def dashboard_port(serve: psutil.Process) -> int | None:
    """The port that the dashboard of that process' cluster listens on, None while it does not.

    Asked of the process itself: it takes the next free port when its first choice belongs to another cluster.
    """
    for process in serve.children():
        try:
            command = process.cmdline()
            if any(part.endswith("dashboard/dashboard.py") for part in command):
                return next(
                    (
                        connection.laddr[1]
                        for connection in process.net_connections(kind="tcp")
                        if connection.status == psutil.CONN_LISTEN and connection.laddr[1] in _allowed_ports(command)
                    ),
                    None,
                )
        except psutil.Error:
            continue
    return None


def _allowed_ports(command: list[str]) -> range:
    """The ports that a dashboard's command line lets it choose from; it listens on others for other things."""
    options = dict(part.split("=", 1) for part in command if part.startswith("--port") and "=" in part)
    first = int(options.get("--port", 8265))
    return range(first, first + int(options.get("--port-retries", 0)) + 1)


def applications(port: int, environment: Mapping[str, str]) -> list[ApplicationState] | None:
    """Every application's state, or None while the dashboard does not answer."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/serve/applications/")
    token = _auth_token(environment)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with _opener.open(request, timeout=TIMEOUT_S) as reply:
            told = json.load(reply)["applications"]
    except (OSError, ValueError, KeyError):
        return None
    return [_state(name, details) for name, details in told.items()]


def _state(name: str, details: Mapping[str, Any]) -> ApplicationState:
    deployments = {}
    for deployment, said in details.get("deployments", {}).items():
        replicas = said.get("replicas", [])
        running = sum(replica.get("state") == "RUNNING" for replica in replicas)
        wanted = said.get("target_num_replicas", len(replicas))
        message = reason(said.get("message") or "")
        ready = said.get("status") == "HEALTHY"
        deployments[deployment] = "ready" if ready else f"{running}/{wanted} {message}".strip()
    return ApplicationState(name, details.get("status", "?"), details.get("message") or "", deployments)


def reason(message: str) -> str:
    """What an error says, without the way it took: of a traceback (or of several, one in the other) the last error."""
    errors = list(re.finditer(r"^(?:\w+\.)*(\w+): (?!Traceback)", message, re.MULTILINE))
    if "Traceback (most recent call last)" not in message or not errors:
        return message.strip()
    return message[errors[-1].start(1) :].strip()


def _auth_token(environment: Mapping[str, str]) -> str | None:
    """The token that Ray's own tools would find, in the same order."""
    if environment.get("RAY_AUTH_TOKEN"):
        return environment["RAY_AUTH_TOKEN"]
    path = environment.get("RAY_AUTH_TOKEN_PATH")
    try:
        return (Path(path) if path else Path.home() / ".ray" / "auth_token").read_text().strip()
    except OSError:
        return None
