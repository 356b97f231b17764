"""The telemetry of a process: set up before the first request, flushed after the last one."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from app.runtime.threads import run_in_daemon_thread
from app.settings.load import Settings
from app.telemetry.exporters import metric_exporters, resource_attributes, span_exporter, uses_google
from app.telemetry.metrics import Metrics
from app.telemetry.prometheus import PrometheusCollector, metrics_route
from app.telemetry.tracing import Tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

_FLUSH_S = 1.0  # the part of Cloud Run's time after SIGTERM that is left when everything else is done
_SPANS_EVERY_MS, _SPANS_AT_ONCE, _SPANS_WAITING = 2_000, 512, 4_096
_log = logging.getLogger("sluice.telemetry")


class Telemetry:
    """Creates spans, and exports spans and metrics in threads that no request waits for.

    A failing receiver loses only its own data: beyond a few thousand spans the oldest are dropped.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """Set up what `settings` ask for.

        Raises:
            SettingsError: a package that a setting needs is missing, or there are no credentials.
        """
        self.instance = secrets.token_hex(4)
        self._settings, self._metrics = settings.telemetry, metrics
        self._resource = {
            "service.name": "sluice",
            "service.namespace": settings.telemetry.system,
            "service.instance.id": self.instance,
        } | (resource_attributes(settings) if uses_google(settings) else {})
        self._metric_exporters = metric_exporters(settings)
        exporter = span_exporter(settings)
        self._spans = None if exporter is None else _tracer_provider(exporter, self._resource)
        self.tracing = Tracing(
            None if self._spans is None else self._spans.get_tracer("sluice"),
            settings.telemetry.trace_ratio,
        )

    def routes(self) -> list[HTTPRouteHandler]:
        """Return the route of `/metrics`, if Prometheus is enabled."""
        if "prometheus" not in self._settings.metrics:
            return []
        return [metrics_route(PrometheusCollector(self._metrics, self._resource))]

    @asynccontextmanager
    async def lifespan(self, _: Litestar) -> AsyncIterator[None]:
        """Export metrics periodically, and flush everything at the end."""
        flushes: list[Callable[[], None]] = [] if self._spans is None else [self._spans.shutdown]
        if self._metric_exporters:
            from opentelemetry.sdk.resources import Resource

            from app.telemetry.otlp_metrics import meter_provider

            interval_s, resource = self._settings.metrics_interval_s, Resource(self._resource)
            provider = meter_provider(self._metrics, self._metric_exporters, resource, interval_s)
            flushes.append(partial(provider.shutdown, timeout_millis=_FLUSH_S * 1_000))
        try:
            yield
        finally:
            await _flush(flushes)


async def _flush(flushes: list[Callable[[], None]]) -> None:
    """Flush all receivers concurrently: one that does not respond must not cost the others their data."""
    try:
        async with asyncio.timeout(_FLUSH_S):
            work = (run_in_daemon_thread(flush, "telemetry") for flush in flushes)
            ends = await asyncio.gather(*work, return_exceptions=True)
    except TimeoutError:
        _log.warning("the last traces or metrics were not accepted within %g s and are lost", _FLUSH_S)
        return
    for error in filter(None, ends):  # from a receiver's library; the service stops regardless
        _log.warning("the last traces or metrics were not accepted: %s", type(error).__name__)


def _tracer_provider(exporter: "SpanExporter", resource: dict[str, str]) -> "TracerProvider":
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    provider = TracerProvider(
        sampler=ALWAYS_ON,  # the decision is made before a span is created (sampling)
        resource=Resource(resource),
        shutdown_on_exit=False,
        span_limits=SpanLimits(max_span_attribute_length=256),
    )
    provider.add_span_processor(BatchSpanProcessor(exporter, _SPANS_WAITING, _SPANS_EVERY_MS, _SPANS_AT_ONCE))
    return provider
