from array import array
from typing import Any

import pytest

from deployments.models.engines.python.vectors import unit_vectors


class Matrix:
    """As numpy's and torch's."""

    def tolist(self) -> list[list[float]]:
        return [[3, 4], [0, 2]]


@pytest.mark.parametrize("made", [[[3, 4], [0, 2]], ((3.0, 4), [0, 1]), Matrix(), iter([array("d", [3, 4]), [0, 9]])])
def test_vectors_of_any_form_have_length_1(made: Any) -> None:
    vectors = unit_vectors(made, 2, None)
    assert [vector.typecode for vector in vectors] == ["f", "f"]
    assert [[round(x, 6) for x in vector] for vector in vectors] == [[0.6, 0.8], [0, 1]]


@pytest.mark.parametrize(
    ("made", "dimensions", "said"),
    [
        ([[1.0]], None, "1 vectors for 2 texts"),
        ([[1.0], [1.0, 2.0]], None, "1, 2 dimensions, not all alike"),
        ([[1.0, 2.0]] * 2, 3, "2 dimensions, not 3"),
        ([[1.0], [0.0]], None, "without a direction"),
        ([[1.0], [float("nan")]], None, "without a direction"),
    ],
)
def test_vectors_that_are_none_are_told(made: Any, dimensions: int | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        unit_vectors(made, 2, dimensions)


def test_what_holds_no_numbers() -> None:
    with pytest.raises(TypeError):
        unit_vectors(7, 1, None)
