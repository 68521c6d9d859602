"""The page in a real browser, against the real application: `serve run`, real Redis, Debian's Chromium.

How to write a test here::

    def test_something(page: Page, watch: Watches, application: Application) -> None:
        page.goto("/")                                # the application's address is the base
        page.get_by_role("button", name="Start").click()
        expect(page.get_by_text("slots")).to_be_visible()
        assert_accessible(page)                       # tests.browser.accessibility

Fixtures:

- `application` (one for all tests here): a `tests.integration.conftest.Application`. It has `base_url` and
  `redis_process()`. It is serve_config.yaml with one policy more: `demo-batch` may send 2 requests in 3 s.
- `page`: a tab of a fresh context, 1280 by 800, light. Afterwards the test fails if there was a console error, an
  exception, a violation of the Content-Security-Policy or a request to another origin.
- `open_page(width=390, height=800, dark=True, still=True, **context_options)`: the same, otherwise. `still` is
  prefers-reduced-motion, and is the default; a second call opens a second viewer.
- `watch`: what is wrong so far in all tabs; `watch.allow(pattern)` for what a test causes on purpose. (A 429 of
  /v1/… needs no allowance.)
- `fresh_windows`: nothing is used of any limit when the test begins. Without it, what other tests sent still counts.
- `frozen_redis()`: a context in which Redis stands still (SIGSTOP); it goes on afterwards. To have it die and come
  back, kill `application.redis_process()`.

Playwright's synchronous API is used, in tests that are plain functions: they wait by `expect`, never by sleeping. A
screenshot of each tab of a test that failed is left in the folder that the failure names. By hand:
`make page && .venv/bin/python -m pytest tests/browser -x`; with `SLUICE_TEST_URL=http://127.0.0.1:8000` against what
runs there already, where only tests work that leave its Redis alone.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from playwright.sync_api import Browser, Page

from tests.browser.chromium import require_build, running_browser
from tests.browser.watching import Watch, Watches
from tests.integration.conftest import Application, configuration, free_port, serving

_WINDOW = re.compile(rb"sluice:\{[^}]*\}:[^:{}]+:[riotc]:")
"""Keys of windows; see `policies.places`."""

OpenPage = Callable[..., Page]
FrozenRedis = Callable[[], AbstractContextManager[None]]

_failed = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.serve)
            item.add_marker(pytest.mark.timeout(300))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    item.stash[_failed] = item.stash.get(_failed, False) or report.failed
    return report


@pytest.fixture(scope="package")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    require_build()
    if url := os.environ.get("SLUICE_TEST_URL"):
        yield Application(url, tmp_path_factory.getbasetemp(), Path(os.devnull), None)  # type: ignore[arg-type]
        return
    folder, port = tmp_path_factory.mktemp("browser"), free_port()
    with serving(configuration(port, folder / "state"), folder) as running:
        yield running


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


@pytest.fixture
def watch() -> Watches:
    return Watches()


@pytest.fixture
def open_page(
    browser: Browser, application: Application, watch: Watches, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[OpenPage]:
    tabs: list[Page] = []

    def open_page(
        *, width: int = 1280, height: int = 800, dark: bool = False, still: bool = True, **options: Any
    ) -> Page:
        context = contexts.enter_context(
            browser.new_context(
                base_url=application.base_url,
                viewport={"width": width, "height": height},
                color_scheme="dark" if dark else "light",
                reduced_motion="reduce" if still else "no-preference",
                **options,
            )
        )
        watch.add(Watch(context, application.base_url))
        tabs.append(context.new_page())
        return tabs[-1]

    with ExitStack() as contexts:
        yield open_page
        if request.node.stash.get(_failed, False):
            for number, tab in enumerate(tabs):
                tab.screenshot(path=tmp_path / f"tab{number}.png")
            print(f"screenshots: {tmp_path}")
        problems = watch.unexpected()
    assert not problems, "\n".join(problems)


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    return open_page()


@pytest.fixture
def fresh_windows(application: Application) -> None:
    with redis.Redis(unix_socket_path=_socket(application)) as client:
        used = [key for key in client.scan_iter(count=1_000) if _WINDOW.match(key)]
        if used:
            client.delete(*used)


@pytest.fixture
def frozen_redis(application: Application) -> FrozenRedis:
    @contextmanager
    def frozen() -> Iterator[None]:
        process = application.redis_process()
        process.suspend()
        try:
            yield
        finally:
            process.resume()

    return frozen


def _socket(application: Application) -> str:
    """Where the embedded Redis listens: its title says so."""
    title = " ".join(application.redis_process().cmdline())
    assert "unixsocket:" in title, title
    return title.split("unixsocket:")[-1].strip()
