"""The plot of docs/benchmarks.md: bars by contestant, drawn as SVG by hand so that it needs no library."""

from html import escape
from itertools import count
from typing import Any

from loadtests.bench.limiter.contestants import OURS, OURS_TOKENS
from loadtests.bench.limiter.report import ROOT

PLOT = ROOT / "docs" / "limiter-benchmark.svg"
WIDTH, LEFT, RIGHT, BAR, GROUP, TOP = 860, 190, 90, 12, 36, 70
SERIES = (("scopes_1", "one window", 0.45), ("scopes_6", "six windows", 1.0))
OUR_COLOUR, OTHER_COLOUR = "#0b6e4f", "#6b7a90"
STEPS = (1, 2, 2.5, 5)


def write(results: dict[str, Any]) -> None:
    names = list(results["scopes_6"]["rows"])
    panel = TOP + GROUP * len(names) + 30
    height = 2 * panel + 10
    body = [
        *_panel(results, names, "decisions_s_at_64", "Decisions a second at 64 callers (more is better)", 0),
        *_panel(results, names, "p50_us", "p50 of one caller, µs (less is better)", panel),
    ]
    PLOT.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="#1c2430">\n'
        f"<title>The limiter beside others: decisions a second at 64 callers, and p50</title>\n"
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _panel(results: dict[str, Any], names: list[str], field: str, title: str, top: int) -> list[str]:
    values = {(series, name): results[series]["rows"][name][field] for series, _, _ in SERIES for name in names}
    step = _step(max(values.values()))
    most = step * (int(max(values.values()) / step) + 1)
    scale = (WIDTH - LEFT - RIGHT) / most
    first, bottom = top + TOP, top + TOP + GROUP * len(names)
    out = [f'<text x="{LEFT}" y="{top + 28}" font-size="16" font-weight="600">{escape(title)}</text>']
    for at, (_, label, opacity) in enumerate(SERIES):
        x = LEFT + at * 120
        out.append(f'<rect x="{x}" y="{top + 42}" width="12" height="12" fill="{OUR_COLOUR}" opacity="{opacity}"/>')
        out.append(
            f'<rect x="{x + 14}" y="{top + 42}" width="12" height="12" fill="{OTHER_COLOUR}" opacity="{opacity}"/>'
        )
        out.append(f'<text x="{x + 32}" y="{top + 53}">{label}</text>')
    for tick in range(round(most / step) + 1):
        tick_x = LEFT + tick * step * scale
        out.append(f'<line x1="{tick_x:.1f}" y1="{first}" x2="{tick_x:.1f}" y2="{bottom}" stroke="#dfe4ea"/>')
        out.append(
            f'<text x="{tick_x:.1f}" y="{bottom + 17}" text-anchor="middle" fill="#55606e">{tick * step:,.0f}</text>'
        )
    for name, y in zip(names, count(first, GROUP)):
        ours = name in (OURS, OURS_TOKENS)
        colour, weight = (OUR_COLOUR, "700") if ours else (OTHER_COLOUR, "400")
        out.append(
            f'<text x="{LEFT - 8}" y="{y + GROUP / 2 + 4}" text-anchor="end" font-weight="{weight}">'
            f"{escape(name)}</text>"
        )
        for at, (series, _, opacity) in enumerate(SERIES):
            value, bar_y = values[series, name], y + 5 + at * (BAR + 1)
            width = value * scale
            out.append(
                f'<rect x="{LEFT}" y="{bar_y}" width="{width:.1f}" height="{BAR}" fill="{colour}" opacity="{opacity}"/>'
            )
            out.append(f'<text x="{LEFT + width + 5:.1f}" y="{bar_y + 10}" font-size="11">{value:,.0f}</text>')
    return out


def _step(most: float) -> float:
    """A round distance between ticks that makes about six of them."""
    size = 1.0
    while True:
        for step in STEPS:
            if step * size * 7 > most:
                return step * size
        size *= 10
