"""An instrumented QueryRunner: the duration, bytes read and outcome of queries, and a span for traced ones."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from contextvars import ContextVar
from typing import NamedTuple

from opentelemetry.trace import Span

from app.query.source_health import SourceHealth
from app.runtime.clock import MICROSECONDS, Clock
from app.stores.query import ArrowQuery, Query
from app.stores.source import (
    Answer,
    Plan,
    QueryError,
    QueryRunner,
    QueryTimeoutError,
    QueryTooExpensiveError,
    StoreBusyError,
)
from app.telemetry import attributes as names
from app.telemetry.metrics import Metrics
from app.telemetry.tracing import Tracing, end_span

cache_state: ContextVar[str] = ContextVar("cache_state", default="bypass")
"""How the request of a query used the cache."""


class QueryWatch:
    """Records queries in metrics, traces and the source's health. `system` is the store's name in traces."""

    def __init__(self, metrics: Metrics, tracing: Tracing, health: SourceHealth, clock: Clock, *, system: str) -> None:
        self._metrics, self._tracing, self._clock, self._system = metrics, tracing, clock, system
        self.health = health

    def begin(self, query: Query) -> "_Begun":
        """Record that a query begins."""
        told = {names.DB_SYSTEM: self._system, names.PURPOSE: query.purpose, names.CACHE: cache_state.get()}
        return _Begun(query.purpose, self._clock.elapsed_us(), self._tracing.query(told))

    def end(self, begun: "_Begun", error: BaseException | None, answer: Answer | None = None) -> None:
        """Record the outcome of a query."""
        outcome = outcome_of(error)
        took_s = (self._clock.elapsed_us() - begun.at_us) / MICROSECONDS
        self._metrics.query_duration.record(took_s, begun.purpose, outcome)
        self.health.note(error)
        told: dict[str, str | int] = {names.OUTCOME: outcome}
        if answer is not None:
            told[names.DB_ROWS] = len(answer.rows)
            if answer.bytes_processed is not None:
                self._metrics.query_bytes[begun.purpose] += answer.bytes_processed
                told[names.BYTES_PROCESSED] = answer.bytes_processed
        if begun.span is not None:
            end_span(begun.span, told, None if error is None else outcome)


class _Begun(NamedTuple):
    purpose: str
    at_us: int
    span: Span | None


class InstrumentedSource:
    """Runs queries through another runner and records them."""

    def __init__(self, runner: QueryRunner, watch: QueryWatch) -> None:
        self._runner, self._watch = runner, watch
        self.partition_us = runner.partition_us
        self.first_slice_us, self.first_look_up_us = runner.first_slice_us, runner.first_look_up_us
        self.poll_s, self.open_ttl_s = runner.poll_s, runner.open_ttl_s

    @property
    def export_rows(self) -> int | None:
        """How many rows one query of an export may return."""
        return self._runner.export_rows

    async def rows(self, query: Query) -> Answer:
        """Return the rows of `query`, in its order."""
        begun = self._watch.begin(query)
        try:
            answer = await self._runner.rows(query)
        except BaseException as error:
            self._watch.end(begun, error)
            raise
        self._watch.end(begun, None, answer)
        return answer

    async def arrow(self, query: ArrowQuery) -> AsyncGenerator[bytes, None]:
        """Yield all rows of `query` as the pieces of one Arrow IPC stream."""
        begun = self._watch.begin(query)
        try:
            async with aclosing(self._runner.arrow(query)) as pieces:
                async for piece in pieces:
                    yield piece
        except BaseException as error:
            self._watch.end(begun, error)
            raise
        self._watch.end(begun, None)

    def horizon_us(self, table: str) -> int:
        """Return the settled horizon of `table`."""
        return self._runner.horizon_us(table)

    def version(self, table: str) -> int | None:
        """Return a number that changes as soon as `table` has new rows."""
        return self._runner.version(table)

    async def explain(self, query: Query) -> Plan:
        """Return what the store would run for `query`."""
        return await self._runner.explain(query)


def outcome_of(error: BaseException | None) -> str:
    """Return the name of a query's outcome in metrics and spans."""
    if error is None:
        return "ok"
    return next((word for kind, word in _WORDS if isinstance(error, kind)), "defect")


_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (QueryTooExpensiveError, "too_expensive"),
    (QueryTimeoutError, "timeout"),
    (StoreBusyError, "busy"),
    (QueryError, "unavailable"),
    (asyncio.CancelledError, "cancelled"),
    (GeneratorExit, "cancelled"),  # a stream that was not read to the end
)
