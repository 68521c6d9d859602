"""A YAML file as plain data, with the line of every value and an error for every key written twice.

YAML itself lets the second of two equal keys win in silence. What the data means is `serve_app.config_file`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from serve_app.errors import ConfigFileError

KeyPath = tuple[str | int, ...]
"""Where a value stands: `("applications", 0, "args", "models")`."""


@dataclass(frozen=True)
class YamlFile:
    """What a file says, and where it says it (lines count from 1)."""

    path: Path
    data: Any
    lines: dict[KeyPath, int]

    def line_of(self, path: KeyPath) -> int | None:
        """The line of that value, or of the closest thing around it that the file has."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


def path_text(path: KeyPath) -> str:
    """A path as a person writes it.

    >>> path_text(("applications", 0, "args"))
    'applications[0].args'
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def key_path(text: str) -> KeyPath:
    """The path that a text stands for: what `path_text` was given.

    >>> key_path("catalogue.policies[0].limit")
    ('catalogue', 'policies', 0, 'limit')
    """
    return tuple(int(index) if index else name for name, index in re.findall(r"([^.\[\]]+)(?=[.\[]|$)|\[(\d+)\]", text))


def read_yaml(path: Path) -> YamlFile:
    """Read a file; `ConfigFileError` when it is absent, not YAML, or has a key twice in one mapping."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise ConfigFileError(str(path), [f"not UTF-8 text: byte {exc.start} is {exc.reason}"]) from exc
    except OSError as exc:
        raise ConfigFileError(str(path), [f"cannot be read: {exc.strerror}"]) from exc
    return parse_yaml(text, path)


def parse_yaml(text: str, path: Path) -> YamlFile:
    """Read a text; `path` is where it came from, for the errors."""
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        data = None if node is None else loader.construct_document(node)
    except yaml.YAMLError as exc:
        raise ConfigFileError(str(path), [_syntax_problem(exc)]) from exc
    finally:
        loader.dispose()
    lines: dict[KeyPath, int] = {}
    twice = []
    for key_path, key_node, first in _walk(node, (), frozenset()):
        lines.setdefault(key_path, key_node.start_mark.line + 1)
        if first is not None:
            mark = key_node.start_mark
            twice.append(
                f"line {mark.line + 1}, column {mark.column + 1}: {path_text(key_path)}: this key was given on line "
                f"{first.start_mark.line + 1} already; remove one of the two"
            )
    if twice:
        raise ConfigFileError(str(path), twice)
    return YamlFile(path, data, lines)


def _syntax_problem(exc: yaml.YAMLError) -> str:
    if not isinstance(exc, yaml.MarkedYAMLError) or exc.problem_mark is None:
        return f"not valid YAML: {exc}"
    mark = exc.problem_mark
    context = f" ({exc.context})" if exc.context else ""
    return f"line {mark.line + 1}, column {mark.column + 1}: not valid YAML: {exc.problem}{context}"


def _walk(
    node: yaml.Node | None, path: KeyPath, above: frozenset[int]
) -> Iterator[tuple[KeyPath, yaml.Node, yaml.Node | None]]:
    """Every value's path, the node that shows its line, and the earlier node of the same key if there is one.

    `above` holds the nodes that enclose this one: an alias to one of them would have no end.
    """
    if node is None or id(node) in above:
        return
    above |= {id(node)}
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*path, index), item, None
            yield from _walk(item, (*path, index), above)
    elif isinstance(node, yaml.MappingNode):
        seen: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value)
            # Keys that `<<` brings in lie outside this mapping, and may be overridden by its own.
            own = key.start_mark.index >= node.start_mark.index and key.end_mark.index <= node.end_mark.index
            yield (*path, name), key, seen.get(name) if own else None
            if own:
                seen[name] = key
            yield from _walk(value, (*path, name), above)
