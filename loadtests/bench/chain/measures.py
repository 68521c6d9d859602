"""Measures the cases: every contestant once a round, so that whatever else the machine does meets all of them."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx
import psutil

from loadtests.bench.applications import CHUNKS, SPENT, UNARY_TOKENS, body, headers
from loadtests.bench.chain.cases import CONSTANT, Case, Contestant
from loadtests.bench.report.spreads import spread_of
from loadtests.bench.wrk import END_OF_STREAM, Figures, drive

WARM_UP_S = 1.0
PAUSE_S = 0.2
"""Between two measurements: what was under way when the one before ended is cancelled meanwhile."""

Say = Callable[[str], None]


class WrongReplyError(Exception):
    """A contestant does not do what it is measured for."""


class Site(Protocol):
    """Where the contestants run."""

    def url(self, application: str, /) -> str:
        """Of an application's chat completions."""

    def replicas(self, application: str, /) -> list[psutil.Process]:
        """The processes whose CPU time is counted."""


@dataclass(slots=True)
class Rounds:
    """One contestant of one case with so many clients, round by round."""

    contestant: Contestant
    clients: int
    long: bool = False
    figures: list[Figures] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    """CPU time of all of its replicas, for each reply."""

    def right_s(self) -> list[float]:
        """Replies a second that are whole and have the status that they should have."""
        return [self._right_s(each) for each in self.figures]

    def _right_s(self, each: Figures) -> float:
        counted_s = each.right_s(self.contestant.status)
        if not self.long or not each.mean_ms:
            return counted_s
        by_times_s = counted_s / each.requests_s * self.clients / each.mean_ms * 1000  # Little's law
        # At most one request of each client was under way when time was up; where that is not enough, some hang, and
        # those that do not are no measure.
        took_s = sum(each.by_status.values()) / each.requests_s
        return min(by_times_s, counted_s + self.clients / took_s)

    def summary(self) -> dict[str, Any]:
        """Medians with their spread, and every status there was."""
        statuses: Counter[int] = Counter()
        for each in self.figures:
            statuses.update(each.by_status)
        return {
            "requests_s": spread_of(self.right_s()),
            "p50_ms": spread_of([each.p50_ms for each in self.figures]),
            "p99_ms": spread_of([each.p99_ms for each in self.figures]),
            "cpu_us": spread_of(self.cpu_us),
            "by_status": dict(sorted(statuses.items())),
            "errors": sum(each.errors for each in self.figures),
            "cut_short": sum(each.cut_short for each in self.figures),
            "wrong": sum(each.wrong(self.contestant.status) for each in self.figures),
            "sample": next((each.sample for each in self.figures if each.sample), ""),
        }


Found = dict[str, dict[int, dict[str, Rounds]]]
"""By case, clients and contestant."""


def measured(served: Site, cases: Sequence[Case], rounds: int, seconds: float, say: Say) -> Found:
    """All rounds of all cases."""
    for case in cases:
        for contestant in case.contestants:
            _prove(served, case, contestant)
            _drive(served, case, contestant, 16, WARM_UP_S)
    found: Found = {
        case.name: {
            clients: {each.name: Rounds(each, clients, case.longer > 1) for each in case.contestants}
            for clients in case.clients
        }
        for case in cases
    }
    for number in range(rounds):
        for case in cases:
            for clients in case.clients:
                # Forwards and backwards in turn, so that nobody always follows the same neighbour.
                for contestant in case.contestants[:: 1 if number % 2 == 0 else -1]:
                    taken = found[case.name][clients][contestant.name]
                    before_s = _cpu_s(served, contestant)
                    figures = _drive(served, case, contestant, clients, seconds * case.longer)
                    replies = max(1, sum(figures.by_status.values()))
                    taken.cpu_us.append((_cpu_s(served, contestant) - before_s) / replies * 1e6)
                    taken.figures.append(figures)
                    say(_line(number, rounds, case, contestant, clients, figures))
                    time.sleep(PAUSE_S)
    return found


def ratios(found: dict[str, Rounds], base: str) -> dict[str, dict[str, dict[str, float]]]:
    """Each round's figures against the base's of the same round: medians with their spread. A round in which the base
    finished nothing says nothing, and is left out; raises `WrongReplyError` where that is all of them."""
    against = found[base]

    def divided(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
        found = [a / b for a, b in zip(ours, theirs, strict=True) if b]
        if not found:
            raise WrongReplyError(f"{base} finished nothing in any round: make rounds longer (`Case.longer`)")
        return spread_of(found)

    return {
        name: {
            "requests_s": divided(rounds.right_s(), against.right_s()),
            "p50_ms": divided([f.p50_ms for f in rounds.figures], [f.p50_ms for f in against.figures]),
            "p99_ms": divided([f.p99_ms for f in rounds.figures], [f.p99_ms for f in against.figures]),
            "cpu_us": divided(rounds.cpu_us, against.cpu_us),
        }
        for name, rounds in found.items()
        if name != base
    }


def summaries(found: Found, cases: Sequence[Case]) -> dict[str, Any]:
    """All that is kept of the rounds, by case and clients."""
    return {
        case.name: {
            clients: {
                "contestants": {name: each.summary() for name, each in rounds_of.items()},
                "ratios": ratios(rounds_of, case.base),
            }
            for clients, rounds_of in found[case.name].items()
        }
        for case in cases
    }


def _drive(served: Site, case: Case, contestant: Contestant, clients: int, seconds: float) -> Figures:
    return drive(
        served.url(contestant.application),
        body(stream=case.stream, model=contestant.model or case.model),
        headers(contestant.tenant),
        connections=clients,
        duration_s=seconds,
        ending=END_OF_STREAM if case.stream else "",
    )


def _prove(served: Site, case: Case, contestant: Contestant) -> None:
    """Asks once, and looks at the reply: what is fast because it does something else is not measured."""
    url = served.url(contestant.application)
    asked = body(stream=case.stream, model=contestant.model or case.model)
    if contestant.tenant == SPENT:
        httpx.post(url, content=asked, headers=headers(SPENT), timeout=30)  # the one request that its key has
    answer = httpx.post(url, content=asked, headers=headers(contestant.tenant), timeout=30)
    status, reply = answer.status_code, answer.content
    if case.stream:
        whole = reply.count(b'"content":"') >= CHUNKS and reply.endswith(END_OF_STREAM.encode())
    elif contestant.status == 200 and contestant.name != CONSTANT:
        whole = b'"completion_tokens":%d,' % UNARY_TOKENS in reply
    else:
        whole = True
    if status != contestant.status or not whole:
        raise WrongReplyError(f"{contestant.name}, {case.name}: {status} {reply[:500]!r} … {reply[-100:]!r}")


def _cpu_s(served: Site, contestant: Contestant) -> float:
    total_s = 0.0
    for process in served.replicas(contestant.application):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total_s += times.user + times.system
    return total_s


def _line(number: int, rounds: int, case: Case, contestant: Contestant, clients: int, figures: Figures) -> str:
    wrong = figures.wrong(contestant.status)
    return (
        f"{number + 1}/{rounds} {case.name:9} {clients:3} clients  {contestant.name:15}"
        f"{figures.requests_s:8.0f}/s  p50 {figures.p50_ms:7.2f} ms  p99 {figures.p99_ms:7.2f} ms"
        + (
            f"  {wrong} WRONG {figures.by_status} errors {figures.errors} cut {figures.cut_short} {figures.sample}"
            if wrong
            else ""
        )
    )
