"""Every metric that Sluice exports: its name, type, unit, labels and meaning. docs/metrics.md lists the same.

Prometheus gets them through Ray, which puts `ray_` before each name and `_total` behind a counter's. A histogram of
times is three counters, `…_seconds_bucket` (with the label `le`), `…_seconds_count` and `…_seconds_sum`: Ray's own
histograms take one call for each observation, in the replica and again in the node's agent, and know sums only roughly.
"""

from dataclasses import dataclass
from typing import Literal

MOST_NAMES = 200
"""How many policies, and how many models, are told apart where nobody says otherwise."""

OTHER = "_other"
"""What is counted together, where there are more names than `args.metrics.most_names`. No entity can be named so: names
begin with a letter or a digit."""

NONE = "_none"
"""For a label that a request never got, such as the band of one whose key is unknown. No entity is named so either."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric."""

    name: str
    kind: Literal["counter", "gauge", "times"]
    unit: str
    labels: tuple[str, ...]
    meaning: str

    @property
    def exported(self) -> tuple[str, ...]:
        """The names under which Prometheus finds it."""
        if self.kind == "gauge":
            return (f"ray_{self.name}",)
        if self.kind == "counter":
            return (f"ray_{self.name}_total",)
        return tuple(f"ray_{self.name}_{part}_total" for part in ("bucket", "count", "sum"))


# The ingress.
REQUESTS = Metric(
    *("sluice_requests", "counter", "requests", ("outcome", "band", "model")),
    "Requests to models that have ended.",
)
DECISIONS = Metric(
    *("sluice_decisions", "counter", "decisions", ("outcome", "scope", "policy", "unit")),
    "What each policy decided.",
)
CHECK = Metric("sluice_check_seconds", "times", "seconds", (), "From asking the limits to their answer.")
ADMISSION = Metric(
    *("sluice_admission_seconds", "times", "seconds", ("band",)),
    "From asking for a slot to having one.",
)
FIRST_TOKEN = Metric(
    *("sluice_first_token_seconds", "times", "seconds", ("band",)),
    "From a request's arrival to the first piece of its streamed reply.",
)
WHOLE = Metric(
    *("sluice_request_seconds", "times", "seconds", ("band",)),
    "From a request's arrival to the end of its complete reply.",
)
TOKENS = Metric(
    *("sluice_tokens", "counter", "tokens", ("direction", "band", "model")),
    "Tokens of requests that ran.",
)
REDIS_EXCHANGE = Metric(
    *("sluice_redis_exchange_seconds", "times", "seconds", ()),
    "One exchange with Redis: a batch of calls sent, and all of their replies read.",
)
REDIS_FAILURES = Metric("sluice_redis_failures", "counter", "failures", ("kind",), "What Redis did not answer.")
OPEN_CIRCUITS = Metric(
    *("sluice_redis_open_circuits", "gauge", "nodes", ()),
    "Nodes of Redis that this replica leaves alone for the moment, since they did not answer.",
)
FALLBACKS = Metric(
    *("sluice_fallback_decisions", "counter", "decisions", ("outcome",)),
    "Decisions without Redis, by each policy's `on_redis_failure`.",
)
FROM_MEMORY = Metric(
    *("sluice_denials_from_memory", "counter", "denials", ()),
    "Denials of blocked requests that cost Redis nothing.",
)
SETTLEMENTS = Metric("sluice_settlements", "counter", "settlements", ("outcome",), "Decisions that were ended.")
LEASES_EXPIRED = Metric(
    *("sluice_leases_expired", "counter", "requests", ()),
    "Requests of which a lease (of concurrent requests) ran out while they still ran.",
)
# The router.
QUEUE = Metric("sluice_queue_requests", "gauge", "requests", ("pool", "band"), "Requests that wait for a slot.")
QUEUE_WAIT = Metric(
    *("sluice_queue_wait_seconds", "times", "seconds", ("pool", "band")),
    "How long requests waited that the router started.",
)
QUEUE_OUTCOMES = Metric(
    *("sluice_queue_outcomes", "counter", "requests", ("pool", "band", "outcome")),
    "What became of requests that asked the router for a slot.",
)
SLOTS = Metric("sluice_slots", "gauge", "slots", ("pool",), "Slots on running replicas.")
SLOTS_USED = Metric("sluice_slots_used", "gauge", "slots", ("pool", "band"), "Slots in use or on loan to an ingress.")

METRICS: tuple[Metric, ...] = tuple(each for each in list(globals().values()) if isinstance(each, Metric))
