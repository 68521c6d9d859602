"""examples/digits passes the suite, and reads digits."""

import json
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from deployments.models.engines.protocol import Engine, InferRequest
from tests.deployments.models.engines.compliance import InferCompliance

datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed: make engines")

SEEN = 1500
"""How many of the images the model learns from."""


def image(pixels: Sequence[Any]) -> InferRequest:
    return InferRequest(json.dumps({"pixels": list(pixels)}).encode(), "application/json")


@pytest.mark.asyncio(loop_scope="class")
class TestDigits(InferCompliance):
    kind = "python"
    options: ClassVar = {"import_path": "examples.digits.model:Digits", "threads": 2}
    lacks: ClassVar = {
        "broken": "a search in memory does not break",
        "failures": "whatever fits the schema has a nearest neighbour",
    }
    concurrency = 4

    def good(self) -> list[InferRequest]:
        return [image(pixels) for pixels in datasets.load_digits().data[SEEN : SEEN + 5]]

    def bad(self) -> list[tuple[InferRequest, int, str]]:
        return [
            (image([0] * 63), 422, "pixels is wrong: List should have at least 64 items"),
            (image([*[0] * 63, "black"]), 422, "pixels.63 is wrong: Input should be a valid number"),
            (image([*[0] * 63, -1]), 422, "pixels.63 is wrong: Input should be greater than or equal to 0 (got -1)"),
            (InferRequest(b"{}", "application/json"), 422, "pixels is missing"),
            (InferRequest(b"\x89PNG", "image/png"), 400, "This model takes JSON"),
        ]

    async def test_it_reads_digits_that_it_has_not_seen(self, engine: Engine) -> None:
        images, digits = datasets.load_digits(return_X_y=True)
        right = 0
        for pixels, digit in zip(images[SEEN:], digits[SEEN:], strict=True):
            reply = json.loads(await engine.infer(image(pixels)))
            assert abs(sum(reply["probabilities"]) - 1) < 1e-6
            assert reply["probabilities"][reply["digit"]] == max(reply["probabilities"])
            right += reply["digit"] == digit
        assert right / len(digits[SEEN:]) > 0.95
