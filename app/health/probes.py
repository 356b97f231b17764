"""`GET /health/live` and `GET /health/ready` (Cloud Run reserves paths that end in z).

Both are public, as the platform's probes send no token. The store's error messages may name projects and tables, so
they are shown only to callers that `/v1` would admit.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, route
from litestar.params import QueryParameter
from msgspec import Meta

from app.auth.guard import Identify
from app.environment import Environment
from app.http.contract import CONTRACT, JSON, TEXT, Answer, Contract, Parameter, media
from app.http.problems import ProblemError
from app.http.reading import METHODS, read_response
from app.ingest.write.table_writer import TableWriter
from app.query.read.instrumented_source import SourceHealth
from app.runtime.clock import MICROSECONDS
from app.runtime.instants import to_millisecond_text
from app.runtime.ledger import Ledger
from app.stores.sink import SetupError, SinkState
from app.telemetry import instruments
from app.telemetry.instruments import Instrument
from app.telemetry.metrics import Values
from app.version import VERSION

_ACTIVE = "ACTIVE"
_WORKING = {_ACTIVE, SinkState.COLUMNS_PENDING.value}
_Since = Annotated[str, Meta(description="When the state began.", extra_json_schema={"format": "date-time"})]
_Detail = Annotated[
    str | None,
    Meta(description='The store\'s last message; "" while healthy, null for callers who may not use `/v1`.'),
]
_Help = Annotated[
    str | None,
    Meta(description="The run-book for this state, in the service's repository; null while the component is healthy."),
]


class Reads(msgspec.Struct, frozen=True, kw_only=True):
    """How queries are answered, by how the last ones ended."""

    state: str
    since: _Since
    detail: _Detail
    help: _Help


class Sink(Reads, frozen=True, kw_only=True):
    """How one table takes rows: a named state, and what waits for it."""

    stuck: Annotated[bool, Meta(description="Whether messages have waited too long without any answer from the store.")]
    waiting: int
    oldest_wait_s: float
    connections: Annotated[int, Meta(description="Open connections for appends; 0 if the store runs in the process.")]


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """Which kind of store it is; `reads` is null where the instance has no part in reading."""

    kind: str
    reads: Reads | None
    lag_s: Annotated[float | None, Meta(description="How far a mirror is behind its source; null if it is none.")]


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether this instance can serve, and how it is doing."""

    status: Literal["ready", "starting", "draining"]
    system: str
    instance: str
    version: str
    uptime_s: float
    in_flight_messages: int
    in_flight_bytes: int
    sinks: dict[str, Sink]
    store: Store

    @property
    def has_trouble(self) -> bool:
        """Whether a table does not accept rows, or queries fail."""
        states = [sink.state for sink in self.sinks.values()] + ([self.store.reads.state] if self.store.reads else [])
        return any(state not in _WORKING for state in states) or any(sink.stuck for sink in self.sinks.values())


def _help_link(heading: str) -> str:
    """Return the link to a heading of the run book, with its anchor as Markdown renderers make it."""
    return f"docs/runbook.md#{heading.lower()}"


_Request = Request[Any, Any, Any]
_FIRST_CHECK_US = 10 * MICROSECONDS


class Health(msgspec.Struct, kw_only=True):
    """Derives liveness and readiness from the parts of the instance.

    `keys_are_ready` tells whether the tokens of callers can be verified. `in_flight` is None and `sinks` is empty if
    the instance does not ingest; `reads` is None if it does not query. `sinks` and `connections` are keyed by table.
    `obstacle` and `lag_s` are those of the Backend.
    """

    environment: Environment
    instance: str
    keys_are_ready: Callable[[], bool]
    in_flight: Ledger | None
    sinks: Mapping[str, TableWriter]
    reads: SourceHealth | None
    connections: Callable[[], Mapping[str, int]]
    obstacle: Callable[[], SetupError | None]
    lag_s: Callable[[], float] | None = None
    begun_us: int = 0
    is_draining: bool = False

    def __post_init__(self) -> None:
        """Begin to count."""
        self.begun_us = self.environment.clock.elapsed_us()

    def stuck(self) -> str:
        """Return why the process should be replaced, or "" if it should not."""
        return "; ".join(
            f"table {table}: messages have waited for {stuck_s:.0f} s, and no append had a definite outcome"
            for table, writer in self.sinks.items()
            if (stuck_s := writer.progress.stuck_s) is not None
        )

    def readiness(self, *, detailed: bool) -> Readiness:
        """Return the current readiness; `detailed` adds the store's messages."""
        settings, in_flight, connections = self.environment.settings, self.in_flight, self.connections()
        self._notice_trouble()
        return Readiness(
            status=self._status(),
            system=settings.telemetry.system,
            instance=self.instance,
            version=VERSION,
            uptime_s=round(self._running_us() / MICROSECONDS, 1),
            in_flight_messages=0 if in_flight is None else in_flight.holdings,
            in_flight_bytes=0 if in_flight is None else in_flight.bytes,
            sinks={
                table: _sink(writer, connections.get(table, 0), detailed=detailed)
                for table, writer in self.sinks.items()
            },
            store=Store(
                kind=settings.store.backend,
                reads=_reads(self.reads, detailed=detailed),
                lag_s=None if self.lag_s is None else round(self.lag_s(), 1),
            ),
        )

    def gauges(self, in_flight: Ledger) -> dict[Instrument, Callable[[], Values]]:
        """Return the gauges of an instance that ingests: messages in flight, and the state of each table."""
        return {
            instruments.IN_FLIGHT_MESSAGES: lambda: [(in_flight.holdings, {})],
            instruments.IN_FLIGHT_BYTES: lambda: [(in_flight.bytes, {})],
            instruments.SINK_STATE: lambda: [
                (int(writer.health.state is state), {"table": table, "state": state.value})
                for table, writer in self.sinks.items()
                for state in SinkState
            ],
            instruments.SINK_OLDEST_WAIT: lambda: [
                (writer.oldest_wait_s, {"table": table}) for table, writer in self.sinks.items()
            ],
            instruments.APPEND_CONNECTIONS: lambda: [
                (count, {"table": table}) for table, count in self.connections().items()
            ],
        }

    def _running_us(self) -> int:
        return self.environment.clock.elapsed_us() - self.begun_us

    def _notice_trouble(self) -> None:
        # Each append checks the clock and the store itself, so without traffic only this report can be out of date.
        obstacle = self.obstacle()
        for writer in self.sinks.values():
            writer.health.notice_clock()
            if obstacle is not None:
                writer.record_check(obstacle)

    def _status(self) -> Literal["ready", "starting", "draining"]:
        if self.is_draining:
            return "draining"
        # The first check of each table has ended, or has taken too long to wait for.
        knows_tables = self._running_us() >= _FIRST_CHECK_US or all(
            writer.health.is_checked for writer in self.sinks.values()
        )
        return "ready" if self.keys_are_ready() and knows_tables else "starting"


def _sink(writer: TableWriter, connections: int, *, detailed: bool) -> Sink:
    health, stuck = writer.health, writer.progress.stuck_s is not None
    state = health.state.value
    return Sink(
        state=state,
        since=to_millisecond_text(health.since_us),
        detail=health.detail if detailed else None,
        help=_help_link("stuck-writer") if stuck else None if state == _ACTIVE else _help_link(f"sink-state-{state}"),
        stuck=stuck,
        waiting=writer.waiting,
        oldest_wait_s=round(writer.oldest_wait_s, 3),
        connections=connections,
    )


def _reads(reads: SourceHealth | None, *, detailed: bool) -> Reads | None:
    if reads is None:
        return None
    return Reads(
        state=reads.state,
        since=to_millisecond_text(reads.since_us),
        detail=reads.detail if detailed else None,
        help=None if reads.state == _ACTIVE else _help_link(f"read-state-{reads.state}"),
    )


_LIVE_CONTRACT = Contract(
    answers={
        200: Answer("The process is working.", {"text/plain": media(TEXT)}),
        503: Answer("A writer has stalled.", {"text/plain": media(TEXT)}),
    }
)
_READY_BODY = {JSON: media(Readiness)}
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
