"""What the protocol's own classes do."""

import pickle

from deployments.models.engines.protocol import RequestRefusedError


def test_a_refusal_may_come_from_another_process() -> None:
    there = RequestRefusedError("no_image", "Send an image.", param="image", status=422)
    here = pickle.loads(pickle.dumps(there))  # noqa: S301 - its own
    assert type(here) is RequestRefusedError
    assert (str(here), here.code, here.param, here.status) == ("Send an image.", "no_image", "image", 422)
