"""What a team writes that serves a model on Ray Serve by itself: FastAPI with a request model, a call by handle.

No identities, limits or priorities. It is the yardstick of what a chain costs, so it is neither handicapped nor tuned:
the engine is the product's own, replies are written by the replica in OpenAI's form, and the ingress passes them on.
"""

import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import orjson
from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle

from deployments.models.engines.protocol import Chunk, GenerateRequest
from deployments.models.engines.registry import make_engine

app = FastAPI()


class Message(BaseModel):
    """One message of the conversation."""

    role: str
    content: str


class ChatRequest(BaseModel):
    """The fields of OpenAI's request that this server reads."""

    model: str
    messages: list[Message]
    max_tokens: int = 256
    temperature: float | None = None
    stream: bool = False


class BareModel:
    """A replica with an engine."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._engine = make_engine("simulated", options)

    async def chat(self, request: dict[str, Any]) -> bytes:
        """A whole reply."""
        chunks = [chunk async for chunk in self._generate(request)]
        usage = chunks[-1].usage
        assert usage is not None
        return orjson.dumps(
            {
                "id": f"chatcmpl-{uuid4().hex}",
                "object": "chat.completion",
                "created": int(time.time()),
                "model": request["model"],
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": "".join(chunk.text for chunk in chunks)},
                        "logprobs": None,
                        "finish_reason": chunks[-1].finish_reason,
                    }
                ],
                "usage": {
                    "prompt_tokens": usage.input_tokens,
                    "completion_tokens": usage.output_tokens,
                    "total_tokens": usage.input_tokens + usage.output_tokens,
                },
            }
        )

    async def chat_stream(self, request: dict[str, Any]) -> AsyncIterator[bytes]:
        """Server-sent events, one for each chunk of the engine."""
        head = {
            "id": f"chatcmpl-{uuid4().hex}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": request["model"],
        }
        role: dict[str, str] = {"role": "assistant"}
        async for chunk in self._generate(request):
            choice = {"index": 0, "delta": {**role, "content": chunk.text}, "finish_reason": chunk.finish_reason}
            role = {}
            yield b"data: " + orjson.dumps({**head, "choices": [choice]}) + b"\n\n"
        yield b"data: [DONE]\n\n"

    def _generate(self, request: dict[str, Any]) -> AsyncIterator[Chunk]:
        return self._engine.generate(
            GenerateRequest(
                prompt=tuple(request["messages"]),
                max_tokens=request["max_tokens"],
                temperature=request["temperature"],
            )
        )


@serve.deployment
@serve.ingress(app)
class BareIngress:
    """HTTP in and out."""

    def __init__(self, models: dict[str, DeploymentHandle[Any]]) -> None:
        self._models = models
        self._streams = {name: model.options(stream=True) for name, model in models.items()}

    @app.post("/v1/chat/completions")
    async def chat(self, request: ChatRequest) -> Response:
        """A chat completion."""
        if request.stream:
            events = self._streams[request.model].chat_stream.remote(request.model_dump())
            return StreamingResponse(events, media_type="text/event-stream")
        reply = await self._models[request.model].chat.remote(request.model_dump())
        return Response(reply, media_type="application/json")

    @app.get("/readyz")
    async def ready(self) -> dict[str, str]:
        """It answers."""
        return {"status": "ready"}


def build(args: dict[str, Any]) -> Application:
    """`args.models`: options of the engine, by model."""
    replica: Any = serve.deployment(BareModel)
    ingress: Any = BareIngress
    models = {name: replica.options(name=f"bare-{name}").bind(options) for name, options in args["models"].items()}
    application: Application = ingress.bind(models)
    return application
