"""What axe finds wrong with a page as it stands: WCAG A and AA, and axe's own best practices."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.browser.chromium import require

AXE = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"


def violations(page: Page, *, within: str | None = None) -> list[str]:
    """A text for each: the rule, what it asks for, and the elements that break it. `within`: a CSS selector, to look
    at a part only."""
    require(AXE.is_file(), f"{AXE} is missing: make page")
    page.evaluate(AXE.read_text())  # not as a script tag, which the page's Content-Security-Policy forbids
    found: list[dict[str, Any]] = page.evaluate(
        "async (within) => (await axe.run(within ?? document, { resultTypes: ['violations'] })).violations", within
    )
    return [
        f"{each['id']} ({each['impact']}): {each['help']}\n"
        + "\n".join(f"    {node['html']}" for node in each["nodes"])
        for each in found
    ]


def assert_accessible(page: Page, *, within: str | None = None) -> None:
    """Fails with every violation."""
    found = violations(page, within=within)
    assert not found, "\n".join(found)
