"""HAProxy as `sluice up` has it run: what Ray opens to everybody is on loopback, and the rest is as Ray wrote it."""

import resource
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from ray.serve._private.haproxy_templates import HAPROXY_CONFIG_TEMPLATE

from serve_app.haproxy import MOST_CLIENTS, VARIABLE, environment, most_clients, write_haproxy
from tests.integration.conftest import free_port


def test_rays_template_has_what_is_narrowed() -> None:
    """Should Ray change it, this says so."""
    assert "\nfrontend prometheus\n    bind :{{ config.metrics_port }}\n" in HAPROXY_CONFIG_TEMPLATE
    assert HAPROXY_CONFIG_TEMPLATE.startswith("global\n")
    assert "\n    maxconn {{ config.maxconn }}\n" in HAPROXY_CONFIG_TEMPLATE
    assert "\nlisten stats\n  bind *:{{ config.stats_port }}\n" in HAPROXY_CONFIG_TEMPLATE


def test_statistics_and_metrics_listen_on_loopback_and_the_frontend_as_it_was(tmp_path: Path) -> None:
    metrics, http, stats = free_port(), free_port(), free_port()
    config = tmp_path / "haproxy.cfg"
    config.write_text(
        f"defaults\n    mode http\n    timeout connect 1s\n    timeout client 1s\n    timeout server 1s\n"
        f"frontend prometheus\n    bind :{metrics}\n    http-request return status 200\n"
        f"frontend http_frontend\n    bind *:{http}\n    http-request return status 200\n"
        f"listen stats\n  bind *:{stats}\n  stats enable\n  stats uri /stats\n"
    )
    program = write_haproxy(tmp_path)
    assert program.stat().st_mode & 0o777 == 0o700
    with subprocess.Popen([program, "-db", "-f", str(config)]) as process:
        try:
            listening = _listening(process.pid)
            assert listening == {("127.0.0.1", metrics), ("0.0.0.0", http), ("127.0.0.1", stats)}
            # It has become HAProxy: signals reach it, and its command line shows what it is.
            assert Path(psutil.Process(process.pid).cmdline()[0]).name == "haproxy"
        finally:
            process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize(
    ("most_files", "clients"), [(-1, 20_000), (1_048_576, 20_000), (20_000, 9_850), (4_096, 1_898), (256, 100)]
)
def test_as_many_clients_as_the_files_of_a_process_allow(most_files: int, clients: int) -> None:
    assert most_clients(most_files) == clients


def test_haproxy_starts_with_so_many_and_bodies_that_the_kernel_moves(tmp_path: Path) -> None:
    config, (_, most_files) = tmp_path / "haproxy.cfg", resource.getrlimit(resource.RLIMIT_NOFILE)
    told, port, nowhere = environment(tmp_path), free_port(), free_port()
    assert told[MOST_CLIENTS] == str(most_clients(most_files))
    config.write_text(
        f"global\n    maxconn {told[MOST_CLIENTS]}\n    nbthread 4\n"
        f"defaults\n    mode http\n    timeout connect 1s\n    timeout client 1s\n    timeout server 1s\n"
        f"    option splice-request\n    option splice-response\n"
        f"frontend prometheus\n    bind :{free_port()}\n    http-request return status 200\n"
        f"frontend http_frontend\n    bind *:{port}\n    default_backend b\n"
        f"backend b\n    server s 127.0.0.1:{nowhere} check\n"
        f"listen stats\n  bind *:{free_port()}\n  stats enable\n"
    )
    with subprocess.Popen([told[VARIABLE], "-db", "-f", str(config)]) as process:
        try:
            _listening(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)


def _listening(pid: int) -> set[tuple[str, int]]:
    give_up = time.monotonic() + 20
    while True:
        found = {
            (connection.laddr.ip, connection.laddr.port)
            for connection in psutil.Process(pid).net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }
        if len(found) == 3:
            return found
        assert time.monotonic() < give_up, found
        time.sleep(0.05)
