"""docs/python.md, made from the public face of `policies`: its names, each in the words of its docstring."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator

from pydantic import BaseModel

import policies

HEAD = """# Python API

`policies` is a library: it needs redis-py and a Redis, and knows neither Ray nor FastAPI. Made from its docstrings.
[limiter.md](limiter.md) shows it at work, and says what it promises; `policies.connect` takes the addresses that
[cluster.md](cluster.md) lists, `policies.asgi.RateLimitMiddleware` puts limits in front of any ASGI application
([examples/fastapi_limits.py](../examples/fastapi_limits.py)).
"""


def page() -> str:
    """The whole page."""
    named = {name: getattr(policies, name) for name in policies.__all__}
    first = ("Limiter", "Charge", "Decision", "Window")
    others = sorted(name for name in named if name not in first)
    return "\n".join([HEAD, *(_entry(name, named[name]) for name in (*first, *others))]).rstrip() + "\n"


def _entry(name: str, cls: type) -> str:
    lines = [f"## {name}", "", _text(cls), ""]
    if issubclass(cls, BaseModel):
        where = "policies.md" if name == "RateLimitPolicy" else "configuration.md"
        return "\n".join([*lines, f"Its fields: [{where}]({where}).", ""])
    if fields := list(_fields(cls)):
        lines += ["| field | |", "|---|---|", *(f"| `{field}` | {text} |" for field, text in fields), ""]
    for method, function in _methods(cls):
        kind = "async " if inspect.iscoroutinefunction(function) else ""
        lines += [f"**`{kind}{method}{_signature(function)}`**", "", _text(function), ""]
    return "\n".join(lines)


def _text(documented: object) -> str:
    """Its docstring; what is called `so` in it is code, and stays it."""
    return (inspect.getdoc(documented) or "").replace("<", "\\<")


def _signature(function: object) -> str:
    told = str(inspect.signature(function))  # type: ignore[arg-type]
    return re.sub(r"\(self(, )?", "(", re.sub(r"\b(?:policies|redis|collections)(?:\.\w+)*\.(?=[A-Z])", "", told))


def _methods(cls: type) -> Iterator[tuple[str, object]]:
    """What it defines itself, its constructor first."""
    for name, value in vars(cls).items():
        shown = name == "__init__" and cls.__doc__ and not hasattr(cls, "__dataclass_fields__")
        if (shown or not name.startswith("_")) and inspect.isfunction(value) and value.__doc__:
            yield name, value


def _fields(cls: type) -> Iterator[tuple[str, str]]:
    """Its public fields, with the text that stands under each in the source."""
    try:
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    except OSError:
        return
    if not isinstance(body, ast.ClassDef):
        raise TypeError(f"{cls!r} is no class in its source: remove it from policies.__all__, or tell of it here")
    for each, after in zip(body.body, [*body.body[1:], None], strict=True):
        if not isinstance(each, ast.AnnAssign) or not isinstance(each.target, ast.Name) or each.target.id[0] == "_":
            continue
        told = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            told = " ".join(str(after.value.value).split()).replace("|", "\\|")
        yield f"{each.target.id}: {ast.unparse(each.annotation)}".replace("|", "\\|"), told
