"""The description without a server is that of a server; and the page's client is made from it as it is now."""

import json
from pathlib import Path

import httpx

from deployments.ingress.description import description

ROOT = Path(__file__).parents[3]


async def test_it_is_what_a_server_says(client: httpx.AsyncClient) -> None:
    assert description() == (await client.get("/openapi.json")).json()


def test_the_committed_description_is_not_stale() -> None:
    committed = json.loads((ROOT / "frontend" / "openapi.json").read_text())
    assert committed == json.loads(json.dumps(description())), "frontend/openapi.json is stale: make api"
