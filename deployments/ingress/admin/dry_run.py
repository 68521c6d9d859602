"""`POST /admin/dry-run`: what a proposed policy would have denied, from the logs."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from deployments.ingress.admin.bodies import MAX_ENTITY_BYTES, body_of
from deployments.ingress.admin.routing import reply
from deployments.ingress.documentation import errors, request_body, success
from deployments.ingress.errors import HttpError, unavailable
from deployments.ingress.state import IngressState
from policies import StoreError
from policies.dry_run import DryRun, DryRunner, NoHistoryError, SubjectOutcome, source_for
from policies.entities import Name, RateLimitPolicy, Unit


class DryRunRequest(BaseModel):
    """A policy as it might be, and whose logs to judge by it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: Annotated[RateLimitPolicy, Field(description="The proposed policy, whole. Nothing is written.")]
    source: Annotated[
        Name | None,
        Field(
            alias="from",
            description="The policy whose logs are replayed. Where it is left out: the one of the proposed one's name, "
            "else one with the same scope, per and unit.",
        ),
    ] = None
    subject: Annotated[
        str | None, Field(max_length=1_024, description="Only of this subject, such as a tenant's name.")
    ] = None


class SubjectView(BaseModel):
    """One subject's requests."""

    model_config = ConfigDict(serialize_by_alias=True)

    subject: Annotated[str, Field(description="Whom the window is kept for; empty for GLOBAL.")]
    requests: Annotated[int, Field(description="How many its log holds.")]
    cost: Annotated[int, Field(description="What they count for together, in the policy's unit.")]
    denied: Annotated[int, Field(description="How many of them would have been denied.")]
    denied_cost: int
    first_denied_at: datetime | None
    from_: Annotated[datetime | None, Field(alias="from", description="When the first of them was.")]
    to: Annotated[datetime | None, Field(description="When the last of them was.")]


class DryRunReply(BaseModel):
    """What the proposed policy would have done."""

    model_config = ConfigDict(serialize_by_alias=True)

    source: Annotated[str, Field(description="The policy whose logs were replayed.")]
    unit: Unit
    limit: Annotated[int, Field(description="The proposed one.")]
    window_s: Annotated[float, Field(description="The proposed one, in seconds.")]
    complete: Annotated[bool, Field(description="Whether all logs were read to their ends; else name a subject.")]
    subjects: Annotated[int, Field(description="How many have a log with something in it.")]
    subjects_denied: Annotated[int, Field(description="Of how many at least one request would have been denied.")]
    requests: int
    cost: int
    denied: int
    denied_cost: int
    from_: Annotated[datetime | None, Field(alias="from", description="How far back the logs really go.")]
    to: datetime | None
    first: Annotated[SubjectView | None, Field(description="Who would have been denied first.")]
    worst: Annotated[tuple[SubjectView, ...], Field(description="Those denied most (20), the worst first.")]
    notes: Annotated[tuple[str, ...], Field(description="What the logs cannot tell. Read them.")]


_PROPOSED = {"name": "acme-burst", "scope": "TENANT", "limit": 5, "window": "10s", "match": {"tenant": ["acme"]}}
_OF_ACME = {
    "subject": "acme",
    "requests": 42,
    "cost": 42,
    "denied": 7,
    "denied_cost": 7,
    "first_denied_at": "2026-01-01T12:00:03.123000Z",
    "from": "2026-01-01T12:00:00Z",
    "to": "2026-01-01T12:00:09.500000Z",
}
_EXAMPLE: dict[str, Any] = {
    "source": "acme-burst",
    "unit": "requests",
    "limit": 5,
    "window_s": 10.0,
    "complete": True,
    "subjects": 1,
    "subjects_denied": 1,
    "requests": 42,
    "cost": 42,
    "denied": 7,
    "denied_cost": 7,
    "from": "2026-01-01T12:00:00Z",
    "to": "2026-01-01T12:00:09.500000Z",
    "first": _OF_ACME,
    "worst": [_OF_ACME],
    "notes": ["A request that was denied by it or by any other policy is in no log, so how it would have fared is …"],
}


def add_dry_run(router: APIRouter, state: IngressState) -> None:
    """The route of this module."""
    runner, one_at_a_time = DryRunner(state.limiter), asyncio.Lock()

    async def dry_run_policy(request: Request) -> Response:
        asked = await body_of(request, DryRunRequest, min(MAX_ENTITY_BYTES, state.settings.max_body_bytes))
        try:
            source = source_for(asked.policy, state.resolver.policies, asked.source)
            async with one_at_a_time:
                outcome = await runner.run(asked.policy, source, asked.subject)
        except NoHistoryError as error:
            message = str(error)
            raise HttpError(409, "no_history", f"{message[:1].upper()}{message[1:]}.", param="from") from error
        except StoreError as error:
            raise unavailable("limits_unavailable", "The logs cannot be read now.") from error
        return reply(_view(asked.policy, outcome))

    router.add_api_route(
        "/dry-run",
        dry_run_policy,
        methods=["POST"],
        operation_id="dryRunPolicy",
        summary="What a policy would have denied",
        description="Replays the logs of a policy against another limit and window, by the limiter's own rule. At most "
        "2,000 subjects and 200,000 requests at a time. 409 `no_history` where no log can answer.",
        tags=["admin: limits"],
        responses={**errors(400, 409, 413, 415, 422), 200: success("The outcome.", DryRunReply, _EXAMPLE)},
        openapi_extra=request_body(DryRunRequest, {"policy": _PROPOSED}),
    )


def _view(proposed: RateLimitPolicy, outcome: DryRun) -> DryRunReply:
    return DryRunReply(
        source=outcome.source.name,
        unit=proposed.unit,
        limit=proposed.limit,
        window_s=proposed.window / 1000,
        complete=outcome.complete,
        subjects=outcome.subjects,
        subjects_denied=outcome.subjects_denied,
        requests=outcome.requests,
        cost=outcome.cost,
        denied=outcome.denied,
        denied_cost=outcome.denied_cost,
        **{"from": _time(outcome.from_ms)},
        to=_time(outcome.to_ms),
        first=None if outcome.first is None else _subject(outcome.first),
        worst=tuple(_subject(each) for each in outcome.worst),
        notes=outcome.notes,
    )


def _subject(outcome: SubjectOutcome) -> SubjectView:
    return SubjectView(
        subject=outcome.subject,
        requests=outcome.requests,
        cost=outcome.cost,
        denied=outcome.denied,
        denied_cost=outcome.denied_cost,
        first_denied_at=_time(outcome.first_denied_ms),
        **{"from": _time(outcome.from_ms)},
        to=_time(outcome.to_ms),
    )


def _time(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)
