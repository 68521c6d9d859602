"""How the admin API describes itself: names that stay, every error told, examples that are right."""

from typing import Any

import httpx
import pytest

from deployments.ingress.admin.requests import REQUESTS
from deployments.ingress.admin.views import PAGES, VIEWS
from policies.catalogue import Kind
from policies.quantities import format_duration, parse_duration_ms
from tests.deployments.ingress.admin.conftest import ok

OPERATIONS = {
    *("listTenants", "createTenant", "getTenant", "putTenant", "deleteTenant"),
    *("listUsers", "createUser", "getUser", "putUser", "deleteUser"),
    *("listTiers", "createTier", "getTier", "putTier", "deleteTier"),
    *("listCatalogueModels", "createModel", "getModel", "putModel", "deleteModel"),
    *("listPolicies", "createPolicy", "getPolicy", "putPolicy", "deletePolicy"),
    *("listKeys", "issueKey", "getKey", "putKey", "deleteKey", "rotateKey", "revokeKey"),
    *("listAudit", "getCatalogue", "exportCatalogue"),
    *("beginImport", "addImportPart", "planImport", "commitImport", "getImport"),
}
"""Clients are generated from these names, so none may change."""


@pytest.fixture
async def schema(admin: httpx.AsyncClient) -> dict[str, Any]:
    """/openapi.json."""
    described: dict[str, Any] = await ok(admin.get("/openapi.json"))
    return described


def operations(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of the catalogue."""
    all_of_them = [operation for path in schema["paths"].values() for operation in path.values()]
    return [operation for operation in all_of_them if operation["operationId"] in OPERATIONS]


async def test_names_stay(schema: dict[str, Any]) -> None:
    named = [operation["operationId"] for path in schema["paths"].values() for operation in path.values()]
    assert len(set(named)) == len(named)
    assert set(named) >= OPERATIONS


async def test_every_operation_tells_its_errors(schema: dict[str, Any]) -> None:
    error = {"$ref": "#/components/schemas/ErrorReply"}
    for operation in operations(schema):
        assert operation["summary"]
        assert {"401", "403", "503"} <= set(operation["responses"])
        for status, response in operation["responses"].items():
            assert response["description"]
            if int(status) >= 400:
                assert response["content"]["application/json"]["schema"] == error, operation["operationId"]
        if "requestBody" in operation:
            assert {"400", "413", "415", "422"} <= set(operation["responses"]), operation["operationId"]


async def test_every_reference_leads_somewhere(schema: dict[str, Any]) -> None:
    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [each for inner in value.values() for each in references(inner)]
        return [each for inner in value for each in references(inner)] if isinstance(value, list) else []

    known = {f"#/components/schemas/{name}" for name in schema["components"]["schemas"]}
    assert len(known) > 40
    assert set(references(schema)) <= known


async def test_bodies_have_examples_that_are_right(schema: dict[str, Any]) -> None:
    bodies = {model.__name__: model for model in REQUESTS}
    seen = set()
    for operation in operations(schema):
        if "requestBody" not in operation:
            continue
        content = operation["requestBody"]["content"]["application/json"]
        name = content["schema"]["$ref"].rpartition("/")[2]
        bodies[name].model_validate(content["example"])
        seen.add(name)
    assert seen == set(bodies)


async def test_replies_have_examples_that_are_right(schema: dict[str, Any]) -> None:
    models = {model.__name__: model for kind in Kind for model in (VIEWS[kind], PAGES[kind])}
    seen = set()
    for operation in operations(schema):
        for status in ("200", "201"):
            content = operation["responses"].get(status, {}).get("content", {}).get("application/json")
            if content:
                assert "example" in content, operation["operationId"]
                name = content["schema"]["$ref"].rpartition("/")[2]
                if name in models:
                    models[name].model_validate(content["example"])
                    seen.add(name)
    assert seen == set(models)


async def test_durations_are_described_as_they_are_written(schema: dict[str, Any]) -> None:
    ways = schema["components"]["schemas"]["RateLimitPolicy"]["properties"]["window"]["anyOf"]
    assert [way["type"] for way in ways] == ["string", "integer"]
    assert parse_duration_ms(format_duration(ways[1]["maximum"])) == ways[1]["maximum"]


async def test_a_view_never_has_a_hash(schema: dict[str, Any]) -> None:
    for name in ("KeyView", "NewKey", "KeyIssue", "KeySettings"):
        assert not [field for field in schema["components"]["schemas"][name]["properties"] if "sha256" in field]
