"""Makes the engine for a task; what it needs is imported here and not before."""

from deployments.models.engines.protocol import Engine
from deployments.models.engines.transformers.options import TransformersOptions


def make_transformers(options: TransformersOptions) -> Engine:
    """The engine for `options.task`."""
    if options.task == "embed":
        from deployments.models.engines.transformers.embedding import EmbeddingEngine

        return EmbeddingEngine(options)
    from deployments.models.engines.transformers.generation import GenerationEngine

    return GenerationEngine(options)
