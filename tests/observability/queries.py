"""Every query of the alert rules and dashboards under ops/, and what they name."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

OPS = Path(__file__).parents[2] / "ops"
RULES = OPS / "prometheus" / "sluice.rules.yml"
DASHBOARDS = (OPS / "grafana" / "overview.json", OPS / "grafana" / "limits.json")


class Query(NamedTuple):
    """One expression, and where it stands."""

    where: str
    expr: str

    @property
    def names(self) -> set[str]:
        """The metrics it reads."""
        return set(re.findall(r"\bray_[a-z_]+\b", self.expr))

    @property
    def labels(self) -> set[str]:
        """The labels it selects and groups by."""
        grouped = re.findall(r"\bby \(([^)]*)\)", self.expr)
        selected = re.findall(r"\{([^}]*)\}", self.expr)
        return {each.strip() for group in grouped for each in group.split(",")} | {
            name for selector in selected for name in re.findall(r"(\w+)\s*[=!]~?", selector)
        }

    def over(self, span: str) -> str:
        """With this in the place of what Grafana puts in by itself."""
        return self.expr.replace("$__rate_interval", span)


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def rule_queries() -> list[Query]:
    return [Query(rule["alert"], rule["expr"]) for rule in alerts()]


def dashboard_queries() -> list[Query]:
    return [
        Query(f"{path.stem}: {panel['title']}", target["expr"])
        for path in DASHBOARDS
        for panel in json.loads(path.read_text())["panels"]
        for target in panel["targets"]
    ]
