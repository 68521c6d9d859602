"""The model replica and the engines that may run in it.

What a class of `kind: python` may want from here:

    from deployments.models import RequestRefusedError
"""

from deployments.models.engines.protocol import (
    Chunk,
    Embeddings,
    EmbedRequest,
    Engine,
    EngineBrokenError,
    EngineFailureError,
    GenerateRequest,
    InferRequest,
    RequestRefusedError,
    Usage,
)

__all__ = [
    "Chunk",
    "EmbedRequest",
    "Embeddings",
    "Engine",
    "EngineBrokenError",
    "EngineFailureError",
    "GenerateRequest",
    "InferRequest",
    "RequestRefusedError",
    "Usage",
]
