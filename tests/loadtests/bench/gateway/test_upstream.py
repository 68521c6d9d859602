"""The model behind the proxy: what a client that reads OpenAI's form makes of its replies."""

import json

import httpx

from loadtests.bench.applications import CHUNKS, UNARY_TOKENS, body
from loadtests.bench.gateway.upstream import reply
from loadtests.bench.wrk import END_OF_STREAM


async def _asked(stream: bool) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(reply), base_url="http://model") as client:
        return await client.post("/v1/chat/completions", content=body(stream=stream))


async def test_a_whole_reply_has_its_tokens() -> None:
    answer = await _asked(stream=False)
    assert answer.json()["usage"]["completion_tokens"] == UNARY_TOKENS
    assert len(answer.json()["choices"][0]["message"]["content"].split()) == UNARY_TOKENS


async def test_a_stream_has_its_chunks_and_its_end() -> None:
    answer = await _asked(stream=True)
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.text.endswith(END_OF_STREAM)
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n")[:-2]]
    assert sum("content" in event["choices"][0]["delta"] for event in events) == CHUNKS
    assert events[-1]["choices"][0]["finish_reason"] == "stop"
