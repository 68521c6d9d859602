"""Metrics as Ray Serve exports them: on every node at Ray's own port, with the deployment, replica and application of
the process that counted them."""

from ray.serve import metrics

from deployments.metrics.definitions import METRICS
from deployments.metrics.readings import Reading

_MEANINGS = {each.name: each.meaning for each in METRICS} | {
    f"{each.name}_{part}": each.meaning
    for each in METRICS
    if each.kind == "times"
    for part in ("bucket", "count", "sum")
}


class RayExporter:
    """Makes each of Ray's metrics when it is first told of. Only within a replica, which the labels name."""

    def __init__(self) -> None:
        self._counters: dict[str, metrics.Counter] = {}
        self._gauges: dict[str, metrics.Gauge] = {}

    def increase(self, reading: Reading, by: float) -> None:
        counter = self._counters.get(reading.name)
        if counter is None:
            counter = self._counters[reading.name] = metrics.Counter(*_described(reading))
        counter.inc(by, tags=dict(reading.labels))

    def set(self, reading: Reading) -> None:
        gauge = self._gauges.get(reading.name)
        if gauge is None:
            gauge = self._gauges[reading.name] = metrics.Gauge(*_described(reading))
        gauge.set(reading.value, tags=dict(reading.labels))


def _described(reading: Reading) -> tuple[str, str, tuple[str, ...]]:
    return reading.name, _MEANINGS[reading.name], tuple(name for name, _ in reading.labels)
