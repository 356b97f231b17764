"""`GET /health/live` and `GET /health/ready` (Cloud Run reserves paths that end in z).

Both are public, as the platform's probes send no token. The store's error messages may name projects and tables, so
they are shown only to callers that `/v1` would admit.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Protocol

import msgspec
from litestar import Request, Response, route
from litestar.params import QueryParameter

from app.auth.guard import Identify
from app.health.backlog import BacklogWatch
from app.health.readiness import ACTIVE, EXAMPLE, About, Readiness, Reads, Sink, Store, help_link
from app.http.contract import CONTRACT, JSON, TEXT, Answer, Contract, Parameter, media
from app.http.problems import ProblemError
from app.http.reading import METHODS, read_response
from app.ingest.admission import Admission
from app.ingest.write.table_writer import TableWriter
from app.query.read.instrumented_source import SourceHealth
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.instants import to_millisecond_text
from app.stores.sink import SetupError
from app.telemetry.metrics import Metrics
from app.version import VERSION

_Request = Request[Any, Any, Any]
_FIRST_CHECK_US = 10 * MICROSECONDS


class Keys(Protocol):
    """Knows whether the tokens of callers can be verified."""

    @property
    def is_ready(self) -> bool:
        """Whether tokens can be verified."""


class Health:
    """Derives liveness and readiness from the parts of the instance.

    `keys` is None if no token is ever verified, `admission` is None and `sinks` is empty if the instance does not
    ingest. `reads` is None if it does not query, and `backlog` if it cannot be read. `connections` are keyed by table,
    like `sinks`. `obstacle` is that of the Backend.
    """

    def __init__(  # noqa: PLR0913 - the parts of an instance
        self,
        *,
        about: About,
        admission: Admission | None,
        keys: Keys | None,
        sinks: Mapping[str, TableWriter],
        reads: SourceHealth | None,
        connections: Callable[[], Mapping[str, int]],
        obstacle: Callable[[], SetupError | None],
        backlog: BacklogWatch | None,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._backlog = backlog
        self._about, self._admission, self._keys, self._metrics = about, admission, keys, metrics
        self._sinks, self._reads, self._connections, self._obstacle = sinks, reads, connections, obstacle
        self._clock, self._begun_us = clock, clock.elapsed_us()
        self.is_draining = False

    def stuck(self) -> str:
        """Return why the process should be replaced, or "" if it should not."""
        return "; ".join(
            f"table {table}: messages have waited for {stuck_s:.0f} s, and no append had a definite outcome"
            for table, writer in self._sinks.items()
            if (stuck_s := writer.progress.stuck_s) is not None
        )

    def readiness(self, *, detailed: bool) -> Readiness:
        """Return the current readiness; `detailed` adds the store's messages and the counters."""
        about, admission, connections = self._about, self._admission, self._connections()
        self._notice_trouble()
        return Readiness(
            status=self._status(),
            system=about.system,
            instance=about.instance,
            version=VERSION,
            uptime_s=round((self._clock.elapsed_us() - self._begun_us) / MICROSECONDS, 1),
            in_flight_messages=0 if admission is None else admission.messages,
            in_flight_bytes=0 if admission is None else admission.bytes,
            sinks={
                table: _sink(writer, connections.get(table, 0), detailed=detailed)
                for table, writer in self._sinks.items()
            },
            store=Store(kind=about.store, reads=_reads(self._reads, detailed=detailed) if self._reads else None),
            backlog=self._backlog.latest() if detailed and self._backlog is not None else None,
            counters=self._metrics.snapshot() if detailed else None,
        )

    def _notice_trouble(self) -> None:
        # Each append checks the clock and the store itself, so without traffic only this report can be out of date.
        obstacle = self._obstacle()
        for writer in self._sinks.values():
            writer.health.notice_clock()
            if obstacle is not None:
                writer.record_check(obstacle)

    def _status(self) -> Literal["ready", "starting", "draining"]:
        if self.is_draining:
            return "draining"
        has_keys = self._keys is None or self._keys.is_ready
        return "ready" if has_keys and self._knows_tables() else "starting"

    def _knows_tables(self) -> bool:
        """Return whether the first check of each table has ended, or has taken too long to wait for."""
        if self._clock.elapsed_us() - self._begun_us >= _FIRST_CHECK_US:
            return True
        return all(writer.health.is_checked for writer in self._sinks.values())


def _sink(writer: TableWriter, connections: int, *, detailed: bool) -> Sink:
    health, stuck = writer.health, writer.progress.stuck_s is not None
    state = health.state.value
    return Sink(
        state=state,
        since=to_millisecond_text(health.since_us),
        detail=health.detail if detailed else None,
        help=help_link("stuck-writer") if stuck else None if state == ACTIVE else help_link(f"sink-state-{state}"),
        stuck=stuck,
        waiting=writer.waiting,
        oldest_wait_s=round(writer.oldest_wait_s, 3),
        connections=connections,
    )


def _reads(reads: SourceHealth, *, detailed: bool) -> Reads:
    return Reads(
        state=reads.state,
        since=to_millisecond_text(reads.since_us),
        detail=reads.detail if detailed else None,
        help=None if reads.state == ACTIVE else help_link(f"read-state-{reads.state}"),
    )


_LIVE_CONTRACT = Contract(
    answers={
        200: Answer("The process is working.", {"text/plain": media(TEXT)}),
        503: Answer("A writer has stalled.", {"text/plain": media(TEXT)}),
    }
)
_READY_BODY = {JSON: media(Readiness, EXAMPLE)}
_READY_CONTRACT = Contract(
    parameters={
        "strict": Parameter(
            "1: also answer 503 if a sink or a source is neither ACTIVE nor COLUMNS_PENDING, or a writer has stalled.",
            None,
            {"type": "integer", "enum": [0, 1]},
            default="0",
        )
    },
    answers={
        200: Answer("The instance can serve.", _READY_BODY),
        503: Answer("The instance is starting or shutting down; with `strict=1`, or has a fault.", _READY_BODY),
    },
    problems={400: "`strict` is neither 0 nor 1."},
)


def health_routes(health: Health, identify: Identify) -> list[Any]:
    """Return the routes of `health`; `identify` recognizes callers that `/v1` would admit."""

    @route(
        "/health/live",
        http_method=METHODS,
        operation_id="live",
        summary="Report whether the process should keep running",
        description="Use it as the liveness probe, which replaces the instance. It answers 200 while the process "
        "works. It answers 503, with a reason, while a writer has stalled: messages have waited for the "
        "store for ten times `SLUICE_REQUEST_BUDGET_S`, and no append had a definite outcome. A new instance starts "
        "with new connections. A store that refuses rows does not fail the probe.",
        tags=["operations"],
        opt={CONTRACT: _LIVE_CONTRACT},
    )
    async def live(request: _Request) -> Response[bytes]:
        stuck = health.stuck()
        body = f"stuck: {stuck}\n".encode() if stuck else b"live\n"
        return read_response(request, body, "text/plain; charset=utf-8", status=503 if stuck else 200)

    @route(
        "/health/ready",
        http_method=METHODS,
        operation_id="ready",
        summary="Report whether this instance can serve, and the health of its store",
        description="Use it as the start-up probe, and to inspect an instance. It answers 503 only while the instance "
        "itself cannot serve: it has no key set yet, its key set expired over a day ago, it has not checked its "
        "tables yet (for 10 seconds at most), or it is shutting down. A store that is not ACTIVE shows in the body but "
        "does not make the instance unready, because that would only cut off readers. With `strict=1`, for people and "
        "smoke tests, it answers 503 then too, except in `COLUMNS_PENDING`, which stops only records that use a "
        "missing column. Every caller sees the states; only callers who may use `/v1` see `detail`.",
        tags=["operations"],
        opt={CONTRACT: _READY_CONTRACT},
    )
    async def ready(
        request: _Request, strict: Annotated[Literal[0, 1], QueryParameter(name="strict")] = 0
    ) -> Response[bytes]:
        readiness = health.readiness(detailed=await _is_known(identify, request))
        status = 200 if readiness.status == "ready" and not (strict and readiness.has_trouble) else 503
        return read_response(request, msgspec.json.encode(readiness), JSON, status=status)

    return [live, ready]


async def _is_known(identify: Identify, request: _Request) -> bool:
    try:
        await identify(request)
    except ProblemError:
        return False
    return True
