"""The router's side: one scheduler, and what every ingress was told and has said.

Pure, like the scheduler: the clock is injected, and whoever owns it (`deployments.router.service`) carries the calls.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf

from deployments.router.exchange.messages import (
    Ask,
    CallBack,
    End,
    Granted,
    Lend,
    News,
    Notice,
    Op,
    Open,
    Refused,
    Report,
    Return,
    Spent,
    Wanted,
)
from deployments.router.exchange.numbered import Inbox, Outbox
from deployments.router.exchange.timing import GRACE_S, SILENCE_S, STALL_S
from deployments.router.scheduler import (
    UNKNOWN_RETRY_AFTER_S,
    Lease,
    Outcome,
    PoolStatistics,
    QosSettings,
    Recall,
    Request,
    Running,
    Scheduler,
    SchedulerError,
    Shed,
    Started,
)

NOW_S = 0.05
"""What a request gets that will not wait at all, in seconds: it starts if a slot is free, or unused on loan somewhere.
To call that back takes a call there and one from there."""


GIVEN_UP_RETRY_S = 10.0
"""When to ask again for a pool that has no replica and will have none until somebody deploys it anew, in seconds."""


@dataclass(slots=True)
class _Ingress:
    """What is known of one ingress."""

    session: int
    heard_at: float
    inbox: Inbox[Op] = field(default_factory=Inbox)
    outbox: Outbox[Notice] = field(default_factory=Outbox)
    told: int = 0
    """Number of the last notice that went out in an answer; answers can be lost, so it may not have arrived."""
    waiting: dict[int, str] = field(default_factory=dict)
    """Tickets that wait, and for which pool."""


class SlotBook:
    """See the module."""

    def __init__(
        self, pools: Iterable[str], settings: QosSettings, clock: Callable[[], float], grace_s: float = GRACE_S
    ) -> None:
        """`grace_s` is for tests where no ingress can have been there before."""
        self._clock = clock
        self._scheduler = Scheduler(settings, clock)
        self._pools = set(pools)
        for pool in self._pools:
            self._scheduler.add_pool(pool)
        self._block = settings.lease_block
        self._ingresses: dict[str, _Ingress] = {}
        self._capacity: dict[str, int] = dict.fromkeys(self._pools, 0)
        self._given: dict[str, int] = dict.fromkeys(self._pools, 0)
        self._given_up: set[str] = set()
        """Pools that have no replica and will have none; the others may get some, and requests wait for that."""
        self._grace_s = grace_s
        self._grants_from = inf
        """Begins to count with the first report."""
        self._looked_at = clock()
        self._with_news: set[str] = set()

    @property
    def settling(self) -> bool:
        """Whether ingresses are still being waited for, and nothing is granted."""
        return self._clock() < self._grants_from

    def take(self, report: Report) -> None:
        """Does what the report says, as far as it is new."""
        now = self._clock()
        if self._grants_from == inf:
            self._grants_from = now + self._grace_s
            self._apply_capacities()
        ingress = self._ingresses.get(report.ingress)
        if ingress is None or report.session > ingress.session:
            if report.first != 1 or not report.ops or not isinstance(report.ops[0], Open):
                return  # `news` says that the session is not known
            ingress = self._ingresses[report.ingress] = _Ingress(
                report.session, now, waiting=ingress.waiting if ingress else {}
            )
        elif report.session < ingress.session:
            return
        ingress.heard_at = now
        ingress.outbox.confirm(report.heard)
        ops = ingress.inbox.take(report.first, report.ops)
        for op in ops:
            # An ingress may still speak of a pool that a deploy has removed: there are no books of it to keep.
            with suppress(SchedulerError):
                self._do(op, report.ingress, ingress)
        if self._block:
            self._lend(report.ingress, [op for op in ops if isinstance(op, Ask) and op.ticket not in ingress.waiting])

    def news(self, report: Report) -> News:
        """The answer to a report."""
        ingress = self._ingresses.get(report.ingress)
        if ingress is None or ingress.session < report.session:
            return News(report.session, False, 0, 1, ())
        self._with_news.discard(report.ingress)
        ingress.told = ingress.outbox.last
        notices = ingress.outbox.unconfirmed()
        return News(ingress.session, True, ingress.inbox.heard, ingress.outbox.first, notices)

    def must_answer(self, report: Report) -> bool:
        """Whether there is something to tell this ingress that no answer has told it yet."""
        ingress = self._ingresses.get(report.ingress)
        return ingress is None or ingress.session != report.session or ingress.told < ingress.outbox.last

    def with_news(self) -> set[str]:
        """Ingresses with something that no answer has told them yet."""
        return self._with_news

    def set_capacity(self, pool: str, slots: int | None) -> None:
        """The pool has so many slots on its running replicas. None: it has no replica and none will come, so whoever
        waits, and whoever asks from now on, is told so."""
        self._capacity[pool] = slots or 0
        self._apply_capacity(pool)
        if slots is not None:
            self._given_up.discard(pool)
        elif pool not in self._given_up:
            self._given_up.add(pool)
            self._tell(self._scheduler.shed(pool))

    def tick(self) -> list[str]:
        """What time alone changes: requests expire, a router that started begins to grant, and ingresses are given up.
        Those are returned."""
        now = self._clock()
        if now - self._looked_at > STALL_S:
            self._stood_still(now)
        self._looked_at = now
        silent = [name for name, ingress in self._ingresses.items() if now - ingress.heard_at > SILENCE_S]
        for name in silent:
            del self._ingresses[name]
            self._with_news.discard(name)
            self._tell(self._scheduler.forget(name))
        self._apply_capacities()
        self._tell(self._scheduler.expire())
        return silent

    def statistics(self) -> list[PoolStatistics]:
        """How every pool stands."""
        return self._scheduler.statistics()

    def waiting(self) -> Mapping[str, int]:
        """Requests that wait, by pool."""
        count = Counter(pool for ingress in self._ingresses.values() for pool in ingress.waiting.values())
        return {pool: count[pool] for pool in self._pools}

    def _stood_still(self, now: float) -> None:
        """What was said meanwhile may not have been read yet: everybody has as much time to be heard as after a
        start."""
        for ingress in self._ingresses.values():
            ingress.heard_at = now
        if self._looked_at < self._grants_from < inf:
            self._grants_from = now + self._grace_s

    def _apply_capacities(self) -> None:
        for pool in self._pools:
            self._apply_capacity(pool)

    def _apply_capacity(self, pool: str) -> None:
        slots = 0 if self.settling else self._capacity[pool]
        if slots != self._given[pool]:
            self._given[pool] = slots
            self._tell(self._scheduler.set_capacity(pool, slots))

    def _do(self, op: Op, name: str, ingress: _Ingress) -> None:
        match op:
            case Ask():
                self._ask(op, name, ingress)
            case End(ticket=ticket, tokens=tokens):
                ingress.waiting.pop(ticket, None)
                if tokens is None:
                    self._tell(self._scheduler.cancel(_id(name, ticket)))
                else:
                    self._tell(self._scheduler.complete(_id(name, ticket), tokens))
            case Return(pool=pool, band=band, slots=slots):
                self._tell(self._scheduler.return_lease(name, pool, band, slots))
            case Spent(requests=requests, held_s=held_s):
                self._scheduler.lease_used(op.pool, op.band, op.tenant, op.tokens, op.weight, held_s / requests)
            case Open():
                self._open(op, name, ingress)

    def _ask(self, op: Ask, name: str, ingress: _Ingress) -> None:
        wanted = op.wanted
        if wanted.pool in self._given_up:
            self._say(name, Refused(op.ticket, "pool_gone", GIVEN_UP_RETRY_S))
            return
        ingress.waiting[op.ticket] = wanted.pool
        try:
            outcomes = self._scheduler.submit(_request(name, op.ticket, wanted))
        except SchedulerError:  # no such pool, or no such band
            del ingress.waiting[op.ticket]
            self._say(name, Refused(op.ticket, "pool_gone", UNKNOWN_RETRY_AFTER_S))
            return
        self._tell(outcomes)

    def _lend(self, name: str, served: list[Ask]) -> None:
        """Lends slots where this ingress had to ask and got one at once, so that it need not ask for the next. After
        all that it asked for: a slot that was lent first would have to be called back for them."""
        for pool, band in dict.fromkeys((ask.wanted.pool, ask.wanted.band) for ask in served):
            with suppress(SchedulerError):  # it was refused, for there is no such pool
                lent = self._scheduler.lease(name, pool, band, self._block)
                if lent:
                    self._say(name, Lend(pool, band, lent))

    def _open(self, op: Open, name: str, ingress: _Ingress) -> None:
        for ticket in ingress.waiting.keys() - op.waiting:  # they left while the session before could not say so
            del ingress.waiting[ticket]
            self._tell(self._scheduler.cancel(_id(name, ticket)))
        running = [Running(_request(name, held.ticket, held.wanted), held.running_for_s) for held in op.held]
        leases = [Lease(lent.pool, lent.band, lent.slots) for lent in op.lent]
        outcomes = self._scheduler.restore(name, running, leases)
        # What was called back before is not known to the new session: said whole, instead of what is new of it.
        self._tell(o for o in outcomes if not (isinstance(o, Recall) and o.holder == name))
        self._tell(recall for recall in self._scheduler.recalls() if recall.holder == name)

    def _tell(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            match outcome:
                case Started(id=request, holder=holder):
                    self._settled(holder, _ticket(request))
                    self._say(holder, Granted(_ticket(request)))
                case Shed(id=request, holder=holder, reason=reason, retry_after_s=retry_after_s):
                    self._settled(holder, _ticket(request))
                    self._say(holder, Refused(_ticket(request), reason.value, retry_after_s))
                case Recall(holder=holder, pool=pool, band=band, slots=slots):
                    self._say(holder, CallBack(pool, band, slots))

    def _settled(self, name: str, ticket: int) -> None:
        ingress = self._ingresses.get(name)
        if ingress is not None:
            ingress.waiting.pop(ticket, None)

    def _say(self, name: str, notice: Notice) -> None:
        ingress = self._ingresses.get(name)
        if ingress is not None:
            ingress.outbox.say(notice)
            self._with_news.add(name)


def _id(ingress: str, ticket: int) -> str:
    return f"{ingress}#{ticket}"


def _ticket(request_id: str) -> int:
    return int(request_id.rpartition("#")[2])


def _request(ingress: str, ticket: int, wanted: Wanted) -> Request:
    return Request(
        id=_id(ingress, ticket),
        holder=ingress,
        pool=wanted.pool,
        band=wanted.band,
        tenant=wanted.tenant,
        cost_tokens=wanted.tokens,
        weight=wanted.weight,
        deadline_in_s=max(wanted.wait_s, NOW_S),
    )
