"""OpenAI's wire format of embeddings."""

import base64
import sys
from array import array

import orjson

from deployments.models.engines.protocol import Embeddings


def embeddings_body(model: str, embeddings: Embeddings, *, as_base64: bool) -> bytes:
    """The body of a reply. In base64 a vector is its 32-bit floats, little-endian.

    Tens of megabytes may come of it, so it may run in a thread: between two vectors others have their turn.
    """
    data = [
        {"object": "embedding", "index": index, "embedding": _base64(vector) if as_base64 else _numbers(vector)}
        for index, vector in enumerate(embeddings.vectors)
    ]
    used = embeddings.input_tokens
    usage = {"prompt_tokens": used, "total_tokens": used}
    return orjson.dumps({"object": "list", "data": data, "model": model, "usage": usage})


def _numbers(vector: "array[float]") -> orjson.Fragment:
    return orjson.Fragment(orjson.dumps(vector.tolist()))


def _base64(vector: "array[float]") -> str:
    if sys.byteorder == "big":
        vector = vector[:]
        vector.byteswap()
    return base64.b64encode(vector).decode()
