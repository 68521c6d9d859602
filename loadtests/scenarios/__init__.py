"""Load tests, one idea a file: `make load` lists them, docs/load-tests.md describes them. Shared code is in `kit/`."""
