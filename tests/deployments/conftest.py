"""A tiny model and its tokenizer for all who serve models: made here, once."""

from pathlib import Path

import pytest

from tests.deployments.models.engines.tiny_model import make_tiny_model, make_tokenizer


@pytest.fixture(scope="session")
def tiny_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a tokenizer and no model: needs no torch."""
    pytest.importorskip("transformers", reason="transformers is not installed: make engines")
    folder = tmp_path_factory.mktemp("tokenizer")
    make_tokenizer(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a model."""
    torch = pytest.importorskip("torch", reason="torch is not installed: make engines says why")
    torch.set_num_threads(1)  # it is so small that handing work to other threads costs more than the work
    return make_tiny_model(tmp_path_factory.mktemp("model"))
