"""The site's navigation is what docs/index.md lists: a part for each of its headings, in its order.

So the list is written once, and reads in the repository as it does on the site. A page that it does not name is a
warning of Sphinx ("not included in any toctree"), and warnings are errors.
"""

import posixpath
import re
from collections.abc import Iterator

OTHER_FOLDERS = [".*", "*.egg-info", "deployments", "examples", "frontend", "loadtests", "ops", "policies"]
OTHER_FOLDERS += ["requirements", "serve_app", "tests", "docs/site", "dist", "build"]
"""Where no pages are; Sphinx need not look there."""

_PART = re.compile(r"^## (.+)\n((?:.*\n)*?)(?=^## |\Z)", re.MULTILINE)
_LINK = re.compile(r"^- \[([^\]]+)\]\(([^)#:]+)\.md\)", re.MULTILINE)


def parts(index: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Every part of docs/index.md: its heading, and the title and the page of each of its links."""
    for heading, text in _PART.findall(index + "\n"):
        pages = [(title, posixpath.normpath(f"docs/{target}")) for title, target in _LINK.findall(text)]
        if pages:
            yield heading, pages


def add(app: object, page: str, source: list[str]) -> None:
    """On `source-read`: docs/index.md gets what Sphinx makes its navigation from."""
    if page == "docs/index":
        for heading, pages in parts(source[0]):
            lines = "\n".join(f"{title} </{name}>" for title, name in pages)
            source[0] += f"\n\n```{{toctree}}\n:hidden:\n:caption: {heading}\n\n{lines}\n```\n"
