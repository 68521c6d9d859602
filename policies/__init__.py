"""Limits: entities, catalogue, resolution and the limiter. Knows no Ray and no FastAPI; works as a library.

from policies import Charge, Limiter, RateLimitPolicy

policy = RateLimitPolicy(name="tenant-burst", scope="TENANT", limit=10, window="10s")
decision = await Limiter(redis).acquire([Charge(policy, subject="acme")])
"""

from policies.decision import Charge, Decision, Window
from policies.entities import ApiKey, Model, ModelTier, RateLimitPolicy, Tenant, UserAccount
from policies.errors import CostExceedsLimitError, InvalidChargeError, PoliciesError, StoreError
from policies.limiter import Limiter

__all__ = [
    "ApiKey",
    "Charge",
    "CostExceedsLimitError",
    "Decision",
    "InvalidChargeError",
    "Limiter",
    "Model",
    "ModelTier",
    "PoliciesError",
    "RateLimitPolicy",
    "StoreError",
    "Tenant",
    "UserAccount",
    "Window",
]
