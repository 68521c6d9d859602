"""The documentation as a site: it is built without a warning (a link that leads nowhere is one), has every page and a
search, draws every diagram, and asks nobody else for anything."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from docs.site.mermaid import Mermaid
from docs.site.navigation import parts
from tests.browser.chromium import require, running_browser
from tests.docs.blocks import ROOT, Block, in_way, pages

FETCHED = re.compile(r'<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)="(?:https?:)?//[^"]*"')
"""What a browser would ask another server for when it opens a page."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site's folder."""
    folder = tmp_path_factory.mktemp("site")
    options = ("--quiet", "--fail-on-warning", "--keep-going", "-c", "docs/site", "-d", str(folder / "doctrees"))
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, ".", str(folder / "html")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


def names() -> list[str]:
    """Every page, as the site calls it."""
    return [str(page.relative_to(ROOT).with_suffix("")) for page in pages()]


def test_every_page_is_there(site: Path) -> None:
    for name in names():
        assert (site / f"{name}.html").exists(), name
    assert "docs/index.html" in (site / "index.html").read_text()


def test_the_navigation_lists_every_page() -> None:
    listed = [page for _, titled in parts((ROOT / "docs" / "index.md").read_text()) for _, page in titled]
    missing = set(names()) - set(listed) - {"docs/index"}
    assert not missing, f"docs/index.md does not list {sorted(missing)}: write a line for each"
    assert len(listed) == len(set(listed))


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert not FETCHED.search(page.read_text()), page.name
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", style.read_text()), style.name


def test_the_search_knows_every_page(site: Path) -> None:
    index = re.fullmatch(r"Search\.setIndex\((.*)\)", (site / "searchindex.js").read_text().strip(), re.DOTALL)
    assert index is not None
    assert set(json.loads(index[1])["docnames"]) == set(names())


@pytest.fixture(scope="module")
def drawn(site: Path) -> dict[str, tuple[int, list[str]]]:
    """Of each page with diagrams: how many were drawn in a real browser, and what went wrong."""
    require(Mermaid.SCRIPT.exists(), "what draws the diagrams is not there: make docs")
    found: dict[str, tuple[int, list[str]]] = {}
    with running_browser() as browser:
        for name in {block.page for block in _diagrams()}:
            page = browser.new_page()
            wrong: list[str] = []
            page.on("pageerror", lambda error, wrong=wrong: wrong.append(str(error)))
            page.goto((site / name).with_suffix(".html").as_uri())
            expected = sum(1 for block in _diagrams() if block.page == name)
            expect(page.locator("pre.mermaid > svg:not([aria-roledescription=error])")).to_have_count(expected)
            found[name] = (page.locator("pre.mermaid > svg").count(), wrong)
    return found


def _diagrams() -> list[Block]:
    return [*in_way("drawings"), *in_way("entities")]


@pytest.mark.parametrize("name", sorted({block.page for block in _diagrams()}))
def test_diagrams_are_drawn(drawn: dict[str, tuple[int, list[str]]], name: str) -> None:
    count = sum(1 for block in _diagrams() if block.page == name)
    assert drawn.get(name) == (count, [])
