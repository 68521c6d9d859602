"""Which models may serve a request, in which order: weighted splits, then fallback chains. Knows no HTTP."""

from collections.abc import Callable

from policies.entities import Model
from policies.resolver import Identity, Resolver


def may_use(identity: Identity, model: Model) -> bool:
    """Whether the key may use this model."""
    return identity.key.models is None or model.name in identity.key.models


def route(resolver: Resolver, identity: Identity, model: Model, chance: Callable[[], float]) -> tuple[Model, ...]:
    """The model that serves first, and those to fall back to. `model` is the one that was asked for.

    Only models that the key may use and that exist now take part; where that leaves nothing of a split, `model` itself
    serves. A split is followed once: the one drawn does not split again. The chain is that of the model drawn, and the
    chains of those in it are not followed.
    """
    if model.split:
        model = _draw(resolver, identity, model, chance)
    if not model.fallback:
        return (model,)
    fallbacks = (resolver.model(name) for name in model.fallback)
    return (model, *(m for m in fallbacks if m is not None and m is not model and may_use(identity, m)))


def _draw(resolver: Resolver, identity: Identity, model: Model, chance: Callable[[], float]) -> Model:
    found = [(resolver.model(name), share) for name, share in model.split.items()]
    shares = [(target, share) for target, share in found if target is not None and may_use(identity, target)]
    at = chance() * sum(share for _, share in shares)
    for target, share in shares:
        at -= share
        if at < 0:
            return target
    return shares[-1][0] if shares else model  # rounding may leave a trifle behind the last one
