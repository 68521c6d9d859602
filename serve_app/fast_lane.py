"""The environment that Ray Serve is started with by `sluice up`: its fast lane, and a place of our own for HAProxy.

Ray reads these variables once, when its processes start; that is why they cannot stand in serve_config.yaml. Whatever
the caller's environment has already wins. Starting the process is `serve_app.launch`.
"""

from collections.abc import Mapping
from pathlib import Path

from serve_app.errors import PortInUseError
from serve_app.ports import LOOPBACK, free_port, require_free

FAST_LANE = {
    # HAProxy in front instead of Serve's Python proxy, and replicas that it reaches directly. The two belong together:
    # throughput mode without HAProxy turns on direct ingress alone, on the head node only.
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_PROXY_USE_GRPC": "1",
    # How long a replica that is to stop keeps accepting, so that HAProxies on other nodes hear of it. Here
    # there is one, which hears within 0.1 s; Ray's default of 30 s would be how long Ctrl-C takes.
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "2",
    # Has HAProxy tell where a request comes from. Ray's template has no setting for that, and puts this one in its
    # section `defaults` as it stands; without it whatever a client writes into X-Forwarded-For would be believed.
    "RAY_SERVE_HAPROXY_BALANCE_ALGORITHM": "leastconn\n    option forwardfor",
    # After how many seconds Serve says that a replica waits for a place, in `serve status` and its log; by itself, 30.
    "RAY_SERVE_SLOW_STARTUP_WARNING_S": "8",
    # Ray turns this on for a local cluster by itself, with two lines of warning.
    "RAY_AUTH_MODE": "token",
    # How many lines of its log a replica holds back, to write them all at once while nothing else runs there. In
    # throughput mode it would be 1000: a stall that p99 shows, and a warning that a quiet replica keeps for minutes.
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "20",
    # Each of a Ray process's threads (33 of a replica's) would fill an arena of its own in glibc's allocator, and its
    # memory grow for the first quarter of an hour by up to 10 MiB, also where nothing is asked of it.
    "MALLOC_ARENA_MAX": "2",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_COLOR_PREFIX": "0",
    "PYTHONUNBUFFERED": "1",
}
"""What a start needs whatever the machine."""

INNER_PORTS = {
    # variable: (Ray's default, what listens there)
    "RAY_SERVE_HAPROXY_STATS_PORT": (8404, "HAProxy's statistics page"),
    "RAY_SERVE_HAPROXY_METRICS_PORT": (9101, "HAProxy's metrics"),
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": (8500, "Serve's proxy behind HAProxy"),
    "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": (9500, "Serve's gRPC proxy behind HAProxy"),
}
"""Ports that nobody asked for by number: another is taken where Ray's default is in use."""


def environment(caller: Mapping[str, str], runtime_dir: Path, http_port: int) -> dict[str, str]:
    """The whole environment of the Serve process, for one start.

    `PortInUseError` when the caller's environment names one of the inner ports and it is in use.
    """
    taken = {http_port}
    chosen = {}
    for variable, (default, purpose) in INNER_PORTS.items():
        asked = caller.get(variable)
        if asked is None:
            port = free_port(default, taken)
        else:
            port = _number(variable, asked)
            require_free(LOOPBACK, port, purpose, f"Unset {variable}, and a free port is chosen.")
        taken.add(port)
        chosen[variable] = str(port)
    return {**FAST_LANE, **caller, **chosen, **_haproxy_paths(runtime_dir)}


def _haproxy_paths(runtime_dir: Path) -> dict[str, str]:
    """HAProxy's files lie in our runtime directory: its command line then shows that it is ours.

    Ray puts a directory of 56 characters, the node's id, between this and the file, so names are short here:
    `serve_app.runtime_dir` knows how long a socket's path may be.
    """
    return {
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(runtime_dir / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(runtime_dir / "h.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(runtime_dir / "m.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(runtime_dir),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(runtime_dir / "server-state"),
    }


def _number(variable: str, text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= 65535:
        return int(text)
    raise PortInUseError(f"{variable}={text!r} is not a port; give a number between 1 and 65535, or unset it")
