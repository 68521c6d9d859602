"""How pools stand: what every replica says of its own requests, and what the router says of slots."""

from collections.abc import Iterable, Sequence
from typing import Any

from deployments.router.contract import PoolStatistics

SILENT_S = 3.0
"""A replica that has told nothing for this long is not counted, nor what it said."""

REMEMBERED_S = 600.0
"""For how long the number of its last message is known: where Redis was away meanwhile, it may come once more."""


class PoolsNow:
    """One for each hub."""

    def __init__(self) -> None:
        self._heard: dict[str, tuple[float, int]] = {}
        """By replica: when it was heard last (local clock), and the number of its last message."""
        self._standings: dict[str, list[list[Any]]] = {}
        self._statistics: dict[str, PoolStatistics] = {}
        self._said_at = float("-inf")
        self.version = 0
        """Another one whenever anything here has changed."""

    def heard(self, message: dict[str, Any], now: float) -> bool:
        """Whether a message is new: one that was told twice counts once."""
        replica, number = message["replica"], message["number"]
        if number <= self._heard.get(replica, (0.0, 0))[1]:
            return False
        self._heard[replica] = (now, number)
        if "standings" in message:
            self.version += message["standings"] != self._standings.get(replica)
            self._standings[replica] = message["standings"]
        return True

    def said(self, statistics: Sequence[PoolStatistics], now: float) -> None:
        """By the router."""
        before, self._statistics = self._statistics, {each.name: each for each in statistics}
        self.version += before != self._statistics
        self._said_at = now

    def replicas(self, now: float) -> int:
        """How many were heard lately. What the others said is forgotten."""
        for replica in [each for each in self._standings if now - self._heard[each][0] > SILENT_S]:
            del self._standings[replica]
            self.version += 1
        for replica in [each for each, (at, _) in self._heard.items() if now - at > REMEMBERED_S]:
            del self._heard[replica]
        if now - self._said_at > SILENT_S and self._statistics:
            self._statistics = {}
            self.version += 1
        return sum(now - at <= SILENT_S for at, _ in self._heard.values())

    def shown(self, names: Iterable[str], bands: Sequence[str], tenant: str | None) -> list[dict[str, Any]]:
        """These pools, or one tenant's share of them. Overtakings are everybody's, and shown to nobody else."""
        standing: dict[tuple[str, str], list[int]] = {}
        for rows in self._standings.values():
            for pool, band, whose, waiting, running, oldest_ms in rows:
                if tenant in (None, whose):
                    total = standing.setdefault((pool, band), [0, 0, 0])
                    total[0] += waiting
                    total[1] += running
                    total[2] = max(total[2], oldest_ms)
        return [
            {
                "name": name,
                "slots": self._statistics[name].capacity if name in self._statistics else None,
                "bands": [
                    {
                        "name": band,
                        **dict(
                            zip(
                                ("waiting", "running", "oldest_wait_ms"),
                                standing.get((name, band), (0, 0, 0)),
                                strict=True,
                            )
                        ),
                        "overtakings": self._overtakings(name, band) if tenant is None else 0,
                    }
                    for band in bands
                ],
            }
            for name in names
        ]

    @property
    def bands(self) -> tuple[str, ...]:
        """Highest first; empty while the router has not said."""
        return tuple(band.name for each in self._statistics.values() for band in each.bands)[: self._of_one()]

    def _of_one(self) -> int:
        return len(next(iter(self._statistics.values())).bands) if self._statistics else 0

    def _overtakings(self, pool: str, band: str) -> int:
        if pool not in self._statistics:
            return 0
        return next((each.overtakings for each in self._statistics[pool].bands if each.name == band), 0)


def without_waits(pools: Sequence[dict[str, Any]]) -> list[Any]:
    """What of pools is worth a frame by itself: all but how long somebody has waited."""
    return [(each["name"], each["slots"], [{**band, "oldest_wait_ms": 0} for band in each["bands"]]) for each in pools]


def waits(pools: Sequence[dict[str, Any]]) -> bool:
    """Whether anybody does."""
    return any(band["waiting"] for each in pools for band in each["bands"])
