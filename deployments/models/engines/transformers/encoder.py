"""A model that turns token lists into vectors: loading, one batch forward, and what it accepts. Called by one thread;
which inputs run together is `…transformers.rounds`."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel

from deployments.models.engines.protocol import EngineOptionsError, RequestRefusedError
from deployments.models.engines.transformers.loading import (
    find_device,
    load_config,
    load_model,
    load_tokenizer,
    located_model,
)
from deployments.models.engines.transformers.options import TransformersOptions
from deployments.models.engines.transformers.pooling import pool
from deployments.models.engines.transformers.rounds import Tokens
from deployments.models.engines.transformers.sentence_files import read_sentence_settings

DEFAULT_MAX_TOKENS = 512
"""Longest input of a model that says nothing of it."""

_UNLIMITED_TOKENS = 1_000_000
"""Tokenizers that know no maximum say a number far beyond this."""

_WARM_UP_CPU_TOKENS = 512
"""A longer input would only make the start longer on a CPU; a GPU shows at the start that its memory suffices."""


class Encoder:
    """See the module."""

    def __init__(self, options: TransformersOptions) -> None:
        """Loads the model, in seconds to minutes. Raises `EngineOptionsError` where it cannot be used so."""
        source = located_model(options.model)
        settings = read_sentence_settings(source, options.revision)
        self.pooling = settings.pooling or "mean" if options.pooling == "auto" else options.pooling
        self.device = find_device(options.device)
        self._tokenizer = load_tokenizer(source, options.revision)
        if settings.lower_case and self._tokenizer.encode("A") != self._tokenizer.encode("a"):
            raise EngineOptionsError(
                f"model {source}: its sentence-transformers configuration wants texts in lower case (do_lower_case),"
                " and its tokenizer keeps the case: that is not supported"
            )
        model = _loaded(source, options, self.device)
        self._model = model
        self._padding_id = next(
            (each for each in (model.config.pad_token_id, self._tokenizer.inner.pad_token_id) if each is not None), 0
        )
        self.vocabulary: int = model.get_input_embeddings().num_embeddings
        known = (settings.max_tokens or _named_maximum(self._tokenizer.inner), _positions(model))
        self.max_tokens = min(filter(None, known), default=DEFAULT_MAX_TOKENS)
        self.dimensions = self.vectors([self._any_tokens(1)]).shape[1]

    def warm_up(self, batch_tokens: int) -> None:
        """Runs the smallest batch and the largest, so that no request waits for what is made once."""
        longest = self.max_tokens if self.device.type == "cuda" else min(self.max_tokens, _WARM_UP_CPU_TOKENS)
        self.vectors([self._any_tokens(min(8, longest))])
        try:
            self.vectors([self._any_tokens(longest)] * max(1, batch_tokens // longest))
        except torch.OutOfMemoryError as error:
            raise EngineOptionsError(
                f"the device has no memory for a batch of {max(batch_tokens, longest)} tokens beside the model: lower"
                f" embed_batch_tokens. ({error})"
            ) from error

    def accepted(self, index: int, asked: str | tuple[int, ...]) -> Tokens:
        """What the model reads of the input number `index`: a text's tokens with those that the tokenizer puts around
        every text, a list of tokens as it is. Raises `RequestRefusedError`; nothing is cut off."""
        tokens: Tokens = self._tokenizer.encode(asked) if isinstance(asked, str) else asked
        if len(tokens) > self.max_tokens:
            raise _refused(
                "context_length_exceeded",
                f"input[{index}] has {len(tokens)} tokens, and this model reads at most {self.max_tokens}.",
            )
        if not tokens:
            raise _refused("invalid_input", f"input[{index}] has no tokens.")
        if not isinstance(asked, str) and not 0 <= (worst := _farthest(tokens)) < self.vocabulary:
            raise _refused(
                "invalid_token",
                f"input[{index}] has the token {worst}, and this model's tokens are 0 to {self.vocabulary - 1}.",
            )
        return tokens

    def vectors(self, inputs: Sequence[Sequence[int]]) -> Tensor:
        """[inputs, dimensions] in main memory, 32-bit, not normalised. No input is empty, none beyond `max_tokens`."""
        lengths = [len(each) for each in inputs]
        longest = max(lengths)
        with torch.inference_mode():
            ids = torch.tensor([[*each, *[self._padding_id] * (longest - len(each))] for each in inputs])
            mask = torch.arange(longest) < torch.tensor(lengths).unsqueeze(1)
            ids, mask = ids.to(self.device), mask.long().to(self.device)
            # Without padding no mask is needed, and attention has quicker ways.
            seen = mask if min(lengths) < longest else None
            hidden = self._model(input_ids=ids, attention_mask=seen).last_hidden_state
            return pool(self.pooling, hidden, mask).cpu()

    def _any_tokens(self, count: int) -> list[int]:
        return [self._padding_id + 1 if self._padding_id + 1 < self.vocabulary else 0] * count


def _refused(code: str, message: str) -> RequestRefusedError:
    return RequestRefusedError(code, message, param="input")


def _farthest(tokens: Tokens) -> int:
    """The one that is outside the vocabulary, if any is."""
    lowest = min(tokens)
    return lowest if lowest < 0 else max(tokens)


def _named_maximum(tokenizer: Any) -> int | None:
    most: int = tokenizer.model_max_length
    return most if most < _UNLIMITED_TOKENS else None


def _positions(model: Any) -> int | None:
    """How many tokens the model has positions for, where it says so."""
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    if isinstance(table, nn.Embedding):
        # RoBERTa and its kin number positions from behind the padding's.
        first: int = 0 if table.padding_idx is None else table.padding_idx + 1
        return int(table.num_embeddings) - first
    most: int | None = getattr(model.config, "max_position_embeddings", None)
    return most if most is not None and most > 0 else None


def _loaded(source: str, options: TransformersOptions, device: torch.device) -> Any:
    config = load_config(source, options.revision)
    if config.is_encoder_decoder:
        raise EngineOptionsError(
            f"model {source}: {config.model_type} is an encoder with a decoder; embeddings are supported of models"
            " that are one or the other"
        )
    config.use_cache = False  # of models that generate: nothing is read twice here
    return load_model(AutoModel, source, options, config, device)
