"""Draws the pictures of docs/qos.md from simulated runs."""

from pathlib import Path

from loadtests.simulation import svg
from loadtests.simulation.day import BATCH_OVERLOAD, SLOTS
from loadtests.simulation.knobs import SCENES
from loadtests.simulation.pool import Result
from loadtests.simulation.svg import COLOURS, Panel, Series

FOLDER = Path(__file__).parents[2] / "docs" / "qos"
DAY_SAMPLES = 5
"""The day is drawn with one point for so many samples."""


def draw_knobs(folder: Path = FOLDER) -> list[Path]:
    """One picture for each knob."""
    made = []
    for name, scene in SCENES.items():
        panels = scene()
        made.append(folder / f"{name}.svg")
        svg.write(made[-1], panels[0].title, panels)
    return made


def draw_day(results: dict[str, Result], folder: Path = FOLDER) -> Path:
    """Slots by band over the day with everybody there, and premium's time to the first token with and without batch."""
    everybody = results["everybody"]
    samples = everybody.samples[::DAY_SAMPLES]
    layers = [
        Series(band, COLOURS[band], [(sample.at_s / 3_600, sample.used[band]) for sample in samples])
        for band in reversed(everybody.bands)
    ]
    tails = [
        Series("premium alone", COLOURS["premium"], _tail(results["alone"])),
        Series("with batch at ten times the capacity", COLOURS["batch"], _tail(results["flood"]), dashed=True),
    ]
    hours = max(sample.at_s for sample in samples) / 3_600
    panels = [
        Panel(
            f"{hours:.0f} hours on {SLOTS} slots",
            f"Who uses them: everybody there, batch asking for {BATCH_OVERLOAD:g} times the pool.",
            "hour",
            "slots",
            layers,
            stacked=True,
            height=340,
            most=SLOTS,
        ),
        Panel(
            "Premium's time to the first token",
            "How many per cent of its requests take at most so long.",
            "seconds",
            "per cent",
            tails,
            most=100,
        ),
    ]
    path = folder / "day.svg"
    svg.write(path, panels[0].title, panels)
    return path


def _tail(result: Result) -> list[tuple[float, float]]:
    """The distribution of premium's times to the first token, up to its 99.9 %."""
    times = sorted(result.bands["premium"].first_token_s)
    return [(times[int(part * (len(times) - 1) / 1_000)], part / 10) for part in range(0, 1_000, 2)]
