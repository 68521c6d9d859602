"""HAProxy as `sluice up` has it run: what Ray opens to everybody is on loopback, and the rest is as Ray wrote it."""

import signal
import subprocess
import time
from pathlib import Path

import psutil
from ray.serve._private.haproxy_templates import HAPROXY_CONFIG_TEMPLATE

from serve_app.haproxy import write_haproxy
from tests.integration.conftest import free_port


def test_rays_template_has_what_is_narrowed() -> None:
    """Should Ray change it, this says so."""
    assert "\nfrontend prometheus\n    bind :{{ config.metrics_port }}\n" in HAPROXY_CONFIG_TEMPLATE
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
