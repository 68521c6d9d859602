"""Entities in files: a catalogue as serve_config.yaml holds it, such a file as a whole, or some entities of one kind.

What is checked here is shape: known kinds, known fields, values in range, names used once. What must hold between
entities depends on what the server has, and is the server's to say. Errors name the line.

`sluice export` writes an entity a line, as JSON, and such a file is read a line at a time: the YAML reader keeps more
than a kilobyte for each value, and a file may hold a million keys.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from policies.catalogue import Kind, describe
from serve_app.errors import ConfigFileError, ServeAppError
from serve_app.schema_check import did_you_mean
from serve_app.yaml_reader import KeyPath, YamlFile, key_path, parse_yaml, path_text

STDIN = "-"

_EXPORTED_KIND = re.compile(r"([a-z]+):( \[\])?")
_EXPORTED_ITEM = "  - {"

MOST_PROBLEMS = 50
"""How many problems of one file are told."""


class CatalogueFileError(ServeAppError):
    """A file of entities that is wrong; nothing was sent."""

    def __init__(self, path: str, problems: list[str]) -> None:
        self.problems = tuple(problems)
        listed = "\n".join(f"  {problem}" for problem in problems[:MOST_PROBLEMS])
        more = f"\n  … and {len(problems) - MOST_PROBLEMS} more" if len(problems) > MOST_PROBLEMS else ""
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"{path}: {count}, nothing was sent\n{listed}{more}")


@dataclass(frozen=True, slots=True)
class Item:
    """One entity as the file has it."""

    kind: Kind
    data: Any
    line: int | None
    path: KeyPath = ()
    """Where it stands in the file; empty where its line says it all."""


@dataclass(frozen=True)
class CatalogueFile:
    """What a file holds, entity by entity; read anew each time it is gone through."""

    path: str
    _text: str
    _parsed: YamlFile | None
    _root: KeyPath = ()
    _model: type[BaseModel] | None = None
    """What the entities are to be, where that is not their kind's own class."""

    def items(self) -> Iterator[Item]:
        """Every entity, in the file's order."""
        if self._parsed is None:
            yield from _exported_items(self._text)
            return
        catalogue = _at(self._parsed.data, self._root)
        for kind in catalogue:
            for index, data in enumerate(catalogue[kind] or ()):
                path = (*self._root, kind, index)
                yield Item(Kind(kind), data, self._parsed.line_of(path), path)

    def entity(self, item: Item) -> BaseModel:
        """The entity itself; raises pydantic's error where it is none."""
        return (self._model or item.kind.entity).model_validate(item.data)

    def checked(self) -> int:
        """How many entities there are; raises `CatalogueFileError` with every problem found."""
        problems: list[str] = []
        lines: dict[tuple[Kind, str], int | None] = {}
        count = 0
        for count, item in enumerate(self.items(), 1):  # noqa: B007  the last one counts them all
            found = self._problems_of(item)
            problems += found
            if found:
                continue
            name = (item.kind, _name(item))
            if name in lines:
                problems.append(
                    self._place(item.line, f"{item.kind.singular} {name[1]!r} stands {_on(lines[name])} too")
                )
            lines.setdefault(name, item.line)
        if problems:
            raise CatalogueFileError(self.path, problems)
        return count

    def _problems_of(self, item: Item) -> list[str]:
        try:
            self.entity(item)
        except ValidationError as error:
            place = path_text(item.path) if item.path else f"{item.kind}"
            sentences = []
            for sentence in describe(error, place, self._model or item.kind.entity):
                where = sentence.partition(": ")[0]
                line = self._parsed.line_of(key_path(where)) if self._parsed is not None else item.line
                sentences.append(self._place(line, sentence))
            return sentences
        return []

    def _place(self, line: int | None, text: str) -> str:
        return f"{self.path}:{line}: {text}" if line is not None else f"{self.path}: {text}"


def read_catalogue(path: str) -> CatalogueFile:
    """A whole catalogue: its six lists, or a serve_config.yaml that holds it."""
    text = _read(path)
    if _is_exported(text):
        return CatalogueFile(path, text, None)
    file = _parse(text, path)
    root = _catalogue_root(file, path)
    _check_lists(file, path, root)
    return CatalogueFile(path, text, file, root)


def read_entities(path: str, kind: Kind, model: type[BaseModel] | None = None) -> CatalogueFile:
    """Entities of one kind: one of them, a list of them, or that list under the kind's own name.

    `model`: what they are to be, where that is not the kind's own class.
    """
    return replace(_read_entities(path, kind), _model=model)


def _read_entities(path: str, kind: Kind) -> CatalogueFile:
    file = _parse(_read(path), path)
    data = file.data
    if isinstance(data, dict) and data and data.keys() <= set(Kind):
        if set(data) != {kind}:
            others = ", ".join(str(key) for key in data if key != kind)
            raise CatalogueFileError(path, [f"{path}: holds {others} too: `sluice apply -f {path}` takes all kinds"])
        _check_lists(file, path, ())
        return CatalogueFile(path, "", file)
    many = isinstance(data, list)
    lifted = {(kind, *(at if many else (0, *at))): line for at, line in file.lines.items()}
    if not many and isinstance(data, dict):
        lifted[kind, 0] = min(file.lines.values(), default=1)
    wrapped = YamlFile(file.path, {str(kind): data if many else [data]}, lifted)
    return CatalogueFile(path, "", wrapped)


def _read(path: str) -> str:
    try:
        return sys.stdin.read() if path == STDIN else Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CatalogueFileError(path, [f"{path}: not UTF-8 text: byte {error.start} is {error.reason}"]) from error
    except OSError as error:
        raise CatalogueFileError(path, [f"{path}: cannot be read: {error.strerror}"]) from error


def _parse(text: str, path: str) -> YamlFile:
    if text.lstrip().startswith(("{", "[")):
        text = text.replace("\t", "  ")  # JSON may be indented with them, and YAML refuses them
    try:
        file = parse_yaml(text, Path(path))
    except ConfigFileError as error:
        raise CatalogueFileError(path, [_with_line_first(path, problem) for problem in error.problems]) from error
    if file.data is None:
        raise CatalogueFileError(path, [f"{path}: holds nothing"])
    return file


def _with_line_first(path: str, problem: str) -> str:
    found = re.match(r"line (\d+), column (\d+): ", problem)
    return f"{path}:{found[1]}:{found[2]}: {problem[found.end() :]}" if found else f"{path}: {problem}"


def _catalogue_root(file: YamlFile, path: str) -> KeyPath:
    """Where in the file the six lists stand: at its top, under `catalogue`, or in an application of ours."""
    data = file.data
    if not isinstance(data, dict):
        raise CatalogueFileError(path, [f"{path}: must hold the lists {', '.join(Kind)}, but it is {_called(data)}"])
    if "applications" not in data:
        return ("catalogue",) if isinstance(data.get("catalogue"), dict) and len(data) == 1 else ()
    roots = []
    for at, application in enumerate(_listed(data["applications"])):
        for deployed, deployment in enumerate(_listed(_of(application, "deployments"))):
            if isinstance(_of(_of(deployment, "user_config"), "catalogue"), dict):
                roots.append(("applications", at, "deployments", deployed, "user_config", "catalogue"))
    if len(roots) != 1:
        found = "no user_config.catalogue" if not roots else f"{len(roots)} catalogues"
        raise CatalogueFileError(
            path, [f"{path}: has {found}: write the lists {', '.join(Kind)} into a file of their own"]
        )
    return roots[0]


def _check_lists(file: YamlFile, path: str, root: KeyPath) -> None:
    problems = []
    for key, value in _at(file.data, root).items():
        place = f"{path}:{file.line_of((*root, key))}: {path_text((*root, str(key)))}"
        if key not in set(Kind):
            problems.append(f"{place}: unknown key; {did_you_mean(str(key), Kind)}")
        elif value is not None and not isinstance(value, list):
            problems.append(f"{place}: must be a list of {key}, but it is {_called(value)}")
    if problems:
        raise CatalogueFileError(path, problems)


def _is_exported(text: str) -> bool:
    """Whether every line is one that `sluice export` writes."""
    kinds = set(Kind)
    seen: set[str] = set()
    for line in text.splitlines():
        if line.startswith(_EXPORTED_ITEM):
            if not seen or not line.endswith("}"):
                return False
        elif line and not line.startswith("#"):
            kind = _EXPORTED_KIND.fullmatch(line)
            if kind is None or kind[1] not in kinds or kind[1] in seen:
                return False
            seen.add(kind[1])
    try:
        for item in _exported_items(text):
            if not isinstance(item.data, dict):
                return False
    except ValueError:  # YAML's own way of writing a mapping in a line, or a key that is given twice
        return False
    return bool(seen)


def _exported_items(text: str) -> Iterator[Item]:
    kind = Kind.TENANTS
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(_EXPORTED_ITEM):
            yield Item(kind, json.loads(line[4:], object_pairs_hook=_once), number)
        elif line and not line.startswith("#"):
            kind = Kind(line.partition(":")[0])


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key is given twice")
    return made


def _name(item: Item) -> str:
    return str(item.data["id" if item.kind is Kind.KEYS else "name"])


def _on(line: int | None) -> str:
    return "elsewhere" if line is None else f"on line {line}"


def _at(data: Any, path: KeyPath) -> Any:
    for part in path:
        data = data[part]
    return data


def _of(data: Any, key: str) -> Any:
    return data.get(key) if isinstance(data, Mapping) else None


def _listed(data: Any) -> list[Any]:
    return data if isinstance(data, list) else []


def _called(data: Any) -> str:
    return {dict: "a mapping", list: "a list", type(None): "nothing"}.get(type(data), f"{data!r:.40}")
