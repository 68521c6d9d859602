"""Metrics of a running Sluice, by a real scrape into a real Prometheus: each has its documented name and labels, no
label tells tenants or keys, and every query of the dashboards and alert rules is answered."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from deployments.metrics.definitions import METRICS
from tests.integration.conftest import Application, free_port
from tests.observability.queries import RULES, dashboard_queries, rule_queries

pytestmark = [pytest.mark.serve, pytest.mark.timeout(300)]

ADMIN = {"authorization": "Bearer sk-demo-admin"}
BY_RAY = {"deployment", "replica", "application"}
RAYS_OWN = {
    *("Component", "NodeAddress", "SessionName", "Version", "WorkerId", "NodeId", "IsHead"),
    *("otel_scope_name", "otel_scope_schema_url", "otel_scope_version"),
}
"""Labels that Ray gives to every metric of a process."""
WITHOUT_TROUBLE = {"sluice_redis_failures", "sluice_fallback_decisions", "sluice_leases_expired"}
"""Never counted here: Redis answers, and no lease runs out. tests/policies/test_counts.py has them."""
POLICIES = (
    {"name": "metrics-shadow", "scope": "GLOBAL", "limit": 1, "window": "1m", "mode": "shadow"},
    {
        "name": "metrics-block",
        "scope": "API_KEY",
        "match": {"api_key": "demo-internal"},
        "limit": 1,
        "window": "5s",
        "block": {"denials": 2, "within": "10s", "duration": "2s"},
    },
)
GIVE_UP_S = 120


def test_every_query_is_answered_by_a_real_scrape(application: Application, tmp_path: Path) -> None:
    with policies(application), prometheus(application, tmp_path) as ask:
        asked = [(each.where, each.over("40s")) for each in dashboard_queries()]
        quiet = {f"ray_{name}_total" for name in WITHOUT_TROUBLE}
        expected = [(where, expr) for where, expr in asked if not any(name in expr for name in quiet)]
        assert len(expected) > 30
        give_up = time.monotonic() + GIVE_UP_S
        while without := [(where, expr) for where, expr in expected if not numbers(ask(expr))]:
            assert time.monotonic() < give_up, without
            traffic(application)
        for _, expr in asked:
            ask(expr)  # whatever was never counted: it is understood
        for query in rule_queries():
            ask(query.expr)
        assert ask("ray_sluice_slots") != []
        documented_as_scraped(scraped(application))


def documented_as_scraped(text: str) -> None:
    labels = {name: set(each.labels) for each in METRICS for name in each.exported}
    never = {f"ray_{name}_total" for name in WITHOUT_TROUBLE}
    found: dict[str, set[str]] = {}
    values: set[str] = set()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("ray_sluice_"):
                found[sample.name] = set(sample.labels) - RAYS_OWN - BY_RAY
                assert sample.labels.keys() >= BY_RAY, sample
                values |= {value for label, value in sample.labels.items() if label not in RAYS_OWN | BY_RAY}
    assert labels.keys() - never <= found.keys() <= labels.keys()
    for name, seen in found.items():
        assert seen == labels[name] | ({"le"} if name.endswith("_bucket_total") else set()), name
    for secret in ("acme", "globex", "nightly", "platform", "paula", "demo-batch", "demo-premium"):
        assert secret not in values
    assert "sk-demo" not in text


def traffic(application: Application) -> None:
    """Some of every kind: plain and streamed, denied, blocked, and more at once than there are slots."""

    def chat(key: str, model: str, stream: bool = False) -> int:
        body = {"model": model, "stream": stream, "max_tokens": 4, "messages": [{"role": "user", "content": "Hello"}]}
        headers = {"authorization": f"Bearer sk-demo-{key}"}
        return httpx.post(
            f"{application.base_url}/v1/chat/completions", headers=headers, json=body, timeout=60
        ).status_code

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(chat, "premium", "sim-large", True) for _ in range(7)]
        asked += [pool.submit(chat, key, "sim-small") for key in ("premium", "batch", "standard", "batch", "batch")]
        asked += [pool.submit(chat, "internal", "sim-small") for _ in range(6)]
        asked += [pool.submit(chat, "premium", "no-such-model")]
        statuses = {each.result() for each in asked}
        assert statuses <= {200, 404, 429}
    crowd(application)


def crowd(application: Application) -> None:
    """A batch of patience 0: what finds no slot at once is shed."""
    body = {"model": "sim-large", "max_tokens": 4, "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"authorization": "Bearer sk-demo-premium", "x-sluice-queue-timeout-ms": "0"}

    def ask(_: int) -> int:
        return httpx.post(
            f"{application.base_url}/v1/chat/completions", headers=headers, json=body, timeout=60
        ).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) <= {200, 429}


@contextmanager
def policies(application: Application) -> Iterator[None]:
    """Two more while this lasts: one in shadow mode, one that blocks."""
    with httpx.Client(base_url=application.base_url, headers=ADMIN, timeout=30) as admin:
        for policy in POLICIES:
            assert admin.post("/admin/policies", json=policy).status_code == 201
        try:
            yield
        finally:
            for policy in POLICIES:
                assert admin.delete(f"/admin/policies/{policy['name']}").status_code == 204


@contextmanager
def prometheus(application: Application, folder: Path) -> Iterator[Callable[[str], list[Any]]]:
    """A Prometheus that reads the application's node every second; called, it answers a query of this moment."""
    program = shutil.which("prometheus")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no prometheus: install it, as with apt install")
    port, config = free_port(), folder / "prometheus.yml"
    target = f"127.0.0.1:{metrics_port(application)}"
    scrape = {"job_name": "ray", "static_configs": [{"targets": [target]}]}
    config.write_text(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": [str(RULES)],
                "scrape_configs": [scrape],
            }
        )
    )
    arguments = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [str(program), *arguments, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log
        )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:

        def ask(expr: str) -> list[Any]:
            reply = client.get("/api/v1/query", params={"query": expr})
            assert reply.status_code == 200, (expr, reply.text)
            result: list[Any] = reply.json()["data"]["result"]
            return result

        try:
            wait_until_up(client, process)
            yield ask
            rules = client.get("/api/v1/rules").json()["data"]["groups"][0]["rules"]
            assert {rule["health"] for rule in rules} == {"ok"}, "Prometheus itself has judged by every rule"
        finally:
            process.terminate()
            process.wait(timeout=30)


def wait_until_up(client: httpx.Client, process: "subprocess.Popen[bytes]") -> None:
    give_up = time.monotonic() + 30
    while True:
        assert process.poll() is None
        assert time.monotonic() < give_up, "Prometheus does not become ready"
        try:
            if client.get("/-/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)


def numbers(result: list[Any]) -> list[float]:
    """Values that are any: a quantile of nothing is none."""
    found = [float(each["value"][1]) for each in result]
    return [value for value in found if value == value]


def scraped(application: Application) -> str:
    return httpx.get(f"http://127.0.0.1:{metrics_port(application)}/metrics", timeout=10).text


def metrics_port(application: Application) -> int:
    """Where Ray serves its node's metrics: Ray writes it into its folder of the session."""
    (path,) = application.session_dir().glob("metrics_export_port_*")
    return int(path.read_text())
