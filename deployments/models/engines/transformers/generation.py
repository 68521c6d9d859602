"""Text generation: requests are checked here, on the event loop, and run together by one thread of their own.

What runs together is `…transformers.batcher`, what runs it `…transformers.causal`.
"""

import asyncio
from collections.abc import AsyncIterator
from random import Random
from typing import cast

from deployments.models.engines.protocol import (
    Chunk,
    Engine,
    EngineBrokenError,
    GenerateRequest,
    Prompt,
    RequestRefusedError,
    unsupported_parameter,
)
from deployments.models.engines.transformers.batcher import Batcher
from deployments.models.engines.transformers.causal import CausalModel
from deployments.models.engines.transformers.options import TransformersOptions
from deployments.models.engines.transformers.replies import Reply, call_soon
from deployments.models.engines.transformers.row import Row, Vocabulary
from deployments.models.engines.transformers.sampling import Sampling
from deployments.tokenization.tokenizer import ChatTemplateError

CLOSE_S = 5.0
"""How long closing waits for the step that runs."""


class GenerationEngine(Engine):
    """See the module."""

    def __init__(self, options: TransformersOptions) -> None:
        self._options = options
        self._batcher: Batcher | None = None
        self._model: CausalModel | None = None

    @property
    def running(self) -> int:
        """How many requests are in the thread's hands."""
        return 0 if self._batcher is None else self._batcher.running

    async def load(self) -> None:
        loop = asyncio.get_running_loop()
        loaded: asyncio.Future[None] = loop.create_future()

        def settle(error: Exception | None) -> None:
            if loaded.done():
                return
            if error is None:
                loaded.set_result(None)
            else:
                loaded.set_exception(error)

        def make() -> CausalModel:
            self._model = CausalModel(self._options)
            self._vocabulary = Vocabulary(self._model.tokenizer.inner, self._model.defaults.ends)
            return self._model

        # In the thread that will run it: what libraries keep ready, they keep for each thread.
        self._batcher = Batcher(
            make, self._options.max_batch_requests, lambda error: call_soon(loop, lambda: settle(error))
        )
        self._batcher.start()
        await loaded

    async def check_health(self) -> None:
        batcher = self._batcher
        if batcher is None or batcher.over is not None or not batcher.alive:
            raise EngineBrokenError((batcher and batcher.over) or "the engine is not loaded")

    async def close(self) -> None:
        if self._batcher is not None:
            await asyncio.to_thread(self._batcher.close, CLOSE_S)

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        await self.check_health()
        model, batcher = cast(CausalModel, self._model), cast(Batcher, self._batcher)
        refuse_extra(request)
        prompt = await asyncio.to_thread(_tokens, model, request.prompt)
        row = self._row(model, request, prompt)
        try:
            batcher.submit(row)
            await self.check_health()  # after it was handed over: at its end the thread answers what it finds
            while True:
                chunk = await row.reply.next()
                yield chunk
                if chunk.finish_reason is not None:
                    return
        finally:
            row.reply.left = True
            batcher.wake()

    def _row(self, model: CausalModel, request: GenerateRequest, prompt: list[int]) -> Row:
        room = model.context - len(prompt)
        chat = not isinstance(request.prompt, str) and not all(isinstance(each, int) for each in request.prompt)
        if room < 1:
            raise RequestRefusedError(
                "context_length_exceeded",
                f"This model's context is {model.context} tokens, reply included, and the prompt alone has"
                f" {len(prompt)}.",
                param="messages" if chat else "prompt",
            )
        return Row(
            Reply(),
            prompt,
            min(request.max_tokens, room),
            _sampling(model, request),
            request.stop,
            self._vocabulary,
            continues=not chat,
        )


def refuse_extra(request: GenerateRequest) -> None:
    """Parameters that would change the reply and are not honoured; those that change nothing are let pass."""
    for name, value in request.extra.items():
        if value and value != {"type": "text"}:
            raise unsupported_parameter(name)


def _sampling(model: CausalModel, request: GenerateRequest) -> Sampling:
    defaults = model.defaults
    temperature = request.temperature
    if temperature is None:
        wants_sampling = request.top_p is not None and request.top_p < 1
        temperature = defaults.temperature or (defaults.sampling_temperature if wants_sampling else 0.0)
    return Sampling(
        temperature=temperature,
        top_p=defaults.top_p if request.top_p is None else request.top_p,
        top_k=defaults.top_k,
        logprobs=request.logprobs,
        chance=Random() if request.seed is None else Random(request.seed),  # noqa: S311 - words, not secrets
    )


def _tokens(model: CausalModel, prompt: Prompt) -> list[int]:
    """Raises `RequestRefusedError`."""
    if isinstance(prompt, str):
        return _not_empty(model.tokenizer.encode(prompt))
    tokens = [each for each in prompt if isinstance(each, int)]
    if tokens and len(tokens) == len(prompt):
        for token in tokens:
            if not 0 <= token < model.vocabulary:
                raise RequestRefusedError(
                    "invalid_token",
                    f"The prompt has the token {token}, and this model's tokens are 0 to {model.vocabulary - 1}.",
                    param="prompt",
                )
        return tokens
    messages = [each for each in prompt if not isinstance(each, int)]
    try:
        return _not_empty(model.tokenizer.encode_chat(messages) if messages else [])
    except ChatTemplateError as error:
        code = "invalid_messages" if model.tokenizer.has_chat_template else "unsupported_operation"
        raise RequestRefusedError(code, _sentence(str(error)), param="messages") from error


def _not_empty(tokens: list[int]) -> list[int]:
    if not tokens:
        raise RequestRefusedError("invalid_prompt", "The prompt has no tokens.", param="prompt")
    return tokens


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
