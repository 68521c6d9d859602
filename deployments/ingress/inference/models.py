"""`GET /v1/models`: what requests may give as `model`."""

from typing import Any

import orjson

from policies.entities import Model


def models_body(models: tuple[Model, ...]) -> bytes:
    """All of them, aliases included."""
    data = [_listed(name) for model in models for name in (model.name, *model.aliases)]
    return orjson.dumps({"object": "list", "data": data})


def model_body(name: str) -> bytes:
    """One of them."""
    return orjson.dumps(_listed(name))


def _listed(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "sluice"}
