"""A decision as HTTP shows it: rate-limit headers (OpenAI's family and the IETF draft's), and what a denial says."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

from policies.decision import Decision, Window

Style = Literal["openai", "ietf", "both"]
Headers = list[tuple[bytes, bytes]]

SLOT_RETRY_S = 1.0
"""When a client that found all slots taken is told to come back, in seconds. A slot is free as soon as any request that
holds one ends, which nobody knows beforehand; the decision's own time is when a lease runs out, the latest there is."""


def ratelimit_headers(decision: Decision, style: Style) -> Headers:
    """The headers of one decision, names in lower case."""
    windows = [window for window in decision.windows if window.enforced]
    headers: Headers = []
    if style != "ietf":
        headers += _openai(_OF_REQUESTS, [w for w in windows if w.unit == "requests"])
        headers += _openai(_OF_TOKENS, [w for w in windows if w.unit.endswith("_tokens")])
    if style != "openai" and windows:
        # draft-ietf-httpapi-ratelimit-headers: structured fields, one item a policy. Names hold nothing to escape.
        policies = ",".join([_ietf_policy(w.policy, w.limit, w.unit, w.window_s) for w in windows])
        states = ",".join([f'"{w.policy}";r={w.remaining};t={_ietf_wait_s(w)}' for w in windows])
        headers += [(b"ratelimit-policy", policies.encode()), (b"ratelimit", states.encode())]
    return headers


def retry_headers(retry_after_s: float) -> dict[str, str]:
    """What tells a client when to come back: whole seconds rounded up, exact milliseconds."""
    # Rounded first: 2.007 * 1000 is a little more than 2007, and a millisecond more would not be exact.
    exact_ms = math.ceil(round(retry_after_s * 1000, 3))
    headers = {"retry-after": str(math.ceil(retry_after_s)), "retry-after-ms": str(exact_ms)}
    if retry_after_s > 60:  # SDKs would sleep that long while a person waits
        headers["x-should-retry"] = "false"
    return headers


def wait_s(window: Window) -> float:
    """When a client that this window denied should ask again, in seconds: exact, but for slots."""
    return min(window.retry_after_s, SLOT_RETRY_S) if window.unit == "concurrent_requests" else window.retry_after_s


def denying(decision: Decision) -> Window:
    """Of the windows that denied, the one that makes a client wait longest."""
    return max((window for window in decision.windows if window.enforced and not window.fits), key=wait_s)


def denial(decision: Decision) -> dict[str, Any]:
    """The `error` object of a 429, in OpenAI's shape with the policy and its scope beside."""
    window = denying(decision)
    rate = f"{window.limit} {window.unit.replace('_', ' ')}"
    if window.unit != "concurrent_requests":
        rate += f" in {window.window_s:g} s"
    whose = f" for {window.subject!r}" if window.subject else ""
    return {
        "message": f"Rate limit reached: policy {window.policy!r} ({window.scope}) allows {rate}{whose}; "
        f"{window.used} used, {window.cost} asked. Try again in {wait_s(window):g} s.",
        "type": "tokens" if window.unit.endswith("_tokens") else window.unit,
        "param": None,
        "code": "rate_limit_exceeded",
        "policy": window.policy,
        "scope": window.scope,
    }


_OF_REQUESTS = (b"x-ratelimit-limit-requests", b"x-ratelimit-remaining-requests", b"x-ratelimit-reset-requests")
_OF_TOKENS = (b"x-ratelimit-limit-tokens", b"x-ratelimit-remaining-tokens", b"x-ratelimit-reset-tokens")


def _openai(names: tuple[bytes, bytes, bytes], windows: Sequence[Window]) -> Headers:
    if not windows:
        return []
    tightest = windows[0]
    for w in windows:
        if (w.remaining, -w.reset_after_s) < (tightest.remaining, -tightest.reset_after_s):
            tightest = w
    limit, remaining, reset = names
    return [
        (limit, b"%d" % tightest.limit),
        (remaining, b"%d" % tightest.remaining),
        (reset, openai_duration(tightest.reset_after_s).encode()),
    ]


def openai_duration(seconds: float) -> str:
    """OpenAI's form: `120ms`, `1s`, `1.5s`, `6m0s`, `2h0m0s`."""
    milliseconds = math.ceil(round(seconds * 1000, 3))
    if milliseconds < 1_000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    whole, rest_ms = divmod(milliseconds, 60_000)
    hours, minutes = divmod(whole, 60)
    text = f"{rest_ms / 1000:g}s"
    if whole:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text


@lru_cache(maxsize=1_024)
def _ietf_policy(policy: str, limit: int, unit: str, window_s: float) -> str:
    """What of a policy is the same in every reply."""
    unit = ';qu="concurrent-requests"' if unit == "concurrent_requests" else f";w={math.ceil(window_s)}"
    return f'"{policy}";q={limit}{unit}'


def _ietf_wait_s(window: Window) -> int:
    return math.ceil(wait_s(window) if not window.fits else window.reset_after_s)
