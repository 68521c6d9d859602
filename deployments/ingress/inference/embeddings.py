"""`POST /v1/embeddings`: the request."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator
from starlette.types import Scope

from deployments.ingress.inference.operation import Embedding
from deployments.ingress.inference.parsing import ModelName, parse
from deployments.ingress.inference.text import TEXTS_OR_TOKENS, texts_or_tokens
from policies.quantities import WHOLE


class EmbeddingRequest(BaseModel):
    """`POST /v1/embeddings`."""

    model_config = ConfigDict(extra="ignore", strict=True)

    model: ModelName
    input: Annotated[
        Any,
        Field(description="Texts, or their tokens.", examples=["What is a sluice?"]),
        WithJsonSchema(TEXTS_OR_TOKENS),
    ]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] | None = None

    @field_validator("input")
    @classmethod
    def _a_form(cls, value: object) -> object:
        return texts_or_tokens(value)


def parse_embedding(_: Scope, body: bytes) -> Embedding:
    """What is asked for."""
    request = parse(body, EmbeddingRequest, '{"model": …, "input": …}')
    return Embedding(request.model, request.input, request.dimensions, request.encoding_format == "base64")
