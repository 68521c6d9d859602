"""The ingress's side: the slots that it holds, the requests that wait, and what it has to tell the router.

Pure: the clock is injected, and whoever owns it (`deployments.router.admission`) carries the reports. A request that
finds an unused slot on loan takes it here, and nobody is asked.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

from deployments.router.exchange.messages import (
    Ask,
    CallBack,
    End,
    Granted,
    Held,
    Lend,
    Lent,
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
from deployments.router.exchange.timing import IDLE_LEASE_S, LATE_S, LEASE_VALID_S

RETRY_UNKNOWN_S = 1.0
"""What a request is told that waited in vain while the router was away: nobody knows the rate. Seconds."""

MOST_UNCONFIRMED = 5_000
"""How much may be left to say, beside what waits and what runs, before a new session says only how things stand. While
a router is away requests come and go, and what it has missed of them must not fill the memory."""


@dataclass(slots=True)
class Loan:
    """Slots of one band of one pool on loan."""

    unused_since: list[float] = field(default_factory=list)
    """When each unused slot fell free, oldest first. They are taken from the end, so the first rests longest."""
    busy: int = 0
    called_back: int = 0
    """How many of the busy ones go back when they fall free."""


@dataclass(slots=True, eq=False)
class Slot:
    """One place on a replica of a pool, while a request has it."""

    wanted: Wanted
    since: float
    ticket: int | None
    """The ticket it was granted to; None where it is on loan."""
    loan: Loan | None


@dataclass(slots=True, eq=False)
class Ticket:
    """A request that waits."""

    id: int
    wanted: Wanted
    since: float
    settled: Callable[[Slot | Refused], None]
    """Called once: with the slot, or with why there is none."""


class SlotHolder:
    """See the module. Not thread-safe: everything happens in one event loop."""

    def __init__(self, ingress: str, clock: Callable[[], float], urgent: Callable[[], None]) -> None:
        """`ingress`: unlike any other's, its own predecessor's included. `urgent` is called when there is something
        that the router should hear now."""
        self._ingress, self._clock, self._urgent = ingress, clock, urgent
        self._tickets_made = count(1)
        self._waiting: dict[int, Ticket] = {}
        self._granted: dict[int, Slot] = {}
        self._loans: dict[tuple[str, str], Loan] = {}
        self._running: dict[tuple[str, str, str], int] = {}
        """Requests that run on slots on loan, by pool, band and tenant."""
        self._spent: dict[tuple[str, str, str, float], tuple[int, int, float]] = {}
        self._outbox, self._inbox = Outbox[Op](), Inbox[Notice]()
        self._trusted_until = float("-inf")
        self.session = 0
        self.started_alone = 0
        """Requests that started without asking anybody."""
        self._begin()

    # Requests

    def take(self, wanted: Wanted) -> Slot | None:
        """An unused slot on loan, or None. All that an uncontended request costs."""
        loan = self._loans.get((wanted.pool, wanted.band))
        if loan is None or not loan.unused_since:
            return None
        now = self._clock()
        if now > self._trusted_until:
            return None
        loan.unused_since.pop()
        loan.busy += 1
        self.started_alone += 1
        whose = (wanted.pool, wanted.band, wanted.tenant)
        self._running[whose] = self._running.get(whose, 0) + 1
        return Slot(wanted, now, None, loan)

    def ask(self, wanted: Wanted, settled: Callable[[Slot | Refused], None]) -> Ticket:
        """Queues a request. `settled` is called later, never before this returns."""
        ticket = Ticket(next(self._tickets_made), wanted, self._clock(), settled)
        self._waiting[ticket.id] = ticket
        self._say(Ask(ticket.id, wanted))
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """The request waits no longer. A slot that is on its way to it goes back."""
        if self._waiting.pop(ticket.id, None) is not None:
            self._say(End(ticket.id, None))

    def release(self, slot: Slot, tokens: int | None) -> None:
        """The request that has this slot has ended, having used `tokens`; None where it never ran."""
        if slot.ticket is not None:
            if self._granted.pop(slot.ticket, None) is not None:
                self._say(End(slot.ticket, tokens))
            slot.ticket = None
            return
        loan, slot.loan = slot.loan, None
        if loan is None:
            return
        wanted = slot.wanted
        whose = (wanted.pool, wanted.band, wanted.tenant)
        self._running[whose] -= 1
        if not self._running[whose]:
            del self._running[whose]
        now = self._clock()
        if tokens is not None:
            at = (wanted.pool, wanted.band, wanted.tenant, wanted.weight)
            before = self._spent.get(at, (0, 0, 0.0))
            self._spent[at] = (before[0] + tokens, before[1] + 1, before[2] + now - slot.since)
        loan.busy -= 1
        if loan.called_back:
            loan.called_back -= 1
            self._say(Return(wanted.pool, wanted.band, 1))
        else:
            loan.unused_since.append(now)

    # The router

    def report(self) -> Report:
        """What to send; what was said is said again until it is confirmed."""
        for (pool, band, tenant, weight), (tokens, requests, held_s) in self._spent.items():
            self._outbox.say(Spent(pool, band, tenant, weight, tokens, requests, held_s))
        self._spent.clear()
        return Report(self._ingress, self.session, self._outbox.first, self._outbox.unconfirmed(), self._inbox.heard)

    def hear(self, news: News, sent_at: float) -> None:
        """Takes an answer; `sent_at` is when the call that it answers was sent."""
        if news.session != self.session:
            return
        if not news.known:
            self._begin()
            return
        if self._clock() - sent_at > LEASE_VALID_S:
            return  # this process stood still; the router may have given it up since. If not, it says all this again
        self._trusted_until = max(self._trusted_until, sent_at + LEASE_VALID_S)
        self._outbox.confirm(news.heard)
        for notice in self._inbox.take(news.first, news.notices):
            self._heed(notice)

    def tick(self) -> None:
        """What time alone changes: slots that nobody uses go back, requests whose refusal does not come end; what the
        router has missed for too long is put into fewer words."""
        now = self._clock()
        if len(self._outbox) > MOST_UNCONFIRMED + 2 * (len(self._waiting) + len(self._granted)):
            self._begin()
        for (pool, band), loan in self._loans.items():
            old = sum(now - since > IDLE_LEASE_S for since in loan.unused_since)
            if old:
                del loan.unused_since[:old]
                self._say(Return(pool, band, old))
        for ticket in [t for t in self._waiting.values() if now - t.since > t.wanted.wait_s + LATE_S]:
            self.leave(ticket)
            ticket.settled(Refused(ticket.id, "queue_timeout", RETRY_UNKNOWN_S))

    # Seen from outside

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    def in_use(self, pool: str) -> int:
        """Slots of the pool that requests of this ingress run on."""
        own = sum(slot.wanted.pool == pool for slot in self._granted.values())
        return own + sum(loan.busy for (of, _), loan in self._loans.items() if of == pool)

    def unused(self, pool: str) -> int:
        """Slots of the pool that are on loan here and unused."""
        return sum(len(loan.unused_since) for (of, _), loan in self._loans.items() if of == pool)

    def census(self) -> dict[tuple[str, str, str], tuple[int, int, float]]:
        """By pool, band and tenant: how many requests of this ingress wait, how many run, and for how many seconds the
        first in the queue has waited. Walks through everything that waits and was granted."""
        now = self._clock()
        found = {whose: (0, running, 0.0) for whose, running in self._running.items()}
        for slot in self._granted.values():
            whose = (slot.wanted.pool, slot.wanted.band, slot.wanted.tenant)
            waiting, running, oldest_s = found.get(whose, (0, 0, 0.0))
            found[whose] = (waiting, running + 1, oldest_s)
        for ticket in self._waiting.values():  # in the order in which they came
            whose = (ticket.wanted.pool, ticket.wanted.band, ticket.wanted.tenant)
            waiting, running, oldest_s = found.get(whose, (0, 0, 0.0))
            found[whose] = (waiting + 1, running, oldest_s if waiting else now - ticket.since)
        return found

    @property
    def walked(self) -> int:
        """How many requests `census` would walk through."""
        return len(self._waiting) + len(self._granted)

    # Inside

    def _begin(self) -> None:
        """Another session. Only what is in use is carried over: the router may have given unused slots to others."""
        self.session += 1
        self._outbox, self._inbox = Outbox[Op](), Inbox[Notice]()
        self._trusted_until = float("-inf")
        for loan in self._loans.values():
            loan.unused_since.clear()
            loan.called_back = 0
        now = self._clock()
        held = tuple(Held(number, slot.wanted, now - slot.since) for number, slot in self._granted.items())
        lent = tuple(Lent(pool, band, loan.busy) for (pool, band), loan in self._loans.items() if loan.busy)
        self._outbox.say(Open(held, lent, tuple(self._waiting)))
        for ticket in self._waiting.values():
            left_s = max(0.0, ticket.wanted.wait_s - (now - ticket.since))
            self._outbox.say(Ask(ticket.id, replace(ticket.wanted, wait_s=left_s)))
        self._urgent()

    def _heed(self, notice: Notice) -> None:
        match notice:
            case Granted(ticket=number):
                ticket = self._waiting.pop(number, None)
                if ticket is not None:  # else it left, and its End gives the slot back
                    slot = self._granted[number] = Slot(ticket.wanted, self._clock(), number, None)
                    ticket.settled(slot)
            case Refused(ticket=number):
                ticket = self._waiting.pop(number, None)
                if ticket is not None:
                    ticket.settled(notice)
            case Lend(pool=pool, band=band, slots=slots):
                loan = self._loans.setdefault((pool, band), Loan())
                loan.unused_since += [self._clock()] * slots
            case CallBack(pool=pool, band=band, slots=slots):
                loan = self._loans.setdefault((pool, band), Loan())
                now_back = min(slots, len(loan.unused_since))
                if now_back:
                    del loan.unused_since[-now_back:]
                    self._say(Return(pool, band, now_back))
                loan.called_back = min(loan.busy, loan.called_back + slots - now_back)

    def _say(self, op: Op) -> None:
        self._outbox.say(op)
        self._urgent()
