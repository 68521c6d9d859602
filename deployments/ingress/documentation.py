"""How the routes describe themselves in /openapi.json: bodies, examples, headers, and every error with its meaning."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

REFERENCE = "#/components/schemas/{model}"


class ErrorDetail(BaseModel):
    """What went wrong."""

    model_config = ConfigDict(extra="allow")

    message: Annotated[str, Field(description="For people: what was wrong, with the value, and what to do.")]
    type: Annotated[str, Field(description="The group it belongs to.", examples=["invalid_request_error"])]
    code: Annotated[str, Field(description="For programs; never changes its meaning.", examples=["version_conflict"])]
    param: Annotated[str | None, Field(description="The parameter, header or field it is about.")] = None


class ErrorReply(BaseModel):
    """Every error, in the shape that OpenAI's clients read."""

    error: ErrorDetail


_MEANINGS: Mapping[int, tuple[str, str, str]] = {
    400: ("Malformed: no JSON, or a header or cursor that cannot be read.", "invalid_json", "The body is not JSON."),
    401: ("No API key, or one that is not valid.", "invalid_api_key", "This API key is not known here."),
    403: ("The key's role does not allow this.", "wrong_role", "This API key has the role inference."),
    404: ("There is nothing of this name.", "not_found", "Tenant 'acme' does not exist."),
    409: (
        "Contradicts what there is: `already_exists`, `in_use`, `unknown_reference`, `managed_by_configuration`, "
        "`name_mismatch`, `import_running` or `refused`.",
        "unknown_reference",
        "User 'ada' names tenant 'acme', which does not exist: create that first.",
    ),
    412: (
        "A condition (`If-Match`, `If-None-Match`) does not hold: somebody else was first. Nothing was changed.",
        "version_conflict",
        "Tenant 'acme' is at version 14, not 12: read it again and repeat the change.",
    ),
    413: ("The body is too large.", "body_too_large", "The body is larger than 262144 bytes."),
    415: ("The body is not declared to be JSON.", "unsupported_media_type", "The body must be JSON."),
    422: ("A field or parameter is wrong, missing or unknown.", "invalid_parameter", "body.name: missing"),
    428: ("A condition is needed: send `If-Match`.", "precondition_required", "Send If-Match with the plan's version."),
    429: (
        "Too many requests from this address had no valid key; `Retry-After` says when to try again.",
        "too_many_failed_authentications",
        "Too many requests from your address had no valid API key.",
    ),
    503: ("The store cannot be reached; `Retry-After` says when to try again.", "catalogue_unavailable", "Not now."),
}

_ERROR = {"$ref": REFERENCE.format(model=ErrorReply.__name__)}

_ALWAYS = (401, 403, 429, 503)

ETAG: dict[str, Any] = {
    "description": "The version of the entity, for `If-Match` of a later change.",
    "required": True,
    "schema": {"type": "string"},
    "example": '"12"',
}
LOCATION: dict[str, Any] = {
    "description": "Where the new entity is.",
    "required": True,
    "schema": {"type": "string"},
    "example": "/admin/tenants/acme",
}

_TAGS = {
    "anyOf": [
        {"type": "string", "const": "*"},
        {"type": "string", "pattern": r'^(W/)?"[!#-~]*"(, (W/)?"[!#-~]*"){0,19}$'},
    ]
}

_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "Only if the entity is one of these versions; `*`: only if there is one.",
    "schema": _TAGS,
    "example": '"12"',
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "Only if the entity is none of these versions; `*`: only if there is none.",
    "schema": _TAGS,
    "example": '"7"',
}
CONDITIONS: dict[str, Any] = {"parameters": [_IF_MATCH, _IF_NONE_MATCH]}
"""For `openapi_extra`: the conditions that a change may set. See `preconditions`."""
UNCHANGED: dict[str, Any] = {"parameters": [_IF_NONE_MATCH]}
"""For `openapi_extra`: the condition that a reading may set."""

PLAN_TAG = {**ETAG, "description": "The plan's version, for `If-Match` of the commit."}
PLANNED: dict[str, Any] = {
    "parameters": [
        {
            "name": "If-Match",
            "in": "header",
            "required": True,
            "description": "The plan's version.",
            "schema": {"type": "string", "pattern": '^"(0|[1-9][0-9]{0,14})"$'},
            "example": '"12"',
        }
    ]
}
"""For `openapi_extra`: what the commit of an import must be sent with."""


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The replies other than success, those that every route can give included."""
    return {status: _error(status) for status in sorted({*statuses, *_ALWAYS})}


def _error(status: int) -> dict[str, Any]:
    description, code, message = _MEANINGS[status]
    example = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    described: dict[str, Any] = {
        "description": description,
        "content": {"application/json": {"schema": _ERROR, "example": example}},
    }
    if status == 401:
        described["headers"] = {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}}
    if status in (429, 503):
        described["headers"] = {"Retry-After": {"required": True, "schema": {"type": "string"}}}
    return described


def success(
    description: str, model: type[BaseModel] | None = None, example: Any = None, **headers: Any
) -> dict[str, Any]:
    """A successful reply. `headers`: by name, such as `ETag=ETAG`."""
    described: dict[str, Any] = {"description": description}
    if model is not None:
        described["model"] = model
        described["content"] = {"application/json": {"example": example}}
    if headers:
        described["headers"] = headers
    return described


def link(operation_id: str, **parameters: str) -> dict[str, Any]:
    """What a reply leads to, for `links` of its description. `parameters`: by name, where in the reply or the request
    each stands, such as `id="$response.body#/id"`."""
    return {"operationId": operation_id, "parameters": {name.replace("_", "-"): at for name, at in parameters.items()}}


def request_body(model: type[BaseModel], example: Any, *, required: bool = True) -> dict[str, Any]:
    """For `openapi_extra`: a JSON body. Its schema is among those of `request_schemas`."""
    content = {"schema": {"$ref": REFERENCE.format(model=model.__name__)}, "example": example}
    return {"requestBody": {"required": required, "content": {"application/json": content}}}


def request_schemas(models: Iterable[type[BaseModel]]) -> dict[str, Any]:
    """The schemas of request bodies, and of what they hold, by name."""
    _, whole = models_json_schema([(each, "validation") for each in models], ref_template=REFERENCE)
    return dict(whole.get("$defs", {}))
