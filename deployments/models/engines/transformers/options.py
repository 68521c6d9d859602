"""Options of `kind: transformers`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from deployments.models.engines.options import Options
from deployments.tokenization.counting import Counting
from deployments.tokenization.source import check_source

_OF_TASK = {
    "embed": ("pooling", "embed_batch_tokens"),
    "generate": ("chat_template", "max_batch_requests", "context_tokens", "cache_tokens", "prefill_tokens"),
}
"""Options that only one task has."""


class TransformersOptions(Options):
    """One model, and what it is for."""

    model: Annotated[str, Field(min_length=1), AfterValidator(check_source)]
    """A directory, a name on the Hugging Face hub, or `package:NAME/FOLDER`: a folder of an installed package."""
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
    pooling: Literal["auto", "mean", "cls", "lasttoken", "max", "mean_sqrt_len_tokens", "weightedmean"] = "auto"
    """How the vectors of an input's tokens become one (`task: embed`). `auto`: as the model's own files for
    sentence-transformers have it, and `mean` where there are none."""
    embed_batch_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """Most tokens of a batch of embeddings, padding included; a longer input has a batch of its own. None: 1,024 on a
    CPU, 32,768 on a GPU."""

    max_batch_requests: Annotated[int, Field(ge=1, le=1_024)] = 32
    """How many requests run together at most (`task: generate`); more wait their turn. Give the deployment as many
    slots."""
    context_tokens: Annotated[int, Field(ge=2)] | None = None
    """Most tokens of a prompt and its reply together, where that shall be less than the model's own context."""
    cache_tokens: Annotated[int, Field(ge=2)] | None = None
    """Tokens that the memory for keys and values holds: of all requests that run together, each counted as long as the
    longest may become. None: what 70% of the memory allows that is free once the model is loaded (on a CPU 35%)."""
    prefill_tokens: Annotated[int, Field(ge=1)] | None = None
    """Most tokens of new prompts that are read between two steps of the replies that grow. None: 256 on a CPU, 4,096 on
    a GPU."""

    @model_validator(mode="after")
    def _each_task_has_its_own(self) -> "TransformersOptions":
        for task, names in _OF_TASK.items():
            for name in names:
                if self.task != task and name in self.model_fields_set:
                    raise ValueError(f"{name} is for task: {task}, and this is task: {self.task}")
        return self

    def counting(self) -> Counting:
        return Counting("tokenizer", self.model, self.revision, self.chat_template)
