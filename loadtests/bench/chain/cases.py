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

PACED, EACH = "paced", "each"
_A_TOKEN_EVERY_5_MS = {"first_token_ms": 5, "inter_token_ms": 5, "reply_tokens": CHUNKS}
MODELS: Mapping[str, Mapping[str, Any]] = {
    MODEL: AT_ONCE,
    PACED: _A_TOKEN_EVERY_5_MS,
    EACH: _A_TOKEN_EVERY_5_MS,
}
"""One that takes no time, and one whose tokens come one by one as a real model's do, faster than most. `EACH` is the
same without what Sluice does by default: to have tokens travel together that come within 10 ms."""

SLUICE, METERED_SLUICE, BARE, LIMITS, CONSTANT = "sluice", "sluice, tokens", "bare", "limits", "constant"
SLUICE_EACH = "sluice, each token"
OURS = (SLUICE, METERED_SLUICE, SLUICE_EACH)


@dataclass(frozen=True, slots=True)
class Contestant:
    """Who is asked, as whom."""

    name: str
    application: str
    tenant: str = ROOMY
    status: int = 200
    """Of every reply, if all goes well."""
    model: str | None = None
    """Another than the case's."""


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
    longer: int = 1
    """By how much its rounds are longer: where a request takes so long that few of them fit into one. The rate is then
    worked out from how long requests take, since counting those that ended would count in steps of one a client."""


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
        (1, 16),
        stream=True,
    ),
    Case("crowded", "The same for many clients", (_SLUICE, _BARE), BARE, (64,), stream=True, longer=5),
    Case(
        PACED,
        f"Streamed replies of {CHUNKS} chunks, a token every 5 ms",
        (Contestant(SLUICE_EACH, "sluice", model=EACH), _SLUICE, _BARE),
        BARE,
        (16, 64),
        stream=True,
        model=PACED,
        longer=2,
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
        "sluice": lambda: sluice(redis_url, models=MODELS, each_token=(EACH,)),
        "bare": lambda: bare(models={name: MODELS[name] for name in (MODEL, PACED)}),
        "limits": lambda: limits(redis_url),
        "constant": constant,
    }
    wanted = {contestant.application for case in cases for contestant in case.contestants}
    return [make() for name, make in made.items() if name in wanted]
