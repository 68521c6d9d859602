"""Which policies may apply to a request, without looking at all of them.

Each policy stands under one of its conditions, the narrowest: a policy that matches two tenants and a tier is found
under these tenants. A request looks under its own six values, and what it finds is still to be matched in full.
"""

from collections.abc import Mapping

from policies.entities import Dimension, RateLimitPolicy

_NARROWEST_FIRST = (
    Dimension.API_KEY,
    Dimension.USER,
    Dimension.TENANT,
    Dimension.MODEL,
    Dimension.MODEL_TIER,
    Dimension.QOS_TIER,
)

Rank = tuple[int, int, str]
"""Where a policy stands in the catalogue's order."""


class PolicyIndex:
    """Policies by name, each with its rank, and by the condition that each is found under."""

    def __init__(self) -> None:
        self._ranked: dict[str, tuple[Rank, RateLimitPolicy]] = {}
        self._under: dict[tuple[Dimension | None, str], dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._ranked)

    def get(self, name: str) -> RateLimitPolicy | None:
        """The policy of this name."""
        found = self._ranked.get(name)
        return None if found is None else found[1]

    def put(self, policy: RateLimitPolicy, rank: Rank) -> None:
        """Adds a policy, or replaces the one of its name."""
        self.remove(policy.name)
        self._ranked[policy.name] = (rank, policy)
        for place in _places(policy):
            self._under.setdefault(place, {})[policy.name] = None

    def remove(self, name: str) -> None:
        """Removes a policy, if it is here."""
        found = self._ranked.pop(name, None)
        if found is None:
            return
        for place in _places(found[1]):
            names = self._under[place]
            del names[name]
            if not names:
                del self._under[place]

    def candidates(self, request: Mapping[Dimension, str]) -> list[RateLimitPolicy]:
        """Every policy that may apply to a request, in the catalogue's order."""
        found: list[str] = list(self._under.get((None, ""), ()))
        for dimension in _NARROWEST_FIRST:
            found += self._under.get((dimension, request[dimension]), ())
        return [policy for _, policy in sorted(map(self._ranked.__getitem__, found), key=_rank)]

    def in_order(self) -> list[RateLimitPolicy]:
        """All of them, in the catalogue's order."""
        return [policy for _, policy in sorted(self._ranked.values(), key=_rank)]


def _rank(ranked: tuple[Rank, RateLimitPolicy]) -> Rank:
    return ranked[0]


def _places(policy: RateLimitPolicy) -> list[tuple[Dimension | None, str]]:
    conditions = policy.match.conditions()
    for dimension in _NARROWEST_FIRST:
        if dimension in conditions:
            return [(dimension, name) for name in dict.fromkeys(conditions[dimension])]
    return [(None, "")]
