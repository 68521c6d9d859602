"""The browser of these tests: the machine's own Chromium, driven by Playwright, talking to nobody but the server."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from deployments.ingress.page.build import is_built

NAMES = ("chromium", "chromium-browser", "google-chrome")

FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""Nothing of its own goes over the network."""

PATIENCE_MS = 15_000
"""How long a test waits for what must come. Long, because the machine may be busy."""


def require(there: object, what: str) -> None:
    """Skips where this is missing; but in CI everything has to be there."""
    if there:
        return
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@contextmanager
def running_browser() -> Iterator[Browser]:
    """A browser, without a window."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    require(path, f"none of {', '.join(NAMES)} is on PATH: on Debian, apt-get install chromium")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        # root, as in containers, can only have Chromium without its sandbox
        browser = playwright.chromium.launch(
            executable_path=path, args=FLAGS, chromium_sandbox=os.geteuid() != 0, timeout=60_000
        )
        yield browser
        browser.close()


def require_build() -> None:
    """Skips where the page is not built."""
    require(is_built(), "the page is not built: make page")
