"""Whole files, all or nothing: begin, stage part by part, plan, commit, and look how far it is."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from deployments.ingress.admin import examples
from deployments.ingress.admin.bodies import body_of
from deployments.ingress.admin.lists import Flag
from deployments.ingress.admin.preconditions import Conditions
from deployments.ingress.admin.requests import ImportPart
from deployments.ingress.admin.routing import actor_of, reply
from deployments.ingress.documentation import LOCATION, PLAN_TAG, PLANNED, errors, link, request_body, success
from deployments.ingress.errors import HttpError, unavailable
from deployments.ingress.state import IngressState
from policies.catalogue import Kind
from policies.catalogue.imports import Imports, ImportState

_TAG = "admin: imports"
_PATH = "/imports/{id}"

MOST_PARTS = 100_000
"""Most parts of one import."""

ImportId = Annotated[
    str, Path(alias="id", pattern=r"^[0-9a-f]{16}$", description="The import's id.", examples=["0f1e2d3c4b5a6978"])
]


class ImportBegun(BaseModel):
    """A new import, empty so far."""

    id: Annotated[str, Field(examples=["0f1e2d3c4b5a6978"])]


class PartStaged(BaseModel):
    """A part that was taken."""

    entities: Annotated[int, Field(description="How many it holds.", examples=[1000])]


class DifferenceView(BaseModel):
    """One change of a plan."""

    kind: Kind
    name: str
    action: Literal["create", "update", "delete"]
    before: Annotated[dict[str, Any] | None, Field(description="Its fields now; null: there is none.")] = None
    after: Annotated[dict[str, Any] | None, Field(description="Its fields then; null: deleted.")] = None


class PlanQuery(BaseModel):
    """How an import is planned."""

    model_config = ConfigDict(extra="forbid")

    prune: Annotated[Flag, Field(description="Delete what this API wrote before and is not in the import.")] = False


class PlanView(BaseModel):
    """What committing would change."""

    version: Annotated[int, Field(description="Of the catalogue that it was made for: `If-Match` of the commit.")]
    create: int
    update: int
    delete: int
    unchanged: int
    differences: Annotated[list[DifferenceView], Field(description="The changes one by one, the first 200.")]
    problems: Annotated[list[str], Field(description="Why it cannot be committed, the first 200; empty: it can.")]


class ImportView(BaseModel):
    """How far an import is."""

    id: Annotated[str, Field(examples=["0f1e2d3c4b5a6978"])]
    state: Annotated[
        Literal["staging", "planned", "committing", "done"],
        Field(description="`committing` always ends in `done`, also when the process that began it dies."),
    ]
    done: Annotated[int, Field(description="Changes made.")]
    total: Annotated[int, Field(description="Changes planned.")]


_PLAN: dict[str, Any] = {
    "version": 12,
    "create": 1,
    "update": 0,
    "delete": 0,
    "unchanged": 3,
    "differences": [
        {"kind": "tenants", "name": "acme", "action": "create", "after": examples.EXAMPLES[Kind.TENANTS]},
    ],
    "problems": [],
}


def import_view(state: ImportState) -> ImportView:
    """An import's state as it is shown."""
    return ImportView(**asdict(state))


def add_imports(router: APIRouter, state: IngressState) -> None:
    """The routes of this module."""
    imports = state.imports
    _add_begin(router, imports)
    _add_part(router, imports, state.settings.max_body_bytes)
    _add_plan(router, imports)
    _add_commit(router, imports)
    _add_get(router, imports)


def _add_begin(router: APIRouter, imports: Imports) -> None:
    async def begin_import(request: Request) -> Response:
        import_id = await imports.begin()
        root: str = request.scope.get("root_path", "")
        return reply(ImportBegun(id=import_id), 201, location=f"{root}/admin/imports/{import_id}")

    router.add_api_route(
        "/imports",
        begin_import,
        methods=["POST"],
        status_code=201,
        operation_id="beginImport",
        summary="Begin an import",
        description="It is kept for an hour after it was last touched. Nothing changes before it is committed.",
        tags=[_TAG],
        responses={
            **errors(),
            201: {
                **success("Begun.", ImportBegun, {"id": "0f1e2d3c4b5a6978"}, Location=LOCATION),
                "links": {
                    "addPart": link("addImportPart", id="$response.body#/id"),
                    "plan": link("planImport", id="$response.body#/id"),
                    "look": link("getImport", id="$response.body#/id"),
                },
            },
        },
    )


def _add_part(router: APIRouter, imports: Imports, max_bytes: int) -> None:
    async def add_import_part(
        request: Request, id: ImportId, part: Annotated[int, Path(ge=0, le=MOST_PARTS, description="Its number.")]
    ) -> Response:
        body = await body_of(request, ImportPart, max_bytes, quiet="body.keys")
        lists = {kind.value: getattr(body, kind.value) for kind in Kind}
        return reply(PartStaged(entities=await imports.add(id, part, lists)))

    router.add_api_route(
        _PATH + "/parts/{part}",
        add_import_part,
        methods=["PUT"],
        operation_id="addImportPart",
        summary="Stage some entities",
        description="As many parts as it takes, in any order; one that is sent again replaces itself.",
        tags=[_TAG],
        responses={
            **errors(400, 404, 409, 413, 415, 422),
            200: success("Taken.", PartStaged, {"entities": 2}),
        },
        openapi_extra=request_body(ImportPart, _PART),
    )


_PART = {
    "tenants": [examples.EXAMPLES[Kind.TENANTS]],
    "users": [examples.EXAMPLES[Kind.USERS]],
}


def _add_plan(router: APIRouter, imports: Imports) -> None:
    async def plan_import(id: ImportId, query: Annotated[PlanQuery, Query()]) -> Response:
        try:
            plan = asdict(await imports.plan(id, prune=query.prune))
        except TimeoutError:
            raise unavailable(
                "plan_timeout", "The plan took too long: try again when the store is less busy."
            ) from None
        return reply(PlanView.model_validate(plan), etag=f'"{plan["version"]}"')

    router.add_api_route(
        _PATH + "/plan",
        plan_import,
        methods=["POST"],
        operation_id="planImport",
        summary="What committing would change",
        description="Checks the import together with what there is, and changes nothing.",
        tags=[_TAG],
        responses={
            **errors(404, 409, 422),
            200: {
                **success("The plan.", PlanView, _PLAN, ETag=PLAN_TAG),
                "links": {
                    "commit": link("commitImport", id="$request.path.id", If_Match="$response.header.ETag"),
                },
            },
        },
    )


def _add_commit(router: APIRouter, imports: Imports) -> None:
    async def commit_import(request: Request, id: ImportId) -> Response:
        state = await imports.commit(id, _planned_version(request), actor_of(request))
        return reply(import_view(state), 202)

    router.add_api_route(
        _PATH + "/commit",
        commit_import,
        methods=["POST"],
        status_code=202,
        operation_id="commitImport",
        summary="Apply a plan, whole",
        description="`If-Match` is the version of the plan: where the catalogue has changed since, nothing is done, "
        "and the import has to be planned again. The changes go on behind the reply; nobody else writes until then.",
        tags=[_TAG],
        responses={
            **errors(400, 404, 409, 412, 422, 428),
            202: success("It will be applied, whatever happens.", ImportView, _RUNNING),
        },
        openapi_extra=PLANNED,
    )


_RUNNING = {"id": "0f1e2d3c4b5a6978", "state": "committing", "done": 200, "total": 1000}


def _add_get(router: APIRouter, imports: Imports) -> None:
    async def get_import(id: ImportId) -> Response:
        return reply(import_view(await imports.state(id)))

    router.add_api_route(
        _PATH,
        get_import,
        methods=["GET"],
        operation_id="getImport",
        summary="How far an import is",
        tags=[_TAG],
        responses={**errors(404, 422), 200: success("As it is now.", ImportView, _RUNNING)},
    )


def _planned_version(request: Request) -> int:
    """The version in `If-Match`."""
    conditions = Conditions.of(request.headers)
    if conditions.match is None:
        raise HttpError(
            428, "precondition_required", 'Send the plan\'s version, such as If-Match: "12".', param="If-Match"
        )
    if conditions.match.version is None:
        message = f"If-Match: {conditions.match} is not the version of a plan: plan the import, and send its version."
        raise HttpError(412, "version_conflict", message, param="If-Match")
    return conditions.match.version
