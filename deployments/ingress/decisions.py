"""`POST /v1/decisions`: the same decision for another gateway, which runs the request itself.

Such a gateway has a key with the role `gateway`. It names the client whose request it is, is told whether to run it and
what to answer otherwise, and says afterwards what was used. How a decision is remembered is `policies.remembered`'s.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Self

import orjson
from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from deployments.ingress.admin.bodies import Body, body_of
from deployments.ingress.admin.routing import reply
from deployments.ingress.admission import costs_of, model_for, refusals
from deployments.ingress.authentication import MAX_KEY_LENGTH, require_role
from deployments.ingress.documentation import errors, link, request_body, request_schemas, success
from deployments.ingress.errors import HttpError, rate_limited, unavailable
from deployments.ingress.http import ClientGoneError, request_id_of
from deployments.ingress.state import IngressState
from deployments.ingress.windows import WindowNow
from policies import Decision, StoreError
from policies.entities import KEY_ID, MAX_COST, Role, Unit
from policies.errors import UnknownDecisionError
from policies.http import ratelimit_headers
from policies.quantities import WHOLE
from policies.remembered import NOTHING_RAN
from policies.resolver import Identity
from policies.settlement import RENEWALS_PER_LEASE

MOST_TOKENS = MAX_COST // 2
"""Of the prompt and of the reply each, so that the total is a cost that there can be."""

_Tokens = Annotated[int, Field(ge=0, le=MAX_COST), WHOLE]
_Id = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9_-]+$", description="The decision's `id`.")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


def _either(schema: dict[str, Any]) -> None:
    """Says in JSON Schema what `_one_client` holds."""
    for name in ("api_key", "key"):
        del schema["properties"][name]["default"]
    schema["oneOf"] = [{"required": ["api_key"]}, {"required": ["key"]}]


class DecisionRequest(_Body):
    """One request of a client, named by its key's id or by the key that it sent."""

    model_config = ConfigDict(json_schema_extra=_either)

    api_key: Annotated[
        str,
        Field(pattern=KEY_ID, examples=["demo-premium"], description="The id of the client's key, where you know it."),
    ] = ""
    key: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_KEY_LENGTH,
            description="The whole key that the client sent, to be checked here.",
        ),
    ] = ""
    model: Annotated[str, Field(min_length=1, max_length=256, examples=["sim-small"])]
    input_tokens: Annotated[
        int, Field(ge=0, le=MOST_TOKENS, examples=[120], description="Of the prompt, as well as you know."), WHOLE
    ] = 0
    max_output_tokens: Annotated[
        Annotated[int, Field(ge=1, le=MOST_TOKENS), WHOLE] | None,
        Field(examples=[256], description="Longest reply; the model's own cap where absent or larger."),
    ] = None

    @model_validator(mode="after")
    def _one_client(self) -> Self:
        if bool(self.api_key) == bool(self.key):
            raise ValueError("name the client by either api_key (the id) or key (the whole key)")
        return self


class DecisionReply(BaseModel):
    """Whether to run the request, and what to answer otherwise."""

    id: Annotated[
        str | None,
        Field(
            examples=["0cT5xk2mQ9aZ0"], description="For settling and renewing. Null where there is nothing to settle."
        ),
    ]
    allowed: bool
    status: Annotated[
        int, Field(examples=[200], description="The HTTP status to answer the client with, where it is not allowed.")
    ]
    retry_after_s: Annotated[float, Field(description="Exact seconds until the same request fits; 0 where it does.")]
    denied_by: Annotated[str | None, Field(examples=["tenant-burst"], description="The policy that denied.")]
    model: Annotated[
        str | None, Field(examples=["sim-small"], description="The model's own name, where you sent an alias.")
    ]
    max_output_tokens: Annotated[
        int | None, Field(examples=[256], description="What was reserved for the reply: cap it there.")
    ]
    renew_every_s: Annotated[
        float | None, Field(description="How often to renew while the request runs; null: there is no need to.")
    ]
    windows: list[WindowNow]
    headers: Annotated[
        dict[str, str],
        Field(examples=[{"x-ratelimit-remaining-requests": "7"}], description="To be sent to the client."),
    ]
    error: Annotated[
        dict[str, Any] | None, Field(description="The `error` to answer the client with, where it is not allowed.")
    ]


class Used(_Body):
    """What a request used. What is left out stays as it was reserved; the total is the sum where both parts are
    told."""

    input_tokens: _Tokens | None = None
    output_tokens: _Tokens | None = None
    total_tokens: _Tokens | None = None

    def by_unit(self) -> dict[str, int]:
        """As the limiter takes it."""
        told = {unit: used for unit, used in self.model_dump().items() if used is not None}
        if self.total_tokens is None and self.input_tokens is not None and self.output_tokens is not None:
            told[Unit.TOTAL_TOKENS] = min(self.input_tokens + self.output_tokens, MAX_COST)
        return {str(unit): used for unit, used in told.items()}


def _nothing_used(schema: dict[str, Any]) -> None:
    """Says in JSON Schema what `_ran_or_not` holds."""
    nothing = {"properties": {unit: {"type": "null"} for unit in Used.model_fields}}
    schema["if"] = {"properties": {"ran": {"const": False}}, "required": ["ran"]}
    schema["then"] = {"properties": {"actual": nothing}}


class Settlement(_Body):
    """How a request ended."""

    model_config = ConfigDict(json_schema_extra=_nothing_used)

    actual: Used = Used()
    ran: Annotated[bool, Field(description="False: it never ran, and counts as though it had never been asked.")] = True

    @model_validator(mode="after")
    def _ran_or_not(self) -> Self:
        if not self.ran and self.actual.by_unit():
            raise ValueError("actual says what was used, and ran: false that nothing was: leave one of them out")
        return self


class SettlementReply(BaseModel):
    """What counts now."""

    id: str
    actual: Annotated[
        dict[str, int],
        Field(
            examples=[{"total_tokens": 412}], description="What the first settlement said; units left out as reserved."
        ),
    ]
    first: Annotated[bool, Field(description="Whether this was the first; a later one changes nothing.")]


class RenewalReply(BaseModel):
    """Whether the request still holds its slots."""

    id: str
    renewed: Annotated[
        bool, Field(description="False: a slot had run out (and may be another's), or the decision was settled.")
    ]


def decisions_router(state: IngressState) -> APIRouter:
    """The routes of this module."""
    router = APIRouter(prefix="/v1/decisions", tags=["decisions"])
    _add_create(router, state)
    _add_settle(router, state)
    _add_renew(router, state)
    return router


def decisions_request_schemas() -> dict[str, Any]:
    """The schemas of the bodies that these routes read, for /openapi.json."""
    return request_schemas((DecisionRequest, Settlement))


def _add_create(router: APIRouter, state: IngressState) -> None:
    async def create_decision(request: Request) -> Response:
        gateway = await _gateway(state, request)
        asked = await _body(state, request, DecisionRequest)
        try:
            client = await _client(state, asked)
            require_role(client, Role.INFERENCE)
            model = model_for(state, client, asked.model)
            max_tokens = min(asked.max_output_tokens or model.max_output_tokens, model.max_output_tokens)
            with refusals():
                charges = state.resolver.charges(client, model, costs_of(asked.input_tokens, max_tokens))
                asked_at = time.monotonic()
                decision = await state.remembered.acquire(charges, gateway.api_key)
                state.tally.decided(decision, time.monotonic() - asked_at)
            if state.feed.recorder.watched:
                state.feed.recorder.decided(request_id_of(request.scope), client, model.name, decision)
        except HttpError as error:
            if error.status >= 500:  # nothing was decided, which is the gateway's to handle
                raise
            return reply(_refused(error))
        return reply(_decided(state, decision, model.name, max_tokens))

    router.add_api_route(
        "",
        create_decision,
        methods=["POST"],
        operation_id="createDecision",
        summary="Decide a request that a gateway will run itself",
        description="For keys with the role `gateway`. Answers 200 wherever it could decide: what to tell the client "
        "stands in `status`, `headers` and `error`. What is allowed must be settled within its longest window (10 "
        "minutes at least, an hour at most), or be renewed within that time. Where it is not, what was reserved counts "
        "until it leaves its windows, and slots until their leases end.",
        responses={
            **errors(400, 413, 415, 422),
            200: {
                **success("Decided.", DecisionReply, _DECIDED),
                "links": {
                    "settle": link("settleDecision", id="$response.body#/id"),
                    "renew": link("renewDecision", id="$response.body#/id"),
                },
            },
        },
        openapi_extra=request_body(
            DecisionRequest, {"api_key": "demo-premium", "model": "sim-small", "input_tokens": 120}
        ),
    )


def _add_settle(router: APIRouter, state: IngressState) -> None:
    async def settle_decision(request: Request, id: _Id) -> Response:
        gateway = await _gateway(state, request)
        ended = await _body(state, request, Settlement, empty=b"{}")
        actual = ended.actual.by_unit() if ended.ran else NOTHING_RAN
        with _of_decisions("It cannot be settled now: send it again."):
            settled = await state.remembered.settle(id, gateway.api_key, actual)
        return reply(SettlementReply(id=id, actual=dict(settled.actual), first=settled.first))

    router.add_api_route(
        "/{id}/settle",
        settle_decision,
        methods=["POST"],
        operation_id="settleDecision",
        summary="Say what a request used",
        description="Its slots go back, and what was reserved becomes what was used. It may be sent again at any time "
        "and to any replica: the first one counts, and later ones are told what it said.",
        responses={
            **errors(400, 404, 413, 415, 422),
            200: success("Settled.", SettlementReply, {"id": _ID, "actual": {"total_tokens": 412}, "first": True}),
        },
        openapi_extra=request_body(Settlement, {"actual": {"input_tokens": 118, "output_tokens": 294}}, required=False),
    )


def _add_renew(router: APIRouter, state: IngressState) -> None:
    async def renew_decision(request: Request, id: _Id) -> Response:
        gateway = await _gateway(state, request)
        with _of_decisions("It cannot be renewed now: send it again."):
            renewed = await state.remembered.renew(id, gateway.api_key)
        return reply(RenewalReply(id=id, renewed=renewed))

    router.add_api_route(
        "/{id}/renew",
        renew_decision,
        methods=["POST"],
        operation_id="renewDecision",
        summary="Keep a request's slots while it runs",
        description="To be called every `renew_every_s` where the decision says so. A slot that is not renewed is "
        "another's after its lease.",
        responses={**errors(404, 422), 200: success("Looked at.", RenewalReply, {"id": _ID, "renewed": True})},
    )


_ID = "0cT5xk2mQ9aZ0"
_DECIDED: dict[str, Any] = {
    "id": _ID,
    "allowed": True,
    "status": 200,
    "retry_after_s": 0.0,
    "denied_by": None,
    "model": "sim-small",
    "max_output_tokens": 256,
    "renew_every_s": 10.0,
    "windows": [],
    "headers": {"x-ratelimit-remaining-requests": "7"},
    "error": None,
}


@contextmanager
def _of_decisions(again: str) -> Iterator[None]:
    try:
        yield
    except UnknownDecisionError as error:
        message = str(error)
        raise HttpError(404, "decision_not_found", f"{message[:1].upper()}{message[1:]}.") from error
    except StoreError as error:
        raise unavailable("limits_unavailable", again) from error


async def _body(state: IngressState, request: Request, kind: type[Body], empty: bytes = b"") -> Body:
    try:
        # Nothing of it is repeated in an error: there may be a key in it.
        return await body_of(request, kind, state.settings.max_body_bytes, empty=empty, quiet="body")
    except ClientGoneError:
        raise HttpError(400, "incomplete_body", "The body is not complete.") from None


async def _gateway(state: IngressState, request: Request) -> Identity:
    identity = await state.identify(request.scope)
    require_role(identity, Role.GATEWAY)
    return identity


async def _client(state: IngressState, asked: DecisionRequest) -> Identity:
    if asked.key:
        return await state.identify_forwarded(asked.key)
    return await state.identify_named(asked.api_key)


def _decided(state: IngressState, decision: Decision, model: str, max_tokens: int) -> DecisionReply:
    error = None if decision.allowed else rate_limited(decision)
    headers = {name.decode(): value.decode() for name, value in _headers(state, decision)}
    leases = [window.window_s for window in decision.windows if window.unit == Unit.CONCURRENT_REQUESTS]
    return DecisionReply(
        id=decision.id if decision.allowed else None,
        allowed=decision.allowed,
        status=error.status if error else 200,
        retry_after_s=decision.retry_after_s,
        denied_by=decision.denied_by,
        model=model,
        max_output_tokens=max_tokens,
        renew_every_s=min(leases) / RENEWALS_PER_LEASE if leases and decision.allowed else None,
        windows=[WindowNow.of(window) for window in decision.windows],
        headers={**headers, **(error.headers if error else {})},
        error=_error(error) if error else None,
    )


def _headers(state: IngressState, decision: Decision) -> list[tuple[bytes, bytes]]:
    return ratelimit_headers(decision, state.settings.ratelimit_headers)


def _refused(error: HttpError) -> DecisionReply:
    return DecisionReply(
        id=None,
        allowed=False,
        status=error.status,
        retry_after_s=0.0,
        denied_by=error.fields.get("policy"),
        model=None,
        max_output_tokens=None,
        renew_every_s=None,
        windows=[],
        headers=error.headers,
        error=_error(error),
    )


def _error(error: HttpError) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(error.body())["error"]
    return found
