"""From `import_path` to an object of the user's class; what is wrong is told with the fix."""

import inspect
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from deployments.models.engines.protocol import EngineOptionsError
from deployments.models.engines.python.options import PythonOptions

OPERATIONS = ("generate", "embed", "infer")


def unfit(path: str, why: str) -> EngineOptionsError:
    """For a class that cannot be used."""
    return EngineOptionsError(f"import_path {path}: {why}")


def import_class(path: str) -> type[Any]:
    """The class; raises `EngineOptionsError`. Imports may take long: not for an event loop."""
    module_name, _, names = path.partition(":")
    found: Any = _module(path, module_name)
    for name in names.split("."):
        if not hasattr(found, name):
            there = [each for each, value in vars(found).items() if inspect.isclass(value) and not each.startswith("_")]
            known = f"; its classes are {', '.join(sorted(there))}" if there else ""
            raise unfit(path, f"{_file(found)} has no {name}{known}")
        found = getattr(found, name)
    if not inspect.isclass(found):
        raise unfit(path, f"it is no class, but {found!r:.80}")
    if not any(callable(getattr(found, name, None)) for name in OPERATIONS):
        raise unfit(path, f"the class has none of the methods {', '.join(OPERATIONS)}; write at least one")
    return found


def _module(path: str, name: str) -> Any:
    # A module beside serve_config.yaml is found as it is by `python -m`; last, so that it hides nothing.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        return import_module(name)
    except (Exception, SystemExit) as error:  # the user's module may raise anything
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise unfit(
                path,
                f"there is no module {error.name}. Is the folder that holds it the working "
                f"directory of the replica ({os.getcwd()}), on its PYTHONPATH, or the working_dir or py_modules of its "
                "runtime_env (ray_actor_options in serve_config.yaml)?",
            ) from error
        raise unfit(path, f"importing {name} failed: {_said(error)}") from error


def construct(path: str, found: type[Any], options: PythonOptions) -> Any:
    """An object of the class; raises `EngineOptionsError`. May take long."""
    try:
        inspect.signature(found).bind(**options.arguments)
    except TypeError as error:
        raise unfit(
            path, f"the options' arguments do not fit {found.__name__}{inspect.signature(found)}: {error}"
        ) from error
    except ValueError:  # a class written in C may have no signature; then its constructor says what is wrong
        pass
    try:
        return found(**options.arguments)
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise unfit(path, f"{found.__name__}(…) failed: {_said(error)}") from error


def failed_to_load(path: str, error: BaseException) -> EngineOptionsError:
    """For what the class's own `load` raised."""
    return unfit(path, f"load() failed: {_said(error)}")


def parameters(method: Callable[..., Any]) -> frozenset[str]:
    """The names of what it takes."""
    return frozenset(inspect.signature(method).parameters)


def _file(where: Any) -> str:
    return str(getattr(where, "__file__", None) or getattr(where, "__qualname__", where))


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
