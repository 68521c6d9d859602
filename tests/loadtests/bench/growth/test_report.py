"""Figures told, and held against what must be reached."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from loadtests.bench.growth import report


def test_what_must_not_grow(results: dict[str, Any]) -> None:
    targets = report.targets(results)
    assert [target.figure for target in targets] == [2, 2, 1]
    assert [target.reached for target in targets] == [False, False, True]
    assert "1,000 entries" in targets[0].what
    assert "10,000 keys" in targets[2].what


def test_growth_is_against_whatever_costs_least(results: dict[str, Any]) -> None:
    entries = results["limiter"]["entries"]["requests, admitted"]
    entries["100"]["redis_cpu_us"]["median"] = 4 * entries["1000"]["redis_cpu_us"]["median"]
    assert report.targets(results)[0].figure == 1


def test_a_slower_ingress_with_many_keys_is_seen(results: dict[str, Any]) -> None:
    results["ingress"]["catalogue"]["10,000, few in use"]["requests_s"]["median"] = 500
    assert not report.targets(results)[2].reached


def test_the_section_tells_all_that_grows(results: dict[str, Any]) -> None:
    section = report.section(results)
    assert "| 24 | 1,000 | 10 | 20 | 500 | 50 |" in section
    assert "| 24 | 400 | 1,200 | 2,000 | 40 |" in section
    assert "| 10,000, all in use | 1,000 | 10 | 20 | 500 | 50 |" in section
    assert "| admitted | 2 | 900 | 10 | 30 | 600 | 200 | 1 | 60 |" in section


def test_the_plot_has_throughput_and_p99_of_each(results: dict[str, Any], tmp_path: Path) -> None:
    report.plot(results, tmp_path / "growth.svg")
    root = ElementTree.parse(tmp_path / "growth.svg").getroot()  # noqa: S314 - our own file
    texts = [text.text or "" for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert sum(text.endswith("(more is better)") for text in texts) == 4
    assert sum(text.endswith("(less is better)") for text in texts) == 4
