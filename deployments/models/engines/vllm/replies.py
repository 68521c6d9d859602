"""vLLM's server-sent events as our chunks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from deployments.models.engines.protocol import Chunk, EngineFailureError, FinishReason, TokenLogprob, Usage
from deployments.models.engines.vllm.server import Complaint

TokenBytes = Callable[[int], bytes]

_ID = "token_id:"
"""What vLLM puts before a token's number, where it was asked for numbers."""


class ReplyReader:
    """Reads one streamed reply, event by event."""

    def __init__(self, token_bytes: TokenBytes, logprobs: int | None) -> None:
        self._token_bytes, self._top = token_bytes, logprobs or 0
        self._last: Chunk | None = None
        self.ended = False

    def read(self, events: str) -> Iterator[Chunk | Complaint]:
        """The chunks in a piece of the stream. The last one waits for the usage, which comes in an event of its own."""
        for event in events.split("\n\n"):
            data = event.removeprefix("data: ").strip()
            if not data or data == "[DONE]":
                continue
            told = orjson.loads(data)
            if "error" in told:
                yield complaint(told["error"])
                return
            yield from self._chunks(told)

    def _chunks(self, told: Mapping[str, Any]) -> Iterator[Chunk]:
        for choice in told["choices"]:
            text = choice["text"] if "text" in choice else choice["delta"].get("content") or ""
            logprobs = tuple(self._logprobs(choice.get("logprobs")))
            reason = choice.get("finish_reason")
            if reason is not None:
                self._last = Chunk(text, _reason(reason), logprobs=logprobs)
            elif text or logprobs:
                yield Chunk(text, logprobs=logprobs)
        usage = told.get("usage")
        if usage is not None and self._last is not None and not self.ended:
            last, self.ended = self._last, True
            used = Usage(usage["prompt_tokens"], usage.get("completion_tokens") or 0)
            yield Chunk(last.text, last.finish_reason, used, last.logprobs)

    def _logprobs(self, told: Mapping[str, Any] | None) -> Iterator[TokenLogprob]:
        if told is None:
            return
        if "content" in told:  # of a chat
            for each in told["content"] or ():
                likeliest = [(top["token"], top["logprob"]) for top in each["top_logprobs"]]
                yield self._token(each["token"], each["logprob"], likeliest)
            return
        for token, logprob, tops in zip(told["tokens"], told["token_logprobs"], told["top_logprobs"], strict=True):
            yield self._token(token, logprob, list((tops or {}).items()))

    def _token(self, token: str, logprob: float, likeliest: Sequence[tuple[str, float]] = ()) -> TokenLogprob:
        utf8 = self._token_bytes(int(token.removeprefix(_ID)))
        best = sorted(likeliest, key=lambda each: -each[1])[: self._top]
        return TokenLogprob(utf8.decode(errors="replace"), logprob, utf8, tuple(self._token(*each) for each in best))


def complaint(error: Mapping[str, Any]) -> Complaint:
    """From the `error` of OpenAI's form."""
    code = error.get("code")
    return Complaint(code if isinstance(code, int) else 500, str(error.get("message")), error.get("param"))


def _reason(told: str) -> FinishReason:
    if told == "abort":
        raise EngineFailureError("vLLM gave the request up")
    return "length" if told == "length" else "stop"
