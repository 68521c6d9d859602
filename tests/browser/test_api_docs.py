"""/docs and /redoc: the API's reference, from this server alone."""

import pytest
from playwright.sync_api import Page, expect


def test_swagger_ui_tries_a_request_out(page: Page) -> None:
    page.goto("/docs")
    expect(page).to_have_title("Sluice: the API")
    expect(page.get_by_role("heading", name="Sluice")).to_be_visible()
    operation = page.locator("#operations-operation-health")
    operation.get_by_role("button").first.click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table")).to_contain_text('"status": "ok"')


def test_redoc_reads_and_searches(page: Page) -> None:
    page.goto("/redoc")
    expect(page.get_by_role("heading", name="Sluice")).to_be_visible()
    expect(page.get_by_text("/v1/chat/completions").first).to_be_attached()
    page.get_by_placeholder("Search...").fill("audit")
    expect(page.locator("[data-role='search:results']")).to_contain_text("List changes, newest first")


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_styles_are_applied(page: Page, path: str) -> None:
    page.goto(path)
    title = page.get_by_role("heading", name="Sluice").first
    expect(title).to_be_visible()
    assert title.evaluate("(each) => getComputedStyle(each).fontFamily") not in (
        "",
        '"Times New Roman"',
        "Times New Roman",
    )
