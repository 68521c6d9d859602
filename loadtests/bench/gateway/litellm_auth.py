"""Who asks LiteLLM's proxy, and with which limits. It runs in the proxy's own environment, so nothing of ours is here:
`proxy` puts a copy beside the proxy's configuration, with the limits in `limits.json`.
"""

import json
from pathlib import Path

from fastapi import Request
from litellm.proxy._types import UserAPIKeyAuth

LIMITS: dict[str, int] = json.loads(Path(__file__).with_name("limits.json").read_text())
"""Requests in a window, by key."""
OUT_OF_REACH = 10**9


async def check(request: Request, api_key: str) -> UserAPIKeyAuth:
    """A key with a team and a user, each with a limit; `KeyError` for one that is not known. Called by name."""
    limit = LIMITS[api_key]
    return UserAPIKeyAuth(
        api_key=api_key,
        rpm_limit=limit,
        team_id=f"team of {api_key}",
        team_rpm_limit=OUT_OF_REACH,
        user_id=f"user of {api_key}",
        user_rpm_limit=OUT_OF_REACH,
    )
