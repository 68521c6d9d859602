import json
from typing import Any

import pytest

from loadtests.scenarios.kit.replies import Reply, read_chat, read_error, read_stream

HEADERS = {
    "retry-after": "3",
    "retry-after-ms": "2007",
    "ratelimit": '"everyone";r=2990;t=60,"key-burst";r=0;t=3',
}
ERROR = {
    "message": "Rate limit reached",
    "type": "requests",
    "param": None,
    "code": "rate_limit_exceeded",
    "policy": "key-burst",
    "scope": "API_KEY",
}


def body(**changes: Any) -> bytes:
    return json.dumps({"error": {key: value for key, value in (ERROR | changes).items() if value != "absent"}}).encode()


def test_a_denial_is_read() -> None:
    assert read_error(429, HEADERS, body()) == ("rate_limit_exceeded", "key-burst", 2007, None)


@pytest.mark.parametrize(
    ("status", "headers", "text", "problem"),
    [
        (429, HEADERS, b"<html>", "OpenAI's shape"),
        (429, HEADERS, body(type="absent"), "OpenAI's shape"),
        (429, HEADERS, body(message=""), "no text"),
        (429, HEADERS | {"retry-after-ms": ""}, body(), "no retry-after-ms"),
        (429, HEADERS | {"retry-after": "2"}, body(), "beside retry-after-ms"),
        (429, HEADERS | {"x-should-retry": "false"}, body(), "x-should-retry"),
        (429, HEADERS | {"retry-after": "61", "retry-after-ms": "60001"}, body(), "x-should-retry"),
        (429, HEADERS, body(policy="absent"), "policy and scope"),
        (429, HEADERS, body(policy="other"), "is not among"),
        (429, HEADERS, body(code="too_many"), "unknown code"),
        (429, HEADERS | {"ratelimit": '"key-burst";r=1;t=3'}, body(), "1 remaining"),
        (429, HEADERS | {"ratelimit": '"key-burst";r=0;t=4'}, body(), "t=4"),
        (503, {}, body(code="limits_unavailable"), "no retry-after-ms"),
    ],
)
def test_a_denial_that_is_not_as_promised(status: int, headers: dict[str, str], text: bytes, problem: str) -> None:
    assert problem in (read_error(status, headers, text).problem or "")


@pytest.mark.parametrize(
    ("status", "headers", "text"),
    [
        (429, {"retry-after": "1", "retry-after-ms": "1000"}, body(code="queue_full", policy="absent", scope="absent")),
        (429, HEADERS | {"ratelimit": '"key-burst";r=40;t=3'}, body(type="tokens")),  # less than it asked for
        (404, {}, body(code="model_not_found")),
        (429, {"retry-after": "3", "retry-after-ms": "2007", "x-ratelimit-limit-requests": "10"}, body()),
    ],
)
def test_errors_that_are_as_promised(status: int, headers: dict[str, str], text: bytes) -> None:
    assert read_error(status, headers, text).problem is None


def chunk(**fields: Any) -> bytes:
    choices = [{"index": 0, "delta": {}, "finish_reason": None}]
    return b"data: " + json.dumps({"id": "c1", "choices": choices, **fields}).encode() + b"\n\n"


STOP = chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
USAGE = chunk(choices=[], usage={"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7})
DONE = b"data: [DONE]\n\n"


def test_a_stream_that_is_whole() -> None:
    assert read_stream([chunk(), chunk(), STOP, USAGE, DONE]) == Reply(7, None)


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        ([], "without [DONE]"),
        ([chunk(), STOP, USAGE], "without [DONE]"),
        ([chunk(), STOP, DONE], "not its usage"),
        ([chunk(), USAGE, DONE], "0 finish reasons"),
        ([STOP, STOP, USAGE, DONE], "2 finish reasons"),
        ([chunk(id="c2"), STOP, USAGE, DONE], "one id"),
        ([chunk(), b"data: {\n\n", DONE], "no JSON"),
        ([chunk(), STOP, USAGE, DONE, chunk()], "after [DONE]"),
        ([chunk(), chunk(error={"code": "model_failed"}), DONE], "model_failed"),
        ([STOP, USAGE.replace(b"7", b"8"), DONE], "add up"),
    ],
)
def test_a_stream_that_is_not(events: list[bytes], problem: str) -> None:
    assert problem in (read_stream(events).problem or "")


def test_a_chat_completion() -> None:
    usage = {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7}
    whole = {"choices": [{"message": {"content": "Hello"}}], "usage": usage}
    assert read_chat(json.dumps(whole).encode()) == Reply(7, None)
    for broken in (whole | {"choices": []}, whole | {"usage": usage | {"total_tokens": 9}}, whole | {"usage": None}):
        assert read_chat(json.dumps(broken).encode()).problem
    assert read_chat(b"").problem
