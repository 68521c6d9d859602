"""What scenarios promise, each as a function from the evidence to a verdict. What was not put to the test is not kept:
an empty run fails. (`errors_are_exact` alone is about what need not happen.)"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from loadtests.scenarios.kit.evidence import Evidence
from loadtests.scenarios.kit.logs import LogCopy, SeenDenial, fullest, retry_problem
from loadtests.scenarios.kit.outcomes import LEFT, NO_REPLY, Outcome, percentile, rate_per_s
from loadtests.scenarios.kit.tenants import Limit

SHOWN = 3
"""How many of many things that are wrong a verdict names."""

ROUNDING_MS = 2
"""By how much the end of a block, or its length, may seem to differ: its times are told in parts of a millisecond, and
rounded here."""

CUT = "cut"
"""Stands for the error's code where the end of the run cut a request off."""

HANGS_S = 15.0
"""A request that was cut off had hung if it was under way for longer than this. With the load tests' models one takes a
second or two, and what waits for a slot some more; the end gives each longer than this (`scenario.STOP_S`), so that one
that hangs is found however late it was sent."""


@dataclass(frozen=True)
class Verdict:
    """Whether one promise was kept."""

    promise: str
    kept: bool
    detail: str


Promise = Callable[[Evidence], Verdict]


def _verdict(promise: str, problems: Iterable[str], detail: str) -> Verdict:
    found = list(problems)
    rest = f" (and {len(found) - SHOWN} more)" if len(found) > SHOWN else ""
    return Verdict(promise, not found, "; ".join(found[:SHOWN]) + rest if found else detail)


def never_over_a_limit(evidence: Evidence) -> Verdict:
    """Wherever a window begins, by the Redis server's clock, it holds no more than its limit: by the whole log, and
    every request that was served is in it."""
    problems: list[str] = []
    shown = []
    for log in evidence.logs:
        problems += _log_problems(log, evidence)
        most = fullest(log.entries, log.limit.window_ms)
        reserved = f" ({log.most_used} with what was reserved)" if log.limit.unit.endswith("_tokens") else ""
        shown.append(
            f"{log.limit.name}: at most {most.held} of {log.limit.limit} in {log.limit.window_s:g} s{reserved}"
        )
    if not any(log.entries for log in evidence.logs):
        problems.append("nothing was logged")
    return _verdict("never over a limit, in any window by server time", problems, "; ".join(shown))


def _log_problems(log: LogCopy, evidence: Evidence) -> Iterable[str]:
    limit, name = log.limit, log.limit.name
    gap = log.gap()
    if gap is not None:
        yield f"{name}: the log was not followed whole: {gap}"
        return
    most = fullest(log.entries, limit.window_ms)
    if most.held > limit.limit:
        yield f"{name}: {most.held} in the {limit.window_s:g} s that end at {most.at_ms}, {limit.limit} allowed"
    if log.most_used > limit.limit:
        yield f"{name}: the server itself says that {log.most_used} of {limit.limit} were used"
    mine = evidence.of(log.tenant)
    served = sum(each.admitted for each in mine)
    unsure = sum(each.status == NO_REPLY or each.status >= 500 for each in mine)
    logged = sum(entry.cost > 0 for entry in log.entries)
    if not served <= logged <= served + unsure:
        yield f"{name}: {served} requests were served (and {unsure} ended unknown), {logged} are in the log"


def limits_were_reached(*names: str) -> Promise:
    """These windows were full at some time, so that the limits were put to the test."""

    def promise(evidence: Evidence) -> Verdict:
        filled = {log.limit.name: fullest(log.entries, log.limit.window_ms).held for log in evidence.logs}
        limits = {log.limit.name: log.limit.limit for log in evidence.logs}
        short = [f"{name}: {filled.get(name, 0)}" for name in names if filled.get(name, 0) < limits.get(name, 1)]
        detail = ", ".join(f"{name}: {filled.get(name)}" for name in names)
        return _verdict("the limits were put to the test", short, detail)

    return promise


def errors_are_exact(evidence: Evidence) -> Verdict:
    """Every error is well-formed; every 429 of a limit says, to the millisecond, when the log has room."""
    errors = [each for each in evidence.outcomes if each.status >= 400]
    problems = [f"{each.tenant}: {each.problem}" for each in errors if each.problem]
    logs = {log.limit.name: log for log in evidence.logs if log.limit.unit == "requests"}
    told = {each.id: each for each in errors}
    compared = [denial for denial in evidence.denials if denial.policy in logs and denial.id in told]
    for denial in compared:
        client = told[denial.id]
        if (client.policy, client.retry_after_ms) != (denial.policy, denial.retry_after_ms):
            problems.append(
                f"{denial.id} was told {client.policy}, {client.retry_after_ms} ms; decided was "
                f"{denial.policy}, {denial.retry_after_ms} ms"
            )
    for name, log in logs.items():
        wrong = _retry_problems(log, [denial for denial in compared if denial.policy == name])
        problems += [f"{name}: {problem}" for problem in wrong]
    ours = sum(each.policy in logs for each in errors)
    if ours and not compared:
        problems.append(f"none of {ours} denials could be compared with the log")
    return _verdict(
        "every error is well-formed, and retry-after is what the log says",
        problems,
        f"{len(errors)} errors; {len(compared)} of {ours} denials by requests compared with the log",
    )


def _retry_problems(log: LogCopy, denials: Sequence[SeenDenial]) -> Iterable[str]:
    entries, spans = log.entries, blocks(log.limit, denials)
    for denial in denials:
        # A denial from memory in a block's last half millisecond is told, rounded, as of its end.
        ends = next((ends for begins, ends in reversed(spans) if begins <= denial.at_ms <= ends), None)
        if ends is None:
            problem = retry_problem(entries, log.limit, denial)
            if problem is not None:
                yield problem
        # The process that answers from memory counts from when it asked: it may let go sooner, never later.
        elif denial.at_ms + denial.retry_after_ms > ends + ROUNDING_MS:
            yield f"denied at {denial.at_ms} for {denial.retry_after_ms} ms, {ends} is when the block ends"


def blocks(limit: Limit, denials: Iterable[SeenDenial]) -> list[tuple[int, int]]:
    """From when to when the limit's subject was blocked, in ms of the server's time. A block tells itself by the first
    denial of it: nothing else makes a client wait for longer than the window."""
    found: list[tuple[int, int]] = []
    for denial in sorted(denials, key=lambda denial: denial.at_ms):
        if denial.retry_after_ms > limit.window_ms and (not found or denial.at_ms >= found[-1][1] - ROUNDING_MS):
            found.append((denial.at_ms, denial.at_ms + denial.retry_after_ms))
    return found


def nothing_fails(*codes: str, hangs_s: float = HANGS_S) -> Promise:
    """No 5xx, no reply that breaks off or hangs, and of other errors only those with these codes."""

    def promise(evidence: Evidence) -> Verdict:
        problems = []
        for each in evidence.outcomes:
            fails = each.status == NO_REPLY and each.code not in (LEFT, CUT)
            fails = fails or (each.status >= 400 and each.code not in codes)
            fails = fails or (each.admitted and each.problem is not None)
            if _hung(each, hangs_s):
                problems.append(f"{each.tenant} {each.kind}: {_named(each)}")
            elif fails:
                problems.append(
                    f"{each.tenant} {each.kind}: {each.status} {each.code or ''} {each.problem or ''}".strip()
                )
        if not any(each.admitted for each in evidence.outcomes):
            problems.append("nothing was served")
        served = sum(each.admitted for each in evidence.outcomes)
        return _verdict(
            f"no 5xx, no broken reply, none that hangs, errors only {', '.join(codes)}"
            if codes
            else "no errors at all",
            problems,
            f"{served} of {len(evidence.outcomes)} served",
        )

    return promise


def never_denied(*tenants: str, hangs_s: float = HANGS_S) -> Promise:
    """Every request of theirs is served; one that the end cut off still could be, unless it hung."""

    def promise(evidence: Evidence) -> Verdict:
        problems = []
        for tenant in tenants:
            mine = [each for each in evidence.of(tenant) if each.code not in (LEFT, CUT) or _hung(each, hangs_s)]
            bad = [each for each in mine if not each.admitted]
            problems += [f"{tenant}: {len(bad)} of {len(mine)} not served, such as {_named(bad[0])}"] if bad else []
            problems += [] if mine else [f"{tenant} asked for nothing"]
        count = len(evidence.of(*tenants))
        return _verdict(f"{', '.join(tenants)}: every request is served", problems, f"{count} requests")

    return promise


def _hung(outcome: Outcome, after_s: float) -> bool:
    return outcome.code == CUT and outcome.took_ms > after_s * 1000


def _named(outcome: Outcome) -> str:
    if outcome.code == CUT:
        return f"not over {outcome.took_ms / 1000:.1f} s after it was sent, when it was cut off"
    return f"{outcome.status} {outcome.code} ({outcome.policy or outcome.problem})"


def served_as_before(
    before: str, after: str, *tenants: str, at_least: float = 0.95, times: float = 2.0, spare_ms: float = 50.0
) -> Promise:
    """Their rate in one phase is what it was in another, and their p50 not much more. The rate alone says little:
    clients that pace themselves keep it while replies take ever longer."""

    def promise(evidence: Evidence) -> Verdict:
        problems, shown = [], []
        for tenant in tenants:
            phases = [evidence.of(tenant, phase=phase) for phase in (before, after)]
            was, now = (
                rate_per_s(each, evidence.phases.get(phase, 0))
                for each, phase in zip(phases, (before, after), strict=True)
            )
            took, takes = (percentile([each.took_ms for each in mine if each.admitted], 0.5) for mine in phases)
            shown.append(f"{tenant}: {was:.2f} -> {now:.2f}/s, p50 {took:.0f} -> {takes:.0f} ms")
            if not (now >= was * at_least and was > 0 and takes <= took * times + spare_ms):
                problems.append(shown[-1])
        name = (
            f"{', '.join(tenants)}: served in {after!r} as in {before!r} "
            f"(at least {at_least:g} times as often, p50 at most {times:g} times and {spare_ms:g} ms more)"
        )
        return _verdict(name, problems, "; ".join(shown))

    return promise


def first_token_ratio(tenant: str, alone: str, crowded: str, at_most: float, least: int = 50) -> Promise:
    """The p99 of the time to the first token in one phase against another of the same run."""

    def promise(evidence: Evidence) -> Verdict:
        was, now = (
            [each.first_ms for each in evidence.of(tenant, phase=phase) if each.first_ms is not None and each.admitted]
            for phase in (alone, crowded)
        )
        p99 = percentile(was, 0.99), percentile(now, 0.99)
        ratio = p99[1] / p99[0]
        detail = (
            f"p99 {p99[0]:.0f} -> {p99[1]:.0f} ms: {ratio:.2f} times; p50 {percentile(was, 0.5):.0f} -> "
            f"{percentile(now, 0.5):.0f} ms; {len(was)} and {len(now)} streams"
        )
        problems = [] if ratio <= at_most else [detail]  # a ratio of nothing is NaN, and no number is at least that
        if min(len(was), len(now)) < least:
            problems.append(f"fewer than {least} streams: {detail}")
        name = f"{tenant}: p99 to the first token in {crowded!r} at most {at_most:g} times that in {alone!r}"
        return _verdict(name, problems, detail)

    return promise


def flooded(tenant: str, flood: str, guest: str, alone: str, times: float, least: int = 50) -> Promise:
    """There was a flood: half of what the tenant asked in its phase was under way for so many times as long as the
    guest's requests were when that was alone. What the end cut off counts: it had waited for at least that long."""

    def promise(evidence: Evidence) -> Verdict:
        waited = [each.took_ms for each in evidence.of(tenant, phase=flood) if each.admitted or each.code == CUT]
        unhindered = [each.took_ms for each in evidence.of(guest, phase=alone) if each.admitted]
        served = sum(each.admitted for each in evidence.of(tenant))
        p50 = percentile(unhindered, 0.5), percentile(waited, 0.5)
        detail = (
            f"{tenant}'s p50 in {flood!r} is {p50[1]:.0f} ms, of {len(waited)} requests; {guest}'s in {alone!r} "
            f"{p50[0]:.0f} ms; {served} of {tenant}'s were served in all"
        )
        kept = p50[1] >= p50[0] * times and min(len(waited), served) >= least
        return _verdict(f"{tenant} did flood: it waits {times:g} times a reply", [] if kept else [detail], detail)

    return promise


def slots_are_given_back(evidence: Evidence) -> Verdict:
    """After the end nobody holds a slot, whoever left in the middle."""
    held = [f"{tenant} holds {count}" for tenant, count in evidence.slots_in_use.items() if count]
    if not evidence.slots_in_use:
        held.append("slots were not counted")
    left = sum(each.code == LEFT for each in evidence.outcomes)
    return _verdict("every slot is given back", held, f"0 in use after {left} clients left in the middle")


def tokens_settle(*names: str) -> Promise:
    """After the end the log holds what the replies' usage says, entry by entry added up."""

    def promise(evidence: Evidence) -> Verdict:
        problems, shown = [], []
        for log in evidence.logs:
            if log.limit.name not in names:
                continue
            mine = evidence.of(log.tenant)
            used, logged = sum(each.tokens for each in mine), sum(entry.cost for entry in log.entries)
            unsure = sum(each.status == NO_REPLY for each in mine)
            shown.append(f"{log.limit.name}: {logged} tokens logged, {used} used")
            if logged != used or unsure or not used:
                problems.append(shown[-1] + (f", {unsure} ended unknown" if unsure else ""))
        problems += [] if shown else ["no such limit"]
        return _verdict("tokens are settled: the log has what was used", problems, "; ".join(shown))

    return promise


def streams_end_whole(evidence: Evidence) -> Verdict:
    """Every stream that was let run ended with its usage and [DONE]."""
    streams = [each for each in evidence.outcomes if each.kind == "stream" and each.admitted]
    broken = [f"{each.tenant}: {each.problem}" for each in streams if each.problem]
    broken += [] if streams else ["no stream ran"]
    return _verdict("every stream ends with its usage and [DONE]", broken, f"{len(streams)} streams")


def blocked(tenant: str, limit_name: str) -> Promise:
    """The tenant was shut out for as long as the policy's `block` says, each time: the first denial that tells of it
    tells all of that time, and until its end nothing of the tenant is in the log."""

    def promise(evidence: Evidence) -> Verdict:
        log = next(log for log in evidence.logs if log.limit.name == limit_name)
        spans = blocks(log.limit, [each for each in evidence.denials if each.policy == limit_name])
        problems = [
            f"logged at {entry.at_ms}, {entry.at_ms - began} ms into a block of {ends - began} ms"
            for began, ends in spans
            for entry in log.entries
            if began < entry.at_ms < ends - ROUNDING_MS
        ]
        problems += [
            f"blocked at {began} for {ends - began} ms, and not for {log.limit.block_ms}"
            for began, ends in spans
            if abs(ends - began - log.limit.block_ms) > ROUNDING_MS
        ]
        problems += [] if spans else ["it was never blocked"]
        mine = evidence.of(tenant)
        denied, served = sum(each.status == 429 for each in mine), sum(each.admitted for each in mine)
        detail = f"blocked {len(spans)} times for {log.limit.block_ms} ms, {denied} requests denied, {served} served"
        return _verdict(f"{tenant} is blocked while it does not back off", problems, detail)

    return promise


def no_collapse(at_least: float = 0.75, step_s: float = 5.0) -> Promise:
    """At full load the server serves about as many as at its best."""

    def promise(evidence: Evidence) -> Verdict:
        counts: dict[int, int] = {}
        for each in evidence.outcomes:
            if each.admitted:
                step = math.floor((each.sent_s + each.took_ms / 1000) / step_s)
                counts[step] = counts.get(step, 0) + 1
        whole = math.floor(evidence.phases.get("", 0) / step_s)
        rates = [counts.get(step, 0) / step_s for step in range(whole)]
        best, last = max(rates, default=0.0), min(rates[-2:], default=0.0)
        detail = (
            f"{' '.join(f'{rate:.0f}' for rate in rates)} served/s by {step_s:g} s; best {best:.0f}, last {last:.0f}"
        )
        problems = [] if best and last >= best * at_least and whole >= 4 else [detail]
        return _verdict(f"at full load at least {at_least:g} times the best rate", problems, detail)

    return promise
