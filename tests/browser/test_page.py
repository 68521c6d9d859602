"""The page as it is loaded: from this server alone, under its Content-Security-Policy, with what it is told."""

import httpx
from playwright.sync_api import Page, expect

from deployments.ingress.page.files import not_built
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import OpenPage
from tests.browser.watching import Watches
from tests.integration.conftest import Application


def test_it_loads_and_says_what_it_is(page: Page) -> None:
    reply = page.goto("/")
    assert reply is not None
    assert reply.status == 200
    expect(page).to_have_title("Sluice")
    expect(page.get_by_role("navigation", name="Screens").get_by_role("link", name="Live")).to_be_visible()


def test_nothing_stays_in_the_browser(page: Page) -> None:
    """Keys live in memory only; the demo's admin key is in use here."""
    page.goto("/")
    expect(page.get_by_role("main")).to_be_visible()
    kept = page.evaluate(
        "() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href])"
    )
    assert "sk-" not in kept


def test_the_watch_sees_what_it_is_for(page: Page, watch: Watches) -> None:
    """Guards the other tests: whatever they would fail for is told here."""
    page.goto("/")
    page.evaluate("() => { console.error('a complaint'); setTimeout(() => { throw new Error('a mistake'); }); }")
    page.evaluate("""() => {
      const script = document.createElement("script");
      script.textContent = "window.inlineRan = true";
      document.body.append(script);
      fetch("http://127.0.0.1:9/elsewhere").catch(() => undefined);
    }""")
    page.wait_for_timeout(200)
    assert page.evaluate("() => window.inlineRan") is None
    for expected in (
        "a complaint",
        "a mistake",
        "script-src-elem blocked inline",
        "connect-src blocked http://127.0.0.1:9",
    ):
        assert any(expected in problem for problem in watch.unexpected()), (expected, watch.unexpected())
        watch.allow(expected)
    watch.allow(
        "violates the following Content Security Policy directive|Refused to connect|another origin: http://127.0.0.1:9/"
    )


def test_it_begins_by_what_the_server_tells(page: Page, application: Application) -> None:
    with page.expect_response("**/page/settings") as told:
        page.goto("/")
    assert told.value.json() == httpx.get(f"{application.base_url}/page/settings").json()
    assert [key["id"] for key in told.value.json()["keys"]] == [
        *("demo-internal", "demo-premium", "demo-standard", "demo-batch", "demo-admin")
    ]


def test_a_second_visit_loads_little(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("main")).to_be_visible()
    sizes = """() => performance.getEntriesByType("resource")
      .filter((each) => each.name.includes("/assets/")).map((each) => each.transferSize)"""
    assert sum(page.evaluate(sizes)) > 10_000
    page.reload()
    expect(page.get_by_role("main")).to_be_visible()
    assert sum(page.evaluate(sizes)) == 0


def test_it_is_accessible_when_nothing_happens(open_page: OpenPage) -> None:
    for width, dark in ((1280, False), (1280, True), (390, False), (390, True)):
        page = open_page(width=width, dark=dark)
        page.goto("/")
        expect(page.get_by_role("main")).to_be_visible()
        assert_accessible(page)


def test_the_page_that_stands_in_where_there_is_no_build(page: Page) -> None:
    reply = not_built()
    page.route("**/", lambda route: route.fulfill(body=bytes(reply.body), headers=dict(reply.headers)))
    page.goto("/")
    expect(page.get_by_text("make page")).to_be_visible()
    assert page.evaluate("() => getComputedStyle(document.body).maxWidth") == "640px"
    assert_accessible(page)
    page.get_by_role("link", name="readyz").click()
    expect(page.get_by_text('"ready"')).to_be_visible()
