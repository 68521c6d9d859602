"""The log file of a process that is running: what is new in it, and which lines of it a person must see."""

import re
from collections import deque
from pathlib import Path

_BAD = re.compile(r"\b(ERROR|CRITICAL|Traceback|[A-Za-z_.]*(?:Error|Exception):)")
_KEPT_LINES = 400


class LogTail:
    """Reads a growing file piece by piece; keeps its last lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._partial = b""
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)

    def new_lines(self) -> list[str]:
        """The lines that were completed since the last call."""
        try:
            with self._path.open("rb") as log:
                log.seek(self._offset)
                piece = log.read()
        except OSError:
            return []
        self._offset += len(piece)
        *complete, self._partial = (self._partial + piece).split(b"\n")
        lines = [line.decode(errors="replace").rstrip() for line in complete]
        self._lines.extend(lines)
        return lines

    def relevant(self, most: int = 15) -> str:
        """The lines that tell what went wrong, else the last ones; indented, for the end of a message."""
        self.new_lines()
        bad = [line for line in self._lines if _BAD.search(line)]
        chosen = (bad or list(self._lines))[-most:]
        return "\n".join(f"    {line}" for line in chosen) or "    (nothing)"


def is_error(line: str) -> bool:
    """Whether a line of Serve's log is an error of its own."""
    return re.search(r"\b(ERROR|CRITICAL)\b", line) is not None
