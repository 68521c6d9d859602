"""What all replicas told within one tick, put together, and the share of it that one scope may see."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from deployments.ingress.live.recorder import Counted, Sample

_COUNTS = ("allowed", "denied", "shadow", "refused", "failed", "finished")


@dataclass(frozen=True, slots=True)
class Scope:
    """Who looks. Viewers of the same scope that follow the same window get the same frames."""

    tenant: str | None
    """Whose share is shown; None: everybody's."""
    api_key: str
    """Whose windows are shown; empty where all are."""
    watching: tuple[str, str] | None
    """The window whose log is followed: its policy and its subject."""


@dataclass(slots=True)
class News:
    """What was told since the last tick."""

    oldest_ms: int | None = None
    """Server time of the oldest event in it."""
    counts: dict[tuple[str, str], Counted] = field(default_factory=dict)
    denied_by: dict[tuple[str, str], int] = field(default_factory=dict)
    requests: Sample = field(default_factory=Sample)
    endings: Sample = field(default_factory=Sample)
    windows: list[list[Any]] = field(default_factory=list)

    def add(self, told_ms: int, message: dict[str, Any]) -> None:
        """One replica's message, and when it was told."""
        if "counts" not in message:
            return
        first_ms = told_ms - message["age"]
        self.oldest_ms = first_ms if self.oldest_ms is None else min(self.oldest_ms, first_ms)
        for tenant, band, numbers, waits in message["counts"]:
            counted = self.counts.setdefault((tenant, band), Counted())
            counted.numbers = [a + b for a, b in zip(counted.numbers, numbers, strict=True)]
            for at, number in waits.items():
                counted.waits[int(at)] = counted.waits.get(int(at), 0) + number
        for tenant, policy, number in message["denied_by"]:
            self.denied_by[tenant, policy] = self.denied_by.get((tenant, policy), 0) + number
        for row in message["requests"]:
            self.requests.add(row[1], row)
        for row in message["endings"]:
            self.endings.add(row[1], row)
        self._thin(message["one_in"])
        self.windows += message["windows"]

    @property
    def one_in(self) -> int:
        return self.requests.one_in

    def shown_to(self, tenant: str | None) -> dict[str, Any]:
        """The fields of a frame that tell it; those without news are left out."""
        found = {
            "counts": self._counts_of(tenant),
            "denied_by": self._denials_of(tenant),
            "requests": [_request(row) for row in _of(tenant, self.requests)],
            "endings": [_ending(row) for row in _of(tenant, self.endings)],
        }
        return {name: value for name, value in found.items() if value}

    def _thin(self, one_in: int) -> None:
        one_in = max(one_in, self.requests.one_in, self.endings.one_in)
        self.requests.thin(one_in)
        self.endings.thin(one_in)

    def _counts_of(self, tenant: str | None) -> list[dict[str, Any]]:
        by_band: dict[str, Counted] = {}
        for (whose, band), counted in self.counts.items():
            if tenant in (None, whose):
                total = by_band.setdefault(band, Counted())
                total.numbers = [a + b for a, b in zip(total.numbers, counted.numbers, strict=True)]
                for at, number in counted.waits.items():
                    total.waits[at] = total.waits.get(at, 0) + number
        return [
            {
                "band": band,
                **{name: number for name, number in zip(_COUNTS, each.numbers, strict=True) if number},
                **({"waits": each.waits} if each.waits else {}),
            }
            for band, each in by_band.items()
        ]

    def _denials_of(self, tenant: str | None) -> dict[str, int]:
        found: dict[str, int] = {}
        for (whose, policy), number in self.denied_by.items():
            if tenant in (None, whose):
                found[policy] = found.get(policy, 0) + number
        return found


def _of(tenant: str | None, sample: Sample) -> Iterable[list[Any]]:
    return [row for _, row in sample.kept if tenant in (None, row[0])]


_REQUEST = ("id", "at_ms", "user", "api_key", "model", "band", "outcome", "denied_by", "denied_subject")
_ENDING = (
    *("id", "band", "model", "status", "code", "wait_ms", "ttft_ms", "total_ms"),
    *("input_tokens", "output_tokens"),
)


def _request(row: list[Any]) -> dict[str, Any]:
    tenant, *told, retry_after_s, shadow = row
    shown = dict(zip(_REQUEST, told, strict=True))
    shown["outcome"] = "allowed" if shown["outcome"] else "denied"
    return {"tenant": tenant, **shown, "retry_after_s": retry_after_s, "shadow": shadow}


def _ending(row: list[Any]) -> dict[str, Any]:
    return dict(zip(_ENDING, row[1:], strict=True))
