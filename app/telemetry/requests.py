"""Measure API requests by route, create spans for traced ones, and log each response that was cut short."""

import logging
import sys
from contextlib import nullcontext
from typing import Any

from litestar.types import ASGIApp

from app.http import paths
from app.http.bodies import recorded_reason
from app.runtime.clock import MICROSECONDS, Clock
from app.telemetry.metrics import Metrics
from app.telemetry.redaction import first_line
from app.telemetry.tracing import HTTP_ROUTE, HTTP_STATUS, REQUEST_KIND, Tracing, end_span, inside

_GONE = 499  # as nginx logs it when the client disconnects before the response
_log = logging.getLogger("sluice.answers")
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
        status, streams, sent_bytes, is_ended = _GONE, False, 0, False

        async def observed(event: Any) -> None:
            nonlocal status, streams, sent_bytes, is_ended
            if event["type"] == "http.response.start":
                status = event["status"]
                streams = not any(name == b"content-length" for name, _ in event["headers"])
            await send(event)
            if event["type"] == "http.response.body":
                sent_bytes += len(event.get("body", b""))
                is_ended = not event.get("more_body", False)

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
            if not is_ended or status == _GONE:
                level, reason = recorded_reason(scope) or _unrecorded_reason()
                _log.log(level, "%s was aborted after %d bytes: %s", route, sent_bytes, reason)
            if span is not None:
                span.update_name(f"{method} {route}")
                attributes = {HTTP_ROUTE: route, HTTP_STATUS: status, REQUEST_KIND: kind}
                end_span(span, attributes, str(status) if status >= 500 or status == _GONE else None)


def _unrecorded_reason() -> tuple[int, str]:
    """Return the exception that ends the request as the reason: a defect, or the end of the process."""
    error = sys.exception()
    return logging.ERROR, "no reason is known" if error is None else f"{type(error).__name__}: {first_line(error)}"


def _kind(method: str, *, waits: bool, streams: bool) -> str:
    """Return the kind that service objectives refer to: how long a read waits or streams is the caller's choice."""
    if method in {"POST", "PUT"}:
        return "write"
    if streams:
        return "stream"
    return "wait" if waits else "read"
