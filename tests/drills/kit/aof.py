"""What was ever logged for a limit, from Redis' own append-only file: no look that comes late can miss any of it.

Redis writes what a script did before it answers, the entries with the IDs that they were given. So once a reply has
come, its entry stands in the file, whatever left the log since.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from loadtests.scenarios.kit.logs import Entry

OPTIONS = ("--appendonly", "yes", "--auto-aof-rewrite-percentage", "0")
"""With which a server keeps all that it was ever told."""


def logged(folder: Path, log: bytes) -> list[Entry]:
    """Every entry that was ever added to the stream `log`, in the order of the file. Each counts for 1 here: whether it
    was taken back is not read."""
    found = []
    for command in _commands(folder):
        if command[0].upper() == b"XADD" and command[1] == log:
            at_ms, ordinal = command[-3].split(b"-")  # behind it one field and its value
            found.append(Entry(int(at_ms), int(ordinal), 1))
    return found


def gap(entries: Iterable[Entry], window_ms: int) -> str | None:
    """What is wrong with the order of the entries; None where they are whole. A log that nobody used for a window is
    forgotten, and the next begins at 1 again."""
    for before, after in pairwise(entries):
        anew = after.ordinal == 1 and after.at_ms - before.at_ms >= window_ms
        if after.at_ms < before.at_ms or (after.ordinal != before.ordinal + 1 and not anew):
            return f"entry {after.at_ms}-{after.ordinal} follows on {before.at_ms}-{before.ordinal}"
    return None


def _commands(folder: Path) -> Iterator[list[bytes]]:
    """As they stand in the file: in `appendonlydir` since Redis 7, beside the other files before that. A last one that
    is not whole yet is left out."""
    for path in sorted([*folder.glob("appendonlydir/*.incr.aof"), *folder.glob("appendonly.aof")]):
        data, at = path.read_bytes(), 0
        try:
            while at < len(data):
                line, at = _line(data, at)
                if line.startswith(b"*"):  # others are annotations
                    command = []
                    for _ in range(int(line[1:])):
                        size, at = _line(data, at)
                        command.append(data[at : at + int(size[1:])])
                        at += int(size[1:]) + 2
                    if at > len(data):
                        return
                    yield command
        except ValueError:
            return


def _line(data: bytes, at: int) -> tuple[bytes, int]:
    end = data.index(b"\r\n", at)
    return data[at:end], end + 2
