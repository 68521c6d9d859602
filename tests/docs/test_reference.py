"""What of the documentation is made from the code is as the code is now, and says something of every field."""

import json
import re

import pytest
from pydantic import BaseModel

from docs.site import fields
from docs.site.api import DESCRIPTION, METHODS
from docs.site.reference import DOCS, made
from policies import __all__ as face
from serve_app.config import ApplicationArgs

MADE = made()
TABLES = {model for path in MADE for model in fields.models_in(MADE[path])}


@pytest.mark.parametrize("path", MADE, ids=lambda path: path.name)
def test_it_is_up_to_date(path: object) -> None:
    page = next(page for page in MADE if page == path)
    assert page.read_text() == MADE[page], f"docs/{page.name} is stale: make reference"


@pytest.mark.parametrize("model", sorted(TABLES, key=lambda model: model.__name__), ids=lambda model: model.__name__)
def test_every_field_says_what_it_does(model: type[BaseModel]) -> None:
    missing = fields.undocumented(model)
    assert not missing, f"write a docstring under {', '.join(f'{model.__name__}.{name}' for name in missing)}"


def _below(model: type[BaseModel]) -> set[type[BaseModel]]:
    """The model, and every model that its fields are of."""
    found = {model}
    for field in model.model_fields.values():
        for each in _models_of(field.annotation):
            found |= _below(each)
    return found


def _models_of(annotation: object) -> list[type[BaseModel]]:
    inner = getattr(annotation, "__args__", ())
    if isinstance(annotation, type) and not inner:
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for each in inner for model in _models_of(each)]


def test_every_setting_has_a_table() -> None:
    """A model of settings that a field of another is of has a table of its own."""
    assert len(_below(ApplicationArgs)) >= 8
    assert {model.__name__ for model in _below(ApplicationArgs) - TABLES} == set()


def test_every_route_is_there() -> None:
    page = (DOCS / "api.md").read_text()
    described = json.loads(DESCRIPTION.read_text())["paths"]
    routes = {f"{method.upper()} {path}" for path, of in described.items() for method in METHODS if method in of}
    assert set(re.findall(r"^### (.+)$", page, re.MULTILINE)) == routes


def test_every_public_name_is_there() -> None:
    assert set(re.findall(r"^## (.+)$", (DOCS / "python.md").read_text(), re.MULTILINE)) == set(face)


def test_a_field_without_a_word_is_noticed() -> None:
    class Odd(BaseModel):
        told: int = 1
        untold: int = 2

    assert fields.undocumented(Odd) == ["told", "untold"]


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 60_000}, "a whole number, 1 to 60,000"),
        ({"type": "number", "exclusiveMinimum": 0}, "a number, more than 0"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text"),
        ({"enum": ["a", "b"]}, "`a`, `b`"),
        ({"type": "array", "items": {"type": "boolean"}}, "a list of: `true`, `false`"),
    ],
)
def test_what_a_field_takes(schema: dict[str, object], said: str) -> None:
    assert fields._kind(schema, {}) == said
