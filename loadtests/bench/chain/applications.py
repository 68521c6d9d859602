"""Who is measured at the level of the chain: Sluice, and what one would write instead, behind one HAProxy.

`bare` is Ray Serve without limits: a FastAPI ingress with a validated body in front of the same engine, whose replica
writes OpenAI's reply by the same code, so that nothing but the chain differs. `limits` is Sluice with its limiter
replaced by another library. `constant` is the least that an ingress can do.
"""

import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Any
from unittest import mock

import limits
import limits.aio.storage
import limits.aio.strategies
from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle

from deployments.ingress.deployment import Ingress
from deployments.models.engines.protocol import Chunk, GenerateRequest, Usage
from deployments.models.engines.registry import make_engine
from deployments.models.openai_format import ChatForm, EventStream, completion
from policies import Charge, Decision
from serve_app import graph
from serve_app.config import ApplicationArgs

MODEL = "yardstick"
CHUNKS = 64
"""Of a streamed reply."""
AT_ONCE = {"first_token_ms": 0, "inter_token_ms": 0, "reply_tokens": CHUNKS}
"""The engine takes no time, so what is measured is what is around it."""
HIGH = 10**8
"""A limit out of reach."""
ROOMY, SPENT = "roomy", "spent"
"""Two tenants: one that no limit stops, and one that is over its own."""

_SMALL = {"num_cpus": 0.05}
_MOST = 1_000
"""Requests at once, of every deployment: nothing queues."""


def secret(tenant: str) -> str:
    """The API key of a tenant."""
    return f"sk-{tenant}-{'s' * 24}"


def sluice(name: str, redis_url: str, options: dict[str, Any], import_path: str = "serve_app:build") -> dict[str, Any]:
    """Sluice with all six scopes, as it stands in a configuration file."""
    replica = {"max_ongoing_requests": _MOST, "ray_actor_options": _SMALL}
    return {
        "name": name,
        "route_prefix": f"/{name}",
        "import_path": import_path,
        "args": {
            "redis": {"url": redis_url, "key_prefix": name, "deadline_ms": 1_000},
            "models": [{"name": MODEL, "engine": {"kind": "simulated", "options": options}}],
        },
        "deployments": [
            {"name": "Ingress", **replica, "user_config": {"catalogue": catalogue()}},
            {"name": "ModelRouter", **replica},
            {"name": f"model-{MODEL}", **replica, "max_queued_requests": _MOST},
        ],
    }


def catalogue() -> dict[str, Any]:
    """Two tenants with a user and a key each, one model, a policy of every scope."""
    tenants = (ROOMY, SPENT)
    scopes = ("GLOBAL", "TENANT", "API_KEY", "MODEL", "MODEL_TIER", "USER_MODEL")
    policies = [
        {"name": scope.lower().replace("_", "-"), "scope": scope, "limit": HIGH, "window": "1m"} for scope in scopes
    ]
    return {
        "tenants": [{"name": tenant, "qos_tier": "standard"} for tenant in tenants],
        "users": [{"name": tenant, "tenant": tenant} for tenant in tenants],
        "keys": [
            {"id": tenant, "user": tenant, "sha256": hashlib.sha256(secret(tenant).encode()).hexdigest()}
            for tenant in tenants
        ],
        "tiers": [{"name": "only"}],
        "models": [{"name": MODEL, "tier": "only"}],
        "policies": [
            *policies,
            {"name": "spent", "scope": "TENANT", "limit": 1, "window": "1h", "match": {"tenant": SPENT}},
        ],
    }


class Message(BaseModel):
    """As in OpenAI's API."""

    role: str
    content: str


class ChatRequest(BaseModel):
    """As in OpenAI's API."""

    model: str
    messages: list[Message]
    max_tokens: int = 1_024
    stream: bool = False


class _Model:
    """The engine and nothing else."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._engine = make_engine("simulated", options)

    async def reply(self, request: dict[str, Any]) -> bytes:
        chunks = [chunk async for chunk in self._chunks(request)]
        usage = chunks[-1].usage or Usage(0, 0)
        return completion(
            ChatForm(), "chatcmpl-1", MODEL, [("".join(chunk.text for chunk in chunks), None, chunks[-1])], usage
        )

    async def stream(self, request: dict[str, Any]) -> AsyncIterator[bytes]:
        events = EventStream(ChatForm(), "chatcmpl-1", MODEL, include_usage=False, logprobs=False)
        opening = events.opening(1)
        async for chunk in self._chunks(request):
            closing = events.closing(chunk.usage) if chunk.usage is not None else b""
            yield opening + events.piece(0, chunk) + closing
            opening = b""

    def _chunks(self, request: dict[str, Any]) -> AsyncIterator[Chunk]:
        return self._engine.generate(GenerateRequest(tuple(request["messages"]), request["max_tokens"]))


class _Bare:
    def __init__(self, model: DeploymentHandle[Any]) -> None:
        self._model, self._stream = model, model.options(stream=True)

    def __serve_build_asgi_app__(self) -> FastAPI:
        app = FastAPI()

        @app.get("/ready")
        async def ready() -> str:
            await self._model.reply.remote({"messages": [{"role": "user", "content": "?"}], "max_tokens": 1})
            return "ready"

        @app.post("/v1/chat/completions")
        async def chat(request: ChatRequest) -> Response:
            asked = request.model_dump()
            if request.stream:
                return StreamingResponse(self._stream.stream.remote(asked), media_type="text/event-stream")
            return Response(await self._model.reply.remote(asked), media_type="application/json")

        return app


class _Constant:
    def __serve_build_asgi_app__(self) -> FastAPI:
        app = FastAPI()

        @app.get("/ready")
        async def ready() -> str:
            return "ready"

        @app.post("/v1/chat/completions")
        async def chat() -> dict[str, str]:
            return {"answer": "constant"}

        return app


def build_bare(args: dict[str, Any]) -> Application:
    """`import_path` of the bare chain; `args`: the engine's options."""
    options = {"max_ongoing_requests": _MOST, "ray_actor_options": _SMALL}
    model = serve.deployment(_Model, name="model", **options)
    application: Application = serve.deployment(serve.ingress()(_Bare), name="ingress", **options).bind(
        model.bind(args)
    )
    return application


def build_constant(_: dict[str, Any]) -> Application:
    """`import_path` of the ingress that does nothing."""
    options = {"max_ongoing_requests": _MOST, "ray_actor_options": _SMALL}
    application: Application = serve.deployment(serve.ingress()(_Constant), name="constant", **options).bind()
    return application


class _MovingWindows:
    """The asyncio moving window of `limits` in the place of our limiter: one call for each policy."""

    def __init__(self, redis_url: str) -> None:
        storage = limits.aio.storage.RedisStorage(f"async+{redis_url}", implementation="redispy")
        self._strategy = limits.aio.strategies.MovingWindowRateLimiter(storage)

    async def acquire(self, charges: Sequence[Charge]) -> Decision:
        for charge in charges:
            policy = charge.policy
            item = limits.RateLimitItemPerSecond(policy.limit, policy.window // 1_000)
            if not await self._strategy.hit(item, policy.name, charge.subject):
                return Decision("limits", False, 1.0, policy.name, 0.0, ())
        return Decision("limits", True, 0.0, None, 0.0, ())


class _IngressWithLimits(Ingress.func_or_class):  # type: ignore[misc,name-defined] # the class inside the deployment
    async def __init__(  # type: ignore[misc] # Ray has made the one below a coroutine
        self, *given: Any, redis_url: str, **named: Any
    ) -> None:
        await super().__init__(*given, redis_url=redis_url, **named)
        self._state.limiter.acquire = _MovingWindows(redis_url).acquire


def build_with_limits(args: ApplicationArgs) -> Application:
    """`import_path` of Sluice with the limiter of `limits`."""
    replaced = serve.deployment(_IngressWithLimits, name="Ingress")
    with mock.patch.object(graph, "Ingress", replaced):
        return graph.bind_graph(args)


def other(name: str, builder: str, args: dict[str, Any] | None = None) -> dict[str, Any]:
    """One that is not Sluice, as it stands in a configuration file."""
    return {
        "name": name,
        "route_prefix": f"/{name}",
        "import_path": f"loadtests.bench.chain.applications:{builder}",
        **({"args": args} if args is not None else {}),
    }
