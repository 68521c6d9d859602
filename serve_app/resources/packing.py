"""Whether groups of parts fit on nodes: an exact search with a limit, so its "no" is a proof.

Ray's own units are kept: amounts have four decimals, and GPUs are single things. A whole number of them takes GPUs that
nobody else has a part of, a fraction takes a part of one.
"""

from collections.abc import Sequence

from serve_app.resources.needs import Group, Resources

MOST_STEPS = 20_000
"""After so many steps (some tenths of a second) the search gives up."""

MOST_GROUPS = 400
"""With more it does not begin."""

_UNITS = 10_000
"""Ray counts in ten thousandths."""

_Free = tuple[tuple[tuple[str, int], ...], tuple[int, ...]]
"""What a node has left: amounts by name, and each GPU's own, smallest first."""


def fits(groups: Sequence[Group], nodes: Sequence[Resources]) -> bool | None:
    """Whether all groups can be placed at once, each on one node; None where the search gave up."""
    if not _enough_in_all(groups, nodes):
        return False
    if len(groups) > MOST_GROUPS:
        return None
    search = _Search()
    # The largest first: they have the fewest places, and what cannot be is found soon.
    ordered = sorted(groups, key=_size, reverse=True)
    try:
        return search.place([_parts(group) for group in ordered], [_free(node) for node in nodes])
    except _GaveUpError:
        return None


def _enough_in_all(groups: Sequence[Group], nodes: Sequence[Resources]) -> bool:
    for name in {name for group in groups for part in group for name in part}:
        asked = sum(_units(part.get(name, 0)) for group in groups for part in group)
        if asked > sum(_units(node.get(name, 0)) for node in nodes):
            return False
    return True


def _units(amount: float) -> int:
    return round(amount * _UNITS)


def _size(group: Group) -> tuple[float, float]:
    return sum(part.get("GPU", 0) for part in group), sum(sum(part.values()) for part in group)


def _parts(group: Group) -> list[dict[str, int]]:
    parts = [{name: units for name, amount in part.items() if (units := _units(amount))} for part in group]
    return sorted(parts, key=lambda part: part.get("GPU", 0), reverse=True)


def _free(node: Resources) -> _Free:
    amounts = tuple(sorted((name, _units(amount)) for name, amount in node.items() if name != "GPU"))
    return amounts, (_UNITS,) * int(node.get("GPU", 0))


class _GaveUpError(Exception):
    """Too many steps."""


class _Search:
    def __init__(self) -> None:
        self._steps = 0

    def place(self, groups: list[list[dict[str, int]]], nodes: list[_Free]) -> bool:
        """Depth first; nodes with the same left are tried once."""
        if not groups:
            return True
        tried: set[_Free] = set()
        for index, node in enumerate(nodes):
            if node in tried:
                continue
            tried.add(node)
            for left in self._left(groups[0], node):
                if self.place(groups[1:], [*nodes[:index], left, *nodes[index + 1 :]]):
                    return True
        return False

    def _left(self, parts: list[dict[str, int]], node: _Free) -> set[_Free]:
        """What the node can have left once it holds all parts: several, since a part of a GPU may be of any."""
        found = {node}
        for part in parts:
            found = {left for each in found for left in self._without(part, each)}
        return found

    def _without(self, part: dict[str, int], node: _Free) -> list[_Free]:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise _GaveUpError
        amounts = dict(node[0])
        for name, units in part.items():
            if name == "GPU":
                continue
            if amounts.get(name, 0) < units:
                return []
            amounts[name] -= units
        left = tuple(sorted(amounts.items()))
        return [(left, gpus) for gpus in _gpus_left(part.get("GPU", 0), node[1])]


def _gpus_left(units: int, gpus: tuple[int, ...]) -> list[tuple[int, ...]]:
    if units == 0:
        return [gpus]
    if units >= _UNITS:
        count = -(-units // _UNITS)
        whole = sum(gpu == _UNITS for gpu in gpus)
        return [
            tuple(sorted((*(gpu for gpu in gpus if gpu != _UNITS), *(_UNITS,) * (whole - count), *(0,) * count)))
        ] * (whole >= count)
    found = []
    for gpu in sorted({gpu for gpu in gpus if gpu >= units}):
        rest = list(gpus)
        rest.remove(gpu)
        found.append(tuple(sorted((*rest, gpu - units))))
    return found
