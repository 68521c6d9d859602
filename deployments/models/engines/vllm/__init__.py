"""vLLM, as `ray.serve.llm` runs it: on GPUs, or on a CPU. Nothing here imports vLLM or Ray: what does is
`deployments.models.ray_llm`, which only the replica that runs the model imports."""
