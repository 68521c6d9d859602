"""The 24 hours that are judged: what premium notices of batch at ten times the capacity, how equal tenants fare, and
whether slots idle while anybody waits. The settings are the ones that Sluice has by default."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from deployments.router.scheduler import QosSettings
from loadtests.simulation.measures import jain, lowest_jain, quantile
from loadtests.simulation.pool import Result, Simulation
from loadtests.simulation.traffic import DAY_S, Source

SLOTS = 64
SEED = 20_240_401
BATCH_OVERLOAD = 10.0
"""Slot time that batch asks for, in capacities of the pool."""

PREMIUM_MAY_TAKE, JAIN_AT_LEAST, IN_USE_AT_LEAST = 1.3, 0.95, 0.95
"""What must be reached: premium's p99 to the first token against premium alone; Jain's index among equal tenants, in
tokens; slots in use while anything waits."""

JAIN_WINDOW_S = 900.0
"""Equal tenants are compared in every window of this length, and the worst counts."""

PREMIUM = tuple(
    Source(f"premium-{n}", "premium", rate_per_s=0.4, burst=3.0, burst_s=60, calm_s=600, day_curve=0.5)
    for n in range(4)
)
INTERNAL = (Source("internal", "internal", rate_per_s=0.2, burst=4.0, burst_s=30, calm_s=900, output_tokens=200),)
STANDARD = tuple(
    Source(f"standard-{n}", "standard", rate_per_s=0.25, burst=4.0, burst_s=120, calm_s=900, day_curve=0.5)
    for n in range(6)
)
# Equal in weight and in nothing else: small jobs and large ones, five times as many from some as from others.
_BATCH_SHAPES = ((300, 150), (300, 800), (4_000, 150), (1_500, 400))


def batch(capacities: float = BATCH_OVERLOAD) -> tuple[Source, ...]:
    """Eight workers that together ask for so many times the slot time there is."""
    made = []
    for n in range(8):
        input_tokens, output_tokens = _BATCH_SHAPES[n % 4]
        shape = Source(f"batch-{n}", "batch", 1.0, input_tokens=input_tokens, output_tokens=output_tokens, window=160)
        share = capacities * SLOTS * (5 if n < 4 else 1) / 24
        made.append(
            Source(
                shape.tenant,
                "batch",
                rate_per_s=share / shape.mean_hold_s(),
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                window=shape.window,
            )
        )
    return tuple(made)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One figure, what it must be, and whether it is."""

    what: str
    value: float
    must: str
    reached: bool


def simulate(sources: Sequence[Source], hours: float, settings: QosSettings | None = None) -> Result:
    return Simulation(settings or QosSettings(), SLOTS, sources, SEED).run(hours * 3_600)


def run(hours: float = DAY_S / 3_600) -> dict[str, Result]:
    """The three runs: premium alone, premium with batch, and everybody."""
    runs = {"alone": PREMIUM, "flood": (*PREMIUM, *batch()), "everybody": (*INTERNAL, *PREMIUM, *STANDARD, *batch())}
    with ProcessPoolExecutor(2) as processes:
        started = {name: processes.submit(simulate, sources, hours) for name, sources in runs.items()}
        return {name: future.result() for name, future in started.items()}


def judge(results: dict[str, Result]) -> list[Verdict]:
    alone, flood, everybody = (results[name] for name in ("alone", "flood", "everybody"))
    before, after = (quantile(r.bands["premium"].first_token_s, 0.99) for r in (alone, flood))
    ratio = after / before if before else 0.0
    tenants = [name for name in everybody.tokens if name.startswith("batch-")]
    verdicts = [
        Verdict(
            f"premium p99 to the first token, batch at {BATCH_OVERLOAD:g}x capacity against premium alone "
            f"({after:.2f} s against {before:.2f} s)",
            ratio,
            f"<= {PREMIUM_MAY_TAKE:g}",
            0 < ratio <= PREMIUM_MAY_TAKE,
        )
    ]
    for name, result in (("premium and batch", flood), ("everybody", everybody)):
        worst = lowest_jain(result.samples, tenants, JAIN_WINDOW_S)
        whole = jain([result.tokens[tenant] for tenant in tenants])
        verdicts.append(
            Verdict(
                f"Jain's index among eight equal batch tenants, in tokens, worst quarter of an hour, {name} "
                f"(whole run {whole:.4f})",
                worst,
                f">= {JAIN_AT_LEAST:g}",
                worst >= JAIN_AT_LEAST and any(result.tokens.values()),
            )
        )
    for name, result in (("premium and batch", flood), ("everybody", everybody)):
        in_use = result.in_use_while_waiting
        verdicts.append(
            Verdict(
                f"slots in use while anything waits, {name}",
                in_use,
                f">= {IN_USE_AT_LEAST:g}",
                in_use >= IN_USE_AT_LEAST and result.contended_s > 0,
            )
        )
    return verdicts
