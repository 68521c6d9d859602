"""What is asked of the limits for one request: which model, what it costs, and what a refusal looks like.

Shared by the ways in which a request comes here: for a model that answers (`inference`), and for another gateway that
asks for the decision alone (`decisions`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from deployments.ingress.errors import HttpError, unavailable
from deployments.ingress.routes import may_use
from deployments.ingress.state import IngressState
from policies import CostExceedsLimitError, StoreError
from policies.entities import Model, Unit
from policies.resolver import Identity


def model_for(state: IngressState, identity: Identity, name: str) -> Model:
    """The model of this name or alias, if this key may use it."""
    model = state.resolver.model(name)
    if model is None:
        raise HttpError(404, "model_not_found", f"The model {name!r} does not exist: GET /v1/models.", param="model")
    if not may_use(identity, model):
        raise HttpError(403, "model_not_allowed", f"This API key may not use {model.name!r}.", param="model")
    return model


def costs_of(input_tokens: int, max_tokens: int) -> Mapping[Unit, int]:
    """What a request is to take of each unit until it is known what it used."""
    return {
        Unit.REQUESTS: 1,
        Unit.CONCURRENT_REQUESTS: 1,
        Unit.INPUT_TOKENS: input_tokens,
        Unit.OUTPUT_TOKENS: max_tokens,
        Unit.TOTAL_TOKENS: input_tokens + max_tokens,
    }


@contextmanager
def refusals() -> Iterator[None]:
    """The limiter's errors as clients see them."""
    try:
        yield
    except CostExceedsLimitError as error:
        raise HttpError(400, "request_exceeds_limit", f"{error}.", policy=error.policy) from error
    except StoreError as error:
        raise unavailable("limits_unavailable", "Rate limits cannot be checked now.") from error
