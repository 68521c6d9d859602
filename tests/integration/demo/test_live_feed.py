"""The live feed through Ray Serve: as it happens, under the ids that clients see, for as long as somebody reads."""

import json
import time
from typing import Any

import httpx
import pytest

from deployments.ingress.live.frames import LiveFrame, LiveHello
from tests.integration.conftest import Application

pytestmark = [pytest.mark.serve, pytest.mark.timeout(300)]

WATCH = {"policy": "premium-rate", "subject": "acme"}
CHAT = {"model": "sim-small", "max_tokens": 2, "messages": [{"role": "user", "content": "Hello"}]}


def test_a_viewer_sees_requests_under_the_ids_of_their_replies(application: Application) -> None:
    with httpx.Client(base_url=application.base_url, timeout=30) as client:
        key = {"authorization": "Bearer sk-demo-admin"}
        with client.stream("GET", "/admin/live", params=WATCH, headers=key) as stream:
            assert stream.status_code == 200
            assert stream.headers["content-type"].startswith("text/event-stream")
            events = _events(stream)
            name, hello = next(events)
            assert name == "hello"
            assert LiveHello.model_validate(hello).watching is not None
            time.sleep(1.5)  # every replica has looked whether somebody watches
            sent = {"authorization": "Bearer sk-demo-premium"}
            made_up = client.post("/v1/chat/completions", json=CHAT, headers=sent).headers["x-request-id"]
            client.post("/v1/chat/completions", json=CHAT, headers={**sent, "x-request-id": "my-own"})
            ended: dict[str, int] = {}
            entries = slots = 0
            give_up = time.monotonic() + 30
            while set(ended) != {made_up, "my-own"} or entries < 2 or not slots:
                assert time.monotonic() < give_up, (ended, entries, slots)
                frame = LiveFrame.model_validate(next(events)[1])
                ended |= {each.id: each.status for each in frame.endings}
                entries += len(frame.log.entries) if frame.log else 0
                slots = next((pool.slots for pool in frame.pools or () if pool.name == "sim-small"), None) or slots
            assert set(ended.values()) == {200}
            assert slots == 16


def _events(stream: httpx.Response) -> Any:
    """Each event's name and data, as they come."""
    name = ""
    for line in stream.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))
