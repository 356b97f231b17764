"""Measure the duration of API requests by route, and create spans for traced ones."""

from contextlib import nullcontext
from typing import Any

from litestar.types import ASGIApp

from app.http import paths
from app.runtime.clock import MICROSECONDS, Clock
from app.telemetry import attributes as names
from app.telemetry.metrics import Metrics
from app.telemetry.tracing import Tracing, end_span, inside

_GONE = 499  # as nginx logs it when the client disconnects before the response
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Requests:
    """Measures the responses of an ASGI application, streams until their end."""

    def __init__(self, metrics: Metrics, tracing: Tracing, clock: Clock) -> None:
        self._durations, self._tracing, self._clock = metrics.request_duration, tracing, clock

    async def answer(self, app: ASGIApp, scope: Any, receive: Any, send: Any) -> None:
        """Have `app` handle a request; `http` requests only."""
        if scope["path"].startswith(paths.UNMEASURED):
            await app(scope, receive, send)
            return
        status, streams = _GONE, False

        async def observed(event: Any) -> None:
            nonlocal status, streams
            if event["type"] == "http.response.start":
                status = event["status"]
                streams = not any(name == b"content-length" for name, _ in event["headers"])
            await send(event)

        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        begun_us, span = self._clock.elapsed_us(), self._tracing.request(method, scope["headers"])
        try:
            with nullcontext() if span is None else inside(span):
                await app(scope, receive, observed)
        finally:
            route = scope.get("path_template") or "unknown"  # each path as a label would be its own time series
            waits = bool(scope.get("state", {}).get(paths.WAITS))
            kind = _kind(method, waits=waits, streams=streams and status < 300)
            took_s = (self._clock.elapsed_us() - begun_us) / MICROSECONDS
            self._durations.record(took_s, route, method, status, kind)
            if span is not None:
                span.update_name(f"{method} {route}")
                attributes = {names.HTTP_ROUTE: route, names.HTTP_STATUS: status, names.REQUEST_KIND: kind}
                end_span(span, attributes, str(status) if status >= 500 or status == _GONE else None)


def _kind(method: str, *, waits: bool, streams: bool) -> str:
    """Return the kind that service objectives refer to: how long a read waits or streams is the caller's choice."""
    if method in {"POST", "PUT"}:
        return "write"
    if streams:
        return "stream"
    return "wait" if waits else "read"
