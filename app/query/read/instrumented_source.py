"""An instrumented QueryRunner: the duration, bytes read and outcome of queries, and a span for traced ones."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from functools import partial
from typing import Literal

from app.environment import Environment
from app.runtime.clock import MICROSECONDS
from app.stores.query import ArrowQuery, Query
from app.stores.source import (
    Answer,
    LearnHorizon,
    Plan,
    QueryError,
    QueryRunner,
    QueryTimeoutError,
    QueryTooExpensiveError,
    StoreBusyError,
    StoreUnavailableError,
    streamed_bytes,
)
from app.telemetry.tracing import BYTES_PROCESSED, DB_ROWS, DB_SYSTEM, OUTCOME, PURPOSE, end_span

Charge = Callable[[int], None]
ReadState = Literal["ACTIVE", "UNREACHABLE", "BUSY", "SLOW"]
_FORGOTTEN_US = 600 * MICROSECONDS  # without queries, an outcome this old says nothing about the store now
_TIMEOUTS = 3  # one timeout says something about the query, several in a row about the store
_log = logging.getLogger("sluice.query")


class SourceHealth:
    """The state of reads by the last outcome, the store's message, and `since_us`, its start (microseconds, wall)."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._state: ReadState = "ACTIVE"
        self._detail = ""
        self.since_us = self._seen_us = now_us()
        self._timeouts = 0

    @property
    def state(self) -> ReadState:
        """The state of reads; also ACTIVE if the last query is too long ago to tell."""
        return "ACTIVE" if self._is_forgotten else self._state

    @property
    def detail(self) -> str:
        """The store's message; empty while the state is ACTIVE."""
        return "" if self._is_forgotten else self._detail

    @property
    def _is_forgotten(self) -> bool:
        return self._now_us() - self._seen_us > _FORGOTTEN_US

    def note(self, error: BaseException | None) -> None:
        """Record the outcome of a query; None: success."""
        match error:
            case None | QueryTooExpensiveError():
                self._timeouts = 0
                self._turn("ACTIVE", "")
            case StoreBusyError():
                self._turn("BUSY", str(error))
            case StoreUnavailableError():
                self._turn("UNREACHABLE", str(error))
            case QueryTimeoutError():
                self._timeouts += 1
                if self._timeouts >= _TIMEOUTS:
                    self._turn("SLOW", str(error))
            case _:  # a client that disconnected, or a defect: neither is the store's fault
                pass

    def _turn(self, state: ReadState, detail: str) -> None:
        self._seen_us = self._now_us()
        if state != self._state:
            _log.warning("reads: %s%s", state, f": {detail}" if detail else f", after {self._state}")
            self.since_us = self._seen_us
        self._state, self._detail = state, detail


class InstrumentedSource:
    """Runs queries through another runner and records them in metrics, traces and the source's health.

    `system` is the store's name in traces. `charge` is told the bytes that each query was billed.
    """

    def __init__(
        self, runner: QueryRunner, environment: Environment, health: SourceHealth, *, system: str, charge: Charge
    ) -> None:
        self._runner, self._health, self._charge, self._system = runner, health, charge, system
        self._metrics, self._tracing, self._clock = environment.metrics, environment.tracing, environment.clock
        self.profile = runner.profile
        learn = runner.learn_horizon
        self.learn_horizon: LearnHorizon | None = None if learn is None else partial(self._learn, learn)

    async def rows(self, query: Query) -> Answer:
        """Return the rows of `query`, in its order."""
        with self._measured(query) as attributes:
            answer = await self._runner.rows(query)
            attributes[DB_ROWS] = len(answer.rows)
            if answer.bytes_processed is not None:
                attributes[BYTES_PROCESSED] = answer.bytes_processed
                self._bill(query.purpose, answer.bytes_processed)
        return answer

    async def arrow(self, query: ArrowQuery) -> AsyncGenerator[bytes, None]:
        """Yield all rows of `query` as the pieces of one Arrow IPC stream."""
        asked, billed = streamed_bytes.get(), list[int]()
        with self._measured(query):
            streamed_bytes.set(billed)
            try:
                async with aclosing(self._runner.arrow(query)) as pieces:
                    async for piece in pieces:
                        self._bill_all(query.purpose, billed, asked)
                        yield piece
            finally:  # a query that was billed may fail before its first row
                self._bill_all(query.purpose, billed, asked)

    def _bill_all(self, purpose: str, billed: list[int], asked: list[int] | None) -> None:
        while billed:
            self._bill(purpose, size_bytes := billed.pop())
            if asked is not None:
                asked.append(size_bytes)

    def _bill(self, purpose: str, size_bytes: int) -> None:
        if size_bytes:
            self._metrics.query_bytes[purpose] += size_bytes
            self._charge(size_bytes)

    def horizon_us(self, table: str) -> int:
        """Return the settled horizon of `table`."""
        return self._runner.horizon_us(table)

    async def _learn(self, learn: LearnHorizon) -> int:
        """Learn how far the tables are settled; who asked is charged for it."""
        billed = await learn()
        self._bill("horizon", billed)
        return billed

    def version(self, table: str) -> int | None:
        """Return a number that changes as soon as `table` has new rows."""
        return self._runner.version(table)

    async def explain(self, query: Query) -> Plan:
        """Return what the store would run for `query`."""
        return await self._runner.explain(query)

    @contextmanager
    def _measured(self, query: Query) -> Iterator[dict[str, str | int]]:
        """Record a query when the block ends, however that is; the block may add attributes to its span."""
        attributes = {DB_SYSTEM: self._system, PURPOSE: query.purpose}
        begun_us, span = self._clock.elapsed_us(), self._tracing.query(attributes)
        found: dict[str, str | int] = {}
        failure: BaseException | None = None
        try:
            yield found
        except BaseException as error:
            failure = error
            raise
        finally:
            outcome = outcome_of(failure)
            took_s = (self._clock.elapsed_us() - begun_us) / MICROSECONDS
            self._metrics.query_duration.record(took_s, query.purpose, outcome)
            self._health.note(failure)
            if span is not None:
                end_span(span, {OUTCOME: outcome, **found}, None if failure is None else outcome)


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
