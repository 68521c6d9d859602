"""What can be set is documented: a new field without a word about it fails here."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from deployments.models.engines.python.options import PythonOptions
from deployments.models.engines.simulated import SimulatedOptions
from deployments.router.scheduler import BandSettings, QosSettings
from policies.entities import Match, Model, RateLimitPolicy
from serve_app.config import (
    ApplicationArgs,
    EngineSettings,
    HttpSettings,
    LoggingSettings,
    MetricsSettings,
    ModelSettings,
    QosArgs,
    RedisSettings,
    SlaSettings,
    TracingSettings,
)

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("model", "page"),
    [
        (RateLimitPolicy, "policies.md"),
        (Match, "policies.md"),
        (ApplicationArgs, "configuration.md"),
        (RedisSettings, "configuration.md"),
        (HttpSettings, "configuration.md"),
        (ModelSettings, "configuration.md"),
        (EngineSettings, "configuration.md"),
        (QosArgs, "configuration.md"),
        (MetricsSettings, "configuration.md"),
        (LoggingSettings, "configuration.md"),
        (TracingSettings, "configuration.md"),
        (SlaSettings, "routing.md"),
        (Model, "configuration.md"),
        (SimulatedOptions, "engines.md"),
        (PythonOptions, "engines.md"),
        (QosSettings, "qos.md"),
        (BandSettings, "qos.md"),
    ],
)
def test_every_field_is_documented(model: type[BaseModel], page: str) -> None:
    text = (DOCS / page).read_text()
    missing = [name for name in model.model_fields if f"`{name}`" not in text and f".{name}`" not in text]
    assert not missing, f"docs/{page} does not mention {missing} of {model.__name__}"
