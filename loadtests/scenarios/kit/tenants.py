"""Who takes part in a scenario and what they are promised: declared here, made on the server by the admin API before
the run (`registered`), removed after it. Their policies name them, so they replace what the server has for everybody of
the same scope and unit; only its own GLOBAL, MODEL and MODEL_TIER limits hold beside.
"""

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

EVERYWHERE_S = 1.2
"""By then every ingress replica judges by a change (the server promises a second)."""

USUAL_MODEL = "load-quick"
"""Which one is asked where any will do; the server's first where it has none of this name."""

ROOMY = 1_000_000
"""A limit that no scenario reaches."""


class ServerError(Exception):
    """The server is not one that a scenario can run against; the message says why."""


def require_loopback(host: str, allowed: bool) -> None:
    """`ServerError` for a host elsewhere, unless that was asked for."""
    name = urlsplit(host).hostname or ""
    if not (allowed or name in ("localhost", "::1") or name.startswith("127.")):
        raise ServerError(f"{host} is not this machine. Load goes there only with --beyond-loopback.")


@dataclass(frozen=True)
class Limit:
    """A policy for one tenant, and a promise: never more than this in any window."""

    name: str
    limit: int
    window_s: float
    scope: str = "TENANT"
    unit: str = "requests"
    block: dict[str, Any] | None = None

    @property
    def window_ms(self) -> int:
        return round(self.window_s * 1000)

    @property
    def block_ms(self) -> int:
        """How long its block lasts, which is written in seconds, as `5s`."""
        return round(float(self.block["duration"].removesuffix("s")) * 1000) if self.block else 0

    @property
    def has_log(self) -> bool:
        """Whether there is a log to check. Of slots there is none: they are told as they are now."""
        return self.unit != "concurrent_requests"


@dataclass(frozen=True)
class Tenant:
    """A tenant with one user and one key."""

    name: str
    tier: str = "standard"
    weight: float = 1.0
    limits: tuple[Limit, ...] = ()

    def all_limits(self) -> tuple[Limit, ...]:
        """Its own, and roomy ones where it has none, so that the server's defaults for its tier do not hold for it."""
        roomy = (
            Limit(f"{self.name}-roomy", ROOMY, 60),
            Limit(f"{self.name}-key-roomy", ROOMY, 60, scope="API_KEY"),
            Limit(f"{self.name}-slots-roomy", ROOMY, 30, scope="USER_MODEL", unit="concurrent_requests"),
        )
        own = {(limit.scope, limit.unit) for limit in self.limits}
        return (*self.limits, *(limit for limit in roomy if (limit.scope, limit.unit) not in own))


@dataclass(frozen=True)
class Registration:
    """The tenants of a run as the server knows them. Names carry the run's mark, so that no two runs share a window."""

    mark: str
    model: str
    keys: dict[str, str] = field(repr=False)
    """By tenant."""

    def named(self, name: str) -> str:
        """A tenant's or a policy's name on the server. Users are called as their tenant is."""
        return f"load-{self.mark}-{name}"

    def key_id(self, tenant: str) -> str:
        """Of its key: letters and digits, nothing else may stand there."""
        return "".join(filter(str.isalnum, self.named(tenant)))

    def short(self, name: str | None) -> str | None:
        """The name within the scenario; that of somebody else as it is."""
        return name.removeprefix(f"load-{self.mark}-") if name else None

    def subject(self, tenant: Tenant, limit: Limit) -> str:
        """Whom the limit's window is kept for."""
        who = self.key_id(tenant.name) if limit.scope == "API_KEY" else self.named(tenant.name)
        return f"{who}|{self.model}" if limit.scope == "USER_MODEL" else who


class Admin:
    """The admin API, as far as scenarios need it."""

    def __init__(self, host: str, key: str) -> None:
        self._http = httpx.Client(base_url=host, headers={"authorization": f"Bearer {key}"}, timeout=20)

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        return self._ask("GET", path, params=query)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._ask("POST", path, json=body)

    def delete(self, path: str) -> None:
        """Whether or not it is there: what was made is taken away, also after half of it failed."""
        with suppress(httpx.HTTPError):
            self._http.delete(path, timeout=5)  # there are many, and a server that hangs is not waited for each time

    def model(self, wished: str) -> str:
        """That model; '': any."""
        names = [str(each["name"]) for each in self.get("/admin/models", limit=1000)["items"]]
        found = wished or next((name for name in (USUAL_MODEL, *names) if name in names), USUAL_MODEL)
        if found not in names:
            raise ServerError(
                f"{self._http.base_url} has no model {found}; it has {', '.join(names) or 'none'}. "
                "HOST=own starts a server that has those of the load tests; --model names another."
            )
        return found

    def _ask(self, method: str, path: str, **further: Any) -> Any:
        asked = f"{method} {self._http.base_url}{path}"
        try:
            reply = self._http.request(method, path, **further)
        except httpx.HTTPError as error:
            raise ServerError(f"{asked} was not answered: {error!r}") from error
        if reply.is_error:
            raise ServerError(
                f"{asked} was answered with {reply.status_code}: {reply.text[:300]}\n"
                "Scenarios make tenants of their own: they need a key with the role admin (SLUICE_KEY)."
            )
        return reply.json()


@contextmanager
def registered(admin: Admin, tenants: Sequence[Tenant], model: str) -> Iterator[Registration]:
    """Makes the tenants with their keys and policies, who ask this model ('': any); takes all of it away afterwards."""
    run = Registration(secrets.token_hex(3), admin.model(model), {})
    try:
        for tenant in tenants:
            _register(admin, run, tenant)
        time.sleep(EVERYWHERE_S)
        yield run
    finally:
        for tenant in tenants:
            name = run.named(tenant.name)
            for limit in tenant.all_limits():
                admin.delete(f"/admin/policies/{run.named(limit.name)}")
            admin.delete(f"/admin/keys/{run.key_id(tenant.name)}")
            admin.delete(f"/admin/users/{name}")
            admin.delete(f"/admin/tenants/{name}")


def _register(admin: Admin, run: Registration, tenant: Tenant) -> None:
    name = run.named(tenant.name)
    admin.post("/admin/tenants", {"name": name, "qos_tier": tenant.tier, "weight": tenant.weight})
    admin.post("/admin/users", {"name": name, "tenant": name})
    key_id = run.key_id(tenant.name)
    matches = {"TENANT": {"tenant": name}, "API_KEY": {"api_key": key_id}, "USER_MODEL": {"user": name}}
    run.keys[tenant.name] = admin.post("/admin/keys", {"user": name, "id": key_id})["secret"]
    for limit in tenant.all_limits():
        policy = {
            "name": run.named(limit.name),
            "scope": limit.scope,
            "unit": limit.unit,
            "limit": limit.limit,
            "window": f"{limit.window_ms}ms",
            "match": matches[limit.scope],
        }
        admin.post("/admin/policies", policy | ({"block": limit.block} if limit.block else {}))
