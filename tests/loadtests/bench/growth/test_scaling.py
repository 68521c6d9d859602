"""The generated parts of docs/scaling.md."""

import re
from pathlib import Path
from typing import Any

from loadtests.bench.growth.scaling import PAGE, PARTS, write
from policies.entities import MAX_SHARDS


def test_the_page_has_a_place_for_every_part_and_no_other() -> None:
    found = re.findall(r"<!-- ([a-z-]+): (begin|end) -->", PAGE.read_text())
    assert sorted(found) == sorted((name, which) for name in PARTS for which in ("begin", "end"))


def test_every_part_is_written_and_the_rest_stays(results: dict[str, Any], tmp_path: Path) -> None:
    page = tmp_path / "scaling.md"
    page.write_text(PAGE.read_text())
    write(results, page)
    written = page.read_text()
    for name in PARTS:
        inside = written.split(f"<!-- {name}: begin -->")[1].split(f"<!-- {name}: end -->")[0]
        assert len(inside.strip()) > 50, name

    def by_hand(text: str) -> str:
        return re.sub(r"(<!-- ([a-z-]+): begin -->).*?(<!-- \2: end -->)", r"\1\3", text, flags=re.DOTALL)

    assert by_hand(written) == by_hand(PAGE.read_text())


def test_figures_stand_where_they_belong(results: dict[str, Any]) -> None:
    nodes = PARTS["scaling-nodes"](results)
    assert "| 1,000,000 | 1,000 | 1,100 | 500 | 4.0 GB | 2,000 Mbit/s | 34 | 2 to 85 |" in nodes
    assert "| 1,000 | 1 | 2 | 1 | 4 MB | 2 Mbit/s | whole | 1 |" in nodes
    assert "| an ingress replica, admitted | 600 | 1,666 | 1,000 | requests |" in PARTS["scaling-carries"](results)
    assert "| 16 | 64 | 16,000 | 15.6 | 150% | even | 1 each | 1.00% | 1.00% |" in PARTS["scaling-shards"](results)
    assert "| 1,000,000 | requests | 11 | 11 MB | 660 MB | 39.6 GB |" in PARTS["scaling-memory"](results)


def test_more_parts_than_there_can_be_are_not_promised(results: dict[str, Any]) -> None:
    results["primary"]["1"]["one at a time"]["cpu_us"]["median"] = 60
    assert f"| more than {MAX_SHARDS} |" in PARTS["scaling-nodes"](results)
