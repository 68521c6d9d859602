"""Making an engine of a class, and asking it, as a replica does."""

import json
from typing import Any

from deployments.models.engines.protocol import (
    InferRequest,
)
from deployments.models.engines.python.engine import ClassEngine
from deployments.models.engines.python.options import PythonOptions


async def engine_of(found: type[Any], **options: Any) -> ClassEngine:
    made = ClassEngine(PythonOptions(import_path="a_module:Class", **options), found)
    await made.load()
    return made


def json_request(body: Any) -> InferRequest:
    return InferRequest(json.dumps(body).encode(), "application/json")


async def inferred(found: type[Any], body: Any) -> Any:
    engine = await engine_of(found)
    try:
        return json.loads(await engine.infer(json_request(body)))
    finally:
        await engine.close()
