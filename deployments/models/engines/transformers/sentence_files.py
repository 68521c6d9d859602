"""What a model's directory says of how its vectors are made: the files that sentence-transformers leaves beside it.

Their meaning is that library's; it is not needed here. What would give other vectors than it gives is refused.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError

from deployments.models.engines.protocol import EngineOptionsError
from deployments.models.engines.transformers.pooling import POOLING_MODES, PoolingMode

_MAX_LENGTH_FILES = tuple(
    f"sentence_{family}_config.json"
    for family in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
"""Where sentence-transformers looks for the maximum length, in its order."""

_OLD_NAMES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True, slots=True)
class SentenceSettings:
    """What those files say; nothing, where there are none."""

    pooling: PoolingMode | None = None
    max_tokens: int | None = None
    """Longest input, in tokens, special ones included."""
    lower_case: bool = False
    """Texts are put into lower case before the tokenizer sees them."""


def read_sentence_settings(source: str, revision: str | None) -> SentenceSettings:
    """`source`: a directory, or a name on the hub. Raises `EngineOptionsError` where they ask for what is not
    supported."""
    modules = _read(source, revision, "modules.json")
    if modules is None:
        return SentenceSettings()
    pooling: PoolingMode | None = None
    for place, module in enumerate(modules):
        kind, path = str(module["type"]).rpartition(".")[2], str(module["path"])
        if kind == "Transformer" and place == 0 and path == "":
            continue
        if kind == "Pooling" and place == 1:
            pooling = _pooling(source, _read(source, revision, f"{path}/config.json") or {})
        elif kind != "Normalize" or place != 2:
            raise EngineOptionsError(
                f"model {source}: its modules.json has the module {kind} in {path or 'its own folder'!r} at place"
                f" {place}; embeddings are supported of a Transformer in the folder itself, then Pooling, then at most"
                " Normalize"
            )
    prompt = (_read(source, revision, "config_sentence_transformers.json") or {}).get("default_prompt_name")
    if prompt is not None:
        raise EngineOptionsError(
            f"model {source}: its config_sentence_transformers.json puts the prompt {prompt!r} before every text, which"
            " is not supported: set default_prompt_name to null there, and let clients send the prompt"
        )
    transformer: dict[str, Any] = next(
        (found for name in _MAX_LENGTH_FILES if (found := _read(source, revision, name))), {}
    )
    return SentenceSettings(
        pooling or "mean", transformer.get("max_seq_length"), bool(transformer.get("do_lower_case", False))
    )


def _pooling(source: str, config: dict[str, Any]) -> PoolingMode:
    named = config.get("pooling_mode")
    if named is None:
        named = [mode for key, mode in _OLD_NAMES.items() if config.get(key)] or "mean"
    modes = [named] if isinstance(named, str) else list(named)
    if len(modes) != 1 or modes[0] not in POOLING_MODES:
        raise EngineOptionsError(
            f"model {source}: its pooling is {' and '.join(map(str, modes))}; supported is one of"
            f" {', '.join(POOLING_MODES)}"
        )
    return cast(PoolingMode, modes[0])


def _read(source: str, revision: str | None, name: str) -> Any:
    """The content of a JSON file of the model, or None where it has none of that name."""
    path = _place(source, revision, name)
    if path is None:
        return None
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise EngineOptionsError(f"model {source}: {name} cannot be read: {error}") from error


def _place(source: str, revision: str | None, name: str) -> Path | None:
    directory = Path(source)
    if directory.is_dir():
        return directory / name if (directory / name).is_file() else None
    try:
        return Path(hf_hub_download(source, name, revision=revision))
    except EntryNotFoundError:  # the model has no such file; or the hub is out of reach, and it was never fetched
        return None
