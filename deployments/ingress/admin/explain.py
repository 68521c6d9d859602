"""`GET /admin/explain`: which policies apply to a key's request for a model, and why the others do not."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from deployments.ingress.admin.routing import reply
from deployments.ingress.authentication import look_up
from deployments.ingress.documentation import errors, success
from deployments.ingress.state import IngressState
from policies.entities import KEY_ID, Name, RateLimitPolicy
from policies.errors import NotFoundError

TOLD_AT_ONCE = 500
"""After how many policies other work of the event loop has its turn."""


class ExplainQuery(BaseModel):
    """Whose request, for what."""

    model_config = ConfigDict(extra="forbid")

    api_key: Annotated[str, Field(pattern=KEY_ID, description="The id of a key.")]
    model: Annotated[Name, Field(description="A model's name or alias.")]
    applies: Annotated[bool | None, Field(description="Only those that apply, or only those that do not.")] = None


class ExplainedPolicy(BaseModel):
    """One policy."""

    applies: bool
    reason: Annotated[str, Field(examples=["qos_tier is premium, not batch"])]
    subject: Annotated[
        str, Field(description="Whose window it counts in; empty where it does not apply, and for GLOBAL.")
    ]
    policy: RateLimitPolicy


class ExplainReply(BaseModel):
    """Who asks, and every policy in the catalogue's order."""

    api_key: str
    user: str
    tenant: str
    qos_tier: str
    model: Annotated[str, Field(description="The model's own name.")]
    items: tuple[ExplainedPolicy, ...]


_EXAMPLE: dict[str, Any] = {
    "api_key": "demo-premium",
    "user": "paula",
    "tenant": "acme",
    "qos_tier": "premium",
    "model": "sim-small",
    "items": [
        {
            "applies": True,
            "reason": "its match holds",
            "subject": "acme",
            "policy": {"name": "tenant-burst", "scope": "TENANT", "unit": "requests", "limit": 10, "window": "10s"},
        }
    ],
}


def add_explain(router: APIRouter, state: IngressState) -> None:
    """The route of this module."""

    async def explain_policies(query: Annotated[ExplainQuery, Query()]) -> Response:
        identity = await look_up(state.live, query.api_key)
        if identity is None:
            raise NotFoundError(f"key {query.api_key!r} does not exist")
        model = state.resolver.model(query.model)
        if model is None:
            raise NotFoundError(f"model {query.model!r} does not exist")
        items = []
        for number, each in enumerate(state.resolver.explain(identity, model)):
            if number % TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)
            if query.applies in (None, each.applies):
                fields = {name: getattr(each, name) for name in ExplainedPolicy.model_fields}
                items.append(ExplainedPolicy(**fields))
        return reply(
            ExplainReply(
                api_key=identity.api_key,
                user=identity.user,
                tenant=identity.tenant,
                qos_tier=identity.qos_tier,
                model=model.name,
                items=tuple(items),
            )
        )

    router.add_api_route(
        "/explain",
        explain_policies,
        methods=["GET"],
        operation_id="explainPolicies",
        summary="Which policies apply, and why",
        tags=["admin: limits"],
        responses={**errors(404, 422), 200: success("Every policy.", ExplainReply, _EXAMPLE)},
    )
