"""Where the windows of charges are kept, and what of a request to them never changes: worked out once for each.

A place is (policy, subject): its keys, already in the wire's form, and the numbers that the scripts ask for.
"""

import struct
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from policies.decision import Charge, Window
from policies.entities import Mode, RateLimitPolicy, Unit
from policies.errors import InvalidChargeError

MOST_PLACES = 20_000
"""How many places are remembered, and how many requests to several of them; about 1 kB each."""

INFINITE = float("inf")

LEASE, SHADOW, BLOCK = 1, 2, 4
"""Flags of the scripts."""

_ASKED = struct.Struct(">BQQQ")
_BLOCK = struct.Struct(">QQQ")
_SAFE_IN_KEYS = ":@/|,=+ "
UNIT_CODES: Final = {
    Unit.REQUESTS: "r",
    Unit.INPUT_TOKENS: "i",
    Unit.OUTPUT_TOKENS: "o",
    Unit.TOTAL_TOKENS: "t",
    Unit.CONCURRENT_REQUESTS: "c",
}
"""How keys call what they count."""


def wire(argument: bytes) -> bytes:
    """An argument of a command as the Redis protocol writes it."""
    return b"$%d\r\n%b\r\n" % (len(argument), argument)


def quoted(text: str) -> str:
    """A subject or a slot as it stands in keys."""
    return quote(text, _SAFE_IN_KEYS)


class Place:
    """One window's place. Holds its policy, so that its identity is nobody else's while this is remembered."""

    __slots__ = (
        "block",
        "block_wire",
        "enforced",
        "flags",
        "identity",
        "is_lease",
        "keys",
        "keys_wire",
        "limit",
        "log_key",
        "off",
        "policy",
        "split",
        "tag",
        "unit",
        "window_ms",
    )

    def __init__(self, policy: RateLimitPolicy, subject: str, slot: str | None, shard: int | None, prefix: str) -> None:
        if shard is not None and (policy.shards == 1 or not 0 <= shard < policy.shards):
            raise InvalidChargeError(
                f"shard {shard!r} of policy {policy.name!r}, which has {policy.shards}: leave it to the limiter"
            )
        self.policy = policy
        self.limit = policy.limit if shard is None else policy.limit_of(shard)
        self.window_ms, self.unit = policy.window, policy.unit
        self.split = policy.shards > 1 and shard is None
        """Whether it is the whole of a window that is kept in parts: which of them is still to be chosen."""
        self.is_lease = policy.is_lease
        self.enforced, self.off = policy.mode is Mode.ENFORCE, policy.mode is Mode.OFF
        self.flags = (LEASE if self.is_lease else 0) + (SHADOW if policy.mode is Mode.SHADOW else 0)
        if policy.block is not None and self.enforced:
            self.flags += BLOCK
        # The limit and the window are not part of the key, so editing them keeps the history.
        named = quoted(subject)
        tag = quoted(slot) if slot else f"{policy.scope}:{named}"
        if shard is not None:
            tag, named = f"{tag}#{shard}", f"{named}#{shard}"
        self.tag = tag
        """The hash tag of its keys: where in a Redis Cluster they are."""
        key = f"{prefix}:{{{tag}}}:{policy.name}:{UNIT_CODES[policy.unit]}:{named}"
        self.keys = (key,) if self.is_lease else (key, key + ":s")
        self.log_key = self.keys[0]
        self.keys_wire = b"".join(wire(each.encode()) for each in self.keys)
        self.block = self.block_wire = b""
        """What `lua/acquire.lua` is told of its block, and the block's key in the wire's form; empty without one."""
        if self.flags >= BLOCK and policy.block is not None:
            self.block = _BLOCK.pack(policy.block.denials, policy.block.within, policy.block.duration)
            self.block_wire = wire(f"{key}:b".encode())
        names = (policy.name, policy.scope.value, subject, policy.unit.value)
        self.identity = (*names, self.limit, policy.window / 1000)
        """The first fields of every `Window` of this place."""

    def asked(self, cost: int) -> bytes:
        """What a charge of this cost asks of `lua/acquire.lua`."""
        return _ASKED.pack(self.flags, self.limit, self.window_ms, cost) + self.block

    def asked_past_block(self, cost: int) -> bytes:
        """The same, whether or not its block denies."""
        return _ASKED.pack(self.flags % BLOCK, self.limit, self.window_ms, cost)


class Together:
    """Places that one script decides, and what of a request to all of them does not depend on its costs."""

    __slots__ = ("_asked_ones", "_places", "blocks", "keys", "shadow")

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places
        keys = [place.log_key for place in places]
        if len(set(keys)) != len(keys):
            name = next(place.policy.name for place in places if keys.count(place.log_key) > 1)
            raise InvalidChargeError(f"policy {name!r} is charged twice for the same subject: add the costs up")
        self._asked_ones = b"".join([place.asked(1) for place in places])
        self.blocks = any(place.block for place in places)
        """Whether any of them has a block."""
        count = sum(len(place.keys) + bool(place.block) for place in places)
        self.keys = count, b"".join([place.keys_wire + place.block_wire for place in places])
        """How many keys, and all of them in the wire's form."""
        self.shadow = not all(place.enforced for place in places)
        """Whether any of them is in shadow mode."""

    def asked(self, costs: list[int]) -> bytes:
        """What a request with these costs asks of `lua/acquire.lua`."""
        if costs.count(1) == len(costs):
            return self._asked_ones
        return b"".join([place.asked(cost) for place, cost in zip(self._places, costs, strict=True)])


class Places:
    """The places of one limiter, by charge, and those that were asked together."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._known: dict[tuple[int, str, str | None, int | None], Place] = {}
        self._together: dict[tuple[Place, ...], Together] = {}

    def together(self, places: Sequence[Place]) -> Together:
        """Raises `InvalidChargeError` where two of them are one window."""
        key = tuple(places)
        together = self._together.get(key)
        if together is None:
            if len(self._together) >= MOST_PLACES:
                self._together.clear()
            together = self._together[key] = Together(key)
        return together

    def of(self, charge: Charge) -> Place:
        # Policies hash slowly (field by field); a place keeps its policy alive, so the policy's id is its own.
        key = (id(charge.policy), charge.subject, charge.slot, charge.shard)
        place = self._known.get(key)
        if place is None:
            if len(self._known) >= MOST_PLACES:
                self._known.clear()
            place = self._known[key] = Place(charge.policy, charge.subject, charge.slot, charge.shard, self._prefix)
        return place


def keys_of(places: Sequence[Place]) -> tuple[int, bytes]:
    """How many keys these have, and all of them in the wire's form."""
    return sum([len(place.keys) for place in places]), b"".join([place.keys_wire for place in places])


def window_of(place: Place, cost: int, used: int, retry_ms: int, reset_ms: int) -> Window:
    """What a charge found. `retry_ms` is 0 where it fits and negative where it never can."""
    limit = place.limit
    # Positional, and past the constructor that matches names: six of these are made for every request.
    return tuple.__new__(
        Window,
        (
            *place.identity,
            cost,
            used,
            limit - used if used < limit else 0,
            retry_ms == 0,
            0.0 if retry_ms == 0 else retry_ms / 1000 if retry_ms > 0 else INFINITE,
            reset_ms / 1000 if reset_ms > 0 else 0.0,
            place.enforced,
        ),
    )
