"""The small scenes of docs/qos.md: one knob each, turned from one end to the other, everything else left alone."""

from collections.abc import Sequence
from typing import Any

from deployments.router.scheduler import QosSettings
from loadtests.simulation.measures import quantile
from loadtests.simulation.pool import Result, Simulation
from loadtests.simulation.svg import COLOURS, OTHERS, Panel, Series
from loadtests.simulation.traffic import Source

SLOTS = 16
MINUTES = 10
SEED = 7


def settings(**bands: dict[str, Any]) -> QosSettings:
    """These bands, highest first."""
    return QosSettings.model_validate({"bands": [{"name": name, **knobs} for name, knobs in bands.items()]})


def simulate(qos: QosSettings, sources: Sequence[Source], minutes: float = MINUTES) -> Result:
    return Simulation(qos, SLOTS, sources, SEED, sample_s=1.0).run(minutes * 60)


def flood(band: str, from_s: float = 0, until_s: float = 86_400, tenant: str = "", **given: Any) -> Source:
    """A worker that always has more to do. One slot serves about 0.15 of its requests a second."""
    given = {"rate_per_s": 20.0, "window": 60, "output_tokens": 250, "spread": 0.5, **given}
    return Source(tenant or f"{band}-flood", band, from_s=from_s, until_s=until_s, **given)


def stream(band: str, rate_per_s: float, **given: Any) -> Source:
    """Requests at random times, sent once."""
    given = {"output_tokens": 250, "spread": 0.5, **given}
    return Source(given.pop("tenant", f"{band}-users"), band, rate_per_s=rate_per_s, **given)


def used(result: Result, band: str) -> list[tuple[float, float]]:
    return [(sample.at_s / 60, sample.used[band]) for sample in result.samples]


def stacked(result: Result, title: str, says: str, height: int = 280) -> Panel:
    """Slots in use by band over time, the highest band on top."""
    layers = [Series(band, COLOURS[band], used(result, band)) for band in reversed(result.bands)]
    return Panel(title, says, "minutes", "slots", layers, stacked=True, height=height, most=SLOTS)


def smooth(points: list[tuple[float, float]], width: int = 15) -> list[tuple[float, float]]:
    """The mean of the points around each."""
    out = []
    for at, (x, _) in enumerate(points):
        near = [y for _, y in points[max(0, at - width) : at + width + 1]]
        out.append((x, sum(near) / len(near)))
    return out


def precedence() -> list[Panel]:
    sources = (
        flood("batch"),
        stream("standard", 1.0, from_s=120, until_s=420),
        stream("premium", 2.0, from_s=240, until_s=420),
    )
    result = simulate(settings(premium={}, standard={}, batch={"longest_wait": "1h"}), sources)
    return [
        stacked(
            result,
            "Precedence",
            "No reserves: what falls free goes to the highest band that waits; batch has the rest.",
        )
    ]


def reserve() -> list[Panel]:
    sources = (stream("premium", 5.0, from_s=120, until_s=420), flood("batch"))
    lines = []
    for share, colour in ((0.0, OTHERS[4]), (0.125, OTHERS[1]), (0.25, OTHERS[0])):
        qos = settings(premium={"longest_wait": "10s"}, batch={"longest_wait": "1h", "reserve": share})
        result = simulate(qos, sources)
        lines.append(Series(f"batch with reserve {share:g}", colour, used(result, "batch")))
    says = "Slots of batch. In minutes 2 to 7 premium asks for twice the pool; batch always asks for all of it."
    return [Panel("Reserve", says, "minutes", "slots", lines, most=SLOTS)]


def cap() -> list[Panel]:
    sources = (flood("batch"), stream("premium", 0.6, from_s=120))
    shares = (0.25, 0.5, 0.625, 0.75, 0.8125, 0.875, 0.9375, 1.0)
    waits, slots = [], []
    for share in shares:
        result = simulate(settings(premium={}, batch={"cap": share, "longest_wait": "1h"}), sources, minutes=60)
        waits.append((share, quantile(result.bands["premium"].waited_s, 0.99)))
        slots.append((share, sum(record.held_slot_s for record in result.bands.values()) / 3_600))
    return [
        Panel(
            "Cap",
            "How long premium waits (p99) by the cap of batch; batch always asks for more, premium for a quarter.",
            "cap of batch",
            "seconds",
            [Series("premium p99 wait", COLOURS["premium"], waits)],
            height=270,
        ),
        Panel(
            "What the cap costs",
            "Slots in use on average, of 16: what a cap keeps from batch is idle while premium does not need it.",
            "cap of batch",
            "slots",
            [Series("slots in use, of 16", COLOURS["batch"], slots)],
            height=270,
            most=SLOTS,
        ),
    ]


def queue_bound() -> list[Panel]:
    queues = []
    for bound, colour in ((10, OTHERS[0]), (40, OTHERS[1]), (400, OTHERS[4])):
        qos = settings(standard={"queue_bound": bound, "longest_wait": "1h"})
        burst = stream("standard", 5.0, from_s=60, until_s=180)
        result = simulate(qos, (stream("standard", 1.0), burst))
        record = result.bands["standard"]
        queues.append(
            Series(
                f"{bound}",
                colour,
                [(sample.at_s / 60, sample.waiting["standard"]) for sample in result.samples],
                note=f"{sum(record.shed.values())} shed, up to {max(record.waited_s):.0f} s",
            )
        )
    says = "Requests waiting, by bound. In minutes 1 to 3 more than twice as many come as the pool can serve."
    return [Panel("Queue bound", says, "minutes", "requests", queues)]


def longest_wait() -> list[Panel]:
    lines = []
    for wait, colour in (("5s", OTHERS[0]), ("20s", OTHERS[1]), ("1h", OTHERS[4])):
        qos = settings(standard={"queue_bound": 10_000, "longest_wait": wait})
        burst = stream("standard", 5.0, from_s=60, until_s=180)
        result = simulate(qos, (stream("standard", 1.0), burst))
        record = result.bands["standard"]
        starts = sorted(zip(record.arrived_s, record.waited_s, strict=True))
        points = smooth([(at_s / 60, waited_s) for at_s, waited_s in starts], 5)
        lines.append(Series(f"longest wait {wait}", colour, points, note=f"{sum(record.shed.values())} given up"))
    says = "How long those waited that were served, by when they came; the same burst in minutes 1 to 3."
    return [Panel("Longest wait", says, "came at minute", "seconds", lines, span_x=(0, MINUTES))]


def weight() -> list[Panel]:
    sources = (
        flood("standard", tenant="weight 1", weight=1.0),
        flood("standard", tenant="weight 2", weight=2.0),
        flood("standard", tenant="weight 4", weight=4.0, from_s=240),
    )
    result = simulate(settings(standard={"longest_wait": "1h"}), sources)
    lines = [
        Series(source.tenant, colour, [(s.at_s / 60, s.tokens[source.tenant] / 1_000) for s in result.samples])
        for source, colour in zip(sources, OTHERS, strict=False)
    ]
    says = (
        "Tokens served to three tenants that always ask for more. The third comes after four minutes, without credit."
    )
    return [Panel("Weight", says, "minutes", "thousands of tokens", lines)]


def tiers() -> list[Panel]:
    sources = tuple(
        stream(band, 1.0, tenant=f"{band} users", from_s=60, until_s=360)
        for band in ("internal", "premium", "standard", "batch")
    )
    result = simulate(QosSettings(), sources, minutes=8)
    waits = []
    for band, record in result.bands.items():
        starts = sorted(zip(record.arrived_s, record.waited_s, strict=True))
        waits.append(Series(band, COLOURS[band], smooth([(at_s / 60, waited) for at_s, waited in starts], 5)))
    says = "The same traffic in every band, together more than the pool can do, in minutes 1 to 6; default settings."
    return [
        Panel("Tiers", says, "came at minute", "seconds waited", waits, span_x=(0, 8)),
        stacked(
            result, "Who had the slots", "Each band at least its reserve while it asks, the rest from the top down."
        ),
    ]


SCENES = {
    "precedence": precedence,
    "tiers": tiers,
    "reserve": reserve,
    "cap": cap,
    "queue-bound": queue_bound,
    "longest-wait": longest_wait,
    "weight": weight,
}
"""By the name of the picture in docs/qos/."""
