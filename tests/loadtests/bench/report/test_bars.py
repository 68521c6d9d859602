"""Bars."""

from pathlib import Path
from xml.etree import ElementTree

from loadtests.bench.report import bars

SVG = "{http://www.w3.org/2000/svg}"


def test_bars_are_as_long_as_their_figures(tmp_path: Path) -> None:
    path = tmp_path / "bars.svg"
    charts = [bars.Bars("Rates", {"one": {"ours": 100, "a <b>": 50}, "many": {"ours": 200}})]
    bars.write(path, "What & what", charts, ["ours"])
    root = ElementTree.parse(path).getroot()  # noqa: S314 - our own file
    drawn = {title.text: rect for rect in root.iter(f"{SVG}rect") for title in rect.iter(f"{SVG}title")}
    widths = {name: float(rect.attrib["width"]) for name, rect in drawn.items()}
    assert set(widths) == {"ours, one", "a <b>, one", "ours, many"}
    assert abs(widths["ours, one"] - 2 * widths["a <b>, one"]) < 0.2
    assert abs(widths["ours, many"] - 2 * widths["ours, one"]) < 0.2
    assert max(widths.values()) <= bars.WIDTH - bars.LEFT - bars.RIGHT
    assert drawn["ours, one"].attrib["fill"] != drawn["a <b>, one"].attrib["fill"]
