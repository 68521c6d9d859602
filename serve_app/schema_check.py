"""Data against a pydantic model, with unknown keys as errors whatever the model itself would do with them.

Ray's own models drop most unknown keys in silence. This walks the data beside the model's fields and names every key
that is not one of them, then lets pydantic check the values. Nothing here is about one particular file: that is
`serve_app.config_file`.
"""

import difflib
import re
import types
import typing
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from serve_app.yaml_reader import KeyPath

SECRET_WORDS = ("password", "secret", "token", "url", "key")
"""A value under a key with one of these in its name is not repeated in an error."""

PUBLIC_NAMES = frozenset({"key_prefix"})
"""Nothing secret, whatever the word in it."""

LONGEST_SHOWN = 60
"""Characters of a value that an error repeats."""

_USER_OF_URL = re.compile(r"//\S*@")
"""User and password of an address in a sentence: all up to the last `@`, since a password may hold one."""

_MUST_BE_MAPPING = "must be a mapping of keys to values"

Overrides = Mapping[tuple[type[BaseModel], str], type[BaseModel]]
"""Fields that a model declares as a plain dict, although another model is what they hold."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a file: where, and what to do about it."""

    path: KeyPath
    text: str


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of an error about an unknown name: the closest known one, or all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(names)}"


def check(data: Any, model: type[BaseModel], path: KeyPath, overrides: Overrides) -> list[Problem]:
    """Everything wrong with `data` as a `model`, which stands at `path` of the file."""
    problems = list(_unknown_keys(data, model, path, overrides))
    if any(problem.text.startswith(_MUST_BE_MAPPING) for problem in problems):
        # Ray's validators take the shape for granted and break off with errors about Python's types.
        return problems
    problems += validate(data, model, path)
    for loose_path, loose_model, value in _held_as_dict(data, model, path, overrides):
        problems += validate(value, loose_model, loose_path)
    return problems


def validate(data: Any, model: type[BaseModel], path: KeyPath) -> list[Problem]:
    """What pydantic finds, unknown keys left out (those are found, with a suggestion, by the walk)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations of Ray's: it repeats them when it reads the file
            model.model_validate(data)
    except ValidationError as exc:
        # A union reports every branch that did not fit, at one place: one problem for the person.
        texts: dict[KeyPath, list[str]] = {}
        for error in exc.errors(include_url=False):
            if error["type"] != "extra_forbidden":
                at = _real_path(data, error)
                texts.setdefault(path + at, []).append(_text(error, at))
        return [Problem(at, "; or: ".join(dict.fromkeys(found))) for at, found in texts.items()]
    except (TypeError, ValueError, AttributeError, NotImplementedError) as exc:
        # Validators that run before pydantic's own take a well-formed value for granted, and some of Ray's raise what
        # pydantic does not collect.
        return [Problem(path, f"not accepted: {_USER_OF_URL.sub('//…@', str(exc))}")]
    return []


def _unknown_keys(data: Any, model: type[BaseModel], path: KeyPath, overrides: Overrides) -> Iterator[Problem]:
    if not isinstance(data, dict):
        yield Problem(path, f"{_MUST_BE_MAPPING}, but it is {_shown(data)}")
        return
    known = _known_keys(model)
    for key, value in data.items():
        field = known.get(key) if isinstance(key, str) else None
        if field is None:
            yield Problem((*path, str(key)), f"unknown key; {did_you_mean(str(key), known)}")
            continue
        inner = _inner_model(model, field, overrides)
        named = _model_of_values(model.model_fields[field].annotation)
        if named is not None and isinstance(value, dict):
            for name, item in value.items():
                if isinstance(item, dict):  # else the values' check says what it must be
                    yield from _unknown_keys(item, named, (*path, key, str(name)), overrides)
            continue
        if inner is None or value is None:
            continue  # nothing to look into; whether the key may be null, the values' check says
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from _unknown_keys(item, inner, (*path, key, index), overrides)
        else:
            yield from _unknown_keys(value, inner, (*path, key), overrides)


def _held_as_dict(
    data: Any, model: type[BaseModel], path: KeyPath, overrides: Overrides
) -> Iterator[tuple[KeyPath, type[BaseModel], Any]]:
    """Values that `model` itself accepts as any dict at all, with the model that they really have to fit."""
    if not isinstance(data, dict):
        return
    for key, field in _known_keys(model).items():
        inner = _inner_model(model, field, overrides)
        if inner is None or data.get(key) is None:
            continue
        loose = (model, field) in overrides or _accepts_dict(model.model_fields[field].annotation)
        value = data[key]
        items: list[tuple[KeyPath, Any]] = [((*path, key), value)]
        if isinstance(value, list):
            items = [((*path, key, index), item) for index, item in enumerate(value)]
        for at, item in items:
            if loose and isinstance(item, dict):
                yield at, inner, item
            yield from _held_as_dict(item, inner, at, overrides)


def _known_keys(model: type[BaseModel]) -> dict[str, str]:
    """Key in the file -> name of the field."""
    keys = {}
    for name, field in model.model_fields.items():
        if field.alias is None or model.model_config.get("populate_by_name"):
            keys[name] = name
        if field.alias is not None:
            keys[field.alias] = name
    return keys


def _inner_model(model: type[BaseModel], field: str, overrides: Overrides) -> type[BaseModel] | None:
    """The model that a field holds one or several of."""
    found = overrides.get((model, field))
    return found or next(_models_in(model.model_fields[field].annotation), None)


def _model_of_values(annotation: Any) -> type[BaseModel] | None:
    """Of `dict[str, Model]`: the model."""
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is not dict or not arguments:
        return None
    return next(_models_in(arguments[1]), None)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif typing.get_origin(annotation) in (typing.Union, types.UnionType, list, typing.Annotated):
        for part in typing.get_args(annotation):
            yield from _models_in(part)


def _accepts_dict(annotation: Any) -> bool:
    origin = typing.get_origin(annotation) or annotation
    if origin in (typing.Union, types.UnionType, list):
        return any(_accepts_dict(part) for part in typing.get_args(annotation))
    return origin is dict


def _real_path(data: Any, error: ErrorDetails) -> KeyPath:
    """Where the file has what pydantic complains about: its location without the names of union branches."""
    path: list[str | int] = []
    for part in error["loc"]:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            continue
        path.append(part)
    if error["type"] == "missing":
        path.append(error["loc"][-1])
    return tuple(path)


def _text(error: ErrorDetails, path: KeyPath) -> str:
    if error["type"] == "missing":
        return "missing; this key is required"
    message = _USER_OF_URL.sub("//…@", error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message[:1].lower() + message[1:] if message.startswith("Input ") else message
    name = str(path[-1]).lower() if path else ""
    secret = name not in PUBLIC_NAMES and any(word in name for word in SECRET_WORDS)
    if secret or isinstance(error["input"], dict | list):
        return message
    return f"{message}, but it is {_shown(error['input'])}"


def _shown(value: Any) -> str:
    """A value as an error repeats it: of what may be an address neither what is before its host nor its options."""
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        hidden, at, rest = value.rpartition("@")
        value = f"…@{rest}" if at else rest
        value = f"{value.partition('?')[0]}?…" if "://" in hidden + rest and "?" in value else value
    shown = repr(value)
    return shown if len(shown) <= LONGEST_SHOWN else shown[: LONGEST_SHOWN - 1] + "…"
