"""The exchange's times, in seconds, and why they fit together."""

HEARTBEAT_S = 1.0
"""The router answers a waiting call after this long although there is nothing to say."""

LEASE_VALID_S = 3.0
"""An ingress uses leases only this long after it sent the last call that was answered: two heartbeats and more."""

SILENCE_S = 4.0
"""The router gives up an ingress that it has not heard for this long, and takes its slots back.

It hears a call later than the ingress sent it, so its patience ends at least `SILENCE_S - LEASE_VALID_S` after the
ingress has stopped using leases: a slot is never used on both sides, without a clock that both read."""

GRACE_S = SILENCE_S
"""A router that starts grants nothing for this long. Whoever lives has reported by then; who has not would have been
given up by a router that had been there all along."""

IDLE_LEASE_S = 10.0
"""A lease that no request has used for this long goes back. Nobody is hurt by it before: it is called back when
anybody waits."""

TICK_S = 0.1
"""How often each side looks at what time alone changes."""

LATE_S = 0.5
"""How long after a request's longest wait its ingress still expects the router's refusal, which knows more."""
