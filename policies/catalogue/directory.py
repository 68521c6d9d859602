"""Who holds which key: identities as they were last looked up, so that a known key costs no question.

Bounded, whatever is asked: the ones used longest ago go first. What is here is dropped as soon as the stream of changes
says that it may be wrong; unknown keys are remembered in the same manner, so that a flood of one wrong key asks once.
"""

from collections import OrderedDict
from collections.abc import Collection

from policies.resolver import Identity

MOST_IDENTITIES = 50_000
"""How many identities are remembered; about 2 kB each."""

MOST_UNKNOWN = 10_000
"""How many ids are remembered as those of no key."""


class Directory:
    """Identities by the id of their key; None for ids that no key has."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Identity] = OrderedDict()
        self._unknown: OrderedDict[str, None] = OrderedDict()
        self.generation = 0
        """Changes whenever something is dropped: an answer that was asked for before may be older than the change."""

    def recall(self, key_id: str) -> tuple[bool, Identity | None]:
        """Whether this id is remembered, and who it is."""
        identity = self._known.get(key_id)
        if identity is not None:
            self._known.move_to_end(key_id)
            return True, identity
        return key_id in self._unknown, None

    def remember(self, key_id: str, identity: Identity | None, generation: int) -> None:
        """What an answer said that was asked for in this generation."""
        if generation != self.generation:
            return
        if identity is None:
            self._unknown[key_id] = None
            if len(self._unknown) > MOST_UNKNOWN:
                self._unknown.popitem(last=False)
            return
        self._known[key_id] = identity
        if len(self._known) > MOST_IDENTITIES:
            self._known.popitem(last=False)

    def forget(self, keys: Collection[str], users: Collection[str], tenants: Collection[str]) -> None:
        """Drops what these changed: a key by its id, and all keys of a user or a tenant."""
        self.generation += 1
        for key_id in keys:
            self._known.pop(key_id, None)
            self._unknown.pop(key_id, None)
        if not users and not tenants:
            return
        self._unknown.clear()  # a key whose user or tenant was missing may be whole now
        for key_id in [k for k, i in self._known.items() if i.user in users or i.tenant in tenants]:
            del self._known[key_id]

    def clear(self) -> None:
        """Drops everything."""
        self.generation += 1
        self._known.clear()
        self._unknown.clear()

    def __len__(self) -> int:
        return len(self._known)
