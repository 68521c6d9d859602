"""`sluice policies explain`: which policies of a file apply to a key and a model, and why.

The rule itself is `policies.resolver`'s; here is how a person sees it.
"""

import json
from typing import Any

from rich.console import Console
from rich.table import Table

from policies.catalogue import Catalogue
from policies.entities import format_duration
from policies.resolver import Explanation, Resolver
from serve_app.config_file import ServeConfig
from serve_app.errors import UnknownNameError


def explain(config: ServeConfig, key: str, model: str) -> list[Explanation]:
    """Every policy of the file's catalogue, and whether it applies. `key`: an id, or a whole `sk-…` key."""
    resolver = Resolver(Catalogue.parse(config.applications[0].user_config.get("catalogue", {})))
    bare = key.removeprefix("sk-")
    identity = resolver.identity(bare) or resolver.identity(bare.rpartition("-")[0])
    if identity is None:
        shown = key if not key.startswith("sk-") else "this key"  # a whole key must not end in a terminal's log
        raise UnknownNameError(f"{shown} is not in {config.path}: give the id of one of its keys")
    found = resolver.model(model)
    if found is None:
        names = ", ".join(m.name for m in resolver.models) or "none"
        raise UnknownNameError(f"model {model!r} is not in {config.path}; there are: {names}")
    return resolver.explain(identity, found)


def show(explanations: list[Explanation], *, as_json: bool, console: Console) -> None:
    """Prints a table, or one JSON array."""
    if as_json:
        print(json.dumps([_plain(explanation) for explanation in explanations], indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("applies", "policy", "limit", "kept for", "why"):
        table.add_column(name, overflow="fold")
    for each in explanations:
        policy = each.policy
        limit = f"{policy.limit} {policy.unit}"
        if not policy.is_lease:
            limit += f" in {format_duration(policy.window)}"
        mode = " (shadow)" if each.applies and policy.mode == "shadow" else ""
        whose = f"{policy.scope} {each.subject}".strip()
        table.add_row(("yes" if each.applies else "no") + mode, policy.name, limit, whose, each.reason)
    console.print(table)


def _plain(each: Explanation) -> dict[str, Any]:
    policy = each.policy.model_dump(mode="json")
    return {"applies": each.applies, "reason": each.reason, "subject": each.subject, "policy": policy}
