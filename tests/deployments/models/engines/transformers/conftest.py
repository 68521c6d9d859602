from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deployments.models.engines.protocol import Engine
from deployments.models.engines.registry import make_engine
from tests.deployments.models.engines.transformers.tiny_encoder import make_tiny_encoder


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a model that has nothing of sentence-transformers beside it."""
    torch = pytest.importorskip("torch", reason="torch is not installed: make engines says why")
    torch.set_num_threads(1)  # it is so small that handing work to other threads costs more than the work
    return make_tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
async def engine(tiny_encoder: Path) -> AsyncIterator[Engine]:
    """It, loaded."""
    made = make_engine("transformers", {"model": str(tiny_encoder), "task": "embed"})
    await made.load()
    yield made
    await made.close()
