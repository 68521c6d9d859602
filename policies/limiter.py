"""The limiter: decides charges on an exact sliding-window log, all or nothing.

The algorithm is in `lua/window.lua`; here requests become script calls and replies become `Decision`s. Which charges
a request has is `policies.resolver`'s business, how scripts reach Redis `policies.store`'s.
"""

import asyncio
import struct
from collections.abc import Callable, Sequence
from secrets import token_urlsafe
from urllib.parse import quote

from redis.asyncio import Redis

from policies.decision import Actual, Charge, Decision, Window
from policies.entities import MAX_COST, Mode, Unit
from policies.errors import CostExceedsLimitError, InvalidChargeError
from policies.scripts import ACQUIRE, RENEW, SETTLE
from policies.store import RedisStore, Reply

DEADLINE_S = 0.05
"""How long a check may take where the caller names nothing else."""

_LEASE, _SHADOW = 1, 2
_ASKED = struct.Struct(">BQQQ")
_SETTLED = struct.Struct(">BQQQQQ")
_PER_CHARGE = 5
_UNIT_CODES = {
    Unit.REQUESTS: "r",
    Unit.INPUT_TOKENS: "i",
    Unit.OUTPUT_TOKENS: "o",
    Unit.TOTAL_TOKENS: "t",
    Unit.CONCURRENT_REQUESTS: "c",
}
_SAFE_IN_KEYS = ":@/|,=+ "


class Limiter:
    """An exact sliding-window log over Redis, shared by every process that uses the same Redis and prefix.

    A request is admitted if and only if, for every charge, what was logged in the window ending now plus its cost is
    within the limit; now is the Redis server's clock. Concurrent calls from one process travel together.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        prefix: str = "sluice",
        deadline_s: float = DEADLINE_S,
        steered_clock: Callable[[], float] | None = None,
    ) -> None:
        """`redis`: a redis.asyncio client. `prefix`: first part of every key. `deadline_s`: seconds for one call.

        `steered_clock` is for tests: seconds since 1970 that stand in for the server's clock.
        """
        self._store = RedisStore(redis, deadline_s)
        self._prefix = prefix
        self._steered_clock = steered_clock
        self._tasks: set[asyncio.Task[None]] = set()

    async def acquire(self, charges: Sequence[Charge]) -> Decision:
        """Admits the request and logs all of its charges, or denies it and logs nothing.

        Raises `CostExceedsLimitError` where waiting can never help, `InvalidChargeError` for a cost out of range or a
        window charged twice, `StoreError` where Redis does not answer; it is then never asked again, since it may
        have admitted the request (an admission whose answer comes late is cancelled).
        """
        return await self._decide(charges, log=True)

    async def peek(self, charges: Sequence[Charge]) -> Decision:
        """What `acquire` would answer now; logs nothing. `used` and `remaining` are as before the request."""
        return await self._decide(charges, log=False)

    async def settle(self, decision: Decision, actual: Actual | None = None) -> None:
        """Ends an admitted request: its leases go back, and reservations become what was really used.

        What was used within the reservation counts at the reservation's own time; what was used beyond it is logged
        as of now. A reservation that has left its window has nothing to give back. Settling twice changes nothing.
        """
        await self._settle(decision, {} if actual is None else actual)

    async def cancel(self, decision: Decision) -> None:
        """Takes an admitted request back, as though it had never been asked."""
        await self._settle(decision, dict.fromkeys(Unit, 0))

    async def renew(self, decision: Decision) -> bool:
        """Prolongs the leases of a request that still runs; call it well within the lease.

        False: a lease had already run out, and its slot may be another's.
        """
        keys: list[str] = []
        args = [self._steered_ms()]
        for charge in decision._charges:
            if charge.policy.is_lease:
                keys += self._keys(charge)
                args += [decision.id, str(charge.cost), str(charge.policy.window)]
        if not keys or not decision.allowed:
            return True
        return all(await self._store.run(RENEW, keys, args))

    async def ping(self) -> None:
        """Returns when the store answers; raises `StoreError` where it does not."""
        await self._store.ping()

    async def close(self) -> None:
        """Waits for calls under way. The Redis client stays open: it is the caller's."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._store.close()

    async def _decide(self, charges: Sequence[Charge], *, log: bool) -> Decision:
        charges = tuple(charge for charge in charges if charge.policy.mode is not Mode.OFF)
        keys, asked = self._ask(charges)
        identifier = token_urlsafe(9)
        if not charges:
            return Decision(identifier, True, 0.0, None, 0.0, ())

        def give_back(reply: Reply) -> None:
            late = _decision(identifier, charges, reply)
            if late.allowed:
                task = asyncio.get_running_loop().create_task(self._cancel_late(late))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

        args = (asked, identifier, "1" if log else "0", self._steered_ms())
        reply = await self._store.run(ACQUIRE, keys, args, give_back if log else None)
        return _decision(identifier, charges, reply, logged=log)

    async def _cancel_late(self, decision: Decision) -> None:
        await self.cancel(decision)

    async def _settle(self, decision: Decision, actual: Actual) -> None:
        ending = decision._ending
        if not decision.allowed or ending.done:
            return
        keys: list[str] = []
        packed = []
        for charge, (entry_ms, ordinal) in zip(decision._charges, decision._entries, strict=True):
            policy = charge.policy
            used = actual.get(policy.unit, charge.cost)
            if not 0 <= used <= MAX_COST:
                raise InvalidChargeError(f"actual {policy.unit} {used!r} must be a whole number from 0 to {MAX_COST:_}")
            if entry_ms and (policy.is_lease or used != charge.cost):
                keys += self._keys(charge)
                flags = _LEASE if policy.is_lease else 0
                packed.append(_SETTLED.pack(flags, policy.window, entry_ms, ordinal, charge.cost, used))
        ending.done = True
        if keys:
            try:
                await self._store.run(SETTLE, keys, (b"".join(packed), decision.id, self._steered_ms()))
            except BaseException:  # it may be sent again: an entry remembers that it was settled
                ending.done = False
                raise

    def _ask(self, charges: Sequence[Charge]) -> tuple[list[str], bytes]:
        keys: list[str] = []
        packed = []
        for charge in charges:
            policy, cost = charge.policy, charge.cost
            if not 1 <= cost <= MAX_COST:
                raise InvalidChargeError(
                    f"cost {cost!r} for policy {policy.name!r} must be a whole number from 1 to {MAX_COST:_}"
                )
            if cost > policy.limit and policy.mode is Mode.ENFORCE:
                raise CostExceedsLimitError(policy.name, policy.unit, cost, policy.limit)
            flags = (_LEASE if policy.is_lease else 0) + (_SHADOW if policy.mode is Mode.SHADOW else 0)
            keys += self._keys(charge)
            packed.append(_ASKED.pack(flags, policy.limit, policy.window, cost))
        if len(set(keys)) != len(keys):
            names = sorted({charge.policy.name for charge in charges if keys.count(self._keys(charge)[0]) > 1})
            raise InvalidChargeError(f"policy {names[0]!r} is charged twice for the same subject: add the costs up")
        return keys, b"".join(packed)

    def _keys(self, charge: Charge) -> tuple[str, ...]:
        # The limit and the window are not part of the key, so editing them keeps the history.
        policy = charge.policy
        subject = quote(charge.subject, _SAFE_IN_KEYS)
        slot = quote(charge.slot, _SAFE_IN_KEYS) if charge.slot else f"{policy.scope}:{subject}"
        key = f"{self._prefix}:{{{slot}}}:{policy.name}:{_UNIT_CODES[policy.unit]}:{subject}"
        return (key,) if policy.is_lease else (key, key + ":s")

    def _steered_ms(self) -> str:
        return "" if self._steered_clock is None else str(round(self._steered_clock() * 1000))


def _decision(identifier: str, charges: tuple[Charge, ...], reply: Reply, *, logged: bool = True) -> Decision:
    allowed, now_ms = bool(reply[0]), reply[1]
    took = allowed and logged
    windows, entries = [], []
    denied_by, longest_ms = None, 0
    at = 2
    for charge in charges:
        used, retry_ms, oldest_ms, entry_ms, ordinal = reply[at : at + _PER_CHARGE]
        at += _PER_CHARGE
        policy = charge.policy
        enforced = policy.mode is Mode.ENFORCE
        if took:
            used += charge.cost
        if enforced and retry_ms > longest_ms:
            denied_by, longest_ms = policy.name, retry_ms
        windows.append(
            Window(
                policy=policy.name,
                scope=policy.scope.value,
                subject=charge.subject,
                unit=policy.unit.value,
                limit=policy.limit,
                window_s=policy.window / 1000,
                cost=charge.cost,
                used=used,
                remaining=max(0, policy.limit - used),
                fits=retry_ms == 0,
                retry_after_s=retry_ms / 1000 if retry_ms >= 0 else float("inf"),
                reset_after_s=max(0, oldest_ms + policy.window - now_ms) / 1000 if oldest_ms else 0.0,
                enforced=enforced,
            )
        )
        entries.append((entry_ms, ordinal))
    return Decision(
        id=identifier,
        allowed=allowed,
        retry_after_s=longest_ms / 1000,
        denied_by=denied_by,
        time_s=now_ms / 1000,
        windows=tuple(windows),
        _charges=charges,
        _entries=tuple(entries),
    )
