from typing import Any

from deployments.ingress.authentication import sha256_of
from deployments.ingress.state import IngressSettings
from tests.deployments.ingress.conftest import LocalPools, secret

ROLES = ("admin", "gateway", "inference")
CATALOGUE: dict[str, Any] = {
    "tenants": [{"name": "platform"}],
    "users": [{"name": "ada", "tenant": "platform"}],
    "keys": [{"id": f"{r}1", "user": "ada", "role": r, "sha256": sha256_of(secret(f"{r}1"))} for r in ROLES]
    + [
        {"id": "demo-premium", "user": "ada", "role": "inference", "demo": True, "sha256": sha256_of("sk-demo-premium")}
    ],
    "tiers": [{"name": "cheap"}],
    "models": [{"name": "sim-small", "pool": "small", "tier": "cheap", "aliases": ["default"]}],
    "policies": [{"name": "everyone", "scope": "GLOBAL", "limit": 1000000, "window": "1m"}],
}
SETTINGS = IngressSettings(demo=True, failed_authentications_per_minute=1000000)


