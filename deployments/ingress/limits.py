"""`GET /v1/limits`: the caller's own windows as they are now. Consumes nothing."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from deployments.ingress.authentication import ALL_BUT_GATEWAYS, require_role
from deployments.ingress.documentation import errors
from deployments.ingress.errors import HttpError, unavailable
from deployments.ingress.state import IngressState
from deployments.ingress.windows import WindowNow
from policies import Charge, Model, StoreError
from policies.resolver import Identity


class LimitsQuery(BaseModel):
    """Which windows."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str | None, Field(description="Only windows that a request for this model counts in.")] = None


class LimitsNow(BaseModel):
    """Every window that a request of this key counts in."""

    tenant: Annotated[str, Field(examples=["acme"])]
    user: Annotated[str, Field(examples=["paula"])]
    api_key: Annotated[str, Field(examples=["demo-premium"], description="The key's public id.")]
    qos_tier: Annotated[str, Field(examples=["premium"])]
    server_time_s: Annotated[float, Field(examples=[1764000000.123], description="The log's clock, since 1970.")]
    windows: list[WindowNow]


def limits_router(state: IngressState) -> APIRouter:
    """The routes of this module."""
    router = APIRouter(prefix="/v1", tags=["limits"])

    @router.get("/limits", operation_id="getLimits", responses=errors(404, 422))
    async def get_limits(request: Request, query: Annotated[LimitsQuery, Query()]) -> LimitsNow:
        """What is used and what is left for the caller's key. Logs nothing."""
        identity = await state.identify(request.scope)
        require_role(identity, *ALL_BUT_GATEWAYS)
        charges = list(windows_of(state, identity, query.model))
        try:
            decision = await state.limiter.peek(charges)
        except StoreError as error:
            raise unavailable("limits_unavailable", "Rate limits cannot be read now.") from error
        return LimitsNow(
            tenant=identity.tenant,
            user=identity.user,
            api_key=identity.api_key,
            qos_tier=identity.qos_tier,
            server_time_s=decision.time_s,
            windows=[WindowNow.of(window) for window in decision.windows],
        )

    return router


def windows_of(state: IngressState, identity: Identity, model_name: str | None = None) -> list[Charge]:
    """Every window that a request of this key (for this model) counts in, once."""
    allowed = identity.key.models
    models: tuple[Model, ...] = tuple(m for m in state.resolver.models if allowed is None or m.name in allowed)
    if model_name is not None:
        model = state.resolver.model(model_name)
        if model is None:
            raise HttpError(404, "model_not_found", f"The model {model_name!r} does not exist.", param="model")
        models = (model,)
    applied = {(a.policy.name, a.subject): a for model in models for a in state.resolver.plan(identity, model)}
    return [a.charge(1) for a in applied.values()]
