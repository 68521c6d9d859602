"""Where a model's files are, as a configuration names them: a directory, a name on the Hugging Face hub, or a folder of
an installed Python package."""

import re
from importlib.util import find_spec
from pathlib import Path

_PACKAGE = re.compile(r"package:([A-Za-z_][A-Za-z0-9_]*)((?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)/?")


class ModelSourceError(ValueError):
    """The model cannot be found as it is named; says why, and the fix."""


def check_source(source: str) -> str:
    """`source`, or `ModelSourceError` where it can name nothing. Looks at nothing but the name: what is checked here
    need not be installed here."""
    if source.startswith("package:") and _PACKAGE.fullmatch(source) is None:
        raise ModelSourceError(
            f"{source!r} names no folder of a Python package: write package:NAME or package:NAME/FOLDER, NAME as in"
            " `import NAME`"
        )
    return source


def located(source: str) -> str:
    """`source` for the libraries that load models: `package:NAME/FOLDER` becomes that folder of the installed package
    NAME, which is not imported; directories and names on the hub stay as they are. Raises `ModelSourceError`."""
    named = _PACKAGE.fullmatch(check_source(source))
    if named is None:
        return source
    name, folder = named.groups()
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ModelSourceError(f"{source}: there is no package {name} in this Python environment; install it first")
    for root in spec.submodule_search_locations:
        directory = Path(root, *filter(None, folder.split("/")))
        if directory.is_dir():
            return str(directory)
    raise ModelSourceError(f"{source}: the package {name} has no folder {folder.strip('/')}")
