"""What a person sees once everything is up: where the page is, which keys there are, and a request to paste.

The facts come from the checked configuration file (`serve_app.config_file`).
"""

import hashlib
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from deployments.ingress.page.build import is_built
from serve_app.config_file import ServeConfig


@dataclass(frozen=True)
class DemoKey:
    """A key that everybody knows, and how its requests are treated."""

    key: str
    tier: str
    role: str


def demo_keys(user_config: Mapping[str, Any]) -> Iterator[DemoKey]:
    """The demo keys of a catalogue. By convention such a key reads `sk-<id>`; one that does not is left out."""
    catalogue = user_config.get("catalogue", {})
    tier_of_tenant = {entry["name"]: entry.get("qos_tier", "standard") for entry in catalogue.get("tenants", ())}
    tenant_of_user = {entry["name"]: entry["tenant"] for entry in catalogue.get("users", ())}
    for entry in catalogue.get("keys", ()):
        key = f"sk-{entry['id']}"
        if entry.get("demo") and hashlib.sha256(key.encode()).hexdigest() == entry["sha256"]:
            tier = tier_of_tenant.get(tenant_of_user.get(entry["user"], ""), "")
            yield DemoKey(key, tier, entry.get("role", "inference"))


def show(config: ServeConfig, base_url: str, console: Console) -> None:
    """Print it for every application of ours."""
    for application in config.applications:
        url = base_url + application.route_prefix.rstrip("/")
        table = Table.grid(padding=(0, 2))
        table.add_row("page", f"{url}/", "" if is_built() else "not built: make page, with Node 20.19 or later")
        table.add_row("docs", f"{url}/docs")
        keys = list(demo_keys(application.user_config)) if application.args.demo else []
        for key in keys:
            table.add_row("demo key", key.key, key.role if key.role != "inference" else key.tier)
        console.print()
        console.print(table)
        usable = [key.key for key in keys if key.role == "inference"] or ["sk-…"]
        console.print()
        # Not through rich's wrapping: what is pasted must be one command.
        print(_curl(url, usable[0], application.args.models[0].name), flush=True)
    console.print("\nCtrl-C ends everything.")


def _curl(url: str, key: str, model: str) -> str:
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
    return (
        f"curl {url}/v1/chat/completions -H 'Authorization: Bearer {key}' "
        f"-H 'Content-Type: application/json' -d {shlex.quote(body)}"
    )
