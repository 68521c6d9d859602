"""Options of `kind: transformers`."""

from typing import Annotated, Literal

from pydantic import Field

from deployments.models.engines.options import Options
from deployments.tokenization.counting import Counting


class TransformersOptions(Options):
    """One model, and what it is for."""

    model: Annotated[str, Field(min_length=1)]
    """A directory, or a name on the Hugging Face hub."""
    revision: str | None = None
    """Of a model on the hub: a commit, a branch or a tag."""
    task: Literal["generate", "embed"] = "generate"
    """`generate`: chat and text completions. `embed`: embeddings."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    """`auto`: the GPU that Ray assigned to the replica (`num_gpus`), else the CPU."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """`auto`: half precision on a GPU, float32 on a CPU."""
    chat_template: str | None = None
    """A Jinja template in the place of the tokenizer's own."""

    def counting(self) -> Counting:
        return Counting("tokenizer", self.model, self.revision, self.chat_template)
