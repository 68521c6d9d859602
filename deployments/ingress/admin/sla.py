"""`GET /admin/sla`: what was agreed for each QoS tier, and what each tenant got."""

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from deployments.ingress.admin.routing import reply
from deployments.ingress.documentation import errors, success
from deployments.ingress.sla import report
from deployments.ingress.sla_sharing import SlaSharing
from deployments.ingress.state import IngressState


class TargetView(BaseModel):
    """What is agreed for one QoS tier (`args.qos.sla`)."""

    ttft_p95_ms: Annotated[
        int | None, Field(description="Of streamed replies, 95 in 100 have their first token within this time.")
    ] = None
    success_rate: Annotated[float | None, Field(description="Share of requests with a complete reply.")] = None


class AttainedView(BaseModel):
    """What one tenant got within one window. Percentiles are at most a tenth too high."""

    requests: Annotated[
        int, Field(description="Complete replies, and those that failed through no fault of the client's.")
    ]
    success_rate: float | None
    ttft_p50_ms: Annotated[float | None, Field(description="To the first token of streamed replies.")]
    ttft_p95_ms: float | None
    latency_p50_ms: Annotated[float | None, Field(description="To the last byte.")]
    latency_p95_ms: float | None
    met: Annotated[
        bool | None, Field(description="Whether all that was agreed holds; null: nothing was agreed, or nothing asked.")
    ]


class TenantSla(BaseModel):
    """One tenant."""

    tenant: str
    qos_tier: str
    windows: Annotated[dict[str, AttainedView], Field(description="Over the last minute (`1m`) and hour (`1h`).")]


class SlaView(BaseModel):
    """Service levels, over all ingress replicas; what others saw is a few seconds old."""

    targets: Annotated[dict[str, TargetView], Field(description="By QoS tier.")]
    tenants: list[TenantSla]


_ATTAINED = {
    "requests": 1200,
    "success_rate": 0.9992,
    "ttft_p50_ms": 45.3,
    "ttft_p95_ms": 118.6,
    "latency_p50_ms": 310.5,
    "latency_p95_ms": 812.9,
    "met": True,
}
_EXAMPLE: dict[str, Any] = {
    "targets": {"premium": {"ttft_p95_ms": 500, "success_rate": 0.999}},
    "tenants": [{"tenant": "acme", "qos_tier": "premium", "windows": {"1m": _ATTAINED, "1h": _ATTAINED}}],
}


def add_sla(router: APIRouter, state: IngressState) -> None:
    """The route of this module."""
    sharing: SlaSharing = state.sla_sharing

    async def get_sla() -> Response:
        return reply(SlaView.model_validate(report(await sharing.together(), state.settings.sla)))

    router.add_api_route(
        "/sla",
        get_sla,
        methods=["GET"],
        operation_id="getSla",
        summary="Service levels: agreed, and attained by each tenant",
        description="Denials by a limit, wrong requests and clients that left do not count. Tenants that were not "
        "served within the last hour are left out.",
        tags=["admin: service levels"],
        responses={**errors(), 200: success("As it is now.", SlaView, _EXAMPLE)},
    )
