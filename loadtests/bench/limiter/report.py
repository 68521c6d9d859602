"""What was found, as tables between the markers of docs/benchmarks.md, and held against what must be reached."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from loadtests.bench.limiter.contestants import OURS, OURS_TOKENS

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- bench-limiter: begin -->", "<!-- bench-limiter: end -->"

Targets = dict[str, tuple[float, str, float]]
"""By what is asked: the figure, `<=`, `>=` or `=`, and what it must reach."""


def targets(results: dict[str, Any]) -> Targets:
    """What the limiter must reach, and what this run found."""
    six = results["scopes_6"]
    found: Targets = {
        "admitted / allowed, 8 processes on one window": (results["over_admission"][OURS], "=", 1),
        "the same with tokens": (results["over_admission"][OURS_TOKENS], "=", 1),
        "Redis round trips of a decision of six windows": (six["rows"][OURS]["round_trips"], "=", 1),
        "its p50 against an empty EVALSHA through redis-py": (six["ratios"]["p50_to_empty_driver"], "<=", 1.5),
        "its p50 against an empty EVALSHA through our store": (six["ratios"]["p50_to_empty_store"], "<=", 1.5),
        "its decisions/s at 64 against `limits` asyncio": (six["ratios"]["decisions_to_limits_asyncio"], ">=", 8),
        "Redis commands per request in a flood of denials": (results["flood"]["commands_a_request"], "<=", 0.05),
    }
    for name, most in ((OURS, 16), (OURS_TOKENS, 24)):
        for size, figure in results["bytes"][name].items():
            found[f"bytes per logged request, {name}, at {int(size):,}"] = (figure, "<=", most)
    longest = max(us for calls in results["longest_us"].values() for us in calls.values())
    found["server's time for one call at 100,000 entries, ms"] = (longest / 1000, "<=", 1)
    return found


def reached(figure: float, sign: str, goal: float) -> bool:
    return {"=": figure == goal, "<=": figure <= goal, ">=": figure >= goal}[sign]


def page(results: dict[str, Any]) -> str:
    """The generated part of the page."""
    machine = results["machine"]
    parts = [
        f"The last run ({results['date']}): {machine['cores']} cores of {machine['processor']}, load average "
        f"{machine['load_before']} before and {machine['load_after']} after, Python {machine['python']}, "
        f"redis-server {machine['redis']}, redis-py {machine['redis_py']}, hiredis {machine['hiredis']}, "
        f"limits {machine['limits']}, pyrate-limiter {machine['pyrate_limiter']}, {machine['loop']}. "
        f"It took {results['took_s']:.0f} s.",
        "### What it must reach",
        _targets_table(results),
        "### Side by side",
        "![decisions a second at 64 callers, and p50 of one caller, by contestant](limiter-benchmark.svg)",
    ]
    for scopes, said in ((6, "Six windows:"), (1, "One window:")):
        parts += [said, _rows_table(results[f"scopes_{scopes}"]["rows"])]
    parts += [
        "### Over-admission",
        "Eight processes, eight callers each, ask one window of a minute for far more than its limit of 1,000.",
        _table(
            ("contestant", "admitted / allowed"),
            ((_bold(name), f"{r:.3f}") for name, r in results["over_admission"].items()),
        ),
        "### Floods of denials",
        f"64 callers of one process, six windows, all far over: {results['flood']['commands_a_request']} Redis "
        f"commands per request, {results['flood']['denials_s']:,} denials/s.",
        "### Memory",
        "Bytes per logged request in one window:",
        _bytes_table(results["bytes"]),
        "### The longest call",
        "Microseconds of the server's time for one call on a log of 100,000 entries:",
        *_longest_tables(results["longest_us"]),
    ]
    return "\n\n".join(parts)


def write(results: dict[str, Any]) -> None:
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{PAGE} lacks the markers {BEGIN} and {END}")
    PAGE.write_text(f"{before}{BEGIN}\n\n{page(results)}\n\n{END}{after}")


def _targets_table(results: dict[str, Any]) -> str:
    runs = [run["targets"] for run in results["runs"]]
    lines = []
    for what, (figure, sign, goal) in targets(results).items():
        spread = ", ".join(_number(run[what]) for run in runs if what in run)
        verdict = "reached" if reached(figure, sign, goal) else "**not reached**"
        lines.append((what, f"{sign} {_number(goal)}", _number(figure), verdict, spread))
    return _table(("what", "must reach", "this run", "", "the last runs (this one last)"), lines)


def _rows_table(rows: dict[str, dict[str, float]]) -> str:
    fields = ("p50_us", "p99_us", "decisions_s_at_64", "redis_cpu_us", "round_trips")
    header = ("contestant", "p50 µs", "p99 µs", "decisions/s at 64", "Redis CPU µs", "round trips")
    return _table(header, ((_bold(name), *(_number(row[field]) for field in fields)) for name, row in rows.items()))


def _bytes_table(found: dict[str, dict[int, float]]) -> str:
    sizes = list(next(iter(found.values())))
    header = ("contestant", *(f"{int(size):,} entries" for size in sizes))
    return _table(
        header,
        ((_bold(name), *(_number(row[size]) if size in row else "" for size in sizes)) for name, row in found.items()),
    )


def _longest_tables(found: dict[str, dict[str, int]]) -> Iterable[str]:
    for label, calls in found.items():
        yield _table((f"a log of {label}", "µs"), ((what, f"{us:,}") for what, us in calls.items()))


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def _bold(name: str) -> str:
    return f"**{name}**" if name in (OURS, OURS_TOKENS) else name


def _number(figure: float) -> str:
    if figure >= 1_000:
        return f"{figure:,.0f}"
    return f"{figure:.0f}" if figure >= 100 else f"{figure:.4g}" if figure < 1 else f"{figure:.3g}"
