"""`GET /health/live` and `GET /health/ready` (Cloud Run keeps paths that end in z for itself)."""

from typing import Annotated, Any, Literal, cast

import msgspec
from litestar import Request, Response, route
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from app.ingest.admission import Admission
from app.ingest.appender import SinkState
from app.ingest.writer import Writer
from app.keys import KeySet
from app.reading import METHODS, operation_ids, read_response
from app.telemetry.metrics import Metrics

_Request = Request[Any, Any, Any]
_STRICT = QueryParameter(name="strict", description="1: answer 503 as well when a sink is not ACTIVE.")


class Sink(msgspec.Struct, frozen=True, kw_only=True):
    """How one table of the store stands: a named state, what it said last, and what waits for it."""

    state: str
    detail: str
    waiting: int
    oldest_wait_s: float


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether this instance can serve, and how it is doing."""

    status: Literal["ready", "starting", "draining"]
    in_flight_messages: int
    in_flight_bytes: int
    sinks: dict[str, Sink]
    counters: dict[str, Any]

    @property
    def has_trouble(self) -> bool:
        """Whether a table does not take rows."""
        return any(sink.state != SinkState.ACTIVE.value for sink in self.sinks.values())


class Health:
    """Knows what readiness depends on.

    `keys` is None where no token is ever verified (no push, no API principals), `sinks` is empty where the instance
    does not ingest.
    """

    def __init__(
        self, *, admission: Admission, keys: KeySet | None, sinks: dict[str, Writer], metrics: Metrics
    ) -> None:
        self._admission, self._keys, self._sinks, self._metrics = admission, keys, sinks, metrics

    def readiness(self) -> Readiness:
        """Return how the instance is doing now."""
        status: Literal["ready", "starting", "draining"] = "ready"
        if self._admission.draining:
            status = "draining"
        elif self._keys is not None and not self._keys.is_ready:
            status = "starting"
        return Readiness(
            status=status,
            in_flight_messages=self._admission.messages,
            in_flight_bytes=self._admission.bytes,
            sinks={
                name: Sink(
                    state=writer.standing.state.value,
                    detail=writer.standing.detail,
                    waiting=writer.waiting,
                    oldest_wait_s=round(writer.oldest_wait_s, 3),
                )
                for name, writer in self._sinks.items()
            },
            counters=self._metrics.snapshot(),
        )


def health_routes(health: Health) -> list[Any]:
    """Return the routes of `health`."""

    @route(
        "/health/live",
        http_method=METHODS,
        operation_id=operation_ids("live"),
        summary="Whether the process answers",
        description="Answers as long as the process runs; it asks nothing else.",
        tags=["operations"],
        media_type="text/plain",
    )
    async def live(request: _Request) -> Response[str]:
        # The annotations of both are for the OpenAPI document.
        return cast("Response[str]", read_response(request, b"live\n", "text/plain; charset=utf-8"))

    @route(
        "/health/ready",
        http_method=METHODS,
        operation_id=operation_ids("ready"),
        summary="Whether this instance can serve, and how its store stands",
        description=(
            "503 only while the instance itself cannot serve: no key set yet, one that could not be refreshed for a "
            "day beyond its age, or shutting down. A store that is not ACTIVE shows in the body and does not make it "
            "unready, which would only cut off readers. With `strict=1`, for people and smoke tests, it answers 503 "
            "then too."
        ),
        tags=["operations"],
        responses={
            503: ResponseSpec(
                data_container=Readiness,
                description="Starting or draining; with `strict=1`, or a sink is not ACTIVE.",
                generate_examples=False,
            )
        },
    )
    async def ready(request: _Request, strict: Annotated[Literal[0, 1], _STRICT] = 0) -> Response[Readiness]:
        readiness = health.readiness()
        status = 200 if readiness.status == "ready" and not (strict and readiness.has_trouble) else 503
        body = msgspec.json.encode(readiness)
        return cast("Response[Readiness]", read_response(request, body, "application/json", status=status))

    return [live, ready]
