"""From scores to tokens: shares, top_k and top_p by hand, rows apart from one another."""

from collections import Counter
from random import Random
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: make engines says why")

from deployments.models.engines.transformers.sampling import Chosen, Sampling, choose  # noqa: E402 - needs torch

LIKELY = (0.5, 0.25, 0.125, 0.0625, 0.0625)
"""Of tokens 3, 1, 4, 0, 2."""
ORDER = (3, 1, 4, 0, 2)


def scores() -> Any:
    row = torch.zeros(len(LIKELY))
    row[torch.tensor(ORDER)] = torch.tensor(LIKELY).log()
    return row


def drawn(count: int = 4_000, **fields: Any) -> Counter[int]:
    rows = [Sampling(chance=Random(seed), **fields) for seed in range(count)]
    return Counter(each.token for each in choose(scores().expand(count, -1), rows))


@pytest.mark.parametrize(
    ("fields", "weights"),
    [
        ({"temperature": 0.0}, (1,)),
        ({"temperature": 0.0, "top_p": 0.1, "top_k": 3}, (1,)),
        ({"temperature": 1.0}, LIKELY),
        ({"temperature": 0.5}, tuple(each**2 for each in LIKELY)),
        ({"temperature": 2.0}, tuple(each**0.5 for each in LIKELY)),
        ({"temperature": 1.0, "top_k": 2}, LIKELY[:2]),
        ({"temperature": 1.0, "top_k": 99}, LIKELY),
        ({"temperature": 1.0, "top_p": 0.5}, LIKELY[:1]),
        ({"temperature": 1.0, "top_p": 0.51}, LIKELY[:2]),
        ({"temperature": 1.0, "top_p": 0.8}, LIKELY[:3]),
        ({"temperature": 1.0, "top_p": 0.0}, (1,)),
        ({"temperature": 1.0, "top_p": 0.7, "top_k": 3}, LIKELY[:2]),  # of the three that are left, not of all
        ({"temperature": 1e-6}, (1,)),
    ],
)
def test_shares(fields: dict[str, Any], weights: tuple[float, ...]) -> None:
    found = drawn(**fields)
    assert set(found) == set(ORDER[: len(weights)])
    for token, weight in zip(ORDER, weights, strict=False):
        assert found[token] / found.total() == pytest.approx(weight / sum(weights), abs=0.04)


def test_a_row_gets_the_same_in_any_company() -> None:
    kinds: list[dict[str, Any]] = [
        {"temperature": 1.0},
        {"temperature": 1.3, "top_p": 0.9},
        {"temperature": 0.7, "top_k": 3},
        {},
        {"temperature": 0.9, "top_k": 4, "top_p": 0.8, "logprobs": 2},
        {"logprobs": 0},
    ]

    def rows() -> list[Sampling]:
        return [Sampling(chance=Random(seed), **kinds[seed % len(kinds)]) for seed in range(60)]

    logits = torch.randn(60, 50, generator=torch.Generator().manual_seed(1))
    together = choose(logits, rows())
    alone = [choose(logits[at : at + 1], [row])[0] for at, row in enumerate(rows())]
    assert [each.token for each in together] == [each.token for each in alone]
    assert [len(each.top) for each in together[:6]] == [0, 0, 0, 0, 2, 0]
    assert [each.logprob is None for each in together[:6]] == [True, True, True, True, False, False]


def test_log_probabilities_are_those_before_temperature() -> None:
    row = Sampling(temperature=2.0, top_p=0.5, logprobs=3, chance=Random(1))
    (chosen,) = choose(scores().unsqueeze(0), [row])
    shares = dict(zip(ORDER, torch.tensor(LIKELY).log().tolist(), strict=True))
    assert chosen.logprob == pytest.approx(shares[chosen.token])
    assert [token for token, _ in chosen.top] == list(ORDER[:3])
    assert [logprob for _, logprob in chosen.top] == pytest.approx([shares[token] for token in ORDER[:3]])


def test_more_top_tokens_than_there_are() -> None:
    (chosen,) = choose(scores().unsqueeze(0), [Sampling(logprobs=20)])
    assert len(chosen.top) == len(ORDER)


def test_no_rows() -> None:
    assert choose(torch.zeros(0, 5), []) == []
    assert choose(scores().unsqueeze(0), [Sampling()]) == [Chosen(3)]
