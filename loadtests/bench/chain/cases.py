"""What is asked of whom. Every case is one kind of request, put by so many clients to each contestant in turn."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from loadtests.bench.applications import (
    AT_ONCE,
    CHUNKS,
    METERED,
    MODEL,
    ROOMY,
    SPENT,
    Entry,
    bare,
    constant,
    limits,
    sluice,
)

PACED = "paced"
MODELS: Mapping[str, Mapping[str, Any]] = {
    MODEL: AT_ONCE,
    PACED: {"first_token_ms": 5, "inter_token_ms": 5, "reply_tokens": CHUNKS},
}
"""One that takes no time, and one whose tokens come one by one as a real model's do, faster than most."""

SLUICE, METERED_SLUICE, BARE, LIMITS, CONSTANT = "sluice", "sluice, tokens", "bare", "limits", "constant"
OURS = (SLUICE, METERED_SLUICE)


@dataclass(frozen=True, slots=True)
class Contestant:
    """Who is asked, as whom."""

    name: str
    application: str
    tenant: str = ROOMY
    status: int = 200
    """Of every reply, if all goes well."""


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of request."""

    name: str
    title: str
    contestants: tuple[Contestant, ...]
    base: str
    """The contestant whose figures the others' are divided by."""
    clients: tuple[int, ...]
    stream: bool = False
    model: str = MODEL
    long: bool = False
    """A request takes so long that few of them fit into a round: rounds are longer, and the rate is worked out from how
    long requests take, since counting those that ended would count in steps of one a client."""


_SLUICE, _BARE = Contestant(SLUICE, "sluice"), Contestant(BARE, "bare")
# Ours stand right beside what they are divided by: a shared machine's pace changes within seconds.
_ALL = (Contestant(METERED_SLUICE, "sluice", METERED), _SLUICE, _BARE, Contestant(LIMITS, "limits"))

CASES = (
    Case("unary", "Whole replies", _ALL, BARE, (1, 16, 64)),
    Case(
        "streamed",
        f"Streamed replies of {CHUNKS} chunks, from a model that takes no time",
        _ALL,
        BARE,
        (1, 16, 64),
        stream=True,
    ),
    Case(
        PACED,
        f"Streamed replies of {CHUNKS} chunks, a token every 5 ms",
        (_SLUICE, _BARE),
        BARE,
        (16, 64),
        stream=True,
        model=PACED,
        long=True,
    ),
    Case(
        "denied",
        "Denied requests",
        (Contestant(SLUICE, "sluice", SPENT, 429), Contestant(CONSTANT, "constant")),
        CONSTANT,
        (16, 64),
    ),
)


def applications(redis_url: str, cases: tuple[Case, ...]) -> list[Entry]:
    """Those that these cases need."""
    made: dict[str, Callable[[], Entry]] = {
        "sluice": lambda: sluice(redis_url, models=MODELS),
        "bare": lambda: bare(models=MODELS),
        "limits": lambda: limits(redis_url),
        "constant": constant,
    }
    wanted = {contestant.application for case in cases for contestant in case.contestants}
    return [make() for name, make in made.items() if name in wanted]
