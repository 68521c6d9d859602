"""Sluice with another limiter in its place: the asyncio moving window of the `limits` library, over the same windows.

Everything else of the chain is the product's. The library decides one window in one round trip, by the clock of the
process that asks, and a request that a later window denies stays counted in those before. What remains in a window
would be a further round trip for each, so it is not asked: the headers that tell it are written all the same, with a
figure that is made up.
"""

from collections.abc import Sequence
from itertools import count
from typing import Any, cast
from unittest.mock import patch

from limits import RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from ray.serve import Application
from starlette.types import ASGIApp

from deployments.ingress.deployment import Ingress
from policies import Charge, Decision
from policies.decision import Window
from policies.entities import RateLimitPolicy
from policies.limiter import Limiter
from serve_app import graph
from serve_app.config import ApplicationArgs


class MovingWindows:
    """What the ingress asks before a request runs."""

    def __init__(self, redis_url: str, prefix: str, limiter: Limiter) -> None:
        """`limiter`: does all else that the ingress asks of one, as whether the store answers."""
        self._strategy = MovingWindowRateLimiter(
            RedisStorage(f"async+{redis_url}", implementation="redispy", key_prefix=prefix)
        )
        self._items: dict[RateLimitPolicy, RateLimitItemPerSecond] = {}
        self._limiter, self._numbers = limiter, count()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._limiter, name)

    async def acquire(self, charges: Sequence[Charge]) -> Decision:
        """One window after the other, until one has no room."""
        windows, denied_by = [], None
        for charge in charges:
            policy = charge.policy
            fits = await self._strategy.hit(self._item(policy), policy.name, charge.subject, cost=charge.cost)
            windows.append(_window(charge, fits=fits))
            if not fits:
                denied_by = policy.name
                break
        wait_s = 0.0 if denied_by is None else windows[-1].retry_after_s
        return Decision(f"{next(self._numbers):x}", denied_by is None, wait_s, denied_by, 0.0, tuple(windows))

    def _item(self, policy: RateLimitPolicy) -> RateLimitItemPerSecond:
        item = self._items.get(policy)
        if item is None:
            item = self._items[policy] = RateLimitItemPerSecond(policy.limit, policy.window // 1000)
        return item


def _window(charge: Charge, *, fits: bool) -> Window:
    policy = charge.policy
    window_s = policy.window / 1000
    used = charge.cost if fits else policy.limit
    return Window(
        policy=policy.name,
        scope=policy.scope,
        subject=charge.subject,
        unit=policy.unit,
        limit=policy.limit,
        window_s=window_s,
        cost=charge.cost,
        used=used,
        remaining=policy.limit - used,
        fits=fits,
        retry_after_s=0.0 if fits else window_s,
        reset_after_s=window_s,
        enforced=True,
    )


def build(args: ApplicationArgs) -> Application:
    """The application, for a `redis://` that stands in its args."""
    url, prefix = args.redis.url, args.redis.key_prefix
    product = cast(Any, Ingress)

    class LimitsIngress(product.func_or_class):  # type: ignore[misc,name-defined] # Ray's decorators hide the class
        """The product's, until its HTTP app is built: that is when everything it holds is there."""

        def __serve_build_asgi_app__(self) -> ASGIApp:
            state = self._state
            state.limiter = MovingWindows(url, f"{prefix}-limits", state.limiter)
            app: ASGIApp = super().__serve_build_asgi_app__()
            return app

    with patch.object(graph, "Ingress", product.options(func_or_class=LimitsIngress)):
        return graph.bind_graph(args)
