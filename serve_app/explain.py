"""`sluice policies explain`: which policies apply to a key and a model, and why, as a person sees it.

The rule itself is `policies.resolver`'s. It is asked of a file here; a running server answers the same over its API.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from serve_app.errors import UnknownNameError

if TYPE_CHECKING:
    from policies.resolver import Explanation
    from serve_app.config_file import ServeConfig

COLUMNS = ("applies", "policy", "limit", "kept for", "why")

Explained = Mapping[str, Any]
"""One policy: `applies`, `reason`, `subject` and the whole `policy`."""


def public_id(key: str) -> str:
    """The id of a key: of a whole `sk-…` key the part that is no secret.

    >>> public_id("sk-Ab3dEf-0123456789abcdef"), public_id("sk-demo-batch"), public_id("demo-batch")
    ('Ab3dEf', 'demo-batch', 'demo-batch')
    """
    bare = key.removeprefix("sk-")
    if bare == key or bare.startswith("demo-"):
        return bare
    return bare.rpartition("-")[0] or bare


def explain(config: "ServeConfig", key: str, model: str) -> list[Explained]:
    """Every policy of the file's catalogue, and whether it applies. `key`: an id, or a whole `sk-…` key."""
    from policies.catalogue import Catalogue
    from policies.resolver import Resolver

    resolver = Resolver(Catalogue.parse(config.applications[0].user_config.get("catalogue", {})))
    identity = resolver.identity(public_id(key))
    if identity is None:
        shown = key if not key.startswith("sk-") else "this key"  # a whole key must not end in a terminal's log
        raise UnknownNameError(f"{shown} is not in {config.path}: give the id of one of its keys")
    found = resolver.model(model)
    if found is None:
        names = ", ".join(m.name for m in resolver.models) or "none"
        raise UnknownNameError(f"model {model!r} is not in {config.path}; there are: {names}")
    return [_plain(explanation) for explanation in resolver.explain(identity, found)]


def from_server(answer: Mapping[str, Any]) -> list[Explained]:
    """What `GET /admin/explain` says, in the same form."""
    return list(answer["items"])


def rows(explained: Sequence[Explained]) -> list[tuple[str, ...]]:
    """The cells under `COLUMNS`."""
    return [_row(each) for each in explained]


def _row(each: Explained) -> tuple[str, ...]:
    from policies.entities import RateLimitPolicy
    from policies.quantities import format_duration

    policy = RateLimitPolicy.model_validate(each["policy"])
    limit = f"{policy.limit} {policy.unit}"
    if not policy.is_lease:
        limit += f" in {format_duration(policy.window)}"
    mode = " (shadow)" if each["applies"] and policy.mode == "shadow" else ""
    whose = f"{policy.scope} {each['subject']}".strip()
    return (("yes" if each["applies"] else "no") + mode, policy.name, limit, whose, each["reason"])


def _plain(each: "Explanation") -> Explained:
    policy = each.policy.model_dump(mode="json")
    return {"applies": each.applies, "reason": each.reason, "subject": each.subject, "policy": policy}
