"""Requests for text as the user's `generate` takes them; and its reply, counted and cut in time."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from deployments.models.engines.protocol import (
    Chunk,
    GenerateRequest,
    RequestRefusedError,
    Usage,
    unsupported_parameter,
)
from deployments.models.engines.python.importing import unfit
from deployments.models.engines.stopping import StopTexts
from deployments.tokenization.counting import words

Count = Callable[[str], int]
"""Tokens of a text."""


@dataclass(frozen=True, slots=True)
class GenerateSignature:
    """Which parameters a class's `generate` takes."""

    names: frozenset[str]
    takes_any: bool
    """It has `**parameters`."""

    def takes(self, name: str) -> bool:
        """Whether it can be called with this one."""
        return self.takes_any or name in self.names

    def arguments(self, request: GenerateRequest) -> dict[str, Any]:
        """For a call; raises `RequestRefusedError` for what the class does not take. What the client left out is left
        out, so that the class's own defaults hold; `stop` and `max_tokens` hold whether or not the class takes them."""
        arguments = self._prompt(request)
        if self.takes("max_tokens"):
            arguments["max_tokens"] = request.max_tokens
        if request.stop and self.takes("stop"):
            arguments["stop"] = list(request.stop)
        if request.logprobs is not None:
            raise unsupported_parameter("logprobs")
        sampling = {"temperature": request.temperature, "top_p": request.top_p, "seed": request.seed}
        for name, value in {**sampling, **request.extra}.items():
            if value is None:
                continue
            if not self.takes(name):
                raise unsupported_parameter(name)
            arguments[name] = value
        return arguments

    def _prompt(self, request: GenerateRequest) -> dict[str, Any]:
        if isinstance(request.prompt, str):
            if not self.takes("prompt"):
                raise RequestRefusedError(
                    "unsupported_operation", "This model takes conversations only.", param="prompt"
                )
            return {"prompt": request.prompt}
        messages = [dict(each) for each in request.prompt if isinstance(each, Mapping)]
        if not messages:
            raise RequestRefusedError("unsupported_operation", "This model takes no tokens, but texts.", param="prompt")
        if not self.takes("messages"):
            raise RequestRefusedError("unsupported_operation", "This model takes no conversations.", param="messages")
        return {"messages": messages}


def signature_of(path: str, method: Callable[..., Any]) -> GenerateSignature:
    """Of a bound method; raises `EngineOptionsError` where no prompt could be passed to it."""
    parameters = inspect.signature(method).parameters.values()
    named = frozenset(each.name for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY))
    found = GenerateSignature(named, any(each.kind == each.VAR_KEYWORD for each in parameters))
    if not (found.takes("messages") or found.takes("prompt")):
        raise unfit(
            path,
            f"generate takes messages (a list of dicts), prompt (a text), or both, but it is "
            f"generate{inspect.signature(method)}",
        )
    return found


def input_tokens(request: GenerateRequest, count: Count) -> int:
    """Of a prompt that the class takes."""
    if isinstance(request.prompt, str):
        return count(request.prompt)
    return sum(count(each["content"]) for each in request.prompt if isinstance(each, Mapping))


class Reply:
    """One reply as it grows: counted piece by piece, ended by a stop text or by `max_tokens`."""

    def __init__(self, request: GenerateRequest, count: Count | None) -> None:
        """`count` has the tokens of a piece; None: a token is a word."""
        self._count, self._most = count, request.max_tokens
        self._stops = StopTexts(request.stop)
        self._tokens, self._in_word = 0, False
        self.over = False
        """Nothing more is wanted: it has as many tokens as it may, or a stop text has come."""
        self._cut = False

    def push(self, piece: str) -> str:
        """The next piece; returns what may leave now."""
        kept = self._within(piece)
        text = self._stops.push(kept)
        self.over = self._cut or self._stops.stopped
        return text

    def last(self, input_tokens: int) -> Chunk:
        """The end of it."""
        rest = self._stops.flush()
        length = not self._stops.stopped and (self._cut or self._tokens >= self._most)
        return Chunk(rest, "length" if length else "stop", Usage(input_tokens, self._tokens))

    def _within(self, piece: str) -> str:
        if self._count is None:
            return self._words_within(piece)
        tokens = self._count(piece)
        if self._tokens + tokens > self._most:
            self._cut = True
            return ""
        self._tokens += tokens
        return piece

    def _words_within(self, piece: str) -> str:
        """As much of it as has no more words than are left; a word may go on from the piece before."""
        begun = self._in_word and bool(piece) and not piece[0].isspace()
        new = words([piece]) - begun
        if piece:
            self._in_word = not piece[-1].isspace()
        if self._tokens + new <= self._most:
            self._tokens += new
            return piece
        self._cut = True
        left = self._most - self._tokens + begun
        self._tokens = self._most
        ends = [word.end() for word in islice(re.finditer(r"\S+", piece), left)]
        return piece[: ends[-1]] if ends else ""
