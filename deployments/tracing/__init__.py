"""Traces of requests, for OpenTelemetry: what the ingress and the models' replicas tell of one that is traced.

Whether one is, is decided at its beginning; of all others nothing is kept but that decision. `tracer_for` is called in
the process that traces; where tracing is off nothing of OpenTelemetry is imported for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # OpenTelemetry comes in only where tracing is on
    from deployments.tracing.tracer import Tracer


@dataclass(frozen=True, slots=True)
class TracingOptions:
    """See `serve_app.config.TracingSettings`."""

    endpoint: str
    sample_rate: float


class TracingUnavailableError(Exception):
    """Tracing is on, and what it needs is not installed."""


Attributes = Mapping[str, str | int | float | bool]
"""What is said of a span. Never a key, a prompt or a reply."""


def tracer_for(options: TracingOptions | None, service: str) -> "Tracer | None":
    """What traces in this process, under this name of a service; None where tracing is off. Raises
    `TracingUnavailableError`."""
    if options is None:
        return None
    from deployments.tracing.tracer import make_tracer

    return make_tracer(options, service)
