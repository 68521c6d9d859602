"""A server that gives every chat completion the same reply: the model behind LiteLLM, as cheap as one can be.

    python -m loadtests.bench.gateway.upstream 8001

It looks at nothing but whether a stream is asked for. All chunks of a stream leave at once, each an event of its own.
"""

import json
import sys
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

from loadtests.bench.applications import CHUNKS, MODEL, UNARY_TOKENS

_HEAD = {"id": "chatcmpl-0", "created": 0, "model": MODEL}


def _event(choice: dict[str, Any]) -> str:
    chunk = {**_HEAD, "object": "chat.completion.chunk", "choices": [{"index": 0, **choice}]}
    return f"data: {json.dumps(chunk)}\n\n"


WHOLE = json.dumps(
    {
        **_HEAD,
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "word " * UNARY_TOKENS},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 6, "completion_tokens": UNARY_TOKENS, "total_tokens": 6 + UNARY_TOKENS},
    }
).encode()
STREAMED = "".join(
    [
        _event({"delta": {"role": "assistant", "content": "word "}, "finish_reason": None}),
        *(_event({"delta": {"content": "word "}, "finish_reason": None}) for _ in range(CHUNKS - 1)),
        _event({"delta": {}, "finish_reason": "stop"}),
        "data: [DONE]\n\n",
    ]
).encode()


async def reply(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI app."""
    assert scope["type"] == "http"
    asked, more = b"", True
    while more:
        message = await receive()
        asked, more = asked + message.get("body", b""), message.get("more_body", False)
    streamed = json.loads(asked or b"{}").get("stream", False)
    body, kind = (STREAMED, b"text/event-stream") if streamed else (WHOLE, b"application/json")
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    uvicorn.run(reply, port=int(sys.argv[1]), lifespan="off", log_level="warning", access_log=False)
