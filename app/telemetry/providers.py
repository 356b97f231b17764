"""The telemetry of a process: set up before the first request, flushed after the last one."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from app.runtime.clock import Clock
from app.runtime.threads import run_in_daemon_thread
from app.settings.load import Settings
from app.telemetry import google_telemetry
from app.telemetry.exporters import metric_exporters, span_exporter
from app.telemetry.metric_collection import Collection, Completing, Scraped, metrics_route, observe
from app.telemetry.metrics import Metrics
from app.telemetry.sampling import Sampler
from app.telemetry.tracing import Tracing

_FLUSH_S = 1.0  # the part of Cloud Run's time after SIGTERM that is left when everything else is done
_SCOPE = "sluice"
_SPANS_EVERY_MS, _SPANS_AT_ONCE, _SPANS_WAITING = 2_000, 512, 4_096
_log = logging.getLogger("sluice.telemetry")


class Telemetry:
    """Creates spans, and exports spans and metrics in threads that no request waits for.

    A failing receiver loses only its own data: beyond a few thousand spans the oldest are dropped.
    """

    def __init__(self, settings: Settings, metrics: Metrics, clock: Clock) -> None:
        """Set up what `settings` ask for.

        Raises:
            SettingsError: a package that a setting needs is missing, or there are no credentials.
        """
        self.instance = secrets.token_hex(4)
        self._settings, self._metrics = settings, metrics
        self._resource = Resource(
            {
                "service.name": "sluice",
                "service.namespace": settings.telemetry.system,
                "service.instance.id": self.instance,
            }
            | (google_telemetry.resource_attributes(settings) if google_telemetry.is_used(settings) else {})
        )
        self._collection = Collection(metrics)
        self._scraped = Scraped(self._collection) if "prometheus" in settings.telemetry.metrics else None
        self._metric_exporters = metric_exporters(settings)
        self._tracer_provider = self._traced()
        tracer = None if self._tracer_provider is None else self._tracer_provider.get_tracer(_SCOPE)
        self.tracing = Tracing(
            tracer, Sampler(settings.telemetry.trace_ratio, settings.telemetry.max_traces_per_s, clock.elapsed_us)
        )

    def routes(self) -> list[HTTPRouteHandler]:
        """Return the route of `/metrics`, if Prometheus is enabled."""
        return [] if self._scraped is None else [metrics_route(self._scraped)]

    @asynccontextmanager
    async def lifespan(self, _: Litestar) -> AsyncIterator[None]:
        """Export metrics periodically, and flush everything at the end."""
        interval_ms = self._settings.telemetry.metrics_interval_s * 1_000
        readers: list[MetricReader] = [
            PeriodicExportingMetricReader(Completing(exporter, self._collection), interval_ms)
            for exporter in self._metric_exporters
        ]
        if self._scraped is not None:
            readers.append(self._scraped)
        # Not OpenTelemetry's global provider: several applications can live in one process.
        meter_provider = MeterProvider(readers, resource=self._resource, shutdown_on_exit=False)
        observe(self._metrics, meter_provider.get_meter(_SCOPE))
        try:
            yield
        finally:
            await self._flush(meter_provider)

    async def _flush(self, meter_provider: MeterProvider) -> None:
        """Flush all receivers concurrently: one that does not respond must not cost the others their data."""
        flushes: list[Callable[[], None]] = [partial(meter_provider.shutdown, timeout_millis=_FLUSH_S * 1_000)]
        if self._tracer_provider is not None:
            flushes.append(self._tracer_provider.shutdown)
        try:
            async with asyncio.timeout(_FLUSH_S):
                work = (run_in_daemon_thread(flush, "telemetry") for flush in flushes)
                ends = await asyncio.gather(*work, return_exceptions=True)
        except TimeoutError:
            _log.warning("the last traces or metrics were not accepted within %g s and are lost", _FLUSH_S)
            return
        for error in filter(None, ends):  # from a receiver's library; the service stops regardless
            _log.warning("the last traces or metrics were not accepted: %s", type(error).__name__)

    def _traced(self) -> TracerProvider | None:
        exporter = span_exporter(self._settings)
        if exporter is None:
            return None
        provider = TracerProvider(
            sampler=ALWAYS_ON,  # the decision is made before a span is created (sampling)
            resource=self._resource,
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_span_attribute_length=256),
        )
        processor = BatchSpanProcessor(exporter, _SPANS_WAITING, _SPANS_EVERY_MS, _SPANS_AT_ONCE)
        provider.add_span_processor(processor)
        return provider
