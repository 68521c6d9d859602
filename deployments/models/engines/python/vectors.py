"""What the user's `embed` returns as the protocol has it: 32-bit floats of length 1."""

from array import array
from collections.abc import Iterable
from math import fsum, isfinite, sqrt
from typing import Any


def unit_vectors(made: Any, count: int, dimensions: int | None) -> tuple["array[float]", ...]:
    """`made`: a vector for each of `count` texts, of numbers in any form, a numpy array too. Raises `ValueError` and
    `TypeError`, saying what is wrong with them."""
    rows = made.tolist() if hasattr(made, "tolist") else list(made)
    if len(rows) != count:
        raise ValueError(f"embed() returned {len(rows)} vectors for {count} texts")
    vectors = tuple(_unit(row) for row in rows)
    lengths = {len(vector) for vector in vectors}
    if len(lengths) != 1 or (dimensions is not None and lengths != {dimensions}):
        wanted = f", not {dimensions}" if dimensions is not None else ", not all alike"
        raise ValueError(f"embed() returned vectors with {', '.join(map(str, sorted(lengths)))} dimensions{wanted}")
    return vectors


def _unit(row: Iterable[float]) -> "array[float]":
    numbers = [float(x) for x in row]
    length = sqrt(fsum(x * x for x in numbers))
    if not length or not isfinite(length):
        raise ValueError("embed() returned a vector without a direction: it is zero, or not finite")
    return array("f", (x / length for x in numbers))
