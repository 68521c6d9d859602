"""vLLM's server as `ray.serve.llm` runs it. Nothing else imports that, and only replicas of `kind: vllm` import this.

The server runs in our replica's own process: a request makes no further hop, and its slots, health and replicas are
those of any model. Ray and vLLM are pinned together. What is used here is the public face of `ray.serve.llm`, and
beside it the requests that count tokens, and vLLM's own client: it knows the tokenizer, and ends the engine's
processes.
"""

import asyncio
import functools
import re
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from pydantic import TypeAdapter, ValidationError
from ray.llm._internal.serve.core.configs.openai_api_models import TokenizeRequest
from ray.serve.llm import LLMConfig
from ray.serve.llm.deployment import LLMServer
from ray.serve.llm.openai_api_models import ChatCompletionRequest, CompletionRequest, EmbeddingRequest
from vllm.exceptions import VLLMClientError

from deployments.models.engines.vllm.engine import VllmEngine
from deployments.models.engines.vllm.options import VllmOptions
from deployments.models.engines.vllm.replies import complaint
from deployments.models.engines.vllm.server import Body, Complaint
from deployments.tokenization.token_bytes import token_bytes

_SPARE_LOGPROBS = 21
"""OpenAI's API allows the 20 likeliest tokens; the generated one may come on top."""


PLACED_S = 60
"""How long a placement group may take where none was made for the process. Seconds."""


def llm_config(options: VllmOptions) -> LLMConfig:
    """Our options in the words of `ray.serve.llm`."""
    arguments: dict[str, Any] = {"max_logprobs": _SPARE_LOGPROBS, **options.engine_kwargs}
    if options.chat_template is not None:
        arguments["chat_template"] = options.chat_template
    if options.task == "embed":
        arguments.setdefault("runner", "pooling")
    return LLMConfig(
        # The name is seen by nobody but vLLM's metrics, and the cache of a model in cloud storage.
        model_loading_config={"model_id": _served_name(options), "model_source": options.model},
        engine_kwargs=arguments,
        accelerator_type=options.accelerator_type,
        accelerator_config={"kind": options.device},
        placement_group_config={"bundles": options.worker_bundles(), "strategy": options.placement_strategy},
        deployment_config={"ray_actor_options": {"num_cpus": options.cpus}},
        log_engine_metrics=options.engine_metrics,
        experimental_configs={"stream_batching_interval_ms": 0},  # else every first token waits 50 ms for others
    )


def _served_name(options: VllmOptions) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "--", options.model).strip("-")


class RayLlmServer:
    """A `deployments.models.engines.vllm.server.Server`."""

    def __init__(self, options: VllmOptions) -> None:
        self._llm: Any = LLMServer.sync_init(llm_config(options))

    async def start(self) -> None:
        # A replica's placement group is there when it starts. Where this runs alone it has just been asked for, and Ray
        # reads where it lies without waiting.
        placed = self._llm._llm_config.get_or_create_callback().ctx.placement_group
        await asyncio.to_thread(placed.wait, PLACED_S)
        await self._llm.start()
        engine = self._llm.engine
        if engine._oai_serving_tokenization is None:  # Ray 2.60 looks for it by the name that it had before vLLM 0.29
            engine._oai_serving_tokenization = engine._app_state.serving_tokenization
        self._bytes = functools.lru_cache(100_000)(token_bytes(self._client.get_tokenizer()))

    def chat(self, body: Body) -> AsyncIterator[str | Complaint]:
        return self._streamed(self._llm.chat, lambda: ChatCompletionRequest(**body))

    def complete(self, body: Body) -> AsyncIterator[str | Complaint]:
        return self._streamed(self._llm.completions, lambda: CompletionRequest(**body))

    async def embed(self, body: Body) -> Body | Complaint:
        told: Body | Complaint = await self._whole(
            self._llm.embeddings, lambda: TypeAdapter(EmbeddingRequest).validate_python(body)
        )
        return told

    async def measure(self, body: Body) -> tuple[int, int] | Complaint:
        told = await self._whole(self._llm.tokenize, lambda: TypeAdapter(TokenizeRequest).validate_python(body))
        return told if isinstance(told, Complaint) else (told["count"], told["max_model_len"])

    def token_bytes(self, token: int) -> bytes:
        return self._bytes(token)

    async def check_health(self) -> None:
        await self._llm.check_health()

    async def stop(self) -> None:
        if self._llm.engine is not None and self._client is not None:
            self._client.shutdown()

    @property
    def _client(self) -> Any:
        return self._llm.engine._engine_client

    async def _streamed(self, method: Any, make: Callable[[], Any]) -> AsyncIterator[str | Complaint]:
        request = _checked(make)
        if isinstance(request, Complaint):
            yield request
            return
        async with aclosing(await method(request)) as batches:
            async for batch in batches:
                for item in batch if isinstance(batch, list) else [batch]:
                    yield item if isinstance(item, str) else complaint(item.model_dump()["error"])

    async def _whole(self, method: Any, make: Callable[[], Any]) -> Any:
        request = _checked(make)
        if isinstance(request, Complaint):
            return request
        async with aclosing(await method(request)) as replies:
            async for reply in replies:
                told = reply.model_dump()
                return complaint(told["error"]) if "error" in told else told
        raise RuntimeError("no reply")


def _checked(make: Callable[[], Any]) -> Any:
    """The request, or what vLLM's own schema has against it."""
    try:
        return make()
    except ValidationError as error:
        first = error.errors()[0]
        return Complaint(
            400, first["msg"].removeprefix("Value error, "), str(first["loc"][0]) if first["loc"] else None
        )
    except VLLMClientError as error:  # raised by its validators
        return Complaint(400, str(error), getattr(error, "parameter", None))


class RayLlmEngine(VllmEngine):
    """The engine over the real server."""

    def __init__(self, options: VllmOptions) -> None:
        super().__init__(options, RayLlmServer(options))
