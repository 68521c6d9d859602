"""Continuous batching: which rows run together, and when.

Between two steps rows join and leave. A step reads a piece of the prompts of those that join, at most `prefill_tokens`
of all of them together and equally many of each, so that a long prompt holds up neither the replies that grow nor the
short prompts that came with it; then every reply grows by one token. The slots of rows that grow come first, those of
rows that join after them, so either is one slice of the cache.

Why not the library's own (`ContinuousBatchingManager`, transformers 5.23): it samples all requests by one
configuration and one generator, so none has a seed of its own; it tells only the chosen token's log-probability, after
temperature and top_p; and one failed forward ends its thread and all requests with it.
"""

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import torch

from deployments.models.engines.protocol import EngineBrokenError, EngineError, EngineFailureError
from deployments.models.engines.transformers.causal import CausalModel
from deployments.models.engines.transformers.replies import Post, deliver
from deployments.models.engines.transformers.row import Row
from deployments.models.engines.transformers.sampling import Chosen, choose

_log = logging.getLogger(__name__)

Outcome = Chosen | EngineFailureError | None
"""Of a row in a step. None: its prompt is not read to its end yet."""


class Batcher:
    """A thread that generates. Only `submit`, `wake`, `close` and the counts are for other threads."""

    def __init__(
        self, load: Callable[[], CausalModel], max_rows: int, loaded: Callable[[Exception | None], object]
    ) -> None:
        """`loaded` is called from the thread, once the model is ready or cannot be."""
        self._load, self._max_rows, self._loaded = load, max_rows, loaded
        self._arrived: queue.SimpleQueue[Row | None] = queue.SimpleQueue()
        """None: something else has changed."""
        self._waiting: deque[Row] = deque()
        self._rows: list[Row] = []
        """By slot."""
        self._growing = 0
        """How many of the rows, the first ones, have read their prompts."""
        self._posts: list[Post] = []
        self._closing = False
        self.over: str | None = None
        """Set once nothing is served any more; says why."""
        self._thread = threading.Thread(target=self._run, name="generation", daemon=True)

    @property
    def running(self) -> int:
        """How many requests are in the thread's hands."""
        return len(self._rows) + len(self._waiting)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Loads the model, and then serves."""
        self._thread.start()

    def submit(self, row: Row) -> None:
        """To be run."""
        self._arrived.put(row)

    def wake(self) -> None:
        """Has the thread look at who left."""
        self._arrived.put(None)

    def close(self, timeout_s: float) -> None:
        """Ends the thread after its step; blocks."""
        self._closing = True
        self.over = self.over or "the engine was closed"
        self.wake()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    # All that follows is the thread's.

    def _run(self) -> None:
        try:
            self._model = self._load()
        except Exception as error:  # noqa: BLE001 - who waits for it must hear of it, whatever it is
            self.over = f"the model was not loaded: {error}"
            self._loaded(error)
            return
        self._loaded(None)
        try:
            with torch.inference_mode():
                while not self._closing:
                    self._gather()
                    self._step()
                    self._flush()
        except Exception as error:  # noqa: BLE001 - whatever ends the thread, who waits must hear of it
            _log.exception("generation ended")
            self.over = self.over or f"generation ended: {error!r}"
        self._fail_all(EngineBrokenError(self.over))

    def _gather(self) -> None:
        """Takes in what has arrived; waits where there is nothing else to do."""
        while True:
            try:
                row = self._arrived.get(block=not self.running and not self._closing)
            except queue.Empty:
                break
            if row is not None:
                self._waiting.append(row)
            elif self._closing:
                break
        if any(row.reply.left for row in self._waiting):
            self._waiting = deque(row for row in self._waiting if not row.reply.left)
        for row in [row for row in self._rows if row.reply.left]:
            self._drop(row)
        while self._waiting and len(self._rows) < self._max_rows and self._has_room(self._waiting[0]):
            self._rows.append(self._waiting.popleft())

    def _has_room(self, row: Row) -> bool:
        """Whether the cache has room for it and all others, however long they become. First come, first served: a long
        one waits until it fits, and those behind it with it."""
        longest = max(row.most_columns, max((each.most_columns for each in self._rows), default=0))
        return (len(self._rows) + 1) * longest <= self._model.cache_tokens or not self._rows

    def _step(self) -> None:
        if self._growing < len(self._rows):
            self._prefill()
            self._flush()  # first tokens wait for nobody else's next one
        if self._growing:
            rows = self._rows[: self._growing]
            self._say(rows, self._outcomes(0, [[row.last_token] for row in rows]))

    def _prefill(self) -> None:
        joining = self._rows[self._growing :]
        share = max(1, self._model.prefill_tokens // len(joining))
        pieces = [row.prompt[row.columns : row.columns + share] for row in joining]
        outcomes = self._outcomes(self._growing, pieces)
        for row, outcome in zip(joining, outcomes, strict=True):
            if isinstance(outcome, Chosen):
                self._promote(row)
        self._say(joining, outcomes)

    def _promote(self, row: Row) -> None:
        """To the rows that grow."""
        slot, target = self._rows.index(row), self._growing
        if slot != target:
            other = self._rows[target]
            self._model.cache.swap(slot, target, max(row.columns, other.columns))
            self._rows[slot], self._rows[target] = other, row
        self._growing += 1

    def _drop(self, row: Row) -> None:
        """Out of the batch: the last of its kind takes its slot, and the last of all the one that this leaves."""
        slot = self._rows.index(row)
        if slot < self._growing:
            self._growing -= 1
            self._fill(slot, self._growing)
            slot = self._growing
        last = len(self._rows) - 1
        self._fill(slot, last)
        self._rows.pop()

    def _fill(self, slot: int, source: int) -> None:
        if slot != source:
            self._model.cache.move(source, slot, self._rows[source].columns)
            self._rows[slot] = self._rows[source]

    def _say(self, rows: list[Row], outcomes: list[Outcome]) -> None:
        """Gives each row its next token, and drops those that ended."""
        for row, outcome in zip(rows, outcomes, strict=True):
            if isinstance(outcome, EngineFailureError):
                self._posts.append(Post(row.reply, outcome))
                self._drop(row)
            elif outcome is not None and (chunk := row.say(outcome)) is not None:
                self._posts.append(Post(row.reply, chunk))
                if chunk.finish_reason is not None:
                    self._drop(row)

    def _outcomes(self, first: int, tokens: list[list[int]]) -> list[Outcome]:
        """Of the rows from slot `first` on, each going on with its tokens: what it says next. Where the model fails,
        each row is tried alone, so that only those fail that make it fail."""
        rows = self._rows[first : first + len(tokens)]
        try:
            starts = [row.columns for row in rows]
            needed = max(start + len(own) for start, own in zip(starts, tokens, strict=True))
            self._model.cache.fit(len(self._rows), max(needed, *(row.columns for row in self._rows)))
            logits = self._model.forward(first, tokens, starts)
            ready = [
                at for at, own in enumerate(tokens) if starts[at] + len(own) >= len(rows[at].prompt)
            ]  # of a prompt's first pieces the scores say nothing, and its chance is not used up by them
            chosen = dict(zip(ready, choose(logits[ready], [rows[at].sampling for at in ready]), strict=True))
            for row, own in zip(rows, tokens, strict=True):
                row.columns += len(own)
            return [chosen.get(at) for at in range(len(rows))]
        except torch.OutOfMemoryError as error:
            failure, broken = EngineFailureError(f"the device's memory does not suffice: {error}"), False
        except torch.AcceleratorError:  # after which the device serves this process nothing any more
            raise
        except Exception as error:  # noqa: BLE001 - models raise what they like; other requests go on
            _log.exception("a step with %d requests failed", len(rows))
            failure, broken = EngineFailureError(f"the model failed: {error}"), True
        self._free_memory()
        if len(rows) > 1:
            return [self._outcomes(first + at, [own])[0] for at, own in enumerate(tokens)]
        if broken:
            self._probe()
        return [failure]

    def _probe(self) -> None:
        """Raises where every other request would fail too: then the thread ends."""
        with suppress(torch.OutOfMemoryError):
            self._model.plain([0])

    def _free_memory(self) -> None:
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()

    def _flush(self) -> None:
        posts, self._posts = self._posts, []
        deliver(posts)

    def _fail_all(self, error: EngineError) -> None:
        """Answers who still waits, once nothing will run any more."""
        self._flush()
        while not self._arrived.empty():
            row = self._arrived.get()
            if row is not None:
                self._waiting.append(row)
        deliver(Post(row.reply, error) for row in (*self._rows, *self._waiting))
        self._rows, self._growing = [], 0
        self._waiting.clear()
