"""Spans by OpenTelemetry's SDK, sent by a thread of its own over OTLP (HTTP and protobuf).

The provider is ours alone: what Ray or an engine traces by the global one is not touched.
"""

import random
import time
from asyncio import Task
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span, SpanKind, StatusCode, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from deployments.tracing import Attributes, TracingOptions, TracingUnavailableError

TRACEPARENT = "traceparent"
_TRACEPARENT = TRACEPARENT.encode()

_W3C = TraceContextTextMapPropagator()


def make_tracer(options: TracingOptions, service: str) -> "Tracer":
    """Sends to `options.endpoint`, under this name of a service."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise TracingUnavailableError(
            "args.tracing.enabled needs opentelemetry-exporter-otlp-proto-http: install sluice[tracing]"
        ) from error
    return Tracer(OTLPSpanExporter(endpoint=options.endpoint), options.sample_rate, service)


class Tracer:
    """One for each process that traces."""

    def __init__(self, exporter: SpanExporter, sample_rate: float, service: str) -> None:
        """`sample_rate`: share of the requests traced that bring no decision of their own."""
        # ALWAYS_ON: what is not to be traced never comes so far.
        self._provider = TracerProvider(ALWAYS_ON, Resource.create({"service.name": service}), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("sluice")
        self._sample_rate = sample_rate

    def begin(self, headers: list[tuple[bytes, bytes]]) -> "RequestTrace | None":
        """A request's trace, or None: where its `traceparent` says so, or, without one, by chance."""
        # Its `tracestate` is not read: the library logs what is wrong in one, and anybody may send anything there.
        carried = next((value.decode("latin-1") for name, value in headers if name == _TRACEPARENT), None)
        context = None if carried is None else _W3C.extract({TRACEPARENT: carried})
        known = None if context is None else get_current_span(context).get_span_context()
        if known is not None and known.is_valid:
            if not known.trace_flags.sampled:
                return None
        elif random.random() >= self._sample_rate:  # noqa: S311 - a sample, no secret
            return None
        span = self._tracer.start_span("request", context=context, kind=SpanKind.SERVER)
        return RequestTrace(self, span) if span.is_recording() else None  # not where OTEL_SDK_DISABLED is set

    @contextmanager
    def served(self, traceparent: str, refusal: type[Exception]) -> Iterator[None]:
        """What a replica does for a request that an ingress traces. A `refusal` is the client's to mend, and no
        error of the replica's."""
        span = self._tracer.start_span("engine", context=_W3C.extract({TRACEPARENT: traceparent}), kind=SpanKind.SERVER)
        try:
            yield
        except refusal:
            raise
        except Exception as error:
            span.set_status(StatusCode.ERROR, type(error).__name__)  # its message may hold a prompt
            raise
        finally:
            span.end()

    def close(self) -> None:
        """Sends what is left; blocks until that is done."""
        self._provider.shutdown()


class RequestTrace:
    """One request that is traced, in the ingress."""

    def __init__(self, tracer: Tracer, span: Span) -> None:
        self._tracer, self._span = tracer._tracer, span
        self._context = set_span_in_context(span)
        self._model: Span | None = None

    def passed(self, name: str, took_s: float, attributes: Attributes | None = None) -> None:
        """A part of its way that has just ended, and took so long."""
        now = time.time_ns()
        span = self._tracer.start_span(name, self._context, attributes=attributes, start_time=now - round(took_s * 1e9))
        span.end(now)

    def model_begins(self, model: str) -> str:
        """It is sent to a replica: what goes along as `traceparent`."""
        self._model = self._tracer.start_span(
            "model", self._context, kind=SpanKind.CLIENT, attributes={"sluice.model": model}
        )
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, set_span_in_context(self._model))
        return carrier[TRACEPARENT]

    def model_ended(self) -> None:
        """Its replica is done with it, or it with its replica."""
        if self._model is not None:
            self._model.end()
            self._model = None

    def settles(self, task: "Task[None]") -> None:
        """What it was charged is corrected or taken back, by this task; the span ends with it."""
        span = self._tracer.start_span("settlement", self._context)
        task.add_done_callback(lambda _: span.end())

    def ended(self, attributes: Attributes, *, failed: bool) -> None:
        """The request has ended."""
        self.model_ended()
        self._span.set_attributes(attributes)
        if failed:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()
