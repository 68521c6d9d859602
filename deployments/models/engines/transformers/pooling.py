"""From the vectors of an input's tokens to the one of the input."""

from typing import Literal, get_args

from torch import Tensor, arange

PoolingMode = Literal["mean", "cls", "lasttoken", "max", "mean_sqrt_len_tokens", "weightedmean"]
"""The names are sentence-transformers'."""

POOLING_MODES: tuple[PoolingMode, ...] = get_args(PoolingMode)


def pool(mode: PoolingMode, hidden: Tensor, mask: Tensor) -> Tensor:
    """One vector for each input, 32-bit: [inputs, width], not normalised.

    `hidden`: [inputs, tokens, width]. `mask`: [inputs, tokens], 1 for a token and 0 for padding, which stands on the
    right; every input has at least one token.
    """
    hidden = hidden.float()
    lengths = mask.sum(dim=1)
    if mode == "cls":
        return hidden[:, 0]
    if mode == "lasttoken":
        return hidden[arange(len(hidden), device=hidden.device), lengths - 1]
    if mode == "max":
        return hidden.masked_fill(mask.unsqueeze(-1) == 0, float("-inf")).amax(dim=1)
    weights = mask.to(hidden.dtype)
    if mode == "weightedmean":
        weights = weights * arange(1, hidden.shape[1] + 1, device=hidden.device, dtype=hidden.dtype)
    total = (hidden * weights.unsqueeze(-1)).sum(dim=1)
    parts = lengths.sqrt() if mode == "mean_sqrt_len_tokens" else weights.sum(dim=1)
    return total / parts.unsqueeze(-1)
