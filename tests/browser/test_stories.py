"""What a visitor does with the page, from the first click on: against the real server and its real limits."""

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, Response, expect

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import OpenPage
from tests.browser.watching import Watches
from tests.integration.conftest import Application

BURST = 20
"""How many requests the page's button sends."""

LIMIT, WINDOW_S = 10, 10
"""Of the policy key-burst."""

STANDARD = "key-burst · key demo-standard"

SETTLED_MS = 15_000
"""For what the page shows within seconds, with two cores under a browser, a server and its tests."""

pytestmark = pytest.mark.usefixtures("fresh_windows")


def begin(page: Page) -> None:
    """The page, connected."""
    page.goto("/")
    expect(status(page)).to_contain_text("Connected", timeout=SETTLED_MS)
    # It has chosen a window by itself, and follows the feed of that.
    expect(reading(page)).to_be_visible(timeout=SETTLED_MS)


def reading(page: Page) -> Locator:
    """The large type."""
    return log(page).get_by_text(re.compile(r"^[\d,]+ of [\d,]+ used$"))


def status(page: Page) -> Locator:
    return page.get_by_role("banner").get_by_role("status")


def log(page: Page) -> Locator:
    return page.get_by_role("region", name="The sliding log")


def watch_window(page: Page, name: str) -> None:
    """Chooses which window is watched."""
    page.get_by_role("combobox", name="The window to watch").click()
    page.get_by_role("option", name=re.compile(re.escape(name))).click()


def send_as_standard(page: Page, button: str) -> list[Response]:
    """Presses a button of the persona `standard`, and waits for all that it sends."""
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer) if "/v1/chat/" in answer.url else None)
    page.get_by_role("button", name=re.compile(button)).click()
    wanted = BURST if "Burst" in button else 1
    deadline = time.monotonic() + 30
    while len(answers) < wanted and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert len(answers) == wanted
    return answers


def used(page: Page) -> int:
    """What the page says in large type."""
    return int(reading(page).inner_text().split(" of ")[0].replace(",", ""))


def peek(application: Application, key: str, policy: str) -> dict[str, Any]:
    """What the server says of the caller's window, without using it up."""
    headers = {"authorization": f"Bearer {key}"}
    windows: list[dict[str, Any]] = httpx.get(f"{application.base_url}/v1/limits", headers=headers).json()["windows"]
    return next(window for window in windows if window["policy"] == policy)


def admin(application: Application, method: str, path: str, **more: Any) -> httpx.Response:
    headers = {"authorization": "Bearer sk-demo-admin"}
    return httpx.request(method, f"{application.base_url}/admin{path}", headers=headers, **more)


def test_nothing_is_sent_unasked_and_ten_seconds_tell_the_story(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    begin(page)
    page.wait_for_timeout(1_500)
    assert asked == []
    page.get_by_role("button", name="Start", exact=True).first.click()
    expect(log(page).get_by_text(f"{LIMIT} of {LIMIT} used", exact=True)).to_be_visible(timeout=SETTLED_MS)
    expect(log(page).get_by_text(re.compile(r"^next slot in \d"))).to_be_visible()
    expect(log(page).get_by_text(re.compile(r"^[1-9]\d* denied, not stored$"))).to_be_visible(timeout=SETTLED_MS)
    # Room comes back as the oldest entry leaves, and the next request takes it.
    log(page).get_by_role("button", name="As a table").click()
    expect(log(page).get_by_role("cell", name="has left").first).to_be_visible(timeout=SETTLED_MS)
    page.keyboard.press("Escape")
    page.wait_for_timeout(500)
    before = len(asked)
    page.wait_for_timeout(1_500)
    assert len(asked) == before


def test_what_the_page_counts_is_what_the_server_counts(page: Page, application: Application) -> None:
    begin(page)
    watch_window(page, STANDARD)
    answers = send_as_standard(page, "Burst 20")
    admitted = [answer for answer in answers if answer.status == 200]
    denied = [answer for answer in answers if answer.status == 429]
    assert len(admitted) == LIMIT
    assert len(denied) == BURST - LIMIT
    assert min(int(answer.headers["x-ratelimit-remaining-requests"]) for answer in admitted) == 0
    expect(log(page).get_by_text(f"{LIMIT} of {LIMIT} used", exact=True)).to_be_visible()
    expect(log(page).get_by_text(f"{BURST - LIMIT} denied, not stored", exact=True)).to_be_visible()
    seen = peek(application, "sk-demo-standard", "key-burst")
    assert (seen["used"], seen["remaining"]) == (LIMIT, 0)
    # As the window slides, the page's number and the server's fall together.
    expect(log(page).get_by_text(f"0 of {LIMIT} used", exact=True)).to_be_visible(timeout=(WINDOW_S + 5) * 1_000)
    assert peek(application, "sk-demo-standard", "key-burst")["used"] == 0


def test_the_countdown_ends_when_there_is_room(page: Page) -> None:
    begin(page)
    watch_window(page, STANDARD)
    denied = [answer for answer in send_as_standard(page, "Burst 20") if answer.status == 429]
    expect(log(page).get_by_text(re.compile(r"^next slot in \d"))).to_be_visible()
    told_ms = max(int(answer.headers["retry-after-ms"]) for answer in denied)
    expect(log(page).get_by_text(re.compile(r"^room (now|for \d)"))).to_be_visible(timeout=told_ms + 2_000)
    assert [answer.status for answer in send_as_standard(page, "Send 1")] == [200]


def test_a_limit_edited_on_the_page_holds_from_the_next_request_on(page: Page, application: Application) -> None:
    name = "story-rate"
    policy = {"name": name, "scope": "TENANT", "limit": 2, "window": "1m", "match": {"tenant": "globex"}}
    assert admin(application, "POST", "/policies", json=policy).status_code == 201
    try:
        begin(page)
        answers = [send_as_standard(page, "Send 1")[0] for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        page.get_by_role("link", name="Policies").click()
        page.get_by_role("button", name=name).click()
        page.get_by_role("button", name="Edit").click()
        page.get_by_label("Limit").fill("1")
        # Before it is saved: what it would have denied of what was sent.
        expect(
            page.get_by_role("dialog").get_by_text(re.compile("would have (been )?denied", re.I)).first
        ).to_be_visible(timeout=SETTLED_MS)
        page.get_by_label("Limit").fill("3")
        page.get_by_role("button", name="Save").click()
        told = page.get_by_text(re.compile("3 requests in any 1 min")).filter(visible=True)  # a phone has it elsewhere
        expect(told.first).to_be_visible(timeout=SETTLED_MS)
        page.keyboard.press("Escape")
        page.get_by_role("link", name="Live").click()
        answers = [send_as_standard(page, "Send 1")[0] for _ in range(2)]
        assert [answer.status for answer in answers] == [200, 429]
        page.get_by_role("link", name="Audit log").click()
        expect(page.get_by_text(name).first).to_be_visible()
    finally:
        assert admin(application, "DELETE", f"/policies/{name}").status_code in (200, 204)


def test_redis_stops_and_comes_back(
    page: Page, frozen_redis: Callable[[], AbstractContextManager[None]], watch: Watches
) -> None:
    watch.allow("status of 503")
    begin(page)
    with frozen_redis():
        expect(status(page)).to_contain_text("Redis unreachable", timeout=SETTLED_MS)
    expect(status(page)).to_contain_text("Redis ok", timeout=SETTLED_MS)
    watch_window(page, STANDARD)
    deadline = time.monotonic() + 20  # the breaker lets requests through again a moment later
    while send_as_standard(page, "Send 1")[0].status != 200:
        assert time.monotonic() < deadline
    expect(log(page).get_by_text(re.compile(rf"^[1-9]\d* of {LIMIT} used$"))).to_be_visible(timeout=SETTLED_MS)


def test_it_connects_again_by_itself(page: Page, application: Application, watch: Watches) -> None:
    watch.allow("ERR_INTERNET_DISCONNECTED|ERR_NETWORK_CHANGED|ERR_FAILED")
    begin(page)
    page.context.set_offline(True)
    # What is open stays open in a browser that is offline, so the stream is broken by another window being chosen.
    watch_window(page, "everyone")
    expect(status(page)).to_contain_text("Not connected", timeout=SETTLED_MS)
    page.context.set_offline(False)
    expect(status(page)).to_contain_text("Connected", timeout=SETTLED_MS)
    before = peek(application, "sk-demo-standard", "everyone")["used"]
    send_as_standard(page, "Send 1")
    expect(log(page).get_by_text(re.compile(rf"^{before + 1} of 3,000 used$"))).to_be_visible(timeout=SETTLED_MS)


def test_a_paused_picture_stands_still_and_goes_on(page: Page) -> None:
    begin(page)
    watch_window(page, STANDARD)
    page.keyboard.press("p")
    expect(status(page)).to_contain_text("Paused")
    send_as_standard(page, "Send 1")
    page.wait_for_timeout(1_000)
    assert used(page) == 0
    page.keyboard.press("p")
    expect(log(page).get_by_text(f"1 of {LIMIT} used", exact=True)).to_be_visible(timeout=SETTLED_MS)


def test_it_is_accessible_in_every_state(open_page: OpenPage, watch: Watches) -> None:
    watch.allow("ERR_INTERNET_DISCONNECTED|ERR_NETWORK_CHANGED|ERR_FAILED")
    for dark, width in ((False, 1280), (True, 390)):
        page = open_page(dark=dark, width=width)
        begin(page)
        assert_accessible(page)  # idle
        watch_window(page, STANDARD)
        send_as_standard(page, "Burst 20")
        expect(log(page).get_by_text(re.compile(r"^next slot in \d"))).to_be_visible()
        assert_accessible(page)  # limited
        page.keyboard.press("p")
        expect(status(page)).to_contain_text("Paused")
        assert_accessible(page)
        page.keyboard.press("p")
        expect(status(page)).to_contain_text("Connected")
        page.context.set_offline(True)
        watch_window(page, "everyone")
        expect(status(page)).to_contain_text("Not connected", timeout=SETTLED_MS)
        assert_accessible(page)  # disconnected
        page.context.set_offline(False)
        page.close()
        time.sleep(WINDOW_S)  # the window is empty again for the next


@pytest.mark.parametrize("screen", ["chat", "policies", "tenants", "keys", "audit"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_other_screens_are_accessible(open_page: OpenPage, screen: str, dark: bool) -> None:
    page = open_page(dark=dark)
    page.goto(f"/#/{screen}")
    expect(status(page)).to_contain_text("Connected", timeout=SETTLED_MS)
    expect(page.get_by_role("textbox" if screen == "chat" else "table").first).to_be_visible()
    assert_accessible(page)
