"""The telemetry of a process: set up before the first request, flushed after the last one.

The packages of an exporter are imported only if it is used. What Google's Telemetry API demands (OTLP over HTTP with
Application Default Credentials):
https://docs.cloud.google.com/stackdriver/docs/reference/telemetry/v1.metrics (resource attributes) and
https://docs.cloud.google.com/stackdriver/quotas (points in a request).
"""

import asyncio
import logging
import os
import secrets
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from app.runtime.imports import missing_package
from app.runtime.threads import run_in_daemon_thread
from app.settings.load import Settings, SettingsError
from app.telemetry.metrics import Metrics
from app.telemetry.prometheus import PrometheusCollector, metrics_route
from app.telemetry.tracing import Tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter
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
        } | (resource_attributes(settings) if _uses_google(settings) else {})
        self._metric_exporters = _metric_exporters(settings)
        exporter = _span_exporter(settings)
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


_MAX_POINTS = 200  # of metrics that one request may have
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_METADATA_WITHIN_S = 3.0
# Resource attributes that become labels of a span: the system and the instance.
_LABELS = r"service\..+"


def _span_exporter(settings: Settings) -> "SpanExporter | None":
    """Return the span exporter that `settings.telemetry.traces` names; None if traces are off.

    Raises:
        SettingsError: a package is missing, or there are no credentials.
    """
    receiver = settings.telemetry.traces
    if receiver == "none":
        return None
    with _needs(f"SLUICE_TRACES={receiver}"):
        if receiver == "cloud":
            return _cloud_trace(settings)
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(**_otlp(settings, "traces", to_google=receiver == "cloud-otlp"))


def _metric_exporters(settings: Settings) -> "list[MetricExporter]":
    """Return the metric exporters that `settings.telemetry.metrics` names; `prometheus` needs none, as it scrapes.

    Raises:
        SettingsError: as `_span_exporter`.
    """
    exporters: list[MetricExporter] = []
    for receiver in settings.telemetry.metrics:
        if receiver != "prometheus":
            with _needs(f"SLUICE_METRICS={receiver}"):
                from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

                arguments = _otlp(settings, "metrics", to_google=receiver == "cloud")
                exporters.append(OTLPMetricExporter(**arguments, max_export_batch_size=_MAX_POINTS))
    return exporters


@contextmanager
def _needs(what: str) -> Iterator[None]:
    """Say what a setting lacks: a package, or credentials."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise SettingsError(missing_package(what, error)) from error
    except Exception as error:
        if type(error).__module__ != "google.auth.exceptions":  # by name: not imported unless needed
            raise
        raise SettingsError(f"{what} needs credentials, and there are no usable ones: {error}") from error


def _otlp(settings: Settings, signal: str, *, to_google: bool) -> dict[str, Any]:
    """Return the arguments of an exporter; for a collector none, as OpenTelemetry's own variables tell the rest."""
    if not to_google:
        return {}
    endpoint = f"{settings.telemetry.cloud_telemetry_url}/v1/{signal}"
    return {"endpoint": endpoint, "timeout": 10, "session": _authorized_session(settings)}


def _cloud_trace(settings: Settings) -> "SpanExporter":
    from google.cloud.trace_v2 import TraceServiceClient
    from google.cloud.trace_v2.services.trace_service.transports import TraceServiceGrpcTransport
    from opentelemetry.exporter.cloud_trace import CloudTraceSpanExporter

    client = TraceServiceClient(transport=_transport(TraceServiceGrpcTransport, settings.telemetry.cloud_trace_url))
    with warnings.catch_warnings():
        # It warns that OTLP replaces it. It stays the default while Google maintains it, as its API needs no further
        # role; its replacement is SLUICE_TRACES=cloud-otlp (docs/decisions/0015-metrics-by-otlp.md).
        warnings.filterwarnings("ignore", message=".*deprecated", category=DeprecationWarning)
        made: SpanExporter = CloudTraceSpanExporter(settings.project, client=client, resource_regex=_LABELS)  # type: ignore[no-untyped-call] # theirs
    return made


def _transport(transport: Any, url: str) -> Any:
    """Return a transport for Google's clients; an `http` address has no encryption and no credentials."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return transport(host=parts.netloc)
    import grpc

    return transport(channel=grpc.insecure_channel(parts.netloc))


def _uses_google(settings: Settings) -> bool:
    """Return whether traces or metrics go to Google's Telemetry API."""
    return "cloud" in settings.telemetry.metrics or settings.telemetry.traces == "cloud-otlp"


def _authorized_session(settings: Settings) -> Any:
    """Return a session of `requests` that adds a token, and renews it before it expires.

    Raises:
        google.auth.exceptions.DefaultCredentialsError: there are no credentials.
    """
    import google.auth
    from google.auth.transport.requests import AuthorizedSession

    credentials, _ = google.auth.default(scopes=_SCOPES)
    session = AuthorizedSession(credentials)
    # The project whose quota is used, and which must have the API enabled.
    session.headers["x-goog-user-project"] = settings.project
    return session


def resource_attributes(settings: Settings) -> dict[str, str]:
    """Return the attributes of this process that become the resource `prometheus_target`; a point needs a location.

    Raises:
        SettingsError: nothing tells the location.
    """
    on_cloud_run = {"cloud.platform": "gcp_cloud_run"} if "K_SERVICE" in os.environ else {}
    return {
        "cloud.provider": "gcp",
        "cloud.region": settings.telemetry.telemetry_location or _own_region(),
        "gcp.project_id": settings.project,
        **on_cloud_run,
    }


def _own_region() -> str:
    """Return the region that the metadata server names, in the form projects/NUMBER/regions/REGION."""
    host = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")  # as google.auth finds it
    request = Request(f"http://{host}/computeMetadata/v1/instance/region", headers={"Metadata-Flavor": "Google"})
    try:
        with urlopen(request, timeout=_METADATA_WITHIN_S) as response:  # noqa: S310 - always http
            region: str = response.read().decode()
    except OSError as error:
        raise SettingsError(
            "SLUICE_METRICS=cloud and SLUICE_TRACES=cloud-otlp need an instance on Google Cloud, whose metadata server "
            f"names the region ({type(error).__name__}); elsewhere, send them to a collector (otlp)"
        ) from error
    return region.rpartition("/")[2]
