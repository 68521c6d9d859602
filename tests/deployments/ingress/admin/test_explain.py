"""`GET /admin/explain`: what the resolver says, for a key and a model of either source."""

import httpx

from deployments.ingress.state import IngressState
from tests.deployments.ingress.admin.conftest import bearer, ok, refused


async def test_every_policy_and_why(admin: httpx.AsyncClient, state: IngressState) -> None:
    for name, match in (("every", {}), ("globex", {"tenant": "globex"}), ("batch", {"qos_tier": "batch"})):
        policy = {"name": name, "scope": "TENANT", "limit": 5, "window": "1m", "match": match}
        await ok(admin.post("/admin/policies", json=policy))
    issued = await ok(admin.post("/admin/keys", json={"user": "gus", "id": "fresh"}))
    assert issued["key"]["id"] == "fresh"
    answer = await ok(admin.get("/admin/explain", params={"api_key": "fresh", "model": "default"}))
    assert {name: answer[name] for name in ("api_key", "user", "tenant", "qos_tier", "model")} == {
        "api_key": "fresh",
        "user": "gus",
        "tenant": "globex",
        "qos_tier": "standard",
        "model": "small",
    }
    told = {item["policy"]["name"]: (item["applies"], item["subject"]) for item in answer["items"]}
    assert told == {"every": (False, ""), "globex": (True, "globex"), "batch": (False, "")}
    reasons = {item["policy"]["name"]: item["reason"] for item in answer["items"]}
    assert reasons["every"] == "replaced by globex, which names the subject"
    assert reasons["batch"] == "qos_tier is standard, not batch"
    only = await ok(admin.get("/admin/explain", params={"api_key": "fresh", "model": "small", "applies": True}))
    assert [item["policy"]["name"] for item in only["items"]] == ["globex"]
    assert only["items"][0]["policy"]["window"] == "1m"


async def test_wrong_questions_and_who_may(admin: httpx.AsyncClient) -> None:
    whom = {"api_key": "gus1", "model": "small"}
    await refused(admin.get("/admin/explain", params={**whom, "api_key": "nobody"}), 404, "not_found")
    await refused(admin.get("/admin/explain", params={**whom, "model": "nope"}), 404, "not_found")
    await refused(admin.get("/admin/explain", params={"model": "small"}), 422, "invalid_parameter")
    await ok(admin.get("/admin/explain", params=whom, headers=bearer("operator1")))
    await refused(admin.get("/admin/explain", params=whom, headers=bearer("gus1")), 403, "wrong_role")
