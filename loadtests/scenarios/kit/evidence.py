"""All that a run leaves to judge it by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from loadtests.scenarios.kit.logs import LogCopy, SeenDenial
from loadtests.scenarios.kit.outcomes import Outcome
from loadtests.scenarios.kit.tenants import Tenant


@dataclass(frozen=True)
class Evidence:
    """Names are those within the scenario."""

    tenants: Sequence[Tenant]
    outcomes: Sequence[Outcome]
    phases: Mapping[str, float] = field(default_factory=dict)
    """How many seconds each took; '' stands for the run without phases."""
    logs: Sequence[LogCopy] = ()
    """One for each limit that has a log."""
    denials: Sequence[SeenDenial] = ()
    """Those that the live feed told: all, or where there were very many, a sample."""
    slots_in_use: Mapping[str, int] = field(default_factory=dict)
    """By tenant, after the end."""
    troubles: Sequence[str] = ()
    """What went wrong with the measuring itself."""

    def of(self, *tenants: str, phase: str | None = None) -> list[Outcome]:
        """The outcomes of some tenants, in one phase or in all."""
        return [each for each in self.outcomes if each.tenant in tenants and phase in (None, each.phase)]
