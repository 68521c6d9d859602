"""Charts drawn as SVG by hand, so that they need no library: lines, stacked areas, steps, and a legend."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil
from pathlib import Path

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 860, 70, 24, 98, 46
STEPS = (1, 2, 2.5, 4, 5)

COLOURS = {"internal": "#7b3294", "premium": "#c2570c", "standard": "#2b6cb0", "batch": "#8a94a3"}
"""Of the bands, the same in every picture."""
OTHERS = ("#0b6e4f", "#c2570c", "#2b6cb0", "#7b3294", "#8a94a3")

Points = Sequence[tuple[float, float]]
Place = Callable[[float, float], tuple[float, float]]
"""Puts a point of the data on the page."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line or, in a stacked panel, one layer."""

    label: str
    colour: str
    points: Points
    dashed: bool = False
    note: str = ""
    """Appended to the label in the legend."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart of a picture."""

    title: str
    says: str
    """A line below the title: what there is to see."""
    x_label: str
    y_label: str
    series: Sequence[Series]
    stacked: bool = False
    height: int = 300
    most: float | None = None
    """Upper end of the y axis; by the data where absent."""
    limit: tuple[float, str] | None = None
    """A horizontal line, and what it says."""
    span_x: tuple[float, float] | None = None
    """Ends of the x axis; by the data where absent."""


def write(path: Path, description: str, panels: Sequence[Panel]) -> None:
    body, top = [], 0
    for panel in panels:
        body += _panel(panel, top)
        top += panel.height
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="#1c2430">\n'
        f'<title>{escape(description)}</title>\n<rect width="100%" height="100%" fill="#ffffff"/>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _panel(panel: Panel, top: int) -> list[str]:
    layers = _stack(panel.series) if panel.stacked else [series.points for series in panel.series]
    every_x = [x for points in layers for x, _ in points]
    left, right = panel.span_x or (min(every_x), max(every_x))
    highest = max([y for points in layers for _, y in points] + ([panel.limit[0]] if panel.limit else []))
    step_y = round_step((panel.most or highest) or 1, 5)
    most = panel.most or step_y * (int(highest / step_y) + 1)
    plot_top, plot_bottom = top + TOP, top + panel.height - BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        across = (x - left) / ((right - left) or 1)
        return LEFT + across * (WIDTH - LEFT - RIGHT), plot_bottom - min(y, most) / most * (plot_bottom - plot_top)

    out = [f'<text x="{LEFT}" y="{top + 26}" font-size="16" font-weight="600">{escape(panel.title)}</text>']
    out.append(_text(LEFT, top + 46, panel.says, "start"))
    out += _legend(panel, top + 68)
    for n in range(int(most / step_y + 1e-9) + 1):
        x, y = at(left, n * step_y)
        out.append(f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#dfe4ea"/>')
        out.append(_text(x - 8, y + 4, _number(n * step_y), "end"))
    step_x = round_step(right - left or 1, 9)
    marks = [n * step_x for n in range(ceil(left / step_x - 1e-9), int(right / step_x + 1e-9) + 1)]
    out += [_text(at(x, 0)[0], plot_bottom + 17, _number(x), "middle") for x in marks]
    out.append(_text((LEFT + WIDTH - RIGHT) / 2, plot_bottom + 36, panel.x_label, "middle"))
    out.append(_text(12, plot_top - 12, panel.y_label, "start"))
    if panel.stacked:
        out += _areas(panel.series, layers, at)
    else:
        out += [_line(series, [at(x, y) for x, y in series.points]) for series in panel.series]
    if panel.limit:
        x, y = at(left, panel.limit[0])
        out.append(
            f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#1c2430" '
            f'stroke-dasharray="2 3"/>'
        )
        out.append(_text(WIDTH - RIGHT - 4, y - 5, panel.limit[1], "end"))
    return out


def _stack(series: Sequence[Series]) -> list[list[tuple[float, float]]]:
    """The upper edge of each layer; all have the same x."""
    edges, below = [], [0.0] * len(series[0].points)
    for layer in series:
        below = [base + y for base, (_, y) in zip(below, layer.points, strict=True)]
        edges.append([(x, y) for (x, _), y in zip(layer.points, below, strict=True)])
    return edges


def _areas(series: Sequence[Series], edges: Sequence[Points], at: Place) -> list[str]:
    out, lower = [], [(x, 0.0) for x, _ in edges[0]]
    for layer, edge in zip(series, edges, strict=True):
        outline = [at(x, y) for x, y in edge] + [at(x, y) for x, y in reversed(lower)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in outline)
        out.append(f'<polygon points="{path}" fill="{layer.colour}" fill-opacity="0.85"/>')
        lower = list(edge)
    return out


def _line(series: Series, points: Points) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashes = ' stroke-dasharray="6 4"' if series.dashed else ""
    return f'<polyline points="{path}" fill="none" stroke="{series.colour}" stroke-width="2"{dashes}/>'


def _legend(panel: Panel, y: float) -> list[str]:
    out, x = [], float(LEFT)
    for series in panel.series:
        label = series.label + (f" ({series.note})" if series.note else "")
        dashes = ' stroke-dasharray="4 3"' if series.dashed else ""
        width = 10 if panel.stacked else 3
        out.append(
            f'<line x1="{x:.0f}" y1="{y - 4:.0f}" x2="{x + 18:.0f}" y2="{y - 4:.0f}" stroke="{series.colour}" '
            f'stroke-width="{width}"{dashes}/>'
        )
        out.append(_text(x + 24, y, label, "start"))
        x += 24 + 7.2 * len(label) + 22
    return out


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#3d4855">{escape(text)}</text>'


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.2f}".rstrip("0")


def round_step(span: float, ticks: int) -> float:
    """A round distance that makes at most about so many steps of the span."""
    size = 10.0**-6
    while True:
        for step in STEPS:
            if step * size * ticks >= span:
                return step * size
        size *= 10
