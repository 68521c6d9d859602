"""How often each client address failed to authenticate: an exact sliding window in this process.

What counts is a request whose key is not valid, whoever's fault that is; one without any key tries nothing. Look-ups
that are under way count as if they failed, so that many at once cannot be more than the limit; whoever is one too many
waits for one of them to end. Memory is bounded: the addresses seen longest ago are forgotten first.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

WINDOW_S = 60.0
"""How far a window looks back."""

MOST_ADDRESSES = 10_000
"""How many addresses are remembered; about 1 kB each, with the default limit."""


@dataclass(slots=True)
class _Address:
    failed: deque[float] = field(default_factory=deque)
    """When, the oldest first; never more than the limit."""
    under_way: int = 0
    waiting: "deque[asyncio.Future[None]]" = field(default_factory=deque)


class FailedAuthentications:
    """One for each process."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`limit`: of failures of one address in a minute; 0 for no limit."""
        self._limit, self._clock = limit, clock
        self._addresses: OrderedDict[str, _Address] = OrderedDict()

    def of(self, address: str) -> "Attempts":
        """What an address does."""
        return Attempts(self, address)

    def __len__(self) -> int:
        return len(self._addresses)

    def fail(self, address: str) -> float:
        """Counts a failure; where there were too many before it, counts nothing and says how long to wait, in s."""
        if not self._limit:
            return 0.0
        found = self._found(address)
        wait_s = self._wait_s(found)
        if not wait_s:
            found.failed.append(self._clock())
        return wait_s

    async def begin(self, address: str) -> float:
        """A look-up may begin, and `end` must follow; or, where there were too many failures, how long to wait."""
        if not self._limit:
            return 0.0
        found = self._found(address)
        while True:
            if wait_s := self._wait_s(found):
                self._wake(found)
                return wait_s
            if len(found.failed) + found.under_way < self._limit:
                found.under_way += 1
                return 0.0
            turn = asyncio.get_running_loop().create_future()
            found.waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():  # it was somebody else's turn after all
                    self._wake(found)
                raise

    def end(self, address: str, *, failed: bool) -> None:
        """A look-up has ended."""
        if not self._limit:
            return
        found = self._found(address)
        found.under_way = max(0, found.under_way - 1)
        if failed:
            found.failed.append(self._clock())
        self._wake(found)

    def _found(self, address: str) -> _Address:
        found = self._addresses.get(address)
        if found is None:
            found = self._addresses[address] = _Address()
            if len(self._addresses) > MOST_ADDRESSES:
                self._forget_one()
        self._addresses.move_to_end(address)
        return found

    def _forget_one(self) -> None:
        for address, each in self._addresses.items():
            if not each.under_way and not each.waiting:
                del self._addresses[address]
                return

    def _wait_s(self, found: _Address) -> float:
        now = self._clock()
        while found.failed and found.failed[0] + WINDOW_S <= now:
            found.failed.popleft()
        return found.failed[0] + WINDOW_S - now if len(found.failed) >= self._limit else 0.0

    def _wake(self, found: _Address) -> None:
        while found.waiting:
            turn = found.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return


@dataclass(frozen=True, slots=True)
class Attempts:
    """The attempts of one address."""

    _all: FailedAuthentications
    _address: str

    def fail(self) -> float:
        """See `FailedAuthentications.fail`."""
        return self._all.fail(self._address)

    async def begin(self) -> float:
        """See `FailedAuthentications.begin`."""
        return await self._all.begin(self._address)

    def end(self, *, failed: bool) -> None:
        """See `FailedAuthentications.end`."""
        self._all.end(self._address, failed=failed)


UNLIMITED = FailedAuthentications(0).of("")
"""For keys that somebody trusted passes on."""
