"""Who goes next: the decisions of the model router, in pure Python with an injected clock.

`Scheduler` is the whole face. `settings` is what can be set, `messages` what goes in and out. Inside: `pool` (one
pool's books and decisions), `fair_queue` (tenants within a band), `shares` (whole slots), `deadlines`, `drain`.
Sending the messages, and following replicas, is the router deployment's. docs/qos.md has the guarantees.
"""

from deployments.router.scheduler.errors import BandsChangedError, SchedulerError, UnknownBandError, UnknownPoolError
from deployments.router.scheduler.messages import (
    UNKNOWN_RETRY_AFTER_S,
    Lease,
    Outcome,
    Recall,
    Request,
    Running,
    Shed,
    ShedReason,
    Started,
)
from deployments.router.scheduler.scheduler import Scheduler
from deployments.router.scheduler.settings import BandSettings, QosSettings
from deployments.router.scheduler.statistics import WAIT_BUCKETS_S, BandStatistics, PoolStatistics

__all__ = [
    "UNKNOWN_RETRY_AFTER_S",
    "WAIT_BUCKETS_S",
    "BandSettings",
    "BandStatistics",
    "BandsChangedError",
    "Lease",
    "Outcome",
    "PoolStatistics",
    "QosSettings",
    "Recall",
    "Request",
    "Running",
    "Scheduler",
    "SchedulerError",
    "Shed",
    "ShedReason",
    "Started",
    "UnknownBandError",
    "UnknownPoolError",
]
