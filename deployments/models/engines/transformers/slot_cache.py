"""Keys and values of all rows of a batch, each of its own length: what a model's attention layers read and write.

A row has a slot, and the token at position n of its text stands in column n there. So rows of different lengths run
together without moving anything when one joins; whoever leaves is replaced by the last row. What a row may look at is
told by the mask alone: columns beyond its own position hold what former rows left, and are never looked at.
"""

from typing import Any

import torch
from torch import Tensor

COLUMNS_STEP = 256
ROWS_STEP = 8


class SlotCache:
    """Takes the place of the library's caches in a model's forward. Grows as it must; `fit` says to what."""

    is_compileable = False

    def __init__(self) -> None:
        self._keys: list[Tensor | None] = []
        self._values: list[Tensor | None] = []
        self._rows, self._columns = 0, 0
        # Of the forward that runs:
        self._first, self._seen = 0, 0
        self._places: Tensor | None = None
        self._slots: Tensor | None = None

    @property
    def bytes_per_token(self) -> int:
        """Known once a forward ran."""
        whole = [each for each in (*self._keys, *self._values) if each is not None]
        return sum(each[0, 0].numel() * each.element_size() for each in whole)

    def fit(self, rows: int, columns: int) -> None:
        """Makes room, keeping what is there. One layer after the other, so that little is there twice at a time."""
        if rows <= self._rows and columns <= self._columns:
            return
        rows, columns = _up(rows, ROWS_STEP), _up(columns, COLUMNS_STEP)
        for buffers in (self._keys, self._values):
            for layer, old in enumerate(buffers):
                if old is not None and (old.shape[0] != rows or old.shape[1] != columns + 1):
                    new = old.new_zeros(rows, columns + 1, *old.shape[2:])
                    kept_rows, kept_columns = min(rows, old.shape[0]), min(columns + 1, old.shape[1])
                    new[:kept_rows, :kept_columns] = old[:kept_rows, :kept_columns]
                    buffers[layer] = new
        self._rows, self._columns = rows, columns

    def release(self) -> None:
        """Gives all memory back; nothing may be in use."""
        self._keys, self._values = [], []
        self._rows, self._columns = 0, 0

    def begin(self, first: int, positions: Tensor, padding: Tensor | None, seen: int) -> None:
        """Before a forward of the slots from `first` on. `positions`: [rows, tokens], where each token stands;
        `padding`: where they are none. `seen`: how many columns the forward looks at."""
        # Padding is written behind the last column, where nobody looks.
        self._places = positions if padding is None else positions.masked_fill(padding, self._columns)
        self._slots = torch.arange(positions.shape[0], device=positions.device).unsqueeze(1)
        self._first, self._seen = first, seen

    def move(self, source: int, target: int, columns: int) -> None:
        """Copies a row's columns to another slot."""
        for buffer in (*self._keys, *self._values):
            if buffer is not None:
                buffer[target, :columns] = buffer[source, :columns]

    def swap(self, one: int, other: int, columns: int) -> None:
        """Exchanges two rows."""
        for buffer in (*self._keys, *self._values):
            if buffer is not None:
                kept = buffer[one, :columns].clone()
                buffer[one, :columns] = buffer[other, :columns]
                buffer[other, :columns] = kept

    # What models call.

    def update(self, keys: Tensor, values: Tensor, layer_idx: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Takes in the new tokens' keys and values, [rows, heads, tokens, size]; returns those of all columns seen."""
        return self._one(self._keys, keys, layer_idx), self._one(self._values, values, layer_idx)

    def _one(self, buffers: list[Tensor | None], new: Tensor, layer: int) -> Tensor:
        while len(buffers) <= layer:
            buffers.append(None)
        buffer = buffers[layer]
        if buffer is None:
            shape = (self._rows, self._columns + 1, new.shape[1], new.shape[3])
            buffer = buffers[layer] = new.new_zeros(shape)
        rows = buffer[self._first : self._first + new.shape[0]]
        rows[self._slots, self._places] = new.transpose(1, 2)
        return rows[:, : self._seen].transpose(1, 2)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Asked where positions or a mask are not given; here they always are."""
        return 0

    def get_query_offset(self, layer_idx: int = 0) -> int:
        """As above."""
        return 0

    def get_mask_sizes(self, query_length: int, layer_idx: int = 0) -> tuple[int, int]:
        """Length and beginning of what is looked at."""
        return self._seen, 0


def _up(number: int, step: int) -> int:
    return -(-number // step) * step
