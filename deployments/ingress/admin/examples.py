"""One example of each kind of entity, for the API's description. Together they are a catalogue that works."""

from typing import Any

from policies.catalogue import Kind

EXAMPLES: dict[Kind, dict[str, Any]] = {
    Kind.TENANTS: {"name": "acme", "qos_tier": "premium", "weight": 2.0},
    Kind.USERS: {"name": "paula", "tenant": "acme"},
    Kind.KEYS: {"user": "paula", "role": "inference", "models": ["sim-small"], "expires_at": "2030-01-01T00:00:00Z"},
    Kind.TIERS: {"name": "small"},
    Kind.MODELS: {"name": "sim-small", "tier": "small", "aliases": ["default"], "max_output_tokens": 1024},
    Kind.POLICIES: {
        "name": "acme-burst",
        "scope": "TENANT",
        "unit": "requests",
        "limit": 100,
        "window": "10s",
        "match": {"tenant": ["acme"]},
    },
}

_TOLD = {"source": "api", "version": 12, "problem": None}


def shown(kind: Kind) -> dict[str, Any]:
    """The example as a reply shows it."""
    if kind is Kind.KEYS:
        own = {"id": "Ab3dEf6hIj9kLm2n", "revoked": False, "previous_until": None, "demo": False}
        return {**own, **EXAMPLES[kind], **_TOLD}
    return {**EXAMPLES[kind], **_TOLD}


def page(kind: Kind) -> dict[str, Any]:
    """A page with the example."""
    return {"items": [shown(kind)], "next_cursor": None}


def put(kind: Kind) -> dict[str, Any]:
    """The example as it is put under its name."""
    return {field: value for field, value in EXAMPLES[kind].items() if field != "name"}
