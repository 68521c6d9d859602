"""The simulation, short: the same runs and the same figures that `make simulate` judges over a day."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from deployments.router.scheduler import QosSettings, ShedReason
from loadtests.simulation import day, knobs, pictures
from loadtests.simulation.measures import jain, lowest_jain, quantile
from loadtests.simulation.pool import Result, Simulation
from loadtests.simulation.traffic import Source

HOURS = 0.5


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    return {
        "alone": day.simulate(day.PREMIUM, HOURS),
        "flood": day.simulate((*day.PREMIUM, *day.batch()), HOURS),
        "everybody": day.simulate((*day.INTERNAL, *day.PREMIUM, *day.STANDARD, *day.batch()), HOURS),
    }


def test_every_figure_is_reached(results: dict[str, Result]) -> None:
    verdicts = day.judge(results)
    assert len(verdicts) == 5
    assert all(verdict.reached for verdict in verdicts), verdicts


def test_the_same_requests_come_whoever_else_is_there(results: dict[str, Result]) -> None:
    alone, flood = (sorted(results[name].bands["premium"].arrived_s) for name in ("alone", "flood"))
    assert alone[: len(flood)] == flood
    assert len(alone) - len(flood) < 20  # the last of them may still wait


def test_batch_really_asks_for_ten_times_the_pool() -> None:
    asked_slot_s = sum(source.rate_per_s * source.mean_hold_s(seed=1) for source in day.batch())
    assert asked_slot_s == pytest.approx(10 * day.SLOTS, rel=0.1)


def test_a_flood_that_nobody_holds_back_changes_nothing_for_premium(results: dict[str, Result]) -> None:
    # Clients that send ten times the capacity and never wait: the queue is full, and nearly all of it is shed.
    minutes = 10
    open_loop = tuple(replace(source, window=0) for source in day.batch())
    small = QosSettings(bands=tuple(band.model_copy(update={"queue_bound": 200}) for band in QosSettings().bands))
    alone = day.simulate(day.PREMIUM, minutes / 60, small)
    flood = day.simulate((*day.PREMIUM, *open_loop), minutes / 60, small)
    before, after = (quantile(result.bands["premium"].first_token_s, 0.99) for result in (alone, flood))
    assert after <= day.PREMIUM_MAY_TAKE * before
    batch = flood.bands["batch"]
    shed = batch.shed[ShedReason.QUEUE_FULL] + batch.shed[ShedReason.QUEUE_TIMEOUT]
    assert shed > 7 * len(batch.waited_s)
    assert lowest_jain(flood.samples, [source.tenant for source in open_loop], 300) >= day.JAIN_AT_LEAST
    assert flood.in_use_while_waiting >= day.IN_USE_AT_LEAST


def test_a_missed_figure_is_seen(results: dict[str, Result]) -> None:
    # Guards the judgement: without precedence (one band for all) premium waits like batch.
    one_band = QosSettings.model_validate(
        {"bands": [{"name": "premium", "longest_wait": "10m", "queue_bound": 99_999}]}
    )
    sources = (*day.PREMIUM, *(replace(source, band="premium") for source in day.batch()))
    unruly = day.simulate(sources, HOURS, one_band)
    missed = [verdict.what for verdict in day.judge({**results, "flood": unruly}) if not verdict.reached]
    assert len(missed) == 1
    assert missed[0].startswith("premium p99")


def test_fairness_and_idleness_that_are_missed_are_seen(results: dict[str, Result]) -> None:
    everybody = results["everybody"]
    skewed = [
        replace(sample, tokens={**sample.tokens, "batch-0": 20 * sample.tokens["batch-0"]})
        for sample in everybody.samples
    ]
    idle = replace(everybody, samples=skewed, contended_slot_s=0.9 * everybody.contended_slot_s)
    missed = [verdict.what for verdict in day.judge({**results, "everybody": idle}) if not verdict.reached]
    assert [what.split(",")[0] for what in missed] == [
        "Jain's index among eight equal batch tenants",
        "slots in use while anything waits",
    ]


def test_measures() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile(list(range(1, 101)), 0.99) == 99
    assert quantile([], 0.99) == 0.0
    assert jain([5, 5, 5]) == 1.0
    assert jain([9, 0, 0]) == pytest.approx(1 / 3)


def test_a_source_sends_at_its_rate_and_in_its_time() -> None:
    source = Source("t", "standard", rate_per_s=2.0, from_s=100, until_s=1_100)
    times = [at_s for at_s, _ in source.jobs(seed=3)]
    assert len(times) == pytest.approx(2_000, rel=0.1)
    assert times == sorted(times)
    assert times[0] >= 100
    assert times[-1] < 1_100


def test_bursts_add_to_the_rate() -> None:
    calm = Source("t", "standard", rate_per_s=1.0, until_s=20_000)
    bursty = replace(calm, burst=10.0, burst_s=100, calm_s=900)
    # One part in ten of the time at ten times the rate.
    assert sum(1 for _ in bursty.jobs(1)) == pytest.approx(1.9 * sum(1 for _ in calm.jobs(1)), rel=0.3)


def test_a_run_is_the_same_every_time() -> None:
    runs = [Simulation(QosSettings(), 8, day.PREMIUM, seed=5).run(300) for _ in range(2)]
    assert runs[0].bands["premium"].first_token_s == runs[1].bands["premium"].first_token_s
    assert runs[0].tokens == runs[1].tokens


def test_the_pictures_are_drawn_from_the_runs(results: dict[str, Result], tmp_path: Path) -> None:
    path = pictures.draw_day(results, tmp_path)
    assert len(ElementTree.parse(path).findall(".//{*}polygon")) == 4  # noqa: S314 (our own file)
    assert "premium alone" in path.read_text()


def test_every_picture_of_the_documentation_is_made_here() -> None:
    made = {*knobs.SCENES, "day"}
    assert {path.stem for path in pictures.FOLDER.glob("*.svg")} == made


def test_a_reserve_does_in_its_scene_what_the_picture_says() -> None:
    [panel] = knobs.reserve()
    middle = {series.label: dict(series.points)[5.0] for series in panel.series}
    assert middle == {
        "batch with reserve 0": 0,
        "batch with reserve 0.125": 2,
        "batch with reserve 0.25": 4,
    }
