"""A model that generates text: loading, one forward of some rows, and its own defaults. Called by one thread; which
rows run together is `…transformers.batcher`."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from deployments.models.engines.protocol import EngineOptionsError
from deployments.models.engines.transformers.loading import (
    find_device,
    load_config,
    load_model,
    load_tokenizer,
    located_model,
)
from deployments.models.engines.transformers.options import TransformersOptions
from deployments.models.engines.transformers.slot_cache import SlotCache

_log = logging.getLogger(__name__)

PREFILL_TOKENS = {"cpu": 256, "cuda": 4_096}
"""Most tokens of prompts read between two steps where the options say nothing, by kind of device."""

CACHE_SHARE = 0.7
"""Of the memory that is free once the model is loaded, for keys and values; the rest is for what forwards need."""

UNLIMITED_TOKENS = 1 << 20
"""Context of a model that names none."""

TOLERANCE = {torch.float32: 1e-3, torch.float16: 0.3, torch.bfloat16: 0.3}
"""By how much scores may differ between a batch and the model alone, in parts of their spread: by rounding, and in half
precision by an expert that is chosen or not. What a wrong mask or position changes is as large as the spread itself."""

IGNORED_DEFAULTS = {
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "min_p": None,
    "typical_p": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
}
"""Of the model's own defaults, what is not honoured, with the values that change nothing."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the model's generation_config.json says, where a request says nothing."""

    temperature: float
    """0 where it does not sample by itself."""
    sampling_temperature: float
    """Where the request wants sampling, as by top_p, and names no temperature."""
    top_p: float
    top_k: int
    ends: frozenset[int]
    """Tokens that end a reply."""


class CausalModel:
    """See the module."""

    def __init__(self, options: TransformersOptions) -> None:
        """Loads the model, in seconds to minutes. Raises `EngineOptionsError` where it cannot be used so."""
        self.source = source = located_model(options.model)
        self.device = find_device(options.device)
        self.tokenizer = load_tokenizer(source, options.revision, options.chat_template)
        self.tokenizer.encode("")  # sets it up: from here on encoding and decoding change nothing in it
        config = load_config(source, options.revision)
        if config.is_encoder_decoder:
            raise EngineOptionsError(
                f"model {source}: {config.model_type} is an encoder with a decoder; task: generate is for models that"
                " go on from a text"
            )
        self.model = load_model(AutoModelForCausalLM, source, options, config, self.device)
        self._config = self.model.config.get_text_config()
        self._windows = _windows(self._config, source)
        self._as_numbers = self._config._attn_implementation != "sdpa"
        self.vocabulary: int = self.model.get_input_embeddings().num_embeddings
        self.defaults = _defaults(self.model, self.tokenizer.inner)
        self.cache = SlotCache()
        own: int = getattr(self._config, "max_position_embeddings", None) or UNLIMITED_TOKENS
        self.context = min(own, options.context_tokens or own)
        self._check()
        self.cache_tokens = options.cache_tokens or self._affordable_tokens()
        self.context = min(self.context, self.cache_tokens)
        self.prefill_tokens = options.prefill_tokens or PREFILL_TOKENS[self.device.type]
        if self.device.type == "cuda":
            self._warm_up()

    def forward(self, first: int, tokens: Sequence[Sequence[int]], starts: Sequence[int]) -> Tensor:
        """[rows, vocabulary], 32-bit: the scores of what follows the last token of each row. The rows are in the slots
        from `first` on; each goes on with its tokens at the position it starts at. The cache must fit."""
        width = max(map(len, tokens))
        padded = [width - len(each) for each in tokens]
        ids = torch.tensor([[*[0] * pad, *each] for pad, each in zip(padded, tokens, strict=True)])
        begin = torch.tensor([start - pad for pad, start in zip(padded, starts, strict=True)])
        positions = begin.unsqueeze(1) + torch.arange(width)
        padding = None
        if any(padded):
            padding = torch.arange(width) < torch.tensor(padded).unsqueeze(1)
            positions = positions.masked_fill(padding, 0)
            padding = padding.to(self.device)
        ids, positions = ids.to(self.device), positions.to(self.device)
        seen = max(start + len(each) for start, each in zip(starts, tokens, strict=True))
        self.cache.begin(first, positions, padding, seen)
        output = self.model(
            input_ids=ids,
            position_ids=positions,
            attention_mask=self._masks(positions, seen),
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = output.logits[:, -1].float()
        return logits

    def plain(self, tokens: Sequence[int]) -> Tensor:
        """The same scores of one row by the model alone, without our cache and masks."""
        logits: Tensor = self.model(input_ids=torch.tensor([list(tokens)], device=self.device), use_cache=False).logits
        return logits[:, -1].float()

    def _masks(self, positions: Tensor, seen: int) -> Any:
        behind = positions.unsqueeze(-1) - torch.arange(seen, device=positions.device)
        masks = {}
        for kind, window in self._windows.items():
            allowed = behind >= 0 if window is None else (behind >= 0) & (behind < window)
            masks[kind] = self._written(allowed.unsqueeze(1))
        return masks if len(masks) > 1 else next(iter(masks.values()))

    def _written(self, allowed: Tensor) -> Tensor:
        """As the model's attention wants it."""
        if not self._as_numbers:
            return allowed
        dtype = self.model.dtype
        return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill(
            ~allowed, torch.finfo(dtype).min
        )

    def _check(self) -> None:
        """Runs rows of different lengths together, in pieces, and one at a time without the cache: both must agree,
        else the architecture has something in it that this engine does not know of. Warms up by the way."""
        length = min(12, self.context)
        longer = [token % self.vocabulary for token in range(7, 7 + length)]
        shorter = longer[: max(1, length // 3)][::-1]
        try:
            with torch.inference_mode():
                self.cache.fit(2, length + 1)
                if length > 1:
                    self.forward(0, [longer[: length // 2]], [0])
                    together = self.forward(0, [longer[length // 2 :], shorter], [length // 2, 0])
                    again = self.forward(0, [longer[-1:], shorter[-1:]], [length - 1, len(shorter) - 1])
                else:
                    together = again = self.forward(0, [longer, shorter], [0, 0])
                alone = torch.cat([self.plain(longer), self.plain(shorter)])
        except torch.OutOfMemoryError as error:
            raise EngineOptionsError(f"model {self.source}: no memory is left beside it: {error}") from error
        except Exception as error:  # architectures differ, and what they raise too
            raise EngineOptionsError(f"model {self.source}: {_unsuitable(self._config)} ({error!r})") from error
        for found in (together, again):
            apart = (found - alone).square().mean().sqrt()
            if not bool(apart <= TOLERANCE[self.model.dtype] * alone.std()):
                raise EngineOptionsError(f"model {self.source}: {_unsuitable(self._config)}")

    def _warm_up(self) -> None:
        """On a GPU: what it makes once for a whole piece of a prompt and for a token, and a look at its memory."""
        length = min(self.prefill_tokens, self.context - 1)
        try:
            with torch.inference_mode():
                self.cache.fit(1, length + 1)
                self.forward(0, [[0] * length], [0])
                self.forward(0, [[0]], [length])
        except torch.OutOfMemoryError as error:
            raise EngineOptionsError(
                f"the device has no memory for {length} tokens of prompts beside the model: lower prefill_tokens or"
                f" cache_tokens. ({error})"
            ) from error

    def _affordable_tokens(self) -> int:
        if self.device.type == "cuda":
            free: int = torch.cuda.mem_get_info(self.device)[0]
        else:
            import psutil

            free = psutil.virtual_memory().available // 2  # others live here too
        return max(1, int(free * CACHE_SHARE) // max(1, self.cache.bytes_per_token))


def _unsuitable(config: Any) -> str:
    return (
        f"the architecture {config.model_type} does not run as this engine batches it, so the results would not be"
        " the model's own; kind: vllm may serve it"
    )


def _windows(config: Any, source: str) -> dict[str, int | None]:
    """How far back each kind of layer looks, in tokens; None: to the beginning."""
    window: int | None = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or ())
    if unknown := kinds - {"full_attention", "sliding_attention"}:
        raise EngineOptionsError(
            f"model {source}: {config.model_type} has layers of kind {', '.join(sorted(unknown))}; this engine knows"
            " full and sliding attention. kind: vllm may serve it"
        )
    if not kinds:
        return {"all": window if getattr(config, "use_sliding_window", True) else None}
    return {kind: window if kind == "sliding_attention" else None for kind in sorted(kinds)}


def _defaults(model: Any, tokenizer: Any) -> Defaults:
    config = model.generation_config
    ignored = [
        name
        for name, neutral in IGNORED_DEFAULTS.items()
        if (value := getattr(config, name, None)) is not None and value != neutral
    ]
    if ignored:
        _log.warning("of the model's own defaults for generation these are not honoured: %s", ", ".join(ignored))
    ends = config.eos_token_id if config.eos_token_id is not None else tokenizer.eos_token_id
    samples = bool(config.do_sample)
    temperature = 1.0 if config.temperature is None else float(config.temperature)
    return Defaults(
        temperature=temperature if samples else 0.0,
        sampling_temperature=temperature or 1.0,
        top_p=1.0 if config.top_p is None or not samples else float(config.top_p),
        top_k=0 if config.top_k is None or not samples else int(config.top_k),
        ends=frozenset([ends] if isinstance(ends, int) else ends or ()),
    )
