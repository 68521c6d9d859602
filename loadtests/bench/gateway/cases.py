"""What is asked of whom: the same requests, with the same limits of a key, its team and its user, put to both."""

from typing import Any

from loadtests.bench.applications import CHUNKS, OUT_OF_REACH, ROOMY, Entry, catalogue, secret, sluice
from loadtests.bench.chain.cases import SLUICE, Case, Contestant

LITELLM = "litellm"
EDGE = "edge"
"""A tenant whose key may ask `EDGE_LIMIT` times in a window."""
EDGE_LIMIT = 20
WINDOW_S = 10
"""Of every limit. LiteLLM's is a minute unless told otherwise; only the wait for its edge depends on it."""

LIMITS = {secret(ROOMY): OUT_OF_REACH, secret(EDGE): EDGE_LIMIT}
"""Requests in a window, by key."""

_BOTH = (Contestant(SLUICE, SLUICE), Contestant(LITELLM, LITELLM))

CASES = (
    Case("unary", "Whole replies", _BOTH, LITELLM, (1, 16), longer=2),
    Case("streamed", f"Streamed replies of {CHUNKS} chunks", _BOTH, LITELLM, (1, 16), stream=True, longer=2),
)
"""Requests through LiteLLM take so long that rates are worked out from how long they take (`Case.longer`)."""


def application(redis_url: str) -> Entry:
    """Sluice with the proxy's three limits: its team is the tenant."""
    window: dict[str, Any] = {"limit": OUT_OF_REACH, "window": f"{WINDOW_S}s"}
    policies = [
        {"name": "key", "scope": "API_KEY", **window},
        {"name": "team", "scope": "TENANT", **window},
        {"name": "user", "scope": "USER_MODEL", **window},
        {"name": "key-edge", "scope": "API_KEY", **window, "limit": EDGE_LIMIT, "match": {"api_key": EDGE}},
    ]
    return sluice(redis_url, user_catalogue=catalogue(policies, tenants=(EDGE,)))
