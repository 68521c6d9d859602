"""A request in the books: waiting, or running."""

from deployments.router.scheduler.messages import Request, Shed, ShedReason, Started


class Entry:
    """One request, from its submission to its end."""

    __slots__ = ("expires_s", "request", "sequence", "started_s", "submitted_s", "waiting")

    def __init__(self, request: Request, sequence: int, submitted_s: float, expires_s: float) -> None:
        self.request = request
        self.sequence = sequence
        """Order of arrival in its pool."""
        self.submitted_s = submitted_s
        self.expires_s = expires_s
        """By the scheduler's clock; at that instant it is too late to start."""
        self.started_s: float | None = None
        """When it got its slot; None while it waits."""
        self.waiting = False
        """Whether it is in a queue: false before, and after it started or left."""

    def as_started(self) -> Started:
        request = self.request
        waited_s = max(0.0, (self.started_s or 0.0) - self.submitted_s)
        return Started(request.id, request.holder, request.pool, request.band, waited_s)

    def as_shed(self, reason: ShedReason, now_s: float, retry_after_s: float, estimated: bool) -> Shed:
        r = self.request
        waited_s = max(0.0, now_s - self.submitted_s)
        return Shed(r.id, r.holder, r.pool, r.band, reason, waited_s, retry_after_s, estimated)
