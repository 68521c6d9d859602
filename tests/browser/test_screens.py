"""Every screen by keyboard and by link: nothing is blocked, nothing complains, axe finds nothing."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import OpenPage

SCREENS = ["Live", "Chat", "Policies", "Tenants", "Keys", "Audit log"]


def open_screen(page: Page, name: str) -> None:
    page.goto("/")
    page.get_by_role("navigation", name="Screens").get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", name=name, exact=True, level=1)).to_be_attached()
    page.wait_for_load_state("load")


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_is_accessible(open_page: OpenPage, name: str) -> None:
    for width, dark in ((1280, False), (390, True)):
        page = open_page(width=width, dark=dark)
        open_screen(page, name)
        expect(page.get_by_role("main")).not_to_contain_text("Loading")
        assert_accessible(page)
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"


@pytest.mark.parametrize("name", SCREENS)
def test_what_opens_on_a_screen_is_not_blocked(page: Page, name: str) -> None:
    """Lists and dialogs are where a library would put styles into the document."""
    open_screen(page, name)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    for box in page.get_by_role("main").get_by_role("combobox").all():
        if box.is_enabled() and box.evaluate("(each) => each.tagName === 'BUTTON'"):
            box.press("Enter")
            expect(page.get_by_role("listbox")).to_be_visible()
            page.keyboard.press("Escape")
            expect(page.get_by_role("listbox")).to_have_count(0)


def test_the_help_names_the_keys(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("region", name="Traffic")).to_be_visible()
    page.keyboard.press("?")
    help = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(help).to_be_visible()
    for key in ("S", "B", "P", "?"):
        expect(help.get_by_text(key, exact=True).first).to_be_visible()
