"""Queries are measured however they end, and how reading stands is known by that."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from app.environment import Environment
from app.query.read.instrumented_source import InstrumentedSource, SourceHealth, outcome_of
from app.runtime.instants import TimeRange
from app.settings.load import Settings
from app.stores.query import LookUp, Rows
from app.stores.source import (
    QueryError,
    QueryTimeoutError,
    QueryTooExpensiveError,
    StoreBusyError,
    StoreUnavailableError,
)
from app.telemetry.metrics import Metrics
from app.telemetry.tracing import Tracing
from sluice.testing.clock import FakeClock
from tests.telemetry.scripted_runner import ScriptedRunner

QUERY = LookUp(
    table="records", within=TimeRange(0, 1), lookback_us=1, columns=("id",), id_column="id", record_id="secret", limit=1
)
EXPORT = Rows(table="records", within=TimeRange(0, 1), lookback_us=1, columns=("id",), purpose="export")


class Stage:
    """An observed runner over a scripted one, with what was noted."""

    def __init__(self, **told: Any) -> None:
        self.clock, self.metrics = FakeClock(), Metrics()
        self.scripted = ScriptedRunner(**told)
        self.health = SourceHealth(self.clock.now_us)
        self.charged = list[int]()
        environment = Environment(settings=Settings(), clock=self.clock, metrics=self.metrics, tracing=Tracing(None))
        self.runner = InstrumentedSource(self.scripted, environment, self.health, system="duckdb", charge=self._charge)

    def _charge(self, size: int) -> None:
        self.charged.append(size)

    def outcomes(self) -> list[tuple[str, str]]:
        """Return purpose and outcome of each query that was measured."""
        return [
            (str(each["purpose"]), str(each["outcome"]))
            for each, point in self.metrics.query_duration.points()
            if any(point.counts)
        ]


@pytest.mark.parametrize(
    ("error", "outcome", "state"),
    [
        (QueryTooExpensiveError(1, 2), "too_expensive", "ACTIVE"),
        (QueryTimeoutError(1.0), "timeout", "ACTIVE"),
        (StoreBusyError("wait"), "busy", "BUSY"),
        (StoreUnavailableError("away"), "unavailable", "UNREACHABLE"),
        (QueryError("some other"), "unavailable", "ACTIVE"),
        (asyncio.CancelledError(), "cancelled", "ACTIVE"),
        (ZeroDivisionError(), "defect", "ACTIVE"),
    ],
)
async def test_each_end_has_a_word(error: BaseException, outcome: str, state: str) -> None:
    """The error passes through, from pages and exports alike."""
    stage = Stage(error=error)
    with pytest.raises(type(error)):
        await stage.runner.rows(QUERY)
    async with aclosing(stage.runner.arrow(EXPORT)) as pieces:
        assert await anext(pieces) == b"schema"
        with pytest.raises(type(error)):
            await anext(pieces)
    assert stage.outcomes() == [("look_up", outcome), ("export", outcome)]
    assert outcome_of(error) == outcome
    assert stage.health.state == state


async def test_an_export_is_measured_from_its_first_piece_to_its_last() -> None:
    """One that nobody reads to its end was cancelled."""
    stage = Stage(bytes_processed=9)
    async with aclosing(stage.runner.arrow(EXPORT)) as pieces:
        assert [piece async for piece in pieces] == list(stage.scripted.pieces)
    assert (stage.charged, stage.metrics.query_bytes) == ([9], {"export": 9})
    async with aclosing(stage.runner.arrow(EXPORT)) as pieces:
        await anext(pieces)
        await stage.clock.advance(3)
    *_, (_, whole), (_, broken) = stage.metrics.query_duration.points()
    assert stage.outcomes() == [("export", "ok"), ("export", "cancelled")]
    assert (whole.total, broken.total) == (0.0, 3.0)


async def test_an_export_that_fails_before_its_first_piece_is_billed_all_the_same() -> None:
    """The store had run its query."""
    stage = Stage(bytes_processed=9, error=StoreUnavailableError("away"))
    stage.scripted.pieces = ()
    with pytest.raises(StoreUnavailableError):
        await anext(stage.runner.arrow(EXPORT))
    assert stage.charged == [9]


def test_reading_is_slow_after_several_timeouts_and_well_after_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    """Each turn is logged once, with since when."""
    health = SourceHealth(FakeClock().now_us)
    for _ in range(2):
        health.note(QueryTimeoutError(1.0))
    assert health.state == "ACTIVE"
    away, still_away = StoreUnavailableError("away"), StoreUnavailableError("still away")
    for error in (QueryTimeoutError(1.0), asyncio.CancelledError(), ZeroDivisionError(), away, still_away):
        health.note(error)
    assert (health.state, health.detail) == ("UNREACHABLE", "still away")
    health.note(None)
    assert (health.state, health.detail) == ("ACTIVE", "")
    assert [record.getMessage() for record in caplog.records] == [
        "reads: SLOW: the query timed out after 1 s",
        "reads: UNREACHABLE: away",
        "reads: ACTIVE, after UNREACHABLE",
    ]
