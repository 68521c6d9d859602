"""OpenAI's wire format of generated text. Written on the replica, so the ingress passes bytes on without reading them.

A `Form` is how one of the two APIs writes a choice; what is around the choices is the same in both.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import orjson

from deployments.models.engines.protocol import Chunk, FinishReason, TokenLogprob, Usage

DONE = b"data: [DONE]\n\n"


class Form(Protocol):
    """How choices are written."""

    whole: str
    """`object` of a plain reply."""
    piece: str
    """`object` of an event."""

    def choice(
        self, index: int, text: str, logprobs: Sequence[TokenLogprob] | None, reason: FinishReason | None
    ) -> dict[str, Any]:
        """A whole choice."""

    def opening(self, index: int) -> dict[str, Any] | None:
        """What begins a streamed choice, if anything does."""

    def delta(self, index: int, text: str, logprobs: Sequence[TokenLogprob] | None) -> dict[str, Any]:
        """A piece of a streamed choice."""

    def closing(self, index: int, reason: FinishReason) -> dict[str, Any]:
        """What ends a streamed choice."""


class ChatForm:
    """`/v1/chat/completions`."""

    whole, piece = "chat.completion", "chat.completion.chunk"

    def choice(
        self, index: int, text: str, logprobs: Sequence[TokenLogprob] | None, reason: FinishReason | None
    ) -> dict[str, Any]:
        message = {"role": "assistant", "content": text, "refusal": None}
        return {"index": index, "message": message, "logprobs": _chat_logprobs(logprobs), "finish_reason": reason}

    def opening(self, index: int) -> dict[str, Any]:
        return self._piece(index, {"role": "assistant", "content": "", "refusal": None})

    def delta(self, index: int, text: str, logprobs: Sequence[TokenLogprob] | None) -> dict[str, Any]:
        return self._piece(index, {"content": text}, logprobs)

    def closing(self, index: int, reason: FinishReason) -> dict[str, Any]:
        return self._piece(index, {}, reason=reason)

    def _piece(
        self,
        index: int,
        delta: dict[str, Any],
        logprobs: Sequence[TokenLogprob] | None = None,
        reason: FinishReason | None = None,
    ) -> dict[str, Any]:
        return {"index": index, "delta": delta, "logprobs": _chat_logprobs(logprobs), "finish_reason": reason}


class TextForm:
    """`/v1/completions`."""

    whole, piece = "text_completion", "text_completion"

    def __init__(self) -> None:
        self._said: dict[int, int] = {}  # characters so far, by choice: log-probabilities tell each token's place

    def choice(
        self, index: int, text: str, logprobs: Sequence[TokenLogprob] | None, reason: FinishReason | None
    ) -> dict[str, Any]:
        told = self._logprobs(index, logprobs)
        return {"index": index, "text": text, "logprobs": told, "finish_reason": reason}

    def opening(self, _: int) -> None:
        return None

    def delta(self, index: int, text: str, logprobs: Sequence[TokenLogprob] | None) -> dict[str, Any]:
        return self.choice(index, text, logprobs, None)

    def closing(self, index: int, reason: FinishReason) -> dict[str, Any]:
        return self.choice(index, "", None, reason)

    def _logprobs(self, index: int, logprobs: Sequence[TokenLogprob] | None) -> dict[str, Any] | None:
        if logprobs is None:
            return None
        offsets = []
        for each in logprobs:
            offsets.append(self._said.get(index, 0))
            self._said[index] = offsets[-1] + len(each.token)
        return {
            "tokens": [each.token for each in logprobs],
            "token_logprobs": [each.logprob for each in logprobs],
            "top_logprobs": [{top.token: top.logprob for top in each.top} for each in logprobs],
            "text_offset": offsets,
        }


FORMS: dict[str, type[ChatForm] | type[TextForm]] = {"chat": ChatForm, "text": TextForm}


def usage_object(usage: Usage) -> dict[str, int]:
    """`{"prompt_tokens": …, "completion_tokens": …, "total_tokens": …}`."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def completion(
    form: Form,
    identifier: str,
    model: str,
    choices: Iterable[tuple[str, Sequence[TokenLogprob] | None, Chunk]],
    usage: Usage,
) -> bytes:
    """The body of a plain reply. `choices`: of each its text, its log-probabilities where asked for, its last chunk."""
    return orjson.dumps(
        {
            "id": identifier,
            "object": form.whole,
            "created": int(time.time()),
            "model": model,
            "choices": [
                form.choice(index, text, logprobs, last.finish_reason)
                for index, (text, logprobs, last) in enumerate(choices)
            ],
            "usage": usage_object(usage),
        }
    )


class EventStream:
    """Server-sent events of one streamed reply."""

    def __init__(self, form: Form, identifier: str, model: str, *, include_usage: bool, logprobs: bool) -> None:
        self._form, self._logprobs = form, logprobs
        self._include_usage = include_usage
        head = {"id": identifier, "object": form.piece, "created": int(time.time()), "model": model}
        # All events of a stream begin alike: written once, closed by each event's own part.
        self._head = b"data: " + orjson.dumps(head)[:-1]
        self._no_usage = b',"usage":null' if include_usage else b""

    def opening(self, choices: int) -> bytes:
        """What comes before any piece."""
        return b"".join(self._event(self._form.opening(index)) for index in range(choices))

    def piece(self, index: int, chunk: Chunk) -> bytes:
        """The events of a choice's next chunk."""
        events = b""
        if chunk.text or chunk.logprobs or chunk.finish_reason is None:
            events = self._event(self._form.delta(index, chunk.text, chunk.logprobs if self._logprobs else None))
        if chunk.finish_reason is not None:
            events += self._event(self._form.closing(index, chunk.finish_reason))
        return events

    def closing(self, usage: Usage) -> bytes:
        """What comes after the last piece of the last choice."""
        events = b""
        if self._include_usage:
            events = self._head + b',"choices":[],"usage":' + orjson.dumps(usage_object(usage)) + b"}\n\n"
        return events + DONE

    def _event(self, choice: dict[str, Any] | None) -> bytes:
        if choice is None:
            return b""
        return self._head + b',"choices":[' + orjson.dumps(choice) + b"]" + self._no_usage + b"}\n\n"


def _chat_logprobs(logprobs: Sequence[TokenLogprob] | None) -> dict[str, Any] | None:
    if logprobs is None:
        return None
    content = [{**_chat_token(each), "top_logprobs": [_chat_token(top) for top in each.top]} for each in logprobs]
    return {"content": content, "refusal": None}


def _chat_token(each: TokenLogprob) -> dict[str, Any]:
    return {"token": each.token, "logprob": each.logprob, "bytes": list(each.utf8)}
