"""docs/metrics.md lists every metric as it is: nothing undocumented, nothing documented that is gone."""

import re
from pathlib import Path

from deployments.metrics.definitions import METRICS

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"


def rows() -> dict[tuple[str, ...], list[str]]:
    """Of the page's tables of metrics: type, unit, labels and meaning, by the names as Prometheus has them."""
    found = {}
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 5 and cells[0].startswith("`ray_sluice_"):
            found[tuple(re.findall(r"`([a-z_]+)`", cells[0]))] = cells[1:]
    return found


def test_every_metric_is_documented_and_no_other() -> None:
    documented = rows()
    assert documented.keys() == {each.exported for each in METRICS}
    for each in METRICS:
        kind, unit, labels, meaning = documented[each.exported]
        assert (kind, unit) == (each.kind, each.unit), each.name
        assert tuple(re.findall(r"`([a-z_]+)`", labels)) == each.labels, each.name
        assert meaning.startswith(each.meaning.removesuffix(".")), each.name


def test_every_label_is_explained() -> None:
    explained = {
        name
        for line in PAGE.read_text().splitlines()
        if line.startswith("| `") and not line.startswith("| `ray_")
        for name in re.findall(r"`([a-z]+)`", line.split("|")[1])
    }
    assert explained == {label for each in METRICS for label in each.labels} | {"le"}


def test_names_are_unique_and_carry_their_unit() -> None:
    names = [name for each in METRICS for name in each.exported]
    assert len(set(names)) == len(names)
    for each in METRICS:
        assert each.name.endswith("_seconds") == (each.unit == "seconds") == (each.kind == "times"), each.name
