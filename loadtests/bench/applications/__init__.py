"""What stands beside one another in a chain-level benchmark, each an application of Ray Serve at a prefix of its own.

Here are their entries of a Serve config; the applications themselves are in the modules beside, and Sluice's is the
product. `loadtests.bench.serving` starts them. All models are the same simulated engine, which takes no time unless it
is told to, so that nothing hides what the chain around it costs; all deployments get the same share of a CPU and the
same `max_ongoing_requests`.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

MODEL = "bench"
SLOTS = 128
"""Of every model: more than any benchmark has clients, so that nobody waits for a slot."""
CHUNKS = 64
"""Of a streamed reply."""
UNARY_TOKENS = 8
"""Of a reply that is not streamed."""
NUM_CPUS = 0.05
"""Of every replica: all of them together must fit on a machine with few cores."""

AT_ONCE: dict[str, Any] = {"first_token_ms": 0, "inter_token_ms": 0, "reply_tokens": CHUNKS}
"""Options of an engine that takes no time."""
OUT_OF_REACH = 10**9
DEADLINE_MS = 1_000
"""Of a limit check. By itself 50 ms; but here clients, replicas and Redis share few cores and keep all of them busy, so
that Redis itself is sometimes kept from running for 40 ms (its slow log tells of scripts that took a thousand times as
long as usual). What is given up then is 503: no throughput, and nothing that another library with no deadline has."""

ADMIN = "admin"
"""A key that may see and change everything."""
ROOMY, SPENT, METERED = "roomy", "spent", "metered"
"""Tenants, each with one user and one key of the same name: six windows of requests out of reach; the same, but the
key's own holds one request an hour; six windows of requests, tokens and slots out of reach."""

Entry = dict[str, Any]
"""An application in a Serve config."""

SIX_OF_REQUESTS: tuple[Entry, ...] = tuple(
    {"name": scope.lower().replace("_", "-"), "scope": scope, "limit": OUT_OF_REACH, "window": "1m"}
    for scope in ("GLOBAL", "TENANT", "API_KEY", "MODEL", "MODEL_TIER", "USER_MODEL")
)


def secret(name: str) -> str:
    """The key of a tenant."""
    return f"sk-{name}-{'s' * 24}"


def headers(tenant: str = ROOMY) -> dict[str, str]:
    """What a client of this tenant sends beside the body. Contestants without identities ignore it."""
    return {"Authorization": f"Bearer {secret(tenant)}", "Content-Type": "application/json"}


def body(*, stream: bool = False, model: str = MODEL) -> str:
    """A chat request."""
    asked = {
        "model": model,
        "messages": [{"role": "user", "content": "What is a sluice?"}],
        "max_tokens": CHUNKS if stream else UNARY_TOKENS,
    }
    return json.dumps({**asked, "stream": True} if stream else asked)


def catalogue(
    policies: Iterable[Mapping[str, Any]] | None = None, models: Sequence[str] = (MODEL,), tenants: Iterable[str] = ()
) -> Entry:
    """Tenants with a user and a key each (those named above, and `tenants`), models, and the policies: the six scopes
    of each of the tenants above where none are given."""
    names = (ROOMY, SPENT, METERED, *tenants)
    return {
        "tenants": [{"name": name} for name in names],
        "users": [{"name": name, "tenant": name} for name in names],
        "keys": [
            *({"id": name, "user": name, "sha256": _sha256(name)} for name in names),
            {"id": ADMIN, "user": ROOMY, "role": "admin", "sha256": _sha256(ADMIN)},
        ],
        "tiers": [{"name": "only"}],
        "models": [{"name": name, "tier": "only", "max_output_tokens": CHUNKS} for name in models],
        "policies": list(_six_scopes_each() if policies is None else policies),
    }


def _sha256(name: str) -> str:
    return hashlib.sha256(secret(name).encode()).hexdigest()


def _six_scopes_each() -> Iterable[Mapping[str, Any]]:
    """A policy that names a tenant or a key replaces those of its scope and unit that do not."""
    requests = {policy["scope"]: policy for policy in SIX_OF_REQUESTS}
    yield requests["GLOBAL"]
    yield requests["MODEL"]
    unmetered = {"tenant": [ROOMY, SPENT]}
    for scope in ("TENANT", "API_KEY", "MODEL_TIER", "USER_MODEL"):
        yield {**requests[scope], "match": unmetered}
    yield {**requests["API_KEY"], "name": "one-an-hour", "limit": 1, "window": "1h", "match": {"api_key": SPENT}}
    metered = {"tenant": METERED}
    tokens = {"unit": "total_tokens", "match": metered}
    yield {**requests["TENANT"], "name": "tokens-of-tenant", **tokens}
    yield {**requests["API_KEY"], "name": "tokens-of-key", **tokens}
    yield {**requests["MODEL_TIER"], "name": "tokens-of-tier", **tokens}
    slots = {"unit": "concurrent_requests", "limit": OUT_OF_REACH, "match": metered}
    yield {"name": "slots-of-user", "scope": "USER_MODEL", **slots}


def sluice(
    redis_url: str,
    *,
    name: str = "sluice",
    user_catalogue: Entry | None = None,
    options: Mapping[str, Any] | None = None,
    models: Mapping[str, Mapping[str, Any]] | None = None,
    each_token: Sequence[str] = (),
    ingresses: int = 1,
    import_path: str = "serve_app:build",
    args: Mapping[str, Any] | None = None,
) -> Entry:
    """Sluice, configured as a user would. `options`: of the engine of `MODEL`; `models`: of engines by model's name,
    instead. `each_token`: models whose tokens do not wait for each other. `args`: further ones of the application."""
    engines = models or {MODEL: options or AT_ONCE}
    return {
        "name": name,
        "route_prefix": f"/{name}",
        "import_path": import_path,
        "args": {
            "redis": {"url": redis_url, "key_prefix": name, "deadline_ms": DEADLINE_MS},
            "models": [
                {
                    "name": model,
                    "engine": {"kind": "simulated", "options": dict(own)},
                    **({"stream_interval_ms": 0} if model in each_token else {}),
                }
                for model, own in engines.items()
            ],
            **(args or {}),
        },
        "deployments": [
            {
                "name": "Ingress",
                "num_replicas": ingresses,
                "max_ongoing_requests": 10_000,
                "ray_actor_options": {"num_cpus": NUM_CPUS},
                "user_config": {"catalogue": user_catalogue or catalogue(models=tuple(engines))},
            },
            {"name": "ModelRouter", "max_ongoing_requests": 1_000, "ray_actor_options": {"num_cpus": NUM_CPUS}},
            *(_model(f"model-{model}") for model in engines),
        ],
    }


def limits(redis_url: str, **fields: Any) -> Entry:
    """Sluice, with the windows of the `limits` library in the place of its limiter."""
    return sluice(redis_url, **{"name": "limits", "import_path": "loadtests.bench.applications.limits:build", **fields})


def bare(*, name: str = "bare", models: Mapping[str, Mapping[str, Any]] | None = None) -> Entry:
    """What a team writes on Ray Serve by itself: an ingress with FastAPI that calls a model."""
    engines = models or {MODEL: AT_ONCE}
    return {
        "name": name,
        "route_prefix": f"/{name}",
        "import_path": "loadtests.bench.applications.bare:build",
        "args": {"models": {model: dict(own) for model, own in engines.items()}},
        "deployments": [
            {
                "name": "BareIngress",
                "max_ongoing_requests": 10_000,
                "ray_actor_options": {"num_cpus": NUM_CPUS},
            },
            *(_model(f"bare-{model}") for model in engines),
        ],
    }


def constant(*, name: str = "constant") -> Entry:
    """An ingress with FastAPI that returns a constant."""
    return {
        "name": name,
        "route_prefix": f"/{name}",
        "import_path": "loadtests.bench.applications.constant:build",
        "deployments": [
            {
                "name": "ConstantIngress",
                "max_ongoing_requests": 10_000,
                "ray_actor_options": {"num_cpus": NUM_CPUS},
            }
        ],
    }


def crowd(slots: int, *, name: str = "crowd") -> Entry:
    """Sluice's model router with one pool of so many slots, and an ingress that stands for many."""
    return {
        "name": name,
        "route_prefix": f"/{name}",
        "import_path": "loadtests.bench.applications.crowd:build",
        "deployments": [
            {"name": "CrowdIngress", "max_ongoing_requests": 100, "ray_actor_options": {"num_cpus": NUM_CPUS}},
            {"name": "ModelRouter", "max_ongoing_requests": 1_000, "ray_actor_options": {"num_cpus": NUM_CPUS}},
            {**_model("crowd-model"), "max_ongoing_requests": slots},
        ],
    }


def _model(deployment: str) -> Entry:
    return {
        "name": deployment,
        "max_ongoing_requests": SLOTS,
        "max_queued_requests": 1_000,
        "ray_actor_options": {"num_cpus": NUM_CPUS},
    }


def serve_config(entries: Iterable[Entry], port: int, state_dir: Path) -> Entry:
    """The whole file. Applications of Sluice share the folder; with a Redis of their own they keep nothing there."""
    found = []
    for entry in entries:
        if "redis" in entry.get("args", {}):
            entry = {**entry, "args": {"state_dir": str(state_dir), **entry["args"]}}
        found.append(entry)
    return {
        "proxy_location": "HeadOnly",
        "http_options": {"host": "127.0.0.1", "port": port, "keep_alive_timeout_s": 90},
        "applications": found,
    }
