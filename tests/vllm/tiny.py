"""The model that vLLM runs here, and how: small enough for a laptop's CPU."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.deployments.models.engines.tiny_model import make_tiny_model

NEEDS_VLLM = pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed: make test-vllm")

CONTEXT = 4096
"""Tokens. Long enough for a reply that is still under way when its reader leaves."""

SLOTS = 8

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
}


def make_model(folder: Path) -> Path:
    """Heads of 32 numbers: vLLM computes no smaller ones on a CPU. The end of a reply is never the likeliest token."""
    from transformers import AutoModelForCausalLM

    make_tiny_model(folder, heads=2, context=CONTEXT)
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.lm_head.weight.data[model.config.eos_token_id] = 0
    model.save_pretrained(folder)
    return folder


def options(model: Path) -> dict[str, Any]:
    """Of `kind: vllm`."""
    return {
        "model": str(model),
        "device": "cpu",
        "cpus": 0.5,
        "engine_kwargs": {
            "dtype": "float32",
            "enforce_eager": True,
            "max_model_len": CONTEXT,
            "max_num_seqs": SLOTS,
            "kv_cache_memory_bytes": 64 * 2**20,
        },
    }


@contextmanager
def environment() -> Iterator[None]:
    """What vLLM reads, set before Ray starts."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            if name not in os.environ:
                patch.setenv(name, value)
        yield
