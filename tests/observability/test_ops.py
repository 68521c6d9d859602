"""Alert rules and dashboards: made of metrics that exist, fire when they should, and say what to do.

The same queries against a real scrape: tests/integration/demo/test_metrics.py. Grafana itself is not run.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from deployments.metrics.definitions import METRICS
from tests.observability.queries import DASHBOARDS, OPS, Query, alerts, dashboard_queries, rule_queries
from tests.ops.manifests import pod_templates

ROOT = OPS.parent
QUERIES = [*rule_queries(), *dashboard_queries()]
BY_RAY = {"deployment", "replica", "application"}
"""Labels that Ray adds."""


def promtool(*arguments: str) -> None:
    tool = shutil.which("promtool")
    if tool is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no promtool: install prometheus, as with apt install")
    ran = subprocess.run([str(tool), *arguments], cwd=OPS / "prometheus", capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.where)
def test_a_query_reads_metrics_and_labels_that_exist(query: Query) -> None:
    known = {name: set(each.labels) for each in METRICS for name in each.exported}
    assert query.names
    assert query.names <= known.keys()
    allowed = set.intersection(*(known[name] for name in query.names)) | BY_RAY
    if any(name.endswith("_bucket_total") for name in query.names):
        allowed |= {"le"}
    assert query.labels <= allowed


def test_every_metric_is_seen_somewhere() -> None:
    seen = {name for query in QUERIES for name in query.names}
    assert [each.name for each in METRICS if not seen & set(each.exported)] == []


def test_rules_are_sound_and_fire_when_they_should() -> None:
    promtool("check", "rules", "sluice.rules.yml")
    promtool("test", "rules", "sluice.rules.test.yml")


def test_the_configuration_of_prometheus_is_sound() -> None:
    promtool("check", "config", "prometheus.yml")


def test_the_configuration_for_kubernetes_is_sound(tmp_path: Path) -> None:
    """All but what asks Kubernetes, which Debian's Prometheus is built without."""
    config = yaml.safe_load((OPS / "prometheus" / "kubernetes.yml").read_text())
    assert config["scrape_configs"][0].pop("kubernetes_sd_configs")
    config["rule_files"] = [str(OPS / "prometheus" / name) for name in config["rule_files"]]
    (path := tmp_path / "kubernetes.yml").write_text(yaml.safe_dump(config))
    promtool("check", "config", str(path))


def test_prometheus_on_kubernetes_finds_each_pod_of_ray_and_nothing_else() -> None:
    """By their labels and the name of the port, as the manifests have them."""
    job = yaml.safe_load((OPS / "prometheus" / "kubernetes.yml").read_text())["scrape_configs"][0]
    by_label, by_port = job["relabel_configs"]
    assert by_label["source_labels"] == ["__meta_kubernetes_pod_label_app_kubernetes_io_part_of"]
    assert job["kubernetes_sd_configs"] == [{"role": "pod", "namespaces": {"names": ["sluice"]}}]
    found = {
        name: [
            port["containerPort"]
            for each in template["spec"]["containers"]
            for port in each.get("ports", [])
            if port.get("name") == by_port["regex"]
        ]
        for name, template in pod_templates().items()
        if template["metadata"]["labels"].get("app.kubernetes.io/part-of") == by_label["regex"]
    }
    assert found == {"head": [8080], "ingress": [8080], "gpu": [8080]}


def test_every_alert_has_a_unit_test_of_both_kinds_and_a_section_of_the_runbook() -> None:
    tested = (OPS / "prometheus" / "sluice.rules.test.yml").read_text()
    page = (ROOT / "docs" / "runbook.md").read_text()
    names = [rule["alert"] for rule in alerts()]
    assert [line.removeprefix("## ") for line in page.splitlines() if line.startswith("## Sluice")] == names
    for rule in alerts():
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert f"eval_time: 30m, alertname: {rule['alert']} }}" in tested, "when all is well it is silent"
        assert f"alertname: {rule['alert']}\n        exp_alerts:" in tested, "and it fires"


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_whole(path: Path) -> None:
    dashboard = json.loads(path.read_text())
    panels = dashboard["panels"]
    assert dashboard["uid"].startswith("sluice-")
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        at = panel["gridPos"]
        cells = {(at["x"] + dx, at["y"] + dy) for dx in range(at["w"]) for dy in range(at["h"])}
        assert not cells & taken, f"{panel['title']} lies over another"
        assert at["x"] + at["w"] <= 24
        taken |= cells
