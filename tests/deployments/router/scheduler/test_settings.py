import pytest
from pydantic import ValidationError

from deployments.router.scheduler import QosSettings
from policies.entities import QOS_TIERS


def test_the_default_bands_are_the_tiers_highest_first() -> None:
    assert tuple(band.name for band in QosSettings().bands) == QOS_TIERS


def test_durations_are_written_with_their_unit() -> None:
    settings = QosSettings.model_validate({"bands": [{"name": "a", "longest_wait": "1m30s"}]})
    assert settings.bands[0].longest_wait_s == 90.0


@pytest.mark.parametrize(
    ("bands", "says"),
    [
        ([{"name": "a", "reserve": 0.5, "cap": 0.4}], "may use 0.4 of the slots but reserves 0.5"),
        ([{"name": "a", "reserve": 0.6}, {"name": "b", "reserve": 0.5}], "the reserves add up to 1.1"),
        ([{"name": "a"}, {"name": "a"}], "'a' is named 2 times"),
        ([{"name": "a", "reserves": 0.6}], "reserves"),
        ([{"name": "a", "cap": 0}], "greater than 0"),
        ([], "at least 1"),
    ],
)
def test_what_cannot_be_is_refused(bands: list[dict[str, object]], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        QosSettings.model_validate({"bands": bands})
