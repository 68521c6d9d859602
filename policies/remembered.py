"""Decisions that outlive the process that made them: kept in Redis, so that any other may settle or renew them.

For callers that run the request themselves and say later, perhaps to another replica, what it used. A denial is not
kept. What a decision holds is given back once, however often and wherever it is settled: the first settlement says
what was used, and every later one is told so and repeats it, which changes nothing (`lua/recall.lua`,
`lua/settle.lua`). A decision that nobody settles ends as any other whose process died: its leases run out, and its
reservations leave with their windows.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from policies.decision import Actual, Charge, Decision
from policies.entities import MAX_COST, RateLimitPolicy, Unit
from policies.errors import InvalidChargeError, StoreError, UnknownDecisionError
from policies.lane import Reply
from policies.limiter import Limiter
from policies.places import wire
from policies.scripts import RECALL, REMEMBER
from policies.settlement import Settlement

SHORTEST_MS, LONGEST_MS = 600_000, 3_600_000
"""How long a decision is kept while nobody settles it: for as long as its longest window, within these bounds. Renewing
it begins that time anew."""

SETTLED_MS = 600_000
"""How long a settled decision is kept, so that settling it again is answered as the first time."""

MOST_HERE = 10_000
"""How many decisions that were made without Redis are kept, in this process alone."""

MOST_POLICIES = 10_000
"""Of how many policies remembered decisions share one value."""

NOTHING_RAN: Actual = {str(unit): 0 for unit in Unit}
"""What a request used that never ran: not even itself."""


@dataclass(frozen=True, slots=True)
class Settled:
    """How a decision ended."""

    actual: Actual
    """What it used, by unit, as the first settlement said."""
    first: bool
    """Whether that was this one."""


class Remembered:
    """Acquires, settles and renews on behalf of owners, each of whom sees only its own decisions."""

    def __init__(self, limiter: Limiter, settlement: Settlement) -> None:
        """`settlement` takes back what was admitted and could not be kept."""
        self._limiter, self._settlement = limiter, settlement
        self._here: dict[str, tuple[str, Decision]] = {}
        """Decisions that hold something in this process, since Redis could not be asked."""
        self._policies: dict[tuple[object, ...], RateLimitPolicy] = {}

    async def acquire(self, charges: Sequence[Charge], owner: str) -> Decision:
        """As `Limiter.acquire`; what is admitted may be settled by this owner from anywhere. Where it cannot be kept it
        is taken back, and `StoreError` raised."""
        decision = await self._limiter.acquire(charges)
        if not decision.allowed:
            return decision
        if decision.degraded:
            if len(self._here) >= MOST_HERE:
                del self._here[next(iter(self._here))]
            self._here[decision.id] = owner, replace(decision, _once_ms=SETTLED_MS)
            if not _logged(decision):
                return decision
        keep_ms = max((charge.policy.window for charge in decision._charges), default=0)
        keep_ms = min(max(keep_ms, SHORTEST_MS), LONGEST_MS)
        try:
            tag, keys = self._record(decision.id)
            args = (owner.encode(), _packed(decision), b"%d" % keep_ms)
            await self._limiter.store.of(tag).run(REMEMBER, keys, args)
        except StoreError:
            if not decision.degraded:
                self._settlement.undo(decision)
                raise
        except BaseException:  # the caller left: nobody will ever settle it
            self._settlement.undo(decision)
            raise
        return decision

    async def settle(self, identifier: str, owner: str, actual: Actual) -> Settled:
        """As `Limiter.settle`, once and for all. After a `StoreError` it may be sent again, to any process.

        Raises `UnknownDecisionError` where this owner has no such decision.
        """
        for unit, used in actual.items():
            if not 0 <= used <= MAX_COST:
                raise InvalidChargeError(f"actual {unit} {used!r} must be a whole number from 0 to {MAX_COST:_}")
        here = self._held_here(identifier, owner)
        if here is not None and not _logged(here):
            first = not here._ending.done
            await self._limiter.settle(here, actual)
            return Settled(actual, first)
        decision, said, first = await self._recall(identifier, owner, json.dumps(actual).encode())
        await self._limiter.settle(here or decision, json.loads(said))
        return Settled(json.loads(said), first)

    async def renew(self, identifier: str, owner: str) -> bool:
        """As `Limiter.renew`; the decision is kept for its whole time again. False where it is settled already.

        Raises `UnknownDecisionError` where this owner has no such decision.
        """
        here = self._held_here(identifier, owner)
        if here is not None and not _logged(here):
            return not here._ending.done and await self._limiter.renew(here)
        decision, said, _ = await self._recall(identifier, owner, b"")
        return not said and await self._limiter.renew(here or decision)

    def _held_here(self, identifier: str, owner: str) -> Decision | None:
        owns, decision = self._here.get(identifier, ("", None))
        return decision if owns == owner else None

    async def _recall(self, identifier: str, owner: str, actual: bytes) -> tuple[Decision, bytes, bool]:
        tag, keys = self._record(identifier)
        reply: Reply = await self._limiter.store.of(tag).run(RECALL, keys, (owner.encode(), actual, b"%d" % SETTLED_MS))
        if not reply:
            raise UnknownDecisionError(identifier)
        return self._restored(identifier, reply[0]), reply[1], reply[2] == 1

    def _record(self, identifier: str) -> tuple[str, tuple[int, bytes]]:
        """The hash tag of a record, and its key for the store."""
        tag = f"decision:{identifier}"
        return tag, (1, wire(f"{self._limiter.prefix}:{{{tag}}}".encode()))

    def _restored(self, identifier: str, packed: bytes) -> Decision:
        """Enough of a decision to settle and renew it."""
        charges, entries = [], []
        for of_policy, subject, cost, slot, shard, entry_ms, ordinal in json.loads(packed):
            charges.append(Charge(self._policy(tuple(of_policy)), subject, cost, slot, shard))
            entries.append((entry_ms, ordinal))
        return Decision(
            identifier, True, 0.0, None, 0.0, (), _charges=tuple(charges), _entries=tuple(entries), _once_ms=SETTLED_MS
        )

    def _policy(self, fields: tuple[object, ...]) -> RateLimitPolicy:
        # One value for all decisions of a policy: the limiter remembers places by the policy itself.
        policy = self._policies.get(fields)
        if policy is None:
            if len(self._policies) >= MOST_POLICIES:
                self._policies.clear()
            known = dict(zip(_FIELDS, fields, strict=True))
            policy = self._policies[fields] = RateLimitPolicy.model_validate(known)
        return policy


_FIELDS = ("name", "scope", "unit", "limit", "window", "shards")
"""What of a policy says where its windows are and how a lease is renewed; the rest matters to new requests only."""


def _packed(decision: Decision) -> bytes:
    kept = []
    for charge, (entry_ms, ordinal) in zip(decision._charges, decision._entries, strict=True):
        of_policy = [getattr(charge.policy, name) for name in _FIELDS]
        kept.append([of_policy, charge.subject, charge.cost, charge.slot, charge.shard, entry_ms, ordinal])
    return json.dumps(kept, separators=(",", ":")).encode()


def _logged(decision: Decision) -> bool:
    """Whether anything of it stands in Redis."""
    return any(entry_ms for entry_ms, _ in decision._entries)
