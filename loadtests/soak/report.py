"""What the soak found, and whether it passed."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from loadtests.bench.machine import described
from loadtests.bench.report.tables import number, table
from loadtests.soak.samples import Sample, slope_mib_h
from loadtests.soak.traffic import KINDS

OURS = ("Ingress", "ModelRouter", "model-bench", "model-slow", "sluice")
LEAST_SHARE = 0.6
"""Of saturation: the server that cannot hold the pace any more has grown slower."""
DENIED_SHARE, DENIED_SPARE = KINDS[-1][0] / sum(share for share, _, _ in KINDS), 0.02
"""Of all replies: those to the key that has nothing left, and nobody else's."""
LEAST_LEFT_S = 0.5
"""Streams a second that must have been left, or nothing is shown of leaving."""
MOST_MIB_H, MOST_SHARE_H = 2.0, 0.02
"""A process grows if it does so by more than both: MiB an hour, and a share of its own memory an hour."""
WARM_SHARE = 1 / 3
"""Of the time: until then caches fill, and the allocator finds its size: an ingress takes a quarter of an hour."""


def growth(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Of each process: memory when warm and at the end, MiB; slope, MiB an hour; open files and threads at the end."""
    after_s = samples[-1].at_s * WARM_SHARE
    warm = next(each for each in samples if each.at_s >= after_s)
    last = samples[-1]
    return {
        role: {
            "warm_mib": round(warm.memory_mib[role], 1),
            "last_mib": round(last.memory_mib[role], 1),
            "slope_mib_h": round(slope_mib_h(samples, role, after_s), 2),
            "descriptors": last.descriptors[role],
            "threads": last.threads[role],
        }
        for role in last.memory_mib
        if role in warm.memory_mib
    }


def grows(found: dict[str, float]) -> bool:
    """Whether a process does."""
    return found["slope_mib_h"] > max(MOST_MIB_H, MOST_SHARE_H * found["warm_mib"])


def failures(results: dict[str, Any]) -> list[str]:
    """A sentence for each promise that was not kept."""
    said = [
        f"{role} grows by {found['slope_mib_h']:g} MiB an hour"
        for role, found in results["growth"].items()
        if role in OURS and grows(found)
    ]
    said += [f"nothing is known of {role}" for role in OURS if role not in results["growth"]]
    said += [f"left behind: {each['what']}: {each['found']:g}" for each in results["leftovers"] if not each["gone"]]
    wrong = {status: count for status, count in results["by_status"].items() if status not in ("200", "429")}
    if wrong or results["errors"]:
        said.append(f"replies other than 200 and 429: {wrong}; broken connections: {results['errors']}")
    if results["share"] < LEAST_SHARE:
        said.append(f"the pace was not held: {results['share']:.0%} of saturation")
    denied = results["by_status"].get("429", 0) / max(1, sum(results["by_status"].values()))
    if abs(denied - DENIED_SHARE) > DENIED_SPARE:
        said.append(f"{denied:.1%} of the replies are denials, and {DENIED_SHARE:.0%} should be")
    if results["cut_short"]:
        said.append(f"replies that were not whole: {results['cut_short']}")
    if results["lost"]:
        said.append(f"stretches without figures: {results['lost']}")
    if results["troubles"]:
        said.append(f"those who leave and who watch: {results['troubles']}")
    if results["left"] < LEAST_LEFT_S * 60 * results["minutes"]:
        said.append(f"only {results['left']} streams were left by their clients")
    return said


def section(results: dict[str, Any]) -> str:
    """The part of docs/benchmarks.md."""
    statuses = ", ".join(f"{count:,} × {status}" for status, count in results["by_status"].items())
    rows = [
        (
            f"**{role}**" if role in OURS else role,
            number(found["warm_mib"]),
            number(found["last_mib"]),
            f"{found['slope_mib_h']:+.2f}",
            "grows" if grows(found) else "flat",
            f"{found['descriptors']:.0f}",
            f"{found['threads']:.0f}",
        )
        for role, found in results["growth"].items()
    ]
    left = [
        (each["what"], number(each["most"]), number(each["found"]), "" if each["gone"] else "**left**")
        for each in results["leftovers"]
    ]
    troubles = Counter(results["troubles"])
    return "\n\n".join(
        [
            f"The last run ({results['date']}; {described(results['machine'])}): {results['minutes']:g} minutes at "
            f"{results['requests_s']:,.0f} requests/s, {results['share']:.0%} of the {results['saturation_s']:,.0f} "
            f"that the same clients reached without pauses. {statuses}; {results['errors']} broken connections, "
            f"{results['cut_short']} replies that were not whole. "
            f"{results['left']:,} streams were left by their clients after the first event; the feed was watched "
            f"{results['watched']} times" + (f"; {dict(troubles)}." if troubles else "."),
            "Memory is what a process would give back if it ended, the least of some nine readings within 20 seconds. "
            "Slopes: least squares over the last two thirds.",
            table(("process", "warm MiB", "at the end", "MiB an hour", "", "open files", "threads"), rows),
            "What requests hold, three seconds after the traffic; the rest when every window had passed:",
            table(("what", "may be", "is", ""), left),
        ]
    )
