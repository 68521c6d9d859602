"""What the other tests here rely on does what it says."""

import time

import httpx
import pytest

from tests.browser.conftest import FrozenRedis
from tests.integration.conftest import Application

HEADERS = {"authorization": "Bearer sk-demo-standard"}
BODY = {"model": "sim-small", "max_tokens": 1, "messages": [{"role": "user", "content": "Hello"}]}


def _used(application: Application) -> int:
    windows = httpx.get(f"{application.base_url}/v1/limits", headers=HEADERS).json()["windows"]
    return sum(window["used"] for window in windows)


def test_windows_are_empty_when_a_test_asks_for_it(application: Application, request: pytest.FixtureRequest) -> None:
    httpx.post(f"{application.base_url}/v1/chat/completions", headers=HEADERS, json=BODY).raise_for_status()
    assert _used(application) >= 2
    request.getfixturevalue("fresh_windows")
    assert _used(application) == 0
    assert httpx.get(f"{application.base_url}/admin/keys", headers={"authorization": "Bearer sk-demo-admin"}).is_success


def test_redis_stands_still_and_goes_on(application: Application, frozen_redis: FrozenRedis) -> None:
    with frozen_redis():
        reply = httpx.get(f"{application.base_url}/readyz", timeout=30)
        assert (reply.status_code, "store" in reply.text) == (503, True)
    give_up = time.monotonic() + 20
    while httpx.get(f"{application.base_url}/readyz", timeout=30).status_code != 200:
        assert time.monotonic() < give_up, "Redis did not go on"
        time.sleep(0.1)
