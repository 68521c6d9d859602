"""The whole HTTP surface, built from its dependencies: runs under Ray Serve and under any ASGI server."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.ingress.admin import admin_request_schemas, admin_router
from deployments.ingress.admission import model_for
from deployments.ingress.authentication import ALL_BUT_GATEWAYS, require_role
from deployments.ingress.decisions import decisions_request_schemas, decisions_router
from deployments.ingress.errors import HttpError, internal, redacted
from deployments.ingress.inference.chat import parse_chat
from deployments.ingress.inference.documentation import (
    MODEL_REPLIES,
    MODELS_REPLIES,
    inference_operations,
    inference_schemas,
)
from deployments.ingress.inference.embeddings import parse_embedding
from deployments.ingress.inference.endpoint import Inference, Parse
from deployments.ingress.inference.infer import parse_infer
from deployments.ingress.inference.models import model_body, models_body
from deployments.ingress.inference.text import parse_text
from deployments.ingress.limits import limits_router
from deployments.ingress.live.routes import live_router, live_schemas
from deployments.ingress.page import find_build, page_routes, settings_router
from deployments.ingress.state import IngressState
from deployments.ingress.version import VERSION
from policies import StoreError

EXPOSED = (
    *("x-request-id", "x-sluice-model", "etag", "location", "retry-after", "retry-after-ms", "x-should-retry"),
    *("ratelimit", "ratelimit-policy"),
    *(f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens")),
)
"""Headers of replies that a page of another origin may read."""


class _ModelName(StringConvertor):
    """A model's name in a path: names may hold slashes, and what follows one is not part of it."""

    regex = "(?!.*/infer$).+"


register_url_convertor("model_name", _ModelName())

INFERENCE: dict[str, Parse] = {
    "/v1/chat/completions": parse_chat,
    "/v1/completions": parse_text,
    "/v1/embeddings": parse_embedding,
    "/v1/models/{model:path}/infer": parse_infer,
}
"""The routes that run models."""

_OPEN: dict[str, Any] = {"security": []}
"""For `openapi_extra`: needs no API key."""


class Readiness(BaseModel):
    """Whether requests can be served."""

    status: Literal["ready", "not ready"]
    problems: Annotated[list[str], Field(description="What is missing, a sentence each.")] = []


_READINESS_REPLIES: dict[int | str, dict[str, Any]] = {
    200: {"model": Readiness, "description": "Ready."},
    503: {"model": Readiness, "description": "Not ready."},
}


class _Api(FastAPI):
    """FastAPI, except for requests to models, which go straight to their endpoint: middleware, routing and exit stacks
    have nothing to do there, and would take a tenth of the time of a request that is denied."""

    def __init__(self, *, straight: Mapping[str, ASGIApp], **settings: Any) -> None:
        """`straight`: what serves a POST to exactly this path, below the application's own."""
        super().__init__(**settings)
        self._straight = straight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            endpoint = self._straight.get(scope["path"].removeprefix(scope.get("root_path", "")))
            if endpoint is not None:
                await endpoint(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


def create_app(state: IngressState, *, request_ids: bool = True, build: Path | None = None) -> ASGIApp:
    """The app. `request_ids`: give every reply an `x-request-id`; Ray Serve does that by itself. `build`: the folder of
    the built page, where it is not at its place."""
    app = create_api(state)
    app.router.routes.extend(page_routes(build or find_build()))
    served: ASGIApp = RequestIds(app) if request_ids else app
    return _shared(served, state.settings.cors_origins) if state.settings.cors_origins else served


def create_api(state: IngressState) -> FastAPI:
    """All that is described in /openapi.json, and the description."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await state.close()  # Ray Serve ends the lifespan when a replica has served its last request

    inference = {path: Inference(state, parse) for path, parse in INFERENCE.items()}
    app = _Api(
        straight=inference,
        title="Sluice",
        version=VERSION,
        lifespan=lifespan,
        summary="Rate-limited inference with OpenAI's API.",
        openapi_url="/openapi.json",
        docs_url=None,  # FastAPI's own load scripts from elsewhere; ours come with the page
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    # First: Ray Serve looks through the routes for the one that a request is counted under.
    app.router.routes[:0] = [Route(path, endpoint, methods=["POST"]) for path, endpoint in inference.items()]
    app.include_router(limits_router(state))
    app.include_router(live_router(state))
    app.include_router(decisions_router(state))
    app.include_router(admin_router(state))
    app.include_router(settings_router(state))
    _add_errors(app)

    @app.get("/v1/models", tags=["inference"], operation_id="listModels", responses=MODELS_REPLIES)
    async def list_models(request: Request) -> Response:
        """The models that this key may use, aliases included."""
        identity = await state.identify(request.scope)
        require_role(identity, *ALL_BUT_GATEWAYS)
        allowed = identity.key.models
        models = tuple(m for m in state.resolver.models if allowed is None or m.name in allowed)
        return Response(models_body(models), media_type="application/json")

    @app.get("/v1/models/{model:model_name}", tags=["inference"], operation_id="retrieveModel", responses=MODEL_REPLIES)
    async def get_model(request: Request, model: str) -> Response:
        """One model, by its name or an alias."""
        identity = await state.identify(request.scope)
        require_role(identity, *ALL_BUT_GATEWAYS)
        model_for(state, identity, model)
        return Response(model_body(model), media_type="application/json")

    @app.head("/healthz", include_in_schema=False)  # probes often ask for the status alone
    @app.get("/healthz", tags=["operation"], operation_id="health", openapi_extra=_OPEN)
    async def health() -> dict[str, str]:
        """This process answers."""
        return {"status": "ok"}

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", tags=["operation"], operation_id="readiness", responses=_READINESS_REPLIES, openapi_extra=_OPEN)
    async def ready() -> Response:
        """Requests can be served; if not, what is missing."""
        problems = await unready(state)
        readiness = Readiness(status="not ready" if problems else "ready", problems=problems)
        return JSONResponse(readiness.model_dump(exclude_defaults=True), 503 if problems else 200)

    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign] # FastAPI's documented way to extend the schema
    return app


def _shared(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Lets pages of these origins use the API. They send a key as any other client does: there is no cookie."""
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["*"],
        expose_headers=EXPOSED,
    )


async def unready(state: IngressState) -> list[str]:
    """What keeps this ingress from serving, one sentence each."""
    problems = [] if state.has_catalogue else ["no catalogue yet: user_config of Ingress has not arrived"]
    if not state.live.loaded:
        problems.append("the catalogue in Redis has not been read yet")
    try:
        await state.limiter.ping()
    except StoreError as error:
        problems.append(f"the limits' store: {error}")
    return problems + await state.pools.unready()


def _add_errors(app: FastAPI) -> None:
    def respond(error: HttpError) -> Response:
        return Response(error.body(), error.status, error.headers, "application/json")

    @app.exception_handler(HttpError)
    async def known(_: Request, error: HttpError) -> Response:
        return respond(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return respond(HttpError(422, "invalid_parameter", f"{where} is wrong: {first['msg']}.", param=where))

    @app.exception_handler(HTTPException)
    async def unrouted(request: Request, error: HTTPException) -> Response:
        path = redacted(request.url.path)
        if error.status_code == 404:
            return respond(HttpError(404, "not_found", f"There is nothing at {path!r}: see /docs."))
        if error.status_code == 405:
            allow = {"allow": ", ".join(_methods(app, request))}
            return respond(
                HttpError(405, "method_not_allowed", f"{path!r} does not take {request.method}.", headers=allow)
            )
        return respond(HttpError(error.status_code, "http_error", str(error.detail)))

    @app.exception_handler(Exception)
    async def unknown(_: Request, error: Exception) -> Response:
        return respond(internal())


def _methods(app: FastAPI, request: Request) -> list[str]:
    """What can be done at the request's path: its routes each know of their own method only."""
    scopes = ({**request.scope, "method": method} for method in ("GET", "HEAD", "POST", "PUT", "DELETE"))
    return [each["method"] for each in scopes if any(route.matches(each)[0] is Match.FULL for route in app.routes)]


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, summary=app.summary, routes=app.routes, tags=app.openapi_tags
        )
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        schemas |= {**inference_schemas(), **decisions_request_schemas(), **admin_request_schemas(), **live_schemas()}
        schema["paths"] |= {path: {"post": operation} for path, operation in inference_operations().items()}
        schema["components"]["securitySchemes"] = {"apiKey": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"apiKey": []}]
        app.openapi_schema = schema
    return app.openapi_schema


class RequestIds:
    """Gives every reply the request's `x-request-id`: the client's own where it sent one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = sent or str(uuid4())
        if not sent:  # where routes find it, as behind Ray Serve
            scope = {**scope, "headers": [*scope["headers"], (b"x-request-id", request_id.encode())]}

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        await self._app(scope, receive, send_with_id)
