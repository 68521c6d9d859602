"""Bodies of `infer`: what a request must look like and what a reply is, by the annotations of the user's method."""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json, to_json

from deployments.models.engines.protocol import InferRequest, RequestRefusedError
from deployments.models.engines.python.importing import unfit

_JSON = "application/json"
_MOST_PROBLEMS = 5


@dataclass(frozen=True, slots=True)
class InferSchema:
    """How one class's `infer` is called, and its reply written."""

    body: str
    """The parameter that takes the body."""
    read: Callable[[InferRequest], Any]
    """The body as that parameter wants it; raises `RequestRefusedError`."""
    takes_content_type: bool
    write: Callable[[Any], bytes]
    """The reply as JSON; raises `ValueError` where it cannot be written."""

    def arguments(self, request: InferRequest) -> dict[str, Any]:
        """For a call; raises `RequestRefusedError`."""
        arguments = {self.body: self.read(request)}
        if self.takes_content_type:
            arguments["content_type"] = request.content_type
        return arguments


def schema_of(path: str, method: Callable[..., Any]) -> InferSchema:
    """Of a bound method; raises `EngineOptionsError` where no body could be passed to it. `path`: for that error."""
    try:
        hints = get_type_hints(method, include_extras=True)
    except (NameError, TypeError) as error:
        raise unfit(path, f"infer's annotations cannot be read: {error}") from error
    parameters = dict(inspect.signature(method).parameters)
    takes_content_type = parameters.pop("content_type", None) is not None
    needed = [
        each.name
        for each in parameters.values()
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY) and each.default is each.empty
    ]
    if len(needed) != 1:
        raise unfit(
            path,
            f"infer takes one argument, the request (and content_type, where it wants that), but "
            f"it is infer{inspect.signature(method)}",
        )
    body = needed[0]
    try:
        read = _reader(hints.get(body, Any))
        write = _writer(hints.get("return", Any))
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation) as error:
        raise unfit(
            path,
            f"infer's annotations are no schema: {error.message}. Annotate with pydantic models, "
            "dataclasses, dict, list, numbers, str, or bytes for a raw body; or leave the annotation out",
        ) from error
    return InferSchema(body, read, takes_content_type, write)


def _reader(annotation: Any) -> Callable[[InferRequest], Any]:
    if annotation is bytes:
        return lambda request: request.body
    if annotation is InferRequest:
        return lambda request: request
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)

    def read(request: InferRequest) -> Any:
        _require_json(request)
        try:
            return adapter.validate_json(request.body)
        except ValidationError as error:
            raise _refusal(error.errors(include_url=False)) from None

    return read


def _require_json(request: InferRequest) -> None:
    sent = request.content_type
    if sent not in (_JSON, "") and not sent.endswith("+json"):
        raise RequestRefusedError(
            "unsupported_content_type",
            f"This model takes JSON, and the request says that it is {sent}: send it with content-type: {_JSON}.",
            param="content-type",
        )


def _refusal(problems: list[ErrorDetails]) -> RequestRefusedError:
    first = problems[0]
    if first["type"] == "json_invalid":
        return RequestRefusedError("invalid_json", f"The body is not valid JSON: {first['ctx']['error']}.")
    told = "; ".join(_problem(each) for each in problems[:_MOST_PROBLEMS])
    more = len(problems) - _MOST_PROBLEMS
    if more > 0:
        told += f"; and {more} more"
    return RequestRefusedError("invalid_parameter", f"{told}.", param=_place(first) or None, status=422)


def _problem(problem: ErrorDetails) -> str:
    where = _place(problem)
    if problem["type"] == "missing":
        return f"{where} is missing"
    if problem["type"] == "extra_forbidden":
        return f"{where} is not known: leave it out"
    value = problem["input"]
    # Numbers and the like are repeated; texts may be what nobody else shall read, and are not.
    got = f" (got {json.dumps(value)})" if value is None or isinstance(value, bool | int | float) else ""
    return f"{where or 'the body'} is wrong: {problem['msg'].removeprefix('Value error, ')}{got}"


def _place(problem: ErrorDetails) -> str:
    return ".".join(map(str, problem["loc"]))


def _writer(annotation: Any) -> Callable[[Any], bytes]:
    if annotation is bytes:
        return _as_it_is
    if annotation is Any:
        return lambda reply: _as_it_is(reply) if isinstance(reply, bytes) else _plain(reply)
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    return lambda reply: adapter.dump_json(adapter.validate_python(reply))


def _plain(reply: Any) -> bytes:
    return to_json(reply, inf_nan_mode="null", fallback=_of_numbers)


def _as_it_is(reply: bytes) -> bytes:
    from_json(reply)  # replies are sent as JSON
    return reply


def _of_numbers(value: Any) -> Any:
    """Arrays and numbers of numpy, torch and the like."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is nothing that JSON has: return dicts, lists, numbers and texts")
