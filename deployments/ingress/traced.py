"""What a trace says of a request that has ended: who, for what and how; never a key, a prompt or a reply."""

from deployments.ingress.inference.exchange import Exchange
from deployments.ingress.tally import outcome_of
from deployments.metrics.definitions import NONE
from deployments.tracing import Attributes
from policies.errors import redacted


def told_of(exchange: Exchange) -> tuple[Attributes, bool]:
    """The attributes of its span, and whether it failed on our side."""
    identity, used = exchange.identity, exchange.used
    outcome = outcome_of(exchange.status, exchange.code)
    told: dict[str, str | int] = {
        "http.response.status_code": exchange.status,
        "sluice.request_id": redacted(exchange.request_id),
        "sluice.outcome": outcome,
        "sluice.model": exchange.model or NONE,
        "sluice.tenant": NONE if identity is None else identity.tenant,
        "sluice.band": NONE if identity is None else identity.qos_tier,
    }
    if exchange.code is not None:
        told["error.type"] = exchange.code
    if used is not None and used.ran:
        told["sluice.input_tokens"], told["sluice.output_tokens"] = used.input_tokens, used.output_tokens
    return told, outcome == "failed"
