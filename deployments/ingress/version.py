"""Which Sluice this is."""

import importlib.metadata

try:
    VERSION = importlib.metadata.version("sluice")
except importlib.metadata.PackageNotFoundError:  # a copy of the code that was never installed, as in Ray's working_dir
    VERSION = "unknown"
