"""Which windows there are, and what they hold now: found by walking through Redis' keys, a bounded piece at a time.

The keys are those of `policies.places`. Only windows whose subject reads as the resolver writes them are found: names,
`|` and `=`. A window that nothing counts in any more leaves Redis by itself within three times its length.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from urllib.parse import unquote

from policies.decision import Charge, Window
from policies.entities import RateLimitPolicy, Unit
from policies.errors import PoliciesError
from policies.limiter import Limiter
from policies.places import UNIT_CODES, quoted
from policies.scripts import FIND
from policies.store import RedisStore

KEYS_A_STEP = 500
"""How many keys Redis looks at in one go: less than a millisecond of its time."""

STEPS = 40
"""Most such steps for one page; a page that found less than was asked for says where to go on."""

DEADLINE_S = 2.0
"""For one step. Nobody's request waits for it."""

_UNITS = {code: unit for unit, code in UNIT_CODES.items()}


class CursorError(PoliciesError, ValueError):
    """A cursor that no page ended with."""


@dataclass(frozen=True, slots=True)
class FoundWindow:
    """A window that is there, as its key tells."""

    policy: str
    unit: Unit
    subject: str
    slot: str
    """Its hash tag, without the part's number."""
    shard: int | None

    def charge(self, policy: RateLimitPolicy, cost: int = 1) -> Charge:
        return Charge(policy, self.subject, cost, self.slot, self.shard)


@dataclass(frozen=True, slots=True)
class UsedWindow:
    """A window with what it holds now."""

    window: Window
    shard: int | None


class Usage:
    """Looks for windows and into them, with a limiter's own connections."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._key = re.compile(
            re.escape(limiter.prefix) + r":\{([^{}#]*)(?:#(\d+))?\}:([^:{}]+):([a-z]):([^:#]*)(?:#(\d+))?"
        )

    async def page(
        self,
        policy_of: Callable[[str], RateLimitPolicy | None],
        *,
        tag: str | None = None,
        policy: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> tuple[list[UsedWindow], str | None]:
        """Windows in which something counts, and where the next page begins (None: that was all).

        `policy_of`: the policies of today; windows of others are passed over. `tag`: only those with this hash tag,
        such as `tenant:acme`. `policy`: only those of the policy with this name. A window that comes or goes meanwhile
        may be in no page; none is in two, unless Redis moves keys between its nodes.
        """
        found, following = await self.find(tag=tag, policy=policy, cursor=cursor, limit=limit)
        charges, kept = [], []
        for each in found:
            its = policy_of(each.policy)
            if its is not None and its.unit is each.unit and _has_part(its, each.shard):
                charges.append(each.charge(its))
                kept.append(each)
        windows = await self._limiter.peek_each(charges)
        used = [UsedWindow(window, each.shard) for window, each in zip(windows, kept, strict=True) if window.used]
        return used, following

    async def find(
        self,
        *,
        tag: str | None = None,
        policy: str | None = None,
        unit: Unit | None = None,
        subject: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> tuple[list[FoundWindow], str | None]:
        """Windows that are there, at most `limit`, and where to go on."""
        code = UNIT_CODES[unit] if unit is not None else "?"
        # A name may end in what reads like the rest of a key, so what is found is still looked at.
        named = "*" if policy is None else _literal(policy)
        theirs = "*" if subject is None else _literal(quoted(subject)) + "*"
        pattern = ":".join((_literal(self._limiter.prefix), _tag_pattern(tag), named, code, theirs))
        node_name, at, after = _read(cursor)
        found: list[FoundWindow] = []
        nodes = [(name, node) for name, node in await self._limiter.store.primaries(tag) if name >= node_name]
        steps = 0
        for name, node in nodes:
            if name != node_name:
                at, after = "0", ""
            while True:
                if steps == STEPS:
                    return found, _written(name, at, after)
                steps += 1
                following, keys = await _step(node, at, pattern)
                # In an order of its own, so that a page may end in the midst of a step, which is then taken again.
                for rank, key in sorted((_rank(key), key) for key in keys):
                    if rank <= after:
                        continue
                    window = self._parse(key)
                    if window is None or policy not in (None, window.policy) or subject not in (None, window.subject):
                        continue
                    if len(found) == limit:
                        return found, _written(name, at, after)
                    found.append(window)
                    after = rank
                at, after = following, ""
                if at == "0":
                    break
        return found, None

    def _parse(self, key: str) -> FoundWindow | None:
        """The window whose log (or whose leases) a key is; None for any other key."""
        match = self._key.fullmatch(key)
        if match is None or match[4] not in _UNITS or match[2] != match[6]:
            return None
        shard = None if match[2] is None else int(match[2])
        return FoundWindow(match[3], _UNITS[match[4]], unquote(match[5]), unquote(match[1]), shard)


async def _step(node: RedisStore, at: str, pattern: str) -> tuple[str, Iterable[str]]:
    args = (at.encode(), pattern.encode(), b"%d" % KEYS_A_STEP)
    following, *keys = await node.run(FIND, (0, b""), args, deadline_s=DEADLINE_S)
    return following.decode(), {key.decode(errors="replace") for key in keys}  # Redis may tell one twice


def _has_part(policy: RateLimitPolicy, shard: int | None) -> bool:
    """Whether the policy still keeps such a part: `shards` may have been changed since."""
    return shard is None if policy.shards == 1 else shard is not None and shard < policy.shards


def _rank(key: str) -> str:
    return blake2b(key.encode(), digest_size=8).hexdigest()


def _tag_pattern(tag: str | None) -> str:
    return "{*}" if tag is None else "{" + _literal(quoted(tag)) + "}"


def _literal(text: str) -> str:
    """As a glob pattern that this alone matches."""
    return re.sub(r"([\[\]?*\\])", r"\\\1", text)


def _written(node: str, at: str, after: str) -> str:
    return json.dumps([node, at, after], separators=(",", ":"))


def _read(cursor: str | None) -> tuple[str, str, str]:
    if cursor is None:
        return "", "0", ""
    try:
        node, at, after = json.loads(cursor)
    except (ValueError, TypeError):
        raise CursorError("not a cursor") from None
    if not all(isinstance(each, str) for each in (node, at, after)) or not re.fullmatch(r"[0-9]{1,20}", at):
        raise CursorError("not a cursor")
    return node, at, after
