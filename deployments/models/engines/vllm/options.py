"""Options of `kind: vllm`."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from deployments.models.engines.options import Options
from deployments.tokenization.counting import Counting

_NOT_PASSED_ON = {
    "model": "write it as the option model",
    "served_model_name": "clients know the model by its name in the file",
    "chat_template": "write it as the option chat_template",
    "data_parallel_size": "write num_replicas under deployments",
    "distributed_executor_backend": "it follows from device",
}
"""Arguments of vLLM that something else decides here, and what."""


class VllmOptions(Options):
    """One model, and the devices of one replica of it."""

    model: Annotated[str, Field(min_length=1)]
    """A directory, a name on the Hugging Face hub, or where the files are in cloud storage (`s3://…`, `gs://…`)."""
    task: Literal["generate", "embed"] = "generate"
    """`generate`: chat and text completions. `embed`: embeddings."""
    chat_template: str | None = None
    """A Jinja template in the place of the tokenizer's own."""
    device: Literal["gpu", "cpu"] = "gpu"
    """`cpu` needs a build of vLLM for CPUs."""
    accelerator_type: str | None = None
    """Which GPUs, in Ray's words: `A100`, `H100`, `L4`. Any where absent."""
    gpus_per_worker: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of a GPU for each worker; there are `tensor_parallel_size` times `pipeline_parallel_size` workers. With a
    share below 1, say in `engine_kwargs` how much of the memory is this model's: `gpu_memory_utilization`."""
    cpus: Annotated[float, Field(gt=0)] = 1.0
    """CPUs that one replica asks Ray for, in the place of `num_cpus`. How many threads run on them, vLLM decides."""
    placement_strategy: Literal["PACK", "STRICT_PACK", "SPREAD", "STRICT_SPREAD"] = "PACK"
    """How the workers of one replica lie on the nodes; `STRICT_PACK`: on one."""
    engine_metrics: bool = True
    """vLLM's own figures, among Ray's metrics."""
    engine_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Arguments of vLLM's engine, passed on as they are: `dtype`, `max_model_len` (tokens), `max_num_seqs` (requests at
    a time), `tensor_parallel_size` (GPUs), `gpu_memory_utilization` (share), `quantization`, …"""

    @field_validator("engine_kwargs")
    @classmethod
    def _passed_on(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        for name in arguments:
            if name in _NOT_PASSED_ON:
                raise ValueError(f"{name} is not passed on: {_NOT_PASSED_ON[name]}")
        return arguments

    @field_validator("accelerator_type")
    @classmethod
    def _of_a_gpu(cls, name: str | None, info: Any) -> str | None:
        if name is not None and info.data.get("device") == "cpu":
            raise ValueError("there is none with device: cpu")
        return name

    def counting(self) -> Counting:
        source = self.engine_kwargs.get("tokenizer", self.model)
        if re.match(r"[a-z0-9]+://", source):
            return Counting()  # the replica fetches it, the ingress does not
        revision = self.engine_kwargs.get("tokenizer_revision", self.engine_kwargs.get("revision"))
        return Counting("tokenizer", source, revision, self.chat_template)

    def deployment(self) -> dict[str, Any]:
        """A placement group for the replica and its workers.

        `ray.serve.llm` would say the same (`LLMServer.get_deployment_options`; a test compares them), but to ask it
        takes vLLM's import: on the head node, which may have none, and for a quarter of a minute.
        """
        first, *others = self.worker_bundles()
        return {
            "ray_actor_options": {"num_cpus": self.cpus},
            "placement_group_bundles": [{**first, "CPU": self.cpus}, *others],
            "placement_group_strategy": self.placement_strategy,
        }

    def worker_bundles(self) -> list[dict[str, float]]:
        """What each worker asks Ray for. The replica itself runs beside the first."""
        if self.device == "cpu":
            return [{"CPU": self.cpus}]  # workers are processes of the replica's own
        arguments = self.engine_kwargs
        workers = arguments.get("tensor_parallel_size", 1) * arguments.get("pipeline_parallel_size", 1)
        bundle = {"GPU": self.gpus_per_worker}
        if self.accelerator_type is not None:
            bundle[f"accelerator_type:{self.accelerator_type}"] = 0.001  # as Ray asks for a type of node
        return [dict(bundle) for _ in range(workers)]
