"""OpenAI's wire format for replies. Written on the replica, so the ingress passes bytes on without reading them."""

import time
from typing import Any

import orjson

from deployments.models.engines.protocol import Chunk, Usage

DONE = b"data: [DONE]\n\n"


def usage_object(usage: Usage) -> dict[str, int]:
    """`{"prompt_tokens": …, "completion_tokens": …, "total_tokens": …}`."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def completion(identifier: str, model: str, text: str, last: Chunk) -> bytes:
    """The body of a plain chat completion."""
    body: dict[str, Any] = {
        "id": identifier,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": None,
                "finish_reason": last.finish_reason,
            }
        ],
    }
    if last.usage is not None:
        body["usage"] = usage_object(last.usage)
    return orjson.dumps(body)


class ChatStream:
    """Server-sent events of one streamed chat completion."""

    def __init__(self, identifier: str, model: str, include_usage: bool) -> None:
        self._include_usage = include_usage
        head = {"id": identifier, "object": "chat.completion.chunk", "created": int(time.time()), "model": model}
        # All events of a stream begin alike: written once, closed by each event's own part.
        self._head = b"data: " + orjson.dumps(head)[:-1]
        self._no_usage = b',"usage":null' if include_usage else b""

    def first(self) -> bytes:
        return self._event({"role": "assistant", "content": "", "refusal": None}, None)

    def chunk(self, chunk: Chunk) -> bytes:
        """The event of a piece of text, and all that follows the last one."""
        events = self._event({"content": chunk.text}, None)
        if chunk.finish_reason is None:
            return events
        events += self._event({}, chunk.finish_reason)
        if self._include_usage and chunk.usage is not None:
            events += self._head + b',"choices":[],"usage":' + orjson.dumps(usage_object(chunk.usage)) + b"}\n\n"
        return events + DONE

    def _event(self, delta: dict[str, Any], finish_reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._head + b',"choices":[' + orjson.dumps(choice) + b"]" + self._no_usage + b"}\n\n"
