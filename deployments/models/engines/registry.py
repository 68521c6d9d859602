"""The kinds of engines. One is imported when a replica makes it, so only that replica needs its libraries."""

from dataclasses import dataclass
from importlib import import_module
from typing import cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from deployments.models.engines.options import Options
from deployments.models.engines.protocol import Engine, EngineOptions, EngineOptionsError
from deployments.models.engines.python.options import PythonOptions
from deployments.models.engines.simulated import SimulatedOptions
from deployments.models.engines.transformers.options import TransformersOptions
from deployments.models.engines.vllm.options import VllmOptions


@dataclass(frozen=True, slots=True)
class _Kind:
    options: type[Options]
    engine: str
    """`module:name` of what makes the engine from the checked options: its class, or a function."""


KINDS: dict[str, _Kind] = {
    "simulated": _Kind(SimulatedOptions, "deployments.models.engines.simulated:SimulatedEngine"),
    "transformers": _Kind(TransformersOptions, "deployments.models.engines.transformers.engine:make_transformers"),
    "vllm": _Kind(VllmOptions, "deployments.models.ray_llm:RayLlmEngine"),
    "python": _Kind(PythonOptions, "deployments.models.engines.python.engine:PythonEngine"),
}


def check_kind(kind: str) -> str:
    """The kind, if there is such a one; raises `EngineOptionsError`."""
    if kind not in KINDS:
        raise EngineOptionsError(f"must be one of {', '.join(KINDS)}")
    return kind


def check_options(kind: str, options: EngineOptions) -> Options:
    """The options, checked; raises `EngineOptionsError`."""
    accepted = KINDS[check_kind(kind)].options
    try:
        return accepted.model_validate(options)
    except ValidationError as error:
        problems = "; ".join(_problem(each, accepted) for each in error.errors())
        raise EngineOptionsError(f"engine options of kind {kind}: {problems}") from error


def _problem(problem: ErrorDetails, accepted: type[Options]) -> str:
    name = ".".join(map(str, problem["loc"])) or "the options"
    if problem["type"] == "extra_forbidden":
        return f"unknown option {name}; known are {', '.join(accepted.model_fields)}"
    if problem["type"] == "missing":
        return f"{name} is missing"
    message = f"{name}: {problem['msg'].removeprefix('Value error, ')}"
    if isinstance(problem["input"], dict | list):  # which may hold what is secret: a model's own arguments
        return message
    return f"{message}, but it is {problem['input']!r:.80}"


def make_engine(kind: str, options: EngineOptions) -> Engine:
    """Checks the options and makes the engine; nothing is loaded yet."""
    checked = check_options(kind, options)
    module, _, name = KINDS[kind].engine.partition(":")
    return cast(Engine, getattr(import_module(module), name)(checked))
