from pathlib import Path

import pytest

from tests.deployments.models.engines.tiny_model import make_parrot
from tests.deployments.models.engines.transformers.generating import UNICODE, Direct
from tests.deployments.models.engines.transformers.tiny_encoder import make_tiny_encoder


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a model that has nothing of sentence-transformers beside it."""
    torch = pytest.importorskip("torch", reason="torch is not installed: make engines says why")
    torch.set_num_threads(1)  # it is so small that handing work to other threads costs more than the work
    return make_tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def direct(tiny_model: Path) -> Direct:
    return Direct(tiny_model)


@pytest.fixture(scope="module")
def parrot(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A model that says `UNICODE` and ends."""
    return make_parrot(tmp_path_factory.mktemp("parrot"), UNICODE)
