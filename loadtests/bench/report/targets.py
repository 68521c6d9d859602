"""What must be reached, and whether it was."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from loadtests.bench.report.tables import number, spread, table

Sign = Literal["=", "<=", ">="]


@dataclass(frozen=True, slots=True)
class Target:
    """One figure of a run, held against what must be reached."""

    what: str
    sign: Sign
    goal: float
    figure: float
    low: float | None = None
    high: float | None = None
    """Least and most of the rounds, where there were several."""

    @property
    def reached(self) -> bool:
        """By the figure: the spread is for whoever reads."""
        return {"=": self.figure == self.goal, "<=": self.figure <= self.goal, ">=": self.figure >= self.goal}[
            self.sign
        ]

    def as_json(self) -> dict[str, Any]:
        """For the file of results."""
        found = {"what": self.what, "sign": self.sign, "goal": self.goal, "figure": self.figure}
        if self.low is not None and self.high is not None:
            found |= {"low": self.low, "high": self.high}
        return {**found, "reached": self.reached}


def from_json(found: Mapping[str, Any]) -> Target:
    """As it was written."""
    return Target(**{name: value for name, value in found.items() if name != "reached"})


def targets_table(targets: Iterable[Target], runs: Sequence[Mapping[str, Any]]) -> str:
    """All of them. `runs`: the last runs, this one last, each with its `targets`: figures by what is asked."""
    rows = []
    for target in targets:
        this_run = number(target.figure)
        if target.low is not None and target.high is not None:
            this_run += f" ({spread(target.low, target.high)})"
        verdict = "reached" if target.reached else "**not reached**"
        earlier = ", ".join(number(run["targets"][target.what]) for run in runs if target.what in run["targets"])
        rows.append((target.what, f"{target.sign} {number(target.goal)}", this_run, verdict, earlier))
    return table(("what", "must reach", "this run", "", "the last runs (this one last)"), rows)
