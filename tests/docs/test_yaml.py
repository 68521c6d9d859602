"""Every piece of YAML or JSON in the documentation is right: a whole file by what `sluice check` asks, a piece by the
model that it is a piece of. Which that is, its keys say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from policies.catalogue.whole import Lists
from policies.entities import RateLimitPolicy
from policies.errors import PoliciesError
from serve_app.config import ApplicationArgs
from serve_app.config_file import read_serve_config
from serve_app.errors import ConfigFileError
from tests.docs.blocks import Block, in_way

WRONG = (ValidationError, PoliciesError, ConfigFileError, AssertionError, yaml.YAMLError)

OF_DEPLOYMENTS = {"num_replicas", "max_ongoing_requests", "autoscaling_config", "ray_actor_options", "user_config"}


class _EachKeyOnce(yaml.SafeLoader):
    """PyYAML takes the last of two equal keys; whoever copies such a block loses the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key twice: {keys}"
        return super().construct_mapping(node, deep)


def _whole_file(data: Any, folder: Path) -> None:
    path = folder / "serve_config.yaml"
    path.write_text(yaml.safe_dump(data))
    read_serve_config(path)


def _file(deployments: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    """A file with these deployments, and models with these names."""
    args = {"models": [{"name": name} for name in names]}
    application = {"name": "sluice", "import_path": "serve_app:build", "args": args, "deployments": deployments}
    return {"applications": [application]}


_INGRESS = {"name": "Ingress", "user_config": {"catalogue": {}}}


def _deployments(data: list[dict[str, Any]], folder: Path) -> None:
    """As part of a file whose models are those that they run."""
    names = [each["name"].removeprefix("model-") for each in data if each["name"].startswith("model-")]
    deployments = data if any(each["name"] == "Ingress" for each in data) else [_INGRESS, *data]
    _whole_file(_file(deployments, names or ["chat"]), folder)


def _http_options(data: dict[str, Any], folder: Path) -> None:
    _whole_file({**_file([_INGRESS], ["chat"]), **data}, folder)


def _arguments(data: dict[str, Any], folder: Path) -> None:
    for name, value in data.items():
        field = ApplicationArgs.model_fields[name]
        TypeAdapter(field.annotation).validate_python(value)


def _is_list_of(data: Any, *keys: str) -> bool:
    return (
        isinstance(data, list) and bool(data) and all(isinstance(each, dict) and set(keys) & set(each) for each in data)
    )


def _keys_of(data: Any, known: set[str]) -> bool:
    return isinstance(data, dict) and set(data) <= known


SHAPES: list[tuple[Callable[[Any], bool], Callable[[Any, Path], object]]] = [
    (lambda data: "applications" in data, _whole_file),
    (lambda data: _is_list_of(data, "scope"), lambda data, _: [RateLimitPolicy.model_validate(each) for each in data]),
    (lambda data: _is_list_of(data, *OF_DEPLOYMENTS), _deployments),
    (lambda data: _keys_of(data, {"deployments"}), lambda data, folder: _deployments(data["deployments"], folder)),
    (lambda data: _keys_of(data, {"http_options"}), _http_options),
    (lambda data: _keys_of(data, {"args"}), lambda data, folder: _arguments(data["args"], folder)),
    (
        lambda data: _keys_of(data, set(Lists.model_fields)) and not _is_list_of(data.get("models"), "engine", "slots"),
        lambda data, _: Lists.parse(data),
    ),
    (lambda data: _keys_of(data, set(ApplicationArgs.model_fields)), _arguments),
]
"""Which data is checked by what; the first that fits does it."""


def check(text: str, folder: Path) -> None:
    data = yaml.load(text, _EachKeyOnce)  # noqa: S506 - a safe loader
    validate = next((validate for fits, validate in SHAPES if fits(data)), None)
    assert validate is not None, "no model of ours has these keys: is one misspelt, or is a shape missing here?"
    validate(data, folder)


@pytest.mark.parametrize("block", in_way("yaml"), ids=str)
def test_it_is_right(block: Block, tmp_path: Path) -> None:
    check(block.text, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "- { name: a, scope: TENANT, limit: 1, windw: 1m }",
        "models: [{ name: chat, engine: { kind: simulated, options: { reply_token: 1 } } }]",
        "models: [{ name: chat, teer: large }]",
        "deployments: [{ name: model-chat, ray_actor_option: {} }]",
        "args: { qos: { bands: [{ name: premium }] } }",
        "redis: { url: embedded }\nredis: { url: 'redis://h' }",
        "rediss: { url: embedded }",
        "applications: [{ name: sluice, import_path: 'serve_app:build', args: { models: [] } }]",
    ],
)
def test_what_is_wrong_is_noticed(text: str, tmp_path: Path) -> None:
    with pytest.raises(WRONG):
        check(text, tmp_path)
