"""What loading a model has in common for all tasks: where it is, its device and precision, and errors in words."""

from typing import Any

import torch
from transformers import AutoConfig

from deployments.models.engines.protocol import EngineOptionsError
from deployments.models.engines.transformers.options import TransformersOptions
from deployments.tokenization.source import ModelSourceError, located
from deployments.tokenization.tokenizer import Tokenizer, TokenizerError


def located_model(source: str) -> str:
    """A directory, or a name on the hub."""
    try:
        return located(source)
    except ModelSourceError as error:
        raise EngineOptionsError(str(error)) from error


def load_tokenizer(source: str, revision: str | None, chat_template: str | None = None) -> Tokenizer:
    """The model's own."""
    try:
        return Tokenizer.load(source, revision, chat_template)
    except TokenizerError as error:
        raise EngineOptionsError(str(error)) from error


def find_device(wanted: str) -> torch.device:
    """Ray shows a process the GPUs that it assigned to it, and no other."""
    present = torch.cuda.is_available()
    if wanted.startswith("cuda") and not present:
        raise EngineOptionsError(f"device: {wanted}, but this process sees no GPU: give the deployment num_gpus")
    if wanted.startswith("cuda:") and int(wanted[5:]) >= (seen := torch.cuda.device_count()):
        raise EngineOptionsError(f"device: {wanted}, but this process sees {seen}, numbered from 0")
    return torch.device(("cuda" if present else "cpu") if wanted == "auto" else wanted)


def load_config(source: str, revision: str | None) -> Any:
    """The model's configuration. What it brings as code of its own is not run."""
    try:
        return AutoConfig.from_pretrained(source, revision=revision, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise EngineOptionsError(f"model {source} cannot be loaded: {error}") from error


def load_model(auto: Any, source: str, options: TransformersOptions, config: Any, device: torch.device) -> Any:
    """The model, on its device, by one of the library's `Auto…` classes."""
    dtype = chosen_dtype(options.dtype, device.type, config.dtype)
    try:
        model = auto.from_pretrained(
            source, revision=options.revision, trust_remote_code=False, config=config, dtype=dtype
        )
        return model.to(device).eval()
    except torch.OutOfMemoryError as error:
        raise EngineOptionsError(f"model {source} does not fit into the memory of {device}: {error}") from error
    except (OSError, ValueError) as error:
        raise EngineOptionsError(f"model {source} cannot be loaded: {error}") from error


def chosen_dtype(wanted: str, device_type: str, own: torch.dtype | None) -> torch.dtype:
    """`own`: that of the model's weights as they are stored."""
    if wanted != "auto":
        dtype: torch.dtype = getattr(torch, wanted)
        return dtype
    if device_type == "cpu":
        return torch.float32
    # Of the two halves float16 is the more exact. Models trained in bfloat16 may have numbers beyond its range.
    return torch.bfloat16 if own == torch.bfloat16 else torch.float16
