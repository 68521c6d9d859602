"""API keys: issue, change, rotate and revoke. A whole key stands in the reply that makes it, and nowhere else."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from deployments.ingress.admin import examples
from deployments.ingress.admin.bodies import MAX_ENTITY_BYTES, body_of
from deployments.ingress.admin.entities import (
    KeyId,
    add_delete,
    add_get,
    add_list,
    location,
    named,
    onwards,
    shown,
    tag,
)
from deployments.ingress.admin.preconditions import etag_of
from deployments.ingress.admin.requests import KeyIssue, KeyRotation, KeySettings
from deployments.ingress.admin.routing import actor_of, reply
from deployments.ingress.admin.service import Entities
from deployments.ingress.admin.views import KeyView, view_of
from deployments.ingress.documentation import CONDITIONS, ETAG, LOCATION, errors, link, request_body, success
from policies.catalogue import Actor, Kind, Stored
from policies.catalogue.editing import IssuedKey, at_version
from policies.entities import ApiKey
from policies.errors import NotFoundError, VersionConflictError

_ATTEMPTS = 10
"""How often a change of a key that others change at the same time is begun again."""

_TAG = tag(Kind.KEYS)
_PATH, _ = named(Kind.KEYS)


class NewKey(BaseModel):
    """A key that was just made."""

    secret: Annotated[
        str,
        Field(
            description="The whole key. It is shown here and never again: only its SHA-256 is kept.",
            examples=["sk-Ab3dEf6hIj9kLm2n-Zx8cVb7nM2qWe4rTy6uIoP1aS3dFgHjK5lQw9eRt"],
        ),
    ]
    key: KeyView


def add_keys(router: APIRouter, entities: Entities) -> None:
    """The routes of this module."""
    add_list(router, Kind.KEYS, entities)
    add_get(router, Kind.KEYS, entities)
    add_delete(router, Kind.KEYS, entities)
    _add_issue(router, entities)
    _add_put(router, entities)
    _add_rotate(router, entities)
    _add_revoke(router, entities)


def _add_issue(router: APIRouter, entities: Entities) -> None:
    async def issue_key(request: Request) -> Response:
        asked = await body_of(request, KeyIssue, entities.max_bytes(MAX_ENTITY_BYTES), quiet="body")
        fields = {name: getattr(asked, name) for name in KeySettings.model_fields}
        issued = await entities.editor.issue_key(actor_of(request), key_id=asked.id, **fields)
        await entities.seen()
        return _new_key(issued, 201, location=location(request, issued.stored))

    router.add_api_route(
        "/keys",
        issue_key,
        methods=["POST"],
        status_code=201,
        operation_id="issueKey",
        summary="Issue a key",
        description="The reply holds the whole key, once.",
        tags=[_TAG],
        responses={
            **errors(400, 409, 413, 415, 422),
            201: {
                **success("Issued.", NewKey, _EXAMPLE, ETag=ETAG, Location=LOCATION),
                "links": {
                    **onwards(Kind.KEYS, id="$response.body#/key/id"),
                    "rotate": link("rotateKey", id="$response.body#/key/id"),
                    "revoke": link("revokeKey", id="$response.body#/key/id"),
                },
            },
        },
        openapi_extra=request_body(KeyIssue, examples.EXAMPLES[Kind.KEYS]),
    )


def _add_put(router: APIRouter, entities: Entities) -> None:
    async def put_key(request: Request, name: KeyId) -> Response:
        asked = await body_of(request, KeySettings, entities.max_bytes(MAX_ENTITY_BYTES), quiet="body")

        async def write(expected: int | None) -> Stored:
            return await _set(entities, name, asked, actor_of(request), expected)

        return shown(await entities.under_conditions(request, Kind.KEYS, name, write))

    router.add_api_route(
        _PATH,
        put_key,
        methods=["PUT"],
        operation_id="putKey",
        summary="Set what a key may do",
        description="Its secret stays, and so does a revocation. A key is made by issuing it, not by putting it.",
        tags=[_TAG],
        responses={
            **errors(400, 404, 409, 412, 413, 415, 422),
            200: success("Set.", KeyView, examples.shown(Kind.KEYS), ETag=ETAG),
        },
        openapi_extra={**CONDITIONS, **request_body(KeySettings, examples.EXAMPLES[Kind.KEYS])},
    )


def _add_rotate(router: APIRouter, entities: Entities) -> None:
    async def rotate_key(request: Request, name: KeyId) -> Response:
        asked = await body_of(request, KeyRotation, entities.max_bytes(MAX_ENTITY_BYTES), empty=b"{}", quiet="body")

        async def write(expected: int | None) -> IssuedKey:
            return await entities.editor.rotate_key(
                name, actor_of(request), overlap_ms=asked.overlap, expected=expected
            )

        return _new_key(await entities.under_conditions(request, Kind.KEYS, name, write))

    router.add_api_route(
        f"{_PATH}/rotate",
        rotate_key,
        methods=["POST"],
        operation_id="rotateKey",
        summary="Give a key a new secret",
        description="Its id stays, and with it its windows and whatever names it. The old secret works until `overlap` "
        "is over (24h where nothing is said; `0s` ends it at once). The reply holds the whole new key, once.",
        tags=[_TAG],
        responses={
            **errors(400, 404, 409, 412, 413, 415, 422),
            200: success("Rotated.", NewKey, _EXAMPLE, ETag=ETAG),
        },
        openapi_extra={**CONDITIONS, **request_body(KeyRotation, {"overlap": "24h"}, required=False)},
    )


def _add_revoke(router: APIRouter, entities: Entities) -> None:
    async def revoke_key(request: Request, name: KeyId) -> Response:
        async def write(expected: int | None) -> Stored:
            return await entities.editor.revoke_key(name, actor_of(request), expected=expected)

        return shown(await entities.under_conditions(request, Kind.KEYS, name, write))

    router.add_api_route(
        f"{_PATH}/revoke",
        revoke_key,
        methods=["POST"],
        operation_id="revokeKey",
        summary="End a key for good",
        description="It is refused everywhere within a second. Doing it again changes nothing.",
        tags=[_TAG],
        responses={
            **errors(400, 404, 409, 412, 422),
            200: success("Revoked.", KeyView, {**examples.shown(Kind.KEYS), "revoked": True}, ETag=ETAG),
        },
        openapi_extra=CONDITIONS,
    )


async def _set(entities: Entities, key_id: str, asked: KeySettings, actor: Actor, expected: int | None) -> Stored:
    """Changes what may be set of a key, on what it is now: a rotation or revocation meanwhile is not undone."""
    for attempt in range(_ATTEMPTS):
        stored = await entities.get(Kind.KEYS, key_id)
        if not isinstance(stored.entity, ApiKey):
            raise NotFoundError(f"key {key_id!r} does not exist: POST /admin/keys issues one")
        if stored.source == "api":
            at_version(stored, expected)
        key = ApiKey(**{**dict(stored.entity), **dict(asked)})
        try:
            return await entities.editor.put(key, actor, expected=stored.version, action="update")
        except VersionConflictError:
            if expected is not None or attempt + 1 == _ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _new_key(issued: IssuedKey, status: int = 200, **headers: str) -> Response:
    body = NewKey.model_construct(secret=issued.secret, key=view_of(issued.stored))
    return reply(body, status, etag=etag_of(issued.stored), **headers)


_EXAMPLE = {
    "secret": "sk-Ab3dEf6hIj9kLm2n-Zx8cVb7nM2qWe4rTy6uIoP1aS3dFgHjK5lQw9eRt",
    "key": examples.shown(Kind.KEYS),
}
