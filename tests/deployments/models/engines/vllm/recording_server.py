"""A server in the place of vLLM's: it keeps what it was asked, and answers in vLLM's words as a test has it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import orjson

from deployments.models.engines.vllm.server import Body, Complaint

CONTEXT = 32

Piece = str | Complaint | Exception


def event(**fields: Any) -> str:
    """One server-sent event, as vLLM writes it."""
    return f"data: {orjson.dumps(fields).decode()}\n\n"


def chat_piece(text: str, reason: str | None = None, logprobs: Any = None) -> str:
    return event(choices=[{"index": 0, "delta": {"content": text}, "logprobs": logprobs, "finish_reason": reason}])


def text_piece(text: str, reason: str | None = None, logprobs: Any = None) -> str:
    return event(choices=[{"index": 0, "text": text, "logprobs": logprobs, "finish_reason": reason}])


def used(prompt: int, completion: int) -> str:
    """The event with the usage, and the end."""
    return event(choices=[], usage={"prompt_tokens": prompt, "completion_tokens": completion}) + "data: [DONE]\n\n"


class RecordingServer:
    """A `Server`. `replies`: one for each generation, in turn; the last one again for all further ones."""

    def __init__(self, *replies: Sequence[Piece], embeddings: Any = None) -> None:
        self.replies = list(replies or [[text_piece("ok", "stop"), used(1, 1)]])
        self.embeddings = embeddings
        self.asked: list[tuple[str, Body]] = []
        self.measured: Any = None
        self.dead = self.started = self.stopped = False
        self.closed = 0

    async def start(self) -> None:
        self.started = True

    async def _reply(self, kind: str, body: Body) -> AsyncIterator[str | Complaint]:
        self.asked.append((kind, body))
        pieces = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        try:
            for piece in pieces:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            self.closed += 1

    def chat(self, body: Body) -> AsyncIterator[str | Complaint]:
        return self._reply("chat", body)

    def complete(self, body: Body) -> AsyncIterator[str | Complaint]:
        return self._reply("complete", body)

    async def embed(self, body: Body) -> Body | Complaint:
        self.asked.append(("embed", body))
        if isinstance(self.embeddings, Exception):
            raise self.embeddings
        told: Body | Complaint = self.embeddings
        return told

    async def measure(self, body: Body) -> tuple[int, int] | Complaint:
        self.asked.append(("measure", body))
        if self.measured is not None:
            told: tuple[int, int] | Complaint = self.measured
            return told
        prompt = body.get("prompt", "")
        words = prompt if not isinstance(prompt, str) else prompt.split()
        if "messages" in body:
            words = [word for message in body["messages"] for word in str(_content(message)).split()]
        return len(words), CONTEXT

    def token_bytes(self, token: int) -> bytes:
        return {1: b"a", 2: b"\xe6", 3: b" b"}[token]

    async def check_health(self) -> None:
        if self.dead:
            raise RuntimeError("the engine core is gone")

    async def stop(self) -> None:
        self.stopped = True


def _content(message: Mapping[str, str]) -> str:
    return message["content"]
