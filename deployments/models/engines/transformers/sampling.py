"""From a row's scores to its next token, for all rows of a batch at once, each with its own parameters and chance.

A row draws one number from a generator of its own for each token, and finds the token at that place of its cumulated
probabilities: so what it gets does not depend on who else is in the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import torch
from torch import Tensor


@dataclass(slots=True)
class Sampling:
    """How one row's tokens are chosen."""

    temperature: float = 0.0
    """0: the likeliest."""
    top_p: float = 1.0
    top_k: int = 0
    """0: all."""
    logprobs: int | None = None
    chance: Random = field(default_factory=Random)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A row's next token."""

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


def choose(logits: Tensor, rows: Sequence[Sampling]) -> list[Chosen]:
    """`logits`: [rows, vocabulary], 32-bit."""
    if not rows:
        return []
    tokens = logits.argmax(-1)
    drawing = [index for index, row in enumerate(rows) if row.temperature > 0]
    for group in _groups(drawing, rows):
        where = torch.tensor(group, device=logits.device)
        tokens[where] = _draw(logits[where], [rows[index] for index in group])
    picked = tokens.tolist()
    telling = [index for index, row in enumerate(rows) if row.logprobs is not None]
    if not telling:
        return [Chosen(token) for token in picked]
    told = _logprobs(logits, tokens, telling, rows)
    return [told[index] if index in told else Chosen(token) for index, token in enumerate(picked)]


def _groups(drawing: list[int], rows: Sequence[Sampling]) -> list[list[int]]:
    """Rows that need the same work: none of the vocabulary ordered, its beginning, or all of it."""
    groups: dict[str, list[int]] = {}
    for index in drawing:
        kind = "beginning" if rows[index].top_k else "all" if rows[index].top_p < 1 else "none"
        groups.setdefault(kind, []).append(index)
    return list(groups.values())


def _draw(logits: Tensor, rows: list[Sampling]) -> Tensor:
    device, size = logits.device, logits.shape[-1]
    scores = logits / torch.tensor([row.temperature for row in rows], device=device).unsqueeze(1)
    order = None
    if rows[0].top_k:
        most = torch.tensor([min(row.top_k, size) for row in rows], device=device)
        scores, order = scores.topk(int(most.max()), dim=-1)
        beyond = torch.arange(scores.shape[-1], device=device) >= most.unsqueeze(1)
        scores = scores.masked_fill(beyond, -torch.inf)
    elif rows[0].top_p < 1:
        scores, order = scores.sort(dim=-1, descending=True)
    likely = scores.softmax(-1, dtype=torch.float64)
    if order is not None:
        # A token stays where those before it have not reached top_p yet; so the first one always does.
        top_p = torch.tensor([row.top_p for row in rows], device=device, dtype=torch.float64).unsqueeze(1)
        likely = likely.masked_fill((likely.cumsum(-1) - likely >= top_p) & (top_p < 1), 0.0)
        likely[:, 0].clamp_(min=1e-300)  # top_p of 0
    cumulated = likely.cumsum(-1)
    place = torch.tensor([row.chance.random() for row in rows], device=device, dtype=torch.float64)
    at = (cumulated <= place.unsqueeze(1) * cumulated[:, -1:]).sum(-1, keepdim=True).clamp_(max=likely.shape[-1] - 1)
    return (at if order is None else order.gather(1, at)).squeeze(1)


def _logprobs(logits: Tensor, tokens: Tensor, telling: list[int], rows: Sequence[Sampling]) -> dict[int, Chosen]:
    where = torch.tensor(telling, device=logits.device)
    logprobs = logits[where].log_softmax(-1)
    own = logprobs.gather(1, tokens[where].unsqueeze(1)).squeeze(1).tolist()
    wanted = [rows[index].logprobs or 0 for index in telling]
    values, ids = logprobs.topk(min(max(wanted), logits.shape[-1]), dim=-1)
    tops = [
        tuple(zip(each_ids[:count], each[:count], strict=True))
        for each_ids, each, count in zip(ids.tolist(), values.tolist(), wanted, strict=True)
    ]
    return {
        index: Chosen(token, logprob, top)
        for index, token, logprob, top in zip(telling, tokens[where].tolist(), own, tops, strict=True)
    }
