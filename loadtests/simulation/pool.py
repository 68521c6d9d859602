"""The discrete-event loop: sources send, the real scheduler decides, and time jumps from event to event."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from math import inf

from deployments.router.scheduler import Outcome, QosSettings, Request, Scheduler, Shed, ShedReason, Started
from loadtests.simulation.traffic import Job, Source

POOL, HOLDER = "simulated", "ingress"
MAX_BACKOFF_S = 60.0
"""How long a batch worker waits at most before it tries again, in seconds; it doubles from `Retry-After` up to this."""


@dataclass(slots=True)
class Record:
    """What came of one band."""

    arrived_s: list[float] = field(default_factory=list)
    """Of each request that started, in order of start."""
    waited_s: list[float] = field(default_factory=list)
    first_token_s: list[float] = field(default_factory=list)
    """From its arrival to its first token."""
    shed: dict[ShedReason, int] = field(default_factory=lambda: defaultdict(int))
    held_slot_s: float = 0.0
    """Slot-seconds it had."""


@dataclass(slots=True)
class Sample:
    """How the pool stood at one moment."""

    at_s: float
    used: dict[str, int]
    waiting: dict[str, int]
    tokens: dict[str, int]
    """What each tenant was served so far: tokens of requests that ended."""


@dataclass(slots=True)
class Result:
    """One simulated run."""

    slots: int
    bands: dict[str, Record]
    samples: list[Sample]
    tokens: dict[str, int]
    """By tenant, of requests that ended."""
    contended_s: float = 0.0
    """How long anything waited."""
    contended_slot_s: float = 0.0
    """Slot-seconds in use while anything waited."""
    events: int = 0

    @property
    def in_use_while_waiting(self) -> float:
        """Part of the slots that were in use while anything waited."""
        return self.contended_slot_s / (self.slots * self.contended_s) if self.contended_s else 1.0


@dataclass(slots=True)
class _Sent:
    """A request on its way: sent, waiting or running."""

    source: int
    job: Job
    arrived_s: float
    tries: int = 0


@dataclass(slots=True)
class _Event:
    kind: str
    """`comes`, `retries`, `ends`"""
    sent: _Sent
    id: str = ""


class Simulation:
    """One pool, some sources, one run."""

    def __init__(
        self, settings: QosSettings, slots: int, sources: Sequence[Source], seed: int, sample_s: float = 60.0
    ) -> None:
        self.now_s = 0.0
        self._sources = sources
        self._sample_s = sample_s
        self._scheduler = Scheduler(settings, lambda: self.now_s)
        self._scheduler.add_pool(POOL, slots)
        self._events: list[tuple[float, int, _Event]] = []
        self._order = count()
        self._jobs = [source.jobs(seed) for source in sources]
        self._open = [source.window for source in sources]
        self._sent: dict[str, _Sent] = {}
        names = [band.name for band in settings.bands]
        self._used = dict.fromkeys(names, 0)
        self._waiting = dict.fromkeys(names, 0)
        self.result = Result(slots, {name: Record() for name in names}, [], {s.tenant: 0 for s in sources})

    def run(self, until_s: float) -> Result:
        """Runs from 0 to `until_s`. What then waits or runs is left out."""
        for at, source in enumerate(self._sources):
            for _ in range(max(1, source.window)):
                self._next_job(at)
        next_sample_s = 0.0
        while self._events:
            at_s = self._events[0][0]
            wakeup_s = self._scheduler.next_wakeup_s()
            next_s = min(at_s, inf if wakeup_s is None else wakeup_s)
            while next_sample_s <= min(next_s, until_s):
                self._sample(next_sample_s)
                next_sample_s += self._sample_s
            if next_s > until_s:
                break
            self._pass_time(next_s)
            self.result.events += 1
            if next_s < at_s:
                self._take(self._scheduler.expire())
            else:
                self._handle(heappop(self._events)[2])
        while next_sample_s <= until_s:
            self._sample(next_sample_s)
            next_sample_s += self._sample_s
        return self.result

    def _handle(self, event: _Event) -> None:
        sent = event.sent
        if event.kind == "ends":
            self._used[sent.job.band] -= 1
            self.result.tokens[sent.job.tenant] += sent.job.actual_tokens
            self._take(self._scheduler.complete(event.id, sent.job.actual_tokens))
            if self._open[sent.source]:
                self._next_job(sent.source)
            return
        if event.kind == "comes" and not self._open[sent.source]:
            self._next_job(sent.source)
        self._send(sent)

    def _send(self, sent: _Sent) -> None:
        request_id, job = f"r{next(self._order)}", sent.job
        self._sent[request_id] = sent
        self._waiting[job.band] += 1
        request = Request(request_id, HOLDER, POOL, job.band, job.tenant, job.cost_tokens, job.weight)
        self._take(self._scheduler.submit(request))

    def _take(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, Started):
                self._start(outcome)
            elif isinstance(outcome, Shed):
                self._shed(outcome)

    def _start(self, outcome: Started) -> None:
        sent, record = self._sent.pop(outcome.id), self.result.bands[outcome.band]
        self._waiting[outcome.band] -= 1
        self._used[outcome.band] += 1
        if sum(self._used.values()) > self.result.slots:
            raise AssertionError(f"{self._used} of {self.result.slots} slots in use at {self.now_s:.3f} s")
        record.arrived_s.append(sent.arrived_s)
        record.waited_s.append(outcome.waited_s)
        record.first_token_s.append(self.now_s - sent.arrived_s + sent.job.first_token_s)
        record.held_slot_s += sent.job.hold_s
        self._at(self.now_s + sent.job.hold_s, _Event("ends", sent, outcome.id))

    def _shed(self, outcome: Shed) -> None:
        sent = self._sent.pop(outcome.id)
        self._waiting[outcome.band] -= 1
        self.result.bands[outcome.band].shed[outcome.reason] += 1
        if self._open[sent.source]:
            backoff_s = min(MAX_BACKOFF_S, max(1.0, outcome.retry_after_s) * 2**sent.tries)
            sent.tries += 1
            self._at(self.now_s + backoff_s, _Event("retries", sent))

    def _next_job(self, source: int) -> None:
        """The source's next request comes at its time or, for a worker that was behind, now."""
        jobs: Iterator[tuple[float, Job]] = self._jobs[source]
        following = next(jobs, None)
        if following is not None:
            at_s = max(self.now_s, following[0])
            self._at(at_s, _Event("comes", _Sent(source, following[1], at_s)))

    def _at(self, at_s: float, event: _Event) -> None:
        heappush(self._events, (at_s, next(self._order), event))

    def _pass_time(self, now_s: float) -> None:
        if any(self._waiting.values()):
            self.result.contended_s += now_s - self.now_s
            self.result.contended_slot_s += (now_s - self.now_s) * sum(self._used.values())
        self.now_s = now_s

    def _sample(self, at_s: float) -> None:
        self.result.samples.append(Sample(at_s, dict(self._used), dict(self._waiting), dict(self.result.tokens)))
