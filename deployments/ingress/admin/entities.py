"""Tenants, users, tiers, models and policies: list, create, read, put and delete. Keys are written by `keys`."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request, Response

from deployments.ingress.admin import examples
from deployments.ingress.admin.bodies import MAX_ENTITY_BYTES, body_of
from deployments.ingress.admin.cursors import after_name, cursor_of
from deployments.ingress.admin.lists import QUERIES, ListQuery
from deployments.ingress.admin.preconditions import Conditions, etag_of
from deployments.ingress.admin.requests import PUTS
from deployments.ingress.admin.routing import actor_of, reply
from deployments.ingress.admin.service import Entities, same_name
from deployments.ingress.admin.views import PAGES, VIEWS, view_of
from deployments.ingress.documentation import CONDITIONS, ETAG, LOCATION, UNCHANGED, errors, link, request_body, success
from policies.catalogue import Kind, Stored
from policies.entities import KEY_ID, Name

EntityName = Annotated[
    Name, Path(description="The entity's name; a `/` in it stands as it is, or as `%2F`.", examples=["acme"])
]
KeyId = Annotated[str, Path(alias="id", pattern=KEY_ID, description="The key's id.", examples=["Ab3dEf6hIj9kLm2n"])]

LIST_IDS = {Kind.MODELS: "listCatalogueModels"}
"""`listModels` is what `GET /v1/models` is called."""


def add_list(router: APIRouter, kind: Kind, entities: Entities) -> None:
    """`GET /admin/<kind>`."""
    query = QUERIES[kind]

    async def list_entities(query: Annotated[query, Query()]) -> Response:  # type: ignore[valid-type] # one of QUERIES
        asked: ListQuery = query
        page = await entities.listing.page(
            kind, after=after_name(kind, asked.cursor), limit=asked.limit, filters=asked.filters()
        )
        items = tuple(view_of(stored) for stored in page.items)
        return reply(PAGES[kind].model_construct(items=items, next_cursor=cursor_of(kind, page.next_after)))

    router.add_api_route(
        f"/{kind}",
        list_entities,
        methods=["GET"],
        operation_id=LIST_IDS.get(kind, f"list{kind.capitalize()}"),
        summary=f"List {kind}, those of the configuration file included",
        description="In order of names, page by page. What is added or deleted meanwhile may or may not be seen; "
        "everything else is seen exactly once.",
        tags=[tag(kind)],
        responses={
            **errors(400, 422),
            200: success("A page.", PAGES[kind], examples.page(kind)),
        },
    )


def add_get(router: APIRouter, kind: Kind, entities: Entities) -> None:
    """`GET /admin/<kind>/<name>`."""
    path, name_type = named(kind)

    async def get_entity(request: Request, name: name_type) -> Response:  # type: ignore[valid-type] # see `named`
        stored = await entities.get(kind, name)
        conditions = Conditions.of(request.headers)
        Conditions(conditions.match).check(kind, name, stored)
        if conditions.none_match is not None and conditions.none_match.is_weakly(etag_of(stored)):
            return Response(status_code=304, headers={"etag": etag_of(stored)})
        return shown(stored)

    router.add_api_route(
        path,
        get_entity,
        methods=["GET"],
        operation_id=f"get{kind.singular.capitalize()}",
        summary=f"Read one {kind.singular}",
        tags=[tag(kind)],
        responses={
            **errors(400, 404, 412, 422),
            200: success("As it is now.", VIEWS[kind], examples.shown(kind), ETag=ETAG),
            304: success("Still what `If-None-Match` names.", ETag=ETAG),
        },
        openapi_extra=UNCHANGED,
    )


def add_create(router: APIRouter, kind: Kind, entities: Entities) -> None:
    """`POST /admin/<kind>`."""

    async def create_entity(request: Request) -> Response:
        entity = await body_of(request, kind.entity, entities.max_bytes(MAX_ENTITY_BYTES))
        stored = await entities.editor.put(entity, actor_of(request), expected=0, action="create")
        await entities.seen()
        return shown(stored, 201, location=location(request, stored))

    router.add_api_route(
        f"/{kind}",
        create_entity,
        methods=["POST"],
        status_code=201,
        operation_id=f"create{kind.singular.capitalize()}",
        summary=f"Create a {kind.singular}",
        tags=[tag(kind)],
        responses={
            **errors(400, 409, 413, 415, 422),
            201: {
                **success("Created.", VIEWS[kind], examples.shown(kind), ETag=ETAG, Location=LOCATION),
                "links": onwards(kind, name="$response.body#/name"),
            },
        },
        openapi_extra=request_body(kind.entity, examples.EXAMPLES[kind]),
    )


def add_put(router: APIRouter, kind: Kind, entities: Entities) -> None:
    """`PUT /admin/<kind>/<name>`."""
    path, _ = named(kind)

    async def put_entity(request: Request, name: EntityName) -> Response:
        body = await body_of(request, PUTS[kind], entities.max_bytes(MAX_ENTITY_BYTES))
        given = {field: getattr(body, field) for field in body.model_fields_set}
        same_name(kind, name, given.pop("name", None))
        entity = kind.entity.model_validate({"name": name, **given})
        created = False

        async def write(expected: int | None) -> Stored:
            nonlocal created
            created = not expected and (expected == 0 or await entities.listing.get(kind, name) is None)
            action = "create" if created else "update"
            return await entities.editor.put(entity, actor_of(request), expected=expected, action=action)

        stored = await entities.under_conditions(request, kind, name, write)
        return shown(stored, 201, location=location(request, stored)) if created else shown(stored)

    router.add_api_route(
        path,
        put_entity,
        methods=["PUT"],
        operation_id=f"put{kind.singular.capitalize()}",
        summary=f"Create a {kind.singular}, or replace it whole",
        description="With `If-Match: <ETag>` only if it is still the version that was read; with `If-None-Match: *` "
        "only if there is none. Without either, the last one to write wins.",
        tags=[tag(kind)],
        responses={
            **errors(400, 404, 409, 412, 413, 415, 422),
            200: success("Replaced.", VIEWS[kind], examples.shown(kind), ETag=ETAG),
            201: success("Created.", VIEWS[kind], examples.shown(kind), ETag=ETAG, Location=LOCATION),
        },
        openapi_extra={**CONDITIONS, **request_body(PUTS[kind], examples.put(kind))},
    )


def add_delete(router: APIRouter, kind: Kind, entities: Entities) -> None:
    """`DELETE /admin/<kind>/<name>`."""
    path, name_type = named(kind)

    async def delete_entity(request: Request, name: name_type) -> Response:  # type: ignore[valid-type] # see `named`
        async def write(expected: int | None) -> None:
            await entities.editor.delete(kind, name, actor_of(request), expected=expected)

        await entities.under_conditions(request, kind, name, write)
        return Response(status_code=204)

    router.add_api_route(
        path,
        delete_entity,
        methods=["DELETE"],
        status_code=204,
        operation_id=f"delete{kind.singular.capitalize()}",
        summary=f"Delete a {kind.singular} that nothing names",
        description="Sent twice, the second is a 404. With `If-Match: <ETag>` a repeated request never deletes what "
        "somebody has created under the same name since.",
        tags=[tag(kind)],
        responses={**errors(400, 404, 409, 412, 422), 204: success("Deleted.")},
        openapi_extra=CONDITIONS,
    )


def add_plain(router: APIRouter, entities: Entities) -> None:
    """All five routes for the kinds whose entities are written as they are."""
    for kind in PUTS:
        add_list(router, kind, entities)
        add_create(router, kind, entities)
        add_get(router, kind, entities)
        add_put(router, kind, entities)
        add_delete(router, kind, entities)


def named(kind: Kind) -> tuple[str, Any]:
    """The path of one entity, and the type of the name in it. Only ids of keys have no `/`, and so room for verbs."""
    return ("/keys/{id}", KeyId) if kind is Kind.KEYS else (f"/{kind}/{{name:path}}", EntityName)


def onwards(kind: Kind, **name: str) -> dict[str, Any]:
    """What can be done with a new entity: `links` of the reply that makes it."""
    return {verb: link(f"{verb}{kind.singular.capitalize()}", **name) for verb in ("get", "put", "delete")}


def shown(stored: Stored, status: int = 200, **headers: str) -> Response:
    """An entity as a reply, with its tag."""
    return reply(view_of(stored), status, etag=etag_of(stored), **headers)


def tag(kind: Kind) -> str:
    """Under what the API's description groups a kind's routes."""
    return f"admin: {kind}"


def location(request: Request, stored: Stored) -> str:
    """Where an entity is."""
    root: str = request.scope.get("root_path", "")
    return f"{root}/admin/{stored.kind}/{quote(stored.name, safe='/')}"
