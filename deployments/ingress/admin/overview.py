"""The catalogue as a whole: where it stands (`GET /admin/catalogue`), and all of it (`GET /admin/export`)."""

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from deployments.ingress.admin.imports import ImportView, import_view
from deployments.ingress.admin.routing import NO_STORE, reply
from deployments.ingress.documentation import errors, success
from deployments.ingress.state import IngressState
from policies.catalogue import Kind, Page
from policies.catalogue.listing import Filters, Listing

_EXPORTED_AT_ONCE = 500
"""How many entities of an export are held at a time."""

_TAG = "admin: catalogue"


class Counts(BaseModel):
    """How many entities there are of one kind."""

    config: Annotated[int, Field(description="From the configuration file.", examples=[4])]
    api: Annotated[int, Field(description="From this API.", examples=[120])]


class CatalogueStatus(BaseModel):
    """Where the catalogue stands, as the replica that answers sees it."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    version: Annotated[int, Field(description="Of the last change through this API that is in use here; 0: none yet.")]
    counts: dict[Kind, Counts]
    problems: Annotated[
        list[str],
        Field(description="Tiers, models and policies of this API that have no effect now, and why (the first 100)."),
    ]
    running: Annotated[
        ImportView | None, Field(alias="import", description="The import that is being applied now.")
    ] = None


class ExportQuery(BaseModel):
    """What is exported."""

    model_config = ConfigDict(extra="forbid")

    source: Annotated[
        Literal["api", "all"],
        Field(description="Only what this API wrote, or what the configuration file holds as well."),
    ] = "api"


_STATUS: dict[str, Any] = {
    "version": 12,
    "counts": {kind: {"config": 4, "api": 0} for kind in Kind},
    "problems": ["policy 'acme-burst': the configuration has a policy of this name, which counts instead"],
}


def add_overview(router: APIRouter, state: IngressState) -> None:
    """The routes of this module."""
    listing = state.listing

    async def get_catalogue() -> Response:
        counts = {kind: Counts(**by_source) for kind, by_source in (await listing.counts()).items()}
        running = await state.imports.running()
        status = CatalogueStatus(
            version=state.live.version,
            counts=counts,
            problems=listing.problems(),
            running=None if running is None else import_view(running),
        )
        return reply(status)

    async def export_catalogue(query: Annotated[ExportQuery, Query()]) -> Response:
        filters = Filters(source="api") if query.source == "api" else Filters()
        kinds = list(Kind)
        first = await listing.page(kinds[0], limit=_EXPORTED_AT_ONCE, filters=filters)  # may be refused
        headers = {**NO_STORE, "content-disposition": 'attachment; filename="catalogue.ndjson"'}
        overridden = state.live.config_by_name if query.source == "all" else {}
        return StreamingResponse(_lines(listing, filters, first, overridden), 200, headers, "application/x-ndjson")

    router.add_api_route(
        "/catalogue",
        get_catalogue,
        methods=["GET"],
        operation_id="getCatalogue",
        summary="Where the catalogue stands",
        tags=[_TAG],
        responses={**errors(), 200: success("As it is now.", CatalogueStatus, _STATUS)},
    )
    router.add_api_route(
        "/export",
        export_catalogue,
        methods=["GET"],
        operation_id="exportCatalogue",
        summary="All of the catalogue, an entity a line",
        description="For backups and for moving: what comes out can be imported. It holds the hashes of keys (never "
        "keys), so only admins may read it. A reply that breaks off is not complete.",
        tags=[_TAG],
        response_class=StreamingResponse,
        responses={
            **errors(422),
            200: {
                "description": 'Lines of `{"kind": …, "entity": {…}}`.',
                "content": {"application/x-ndjson": {"schema": {"type": "string"}, "example": _LINE}},
            },
        },
    )


_LINE = '{"kind":"tenants","entity":{"name":"acme","qos_tier":"premium"}}\n'


async def _lines(
    listing: Listing, filters: Filters, page: Page, overridden: Mapping[Kind, Collection[str]]
) -> AsyncIterator[bytes]:
    """`overridden`: names of which only the configuration's entity is told, since it is the one that counts."""
    for kind in Kind:
        if kind is not Kind.TENANTS:  # the first page of the first kind is here already
            page = await listing.page(kind, limit=_EXPORTED_AT_ONCE, filters=filters)
        while True:
            yield b"".join(
                orjson.dumps({"kind": kind, "entity": stored.entity.model_dump(mode="json", exclude_defaults=True)})
                + b"\n"
                for stored in page.items
                if stored.source == "config" or stored.name not in overridden.get(kind, ())
            )
            if page.next_after is None:
                break
            page = await listing.page(kind, after=page.next_after, limit=_EXPORTED_AT_ONCE, filters=filters)
