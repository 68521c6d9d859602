"""Which models may serve a request, in which order."""

import pytest

from deployments.ingress.routes import route
from policies.catalogue import Catalogue
from policies.entities import ApiKey
from policies.resolver import Identity, Resolver

MODELS = [
    {"name": "plain", "tier": "t"},
    {"name": "chain", "tier": "t", "fallback": ["plain", "split", "other"]},
    {"name": "split", "tier": "t", "split": {"split": 2, "plain": 1, "chain": 1}, "fallback": ["plain"]},
    {"name": "front", "tier": "t", "split": {"plain": 1}},
    {"name": "other", "tier": "t"},
    {"name": "round", "tier": "t", "fallback": ["round", "plain"]},
]


def resolver() -> Resolver:
    return Resolver(Catalogue.parse({"tiers": [{"name": "t"}], "models": MODELS}))


def who(models: tuple[str, ...] | None = None) -> Identity:
    return Identity("acme", "paula", ApiKey(id="k", user="paula", sha256="0" * 64, models=models), "premium")


CASES: dict[str, tuple[str, float, tuple[str, ...] | None, list[str]]] = {
    # what: (asked for, what chance says, models of the key, who serves in which order)
    "nothing special": ("plain", 0.5, None, ["plain"]),
    "a chain": ("chain", 0.5, None, ["chain", "plain", "split", "other"]),
    "a chain for a key of two models": ("chain", 0.5, ("chain", "other"), ["chain", "other"]),
    "the first part of a split": ("split", 0.0, None, ["split", "plain"]),
    "its end": ("split", 0.499, None, ["split", "plain"]),
    "the second part": ("split", 0.5, None, ["plain"]),
    "the third part, with its own chain": ("split", 0.75, None, ["chain", "plain", "split", "other"]),
    "the last of it": ("split", 0.999, None, ["chain", "plain", "split", "other"]),
    "a split among what the key may use": ("split", 0.9, ("split", "plain"), ["plain"]),
    "a split that leaves nothing": ("front", 0.5, ("front",), ["front"]),
    "a model that does not serve itself": ("front", 0.0, None, ["plain"]),
    "a chain that names its own model": ("round", 0.0, None, ["round", "plain"]),
}


@pytest.mark.parametrize("case", CASES)
def test_who_serves(case: str) -> None:
    asked, chance, models, expected = CASES[case]
    known = resolver()
    model = known.model(asked)
    assert model is not None
    assert [m.name for m in route(known, who(models), model, lambda: chance)] == expected


def test_a_model_that_is_gone_takes_no_part() -> None:
    known = resolver()
    known.put_models([], removed=["plain"])
    for asked, expected in (("chain", ["chain", "split", "other"]), ("front", ["front"])):
        model = known.model(asked)
        assert model is not None
        assert [m.name for m in route(known, who(), model, lambda: 0.0)] == expected
