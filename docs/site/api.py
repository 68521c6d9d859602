"""docs/api.md, made from the API's description (frontend/openapi.json): every route, what it takes and answers."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DESCRIPTION = ROOT / "frontend" / "openapi.json"

HEAD = """# HTTP API

Every route of a running Sluice. Made from the description that it serves at `/openapi.json` (`sluice openapi` prints
it); at `/docs` and `/redoc` the same can be tried out. A key goes in the header `Authorization: Bearer …`. Errors have
OpenAI's shape. What the admin routes are for, with their errors: [admin.md](admin.md); the live feed:
[live.md](live.md).
"""

METHODS = ("get", "post", "put", "patch", "delete")


def page() -> str:
    """The whole page."""
    description = json.loads(DESCRIPTION.read_text())
    groups: dict[str, list[str]] = {}
    for path, operations in description["paths"].items():
        for method in METHODS:
            if method in operations:
                operation = operations[method]
                groups.setdefault((operation.get("tags") or ["others"])[0], []).append(
                    _route(method.upper(), path, operation)
                )
    sections = [f"## {tag.capitalize()}\n\n" + "\n".join(routes) for tag, routes in groups.items()]
    return "\n".join([HEAD, *sections]).rstrip() + "\n"


def _route(method: str, path: str, operation: dict[str, Any]) -> str:
    lines = [f"### {method} {path}", "", f"{operation.get('summary', '')}.", ""]
    if text := operation.get("description"):
        lines += [*_escaped(text).splitlines(), ""]
    if parameters := [each for each in operation.get("parameters", []) if "name" in each]:
        lines += ["| parameter | in | takes | |", "|---|---|---|---|"]
        lines += [_parameter(each) for each in parameters] + [""]
    if body := operation.get("requestBody"):
        kinds = [f"`{kind}`{_named(content)}" for kind, content in body["content"].items()]
        lines += [f"Takes {', '.join(kinds)}.", ""]
    lines += ["| answer | |", "|---|---|"]
    for status, answer in operation["responses"].items():
        kinds = [f"`{kind}`{_named(content)}" for kind, content in answer.get("content", {}).items()]
        told = " ".join(_escaped(answer.get("description", "")).split())
        lines.append(f"| {status} | {_cell(told)}{': ' if told and kinds else ''}{', '.join(kinds)} |")
    return "\n".join([*lines, ""])


def _parameter(each: dict[str, Any]) -> str:
    schema = each.get("schema", {})
    options = schema.get("anyOf", [schema])
    kinds = [o.get("$ref", "").rsplit("/", 1)[-1] or o.get("type", "") for o in options if o.get("type") != "null"]
    told = " ".join((each.get("description") or schema.get("description") or "").split())
    needed = " (needed)" if each.get("required") else ""
    return f"| `{each['name']}`{needed} | {each['in']} | {' or '.join(kinds)} | {_cell(_escaped(told))} |"


def _named(content: dict[str, Any]) -> str:
    name = content.get("schema", {}).get("$ref", "").rsplit("/", 1)[-1]
    return f" ({name})" if name else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _escaped(text: str) -> str:
    """`<` begins a tag in Markdown."""
    return text.replace("<", "\\<")
