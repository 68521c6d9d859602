"""What a drill is, and what came of it."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.drills.kit.scene import Scene

ALWAYS = frozenset({"200", "429 rate_limit_exceeded"})
"""What the load may see at any time: one of its tenants asks for more than its limit."""

NO_REPLY = "no reply"
"""The connection was refused, or broke, or a reply broke off: never an answer that is wrong."""

STORE_AWAY = frozenset({"503 limits_unavailable"})


class Skipped(Exception):
    """This machine does not allow the fault; the text says why."""


@dataclass(frozen=True)
class Drill:
    """One fault: made by `run`, which returns when nothing is broken by hand any longer."""

    name: str
    fault: str
    """What is done, for the table."""
    run: Callable[["Scene"], Awaitable[None]]
    allowed: frozenset[str] = frozenset()
    """What clients may see besides `ALWAYS`, until it has recovered."""
    within_s: float = 60.0
    """By when the load must see nothing but `ALWAYS` again, after the fault has ended."""
    loaded: bool = True
    """Whether the load runs meanwhile; without it `run` brings its own."""


@dataclass
class Result:
    """What a drill showed. It has passed if nothing is in `problems`."""

    name: str
    fault: str
    seen: Counter[str] = field(default_factory=Counter)
    recovered_s: float | None = None
    """From the end of the fault until the last reply that was not as always; None where there was no load."""
    over: int | None = None
    """The most units above the limit in any window, by the log; and replies that no entry stands for. None where that
    was not judged."""
    left: int | None = None
    """Slots, leases, requests in queues, connections to Redis and open files that did not come back. None where that
    was not judged."""
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    skipped: str | None = None
    took_s: float = 0.0
    """The whole of it, from quiet to quiet."""
