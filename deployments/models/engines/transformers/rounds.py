"""Which inputs run next, and which together. Plain Python, knowing nothing of models; used by one thread.

Requests take turns: each gives one input, the oldest request first, until the round has as many tokens as a batch may
hold. So a request of a thousand inputs does not keep one of a single input waiting, and none waits for ever. Within
the round the inputs are sorted by length, and cut where padding the shorter to the longer would cost more than a run
of its own.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Tokens = Sequence[int]


@dataclass(slots=True, eq=False)
class Job:
    """The inputs of one request, on their way."""

    inputs: list[Tokens] = field(default_factory=list)
    taken: int = 0
    """How many of them are in a round, or have been."""
    ended: bool = False
    """Nobody waits for it any more: what was not taken is dropped. May be set by another thread."""


J = TypeVar("J", bound=Job)


@dataclass(frozen=True, slots=True)
class Piece(Generic[J]):
    """One input of a job."""

    job: J
    index: int

    @property
    def tokens(self) -> Tokens:
        return self.job.inputs[self.index]


class Turns(Generic[J]):
    """The jobs that have inputs left, in the order of their next turn."""

    def __init__(self) -> None:
        self._jobs: deque[J] = deque()

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def add(self, job: J) -> None:
        """`job` has at least one input; it comes after those that wait."""
        self._jobs.append(job)

    def next_round(self, most_tokens: int) -> list[Piece[J]]:
        """At least one piece where any waits, however long it is; else none beyond `most_tokens`."""
        pieces: list[Piece[J]] = []
        tokens = 0
        while self._jobs:
            job = self._jobs[0]
            if job.ended:
                self._jobs.popleft()
                continue
            piece = Piece(job, job.taken)
            tokens += len(piece.tokens)
            if pieces and tokens > most_tokens:
                break
            pieces.append(piece)
            job.taken += 1
            self._jobs.popleft()
            if job.taken < len(job.inputs):
                self._jobs.append(job)
        return pieces


def batches(pieces: Iterable[Piece[J]], most_tokens: int, padding_tokens: int) -> list[list[Piece[J]]]:
    """The pieces of a round in batches of near lengths.

    `most_tokens`: of a batch, padding included; one input that is longer has a batch of its own. `padding_tokens`: how
    much padding is cheaper than one more batch.
    """
    cut: list[list[Piece[J]]] = []
    room, length = 0, 0
    for piece in sorted(pieces, key=lambda piece: len(piece.tokens), reverse=True):
        padding = length - len(piece.tokens)
        if cut and padding <= room and length * (len(cut[-1]) + 1) <= most_tokens:
            cut[-1].append(piece)
            room -= padding
        else:
            cut.append([piece])
            room, length = padding_tokens, len(piece.tokens)
    return cut
