"""How commands answer: results on stdout, for people or as JSON; everything else on stderr.

Tables fit the terminal. Where one is too narrow for a row, each row becomes a block of lines; where stdout is no
terminal, nothing is wrapped, so that a pipe sees one line for each row.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

_GAP = 2
_NARROWEST_COLUMN = 9
"""A table whose columns would have to be narrower than this on average is shown as blocks."""


class Output:
    """Where one command writes."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._out = Console(highlight=False, markup=False, emoji=False)
        self._notes = Console(stderr=True, highlight=False, markup=False, emoji=False)

    def json(self, data: Any) -> None:
        """One JSON document."""
        print(json.dumps(data, indent=2, ensure_ascii=False))

    def line(self, text: str, style: str = "") -> None:
        """A line of the result, as it is: never wrapped."""
        self._out.print(Text(text, style), soft_wrap=True)

    def note(self, text: str, style: str = "") -> None:
        """A line for the person, beside the result."""
        self._notes.print(Text(text, style), soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, header: bool = True) -> None:
        """Rows under their columns, or as blocks where the terminal is too narrow."""
        natural = sum(max(map(len, [name, *(row[at] for row in rows)])) for at, name in enumerate(columns))
        natural += _GAP * (len(columns) - 1)
        if not self._out.is_terminal:
            self._out.width = natural
        elif self._out.width < min(natural, len(columns) * (_NARROWEST_COLUMN + _GAP)):
            self._blocks(columns, rows)
            return
        table = Table(box=None, pad_edge=False, show_header=header, padding=(0, _GAP, 0, 0))
        for name in columns:
            table.add_column(name, overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        with self._out.capture() as shown:
            self._out.print(table)
        for line in shown.get().splitlines():
            self._out.file.write(line.rstrip() + "\n")

    def _blocks(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        longest = max(map(len, columns))
        for at, row in enumerate(rows):
            if at:
                self.line("")
            for name, cell in zip(columns, row, strict=True):
                if cell:
                    self.line(f"{name:<{longest}}  {cell}")

    def progress(self) -> Progress:
        """A bar on stderr, gone when it is done; nothing where stderr is no terminal."""
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._notes,
            transient=True,
            disable=not self._notes.is_terminal,
        )


def plain(value: Any) -> str:
    """A value of an entity as one cell of a table.

    >>> plain({"tenant": ["acme", "globex"], "model": None}), plain(None), plain(True), plain(1.0)
    ('tenant=acme|globex', '', 'yes', '1')
    """
    if value is None or value == [] or value == {}:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return " ".join(f"{name}={plain(one).replace(',', '|')}" for name, one in value.items() if one is not None)
    if isinstance(value, Sequence):
        return ",".join(plain(one) for one in value)
    return str(value)


def moment(text: str | None) -> str:
    """A point in time as a table shows it: UTC, to the second.

    >>> moment("2026-01-01T12:00:03.123000Z"), moment(None)
    ('2026-01-01 12:00:03', '')
    """
    return "" if text is None else text[:19].replace("T", " ")


def report(message: str, code: str, *, as_json: bool) -> None:
    """An error, on stderr."""
    if as_json:
        print(json.dumps({"error": {"code": code, "message": message}}, ensure_ascii=False), file=sys.stderr)
    else:
        print(f"sluice: {message}", file=sys.stderr)
