"""The suite that every engine passes.

A class of an engine's test module takes one of the suites and says how the engine is made, what to ask it, and what it
lacks:

    @pytest.mark.asyncio(loop_scope="class")
    class TestGeneration(GenerationCompliance):
        kind, options = "simulated", {"first_token_ms": 1, "inter_token_ms": 1}
        lacks: ClassVar = {"logprobs": "no model ran, so nothing has a probability"}

What an engine lacks must be refused, as the protocol says, wherever a request can ask for it; a test that has nothing
to check then is skipped, with the reason given.

Without pytest, and so on any machine with the engine's own libraries (a GPU, say):

    python -m tests.deployments.models.engines.compliance generation --kind transformers --options '{"model": "DIR"}' \
      --lacks failures='no way to make a request fail from outside'
    python -m tests.deployments.models.engines.compliance tests.deployments.models.engines.test_simulated:TestGeneration
"""

from tests.deployments.models.engines.compliance.base import Compliance, collected, refused, wait_until
from tests.deployments.models.engines.compliance.embedding import EmbeddingCompliance
from tests.deployments.models.engines.compliance.generation import GenerationCompliance
from tests.deployments.models.engines.compliance.infer import InferCompliance

__all__ = [
    "Compliance",
    "EmbeddingCompliance",
    "GenerationCompliance",
    "InferCompliance",
    "collected",
    "refused",
    "wait_until",
]
