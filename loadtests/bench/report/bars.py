"""Bars by contestant, drawn as SVG by hand so that they need no library. Lines are in `loadtests.simulation.svg`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import count
from pathlib import Path

from loadtests.simulation.svg import round_step

WIDTH, LEFT, RIGHT, BAR, TOP = 860, 190, 90, 12, 70
OUR_COLOUR, OTHER_COLOUR = "#0b6e4f", "#6b7a90"
FAINTEST = 0.45
"""Opacity of the first of several series; the last has 1."""


@dataclass(frozen=True, slots=True)
class Bars:
    """One chart: a group of bars for each contestant, one bar in it for each series."""

    title: str
    series: Mapping[str, Mapping[str, float]]
    """Figures by contestant, by the series' label."""


def write(path: Path, description: str, charts: Sequence[Bars], ours: Sequence[str]) -> None:
    """Charts below one another. `ours`: the contestants that are told apart by colour."""
    body: list[str] = []
    top = 0
    for chart in charts:
        height, drawn = _chart(chart, top, ours)
        body += drawn
        top += height
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="#1c2430">\n'
        f"<title>{escape(description)}</title>\n"
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _chart(chart: Bars, top: int, ours: Sequence[str]) -> tuple[int, list[str]]:
    names = list(dict.fromkeys(name for figures in chart.series.values() for name in figures))
    group = 10 + (BAR + 1) * len(chart.series)
    most_of_all = max(max(figures.values()) for figures in chart.series.values())
    step = round_step(most_of_all or 1, 6)
    most = step * (int(most_of_all / step) + 1)
    scale = (WIDTH - LEFT - RIGHT) / most
    first, bottom = top + TOP, top + TOP + group * len(names)
    out = [f'<text x="{LEFT}" y="{top + 28}" font-size="16" font-weight="600">{escape(chart.title)}</text>']
    out += _legend(list(chart.series), top)
    for tick in range(round(most / step) + 1):
        x = LEFT + tick * step * scale
        out.append(f'<line x1="{x:.1f}" y1="{first}" x2="{x:.1f}" y2="{bottom}" stroke="#dfe4ea"/>')
        out.append(
            f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle" fill="#55606e">{_number(tick * step)}</text>'
        )
    for name, y in zip(names, count(first, group)):
        colour, weight = (OUR_COLOUR, "700") if name in ours else (OTHER_COLOUR, "400")
        out.append(
            f'<text x="{LEFT - 8}" y="{y + group / 2 + 4}" text-anchor="end" font-weight="{weight}">'
            f"{escape(name)}</text>"
        )
        for at, (label, figures) in enumerate(chart.series.items()):
            if name not in figures:
                continue
            value, bar_y = figures[name], y + 5 + at * (BAR + 1)
            width, opacity = value * scale, _opacity(at, len(chart.series))
            out.append(
                f'<rect x="{LEFT}" y="{bar_y}" width="{width:.1f}" height="{BAR}" fill="{colour}" '
                f'opacity="{opacity:g}"><title>{escape(f"{name}, {label}")}</title></rect>'
            )
            out.append(f'<text x="{LEFT + width + 5:.1f}" y="{bar_y + 10}" font-size="11">{_number(value)}</text>')
    return bottom + 40 - top, out


def _legend(labels: Sequence[str], top: int) -> list[str]:
    if len(labels) < 2:
        return []
    out, x = [], float(LEFT)
    for at, label in enumerate(labels):
        opacity = _opacity(at, len(labels))
        for offset, colour in ((0, OUR_COLOUR), (14, OTHER_COLOUR)):
            out.append(
                f'<rect x="{x + offset:.0f}" y="{top + 42}" width="12" height="12" fill="{colour}" '
                f'opacity="{opacity:g}"/>'
            )
        out.append(f'<text x="{x + 32:.0f}" y="{top + 53}">{escape(label)}</text>')
        x += 54 + 7.2 * len(label)
    return out


def _opacity(at: int, of: int) -> float:
    return 1.0 if of == 1 else round(FAINTEST + (1 - FAINTEST) * at / (of - 1), 2)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:,.2f}".rstrip("0")
