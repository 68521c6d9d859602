"""Whether a reply is what the API promises, judged from its bytes alone. Nothing here knows Locust."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

QUEUE_CODES = ("queue_full", "queue_timeout")

TOO_LONG_FOR_SDKS_MS = 60_000
"""From a longer wait on, clients are told not to sleep it out (`x-should-retry: false`)."""


class Denial(NamedTuple):
    """What an error reply says."""

    code: str | None
    policy: str | None
    retry_after_ms: int | None
    problem: str | None


class Reply(NamedTuple):
    """What a reply of a model says."""

    tokens: int
    problem: str | None


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> Denial:
    """An error. Header names are in lower case."""
    try:
        error = json.loads(body)["error"]
        code, message = error["code"], error["message"]
        error["type"], error["param"]  # OpenAI's shape has both, whatever they hold
    except (ValueError, KeyError, TypeError):
        return Denial(None, None, None, f"{status} without an error in OpenAI's shape: {body[:80]!r}")
    if not (isinstance(code, str) and isinstance(message, str) and message):
        return Denial(None, None, None, f"{status} whose code or message is no text")
    told = headers.get("retry-after-ms", "")
    retry_ms = int(told) if told.isdecimal() else None
    policy = error.get("policy")
    problem = _retry_problem(headers, retry_ms) if status in (429, 503) else None
    if status == 429 and problem is None and code not in QUEUE_CODES:
        problem = _limit_problem(headers, error, code)
    return Denial(code, policy, retry_ms, problem and f"{status} {code}: {problem}")


def _retry_problem(headers: Mapping[str, str], retry_ms: int | None) -> str | None:
    if retry_ms is None:
        return "no retry-after-ms"
    if headers.get("retry-after") != str(math.ceil(retry_ms / 1000)):
        return f"retry-after {headers.get('retry-after')!r} beside retry-after-ms {retry_ms}"
    if (headers.get("x-should-retry") == "false") != (retry_ms > TOO_LONG_FOR_SDKS_MS):
        return f"x-should-retry {headers.get('x-should-retry')!r} at {retry_ms} ms"
    return None


def _limit_problem(headers: Mapping[str, str], error: Mapping[str, Any], code: str) -> str | None:
    if code != "rate_limit_exceeded":
        return "an unknown code of a 429"
    policy = error.get("policy")
    if not policy or not error.get("scope"):
        return "does not name policy and scope"
    states = headers.get("ratelimit")
    if states is None:  # the server may be set to OpenAI's headers alone
        return (
            None if "x-ratelimit-limit-requests" in headers or "x-ratelimit-limit-tokens" in headers else "no headers"
        )
    found = re.search(rf'"{re.escape(policy)}";r=(\d+);t=(\d+)', states)
    if found is None:
        return f"policy {policy!r} is not among {states}"
    if found[2] != headers.get("retry-after"):
        return f"ratelimit says t={found[2]}, retry-after {headers.get('retry-after')}"
    if error.get("type") != "tokens" and found[1] != "0":
        return f"denied with {found[1]} remaining"
    return None


def read_chat(body: bytes) -> Reply:
    """A chat completion that came whole."""
    try:
        reply = json.loads(body)
        text, usage = reply["choices"][0]["message"]["content"], reply["usage"]
    except (ValueError, KeyError, TypeError, IndexError):
        return Reply(0, f"200 that is no chat completion: {body[:80]!r}")
    return _with_usage(usage, None if text else "200 without a text")


def read_stream(events: Sequence[bytes]) -> Reply:
    """A streamed chat completion, all of its events, with `include_usage`."""
    chunks: list[dict[str, Any]] = []
    for event in events:
        data = event.strip().removeprefix(b"data: ")
        if data == b"[DONE]":
            break
        try:
            chunks.append(json.loads(data))
        except ValueError:
            return Reply(0, f"an event that is no JSON: {data[:80]!r}")
    else:
        return Reply(0, f"a stream that ends without [DONE], after {len(events)} events")
    if len(chunks) + 1 != len(events):
        return Reply(0, "events after [DONE]")
    failed = next((chunk["error"] for chunk in chunks if "error" in chunk), None)
    if failed is not None:
        return Reply(0, f"an error in the stream: {failed.get('code')}")
    return _read_chunks(chunks)


def _read_chunks(chunks: Sequence[Mapping[str, Any]]) -> Reply:
    if len({chunk.get("id") for chunk in chunks}) != 1:
        return Reply(0, "a stream without one id for all chunks")
    *texts, last = chunks
    usage = last.get("usage")
    if last.get("choices") or not isinstance(usage, dict):
        return Reply(0, "a stream whose last chunk is not its usage")
    ends = [choice["finish_reason"] for chunk in texts for choice in chunk["choices"] if choice["finish_reason"]]
    return _with_usage(usage, None if len(ends) == 1 else f"{len(ends)} finish reasons in a stream")


def _with_usage(usage: Mapping[str, Any], problem: str | None) -> Reply:
    try:
        prompt, total = usage["prompt_tokens"], usage["total_tokens"]
        if total != prompt + usage["completion_tokens"]:
            problem = problem or f"usage does not add up: {dict(usage)}"
    except (KeyError, TypeError):
        return Reply(0, problem or f"no usage: {usage!r}")
    return Reply(total, problem)
