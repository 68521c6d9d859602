"""Taking everything once and in order over calls that may be lost, doubled or overtake each other."""

from collections import deque
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")


class Outbox(Generic[T]):
    """What was said and is not yet confirmed; it is said again until it is."""

    def __init__(self) -> None:
        self.first = 1
        """Number of the first that is kept."""
        self._kept: deque[T] = deque()

    @property
    def last(self) -> int:
        """Number of the last that was said; 0 where nothing was."""
        return self.first + len(self._kept) - 1

    def say(self, what: T) -> None:
        self._kept.append(what)

    def confirm(self, heard: int) -> None:
        """The other side has taken everything up to this number."""
        while self._kept and self.first <= heard:
            self._kept.popleft()
            self.first += 1

    def unconfirmed(self) -> tuple[T, ...]:
        return tuple(self._kept)


class Inbox(Generic[T]):
    """What was taken from the other side."""

    def __init__(self) -> None:
        self.heard = 0
        """Number of the last that was taken."""

    def take(self, first: int, said: tuple[T, ...]) -> tuple[T, ...]:
        """What of this is new. Nothing, where something before it is missing: it will be said again."""
        skip = self.heard + 1 - first
        if skip < 0 or skip >= len(said):
            return ()
        self.heard = first + len(said) - 1
        return said if skip == 0 else tuple(islice(said, skip, None))
