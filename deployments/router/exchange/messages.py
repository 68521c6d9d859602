"""What an ingress replica and the model router tell each other.

A call carries a `Report` to the router and brings `News` back. Each side numbers what it says and repeats it until the
other has confirmed it, so calls may be lost, doubled or overtake each other: what was said is taken once, and in order.

A *session* is one run of numbers. Whenever the router does not know a session (it was restarted, or had given the
ingress up), the ingress begins the next one by saying everything that it holds (`Open`), and asks again for
everything that waits.
"""

from dataclasses import dataclass
from typing import Literal

RefusedFor = Literal["queue_full", "queue_timeout", "pool_gone"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request that needs a slot."""

    pool: str
    band: str
    """Its QoS tier."""
    tenant: str
    weight: float
    """The tenant's share of its band against the others in it."""
    tokens: int
    """What it is expected to use; corrected when it ends."""
    wait_s: float
    """Longest time in the queue that it accepts. The band's own longest wait holds beside it. Seconds."""


@dataclass(frozen=True, slots=True)
class Held:
    """A slot of its own that a request runs on when a session begins."""

    ticket: int
    wanted: Wanted
    running_for_s: float


@dataclass(frozen=True, slots=True)
class Lent:
    """Slots on loan that requests run on when a session begins."""

    pool: str
    band: str
    slots: int


@dataclass(frozen=True, slots=True)
class Open:
    """Begins a session: this is held, and nothing else; and these wait."""

    held: tuple[Held, ...]
    lent: tuple[Lent, ...]
    waiting: tuple[int, ...]
    """Tickets that are asked for again right after this."""


@dataclass(frozen=True, slots=True)
class Ask:
    """This request wants a slot."""

    ticket: int
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class End:
    """The request with this ticket has ended; where its slot is still on its way, it will not be used."""

    ticket: int
    tokens: int | None
    """What it has used; None where it never ran."""


@dataclass(frozen=True, slots=True)
class Return:
    """Slots on loan go back."""

    pool: str
    band: str
    slots: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What a tenant's requests have used on slots on loan."""

    pool: str
    band: str
    tenant: str
    weight: float
    tokens: int
    requests: int
    held_s: float
    """How long they held their slots, in seconds, all together."""


Op = Open | Ask | End | Return | Spent


@dataclass(frozen=True, slots=True)
class Granted:
    """This ticket has its slot."""

    ticket: int


@dataclass(frozen=True, slots=True)
class Refused:
    """This ticket gets none."""

    ticket: int
    reason: RefusedFor
    retry_after_s: float
    """When asking again may help, from the rate at which the queue drains. Seconds."""


@dataclass(frozen=True, slots=True)
class Lend:
    """Slots for requests of this band, to start them without asking."""

    pool: str
    band: str
    slots: int


@dataclass(frozen=True, slots=True)
class CallBack:
    """So many slots on loan go back: those that are unused now, the others as they fall free."""

    pool: str
    band: str
    slots: int


Notice = Granted | Refused | Lend | CallBack


@dataclass(frozen=True, slots=True)
class Report:
    """From an ingress."""

    ingress: str
    """Unlike any other's, that of its own predecessor included."""
    session: int
    first: int
    """Number of the first of `ops`."""
    ops: tuple[Op, ...]
    heard: int
    """Every notice up to this number was taken."""


@dataclass(frozen=True, slots=True)
class News:
    """From the router."""

    session: int
    """The session of the report that this answers."""
    known: bool
    """False: begin another session."""
    heard: int
    """Every op up to this number was taken."""
    first: int
    """Number of the first of `notices`."""
    notices: tuple[Notice, ...]
