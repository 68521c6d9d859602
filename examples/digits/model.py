"""A model of one's own: which digit is drawn in a grey image of 8 x 8 points.

It learns from the pictures that scikit-learn brings along when its replica starts, in less than a second. Its route is
`POST /v1/models/digits/infer`, with the limits of serve_config.yaml, which also says how to start it.
"""

from typing import Annotated

from pydantic import BaseModel, Field
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

Point = Annotated[float, Field(ge=0, le=16)]


class Image(BaseModel):
    """The request."""

    pixels: Annotated[list[Point], Field(min_length=64, max_length=64)]
    """From the upper left corner line by line: 0 is white, 16 black."""


class Digit(BaseModel):
    """The reply."""

    digit: int
    probabilities: list[float]
    """Of 0 to 9."""


class Digits:
    """The model: the nearest of 1500 digits that it has seen. Of the 297 others it reads 95 in 100."""

    def load(self) -> None:
        images, digits = load_digits(return_X_y=True)
        self.known = KNeighborsClassifier(weights="distance").fit(images[:1500], digits[:1500])

    def infer(self, request: Image) -> Digit:
        probabilities = self.known.predict_proba([request.pixels])[0]
        return Digit(digit=probabilities.argmax(), probabilities=probabilities)
