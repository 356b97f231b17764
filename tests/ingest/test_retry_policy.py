"""What follows each outcome of an append: the decision table."""

import pytest

from app.ingest.retry_policy import (
    Bisect,
    Complete,
    Disposition,
    Isolate,
    Postpone,
    RejectRows,
    Repair,
    Retry,
    Trip,
    decide,
)
from app.ingest.verdict import Throttled, Unavailable
from app.stores.sink import (
    Outcome,
    QuotaExceeded,
    RowError,
    RowsHeld,
    RowsRefused,
    SetupError,
    SinkState,
    Stored,
    TooLarge,
    Uncertain,
)

NOT_SET_UP = "the store is not ready to accept records"
BAD = RowError("bad", "total")


@pytest.mark.parametrize(
    ("outcome", "rows", "failures", "expected"),
    [
        (Stored(), 3, 0, Complete()),
        (RowsRefused({1: BAD}), 3, 0, RejectRows({1: BAD})),
        (RowsRefused({1: BAD, 3: BAD, -1: BAD}), 3, 0, RejectRows({1: BAD})),
        (RowsRefused({0: BAD, 2: BAD}), 3, 0, RejectRows({0: BAD, 2: BAD})),
        (RowsRefused({7: BAD}), 3, 0, Bisect()),
        (RowsRefused({}), 3, 0, Bisect()),
        (Stored(late=True), 3, 0, Repair()),
        (
            RowsHeld(frozenset({1}), "it lacks x"),
            3,
            0,
            Postpone(
                frozenset({1}),
                "it lacks x",
                Unavailable("the store has no column yet for a member of this record", 30.0),
            ),
        ),
        (TooLarge("11 MB"), 3, 0, Bisect()),
        (TooLarge("11 MB"), 2, 0, Bisect()),
        (TooLarge("11 MB"), 1, 0, RejectRows({0: RowError("the row is too large for the store: 11 MB")})),
        (Uncertain("gone"), 3, 0, Retry("gone", 0.1)),
        (Uncertain("gone"), 3, 3, Retry("gone", 0.8)),
        (Uncertain("gone"), 3, 10, Retry("gone", 5.0)),
        (Uncertain("gone", late=True), 3, 0, Repair()),
        (
            QuotaExceeded("rows"),
            3,
            0,
            Trip(SinkState.QUOTA_EXHAUSTED, "rows", Throttled("the store's quota is exhausted", 10.0)),
        ),
        (
            QuotaExceeded("rows"),
            3,
            2,
            Trip(SinkState.QUOTA_EXHAUSTED, "rows", Throttled("the store's quota is exhausted", 40.0)),
        ),
        (
            QuotaExceeded("rows"),
            3,
            10,
            Trip(SinkState.QUOTA_EXHAUSTED, "rows", Throttled("the store's quota is exhausted", 300.0)),
        ),
        (
            SetupError(SinkState.NOT_FOUND, "no table"),
            3,
            0,
            Trip(SinkState.NOT_FOUND, "no table", Unavailable(f"{NOT_SET_UP}: NOT_FOUND", 30.0)),
        ),
        (
            SetupError(SinkState.PERMISSION_DENIED, "may not write"),
            3,
            2,
            Trip(SinkState.PERMISSION_DENIED, "may not write", Unavailable(f"{NOT_SET_UP}: PERMISSION_DENIED", 120.0)),
        ),
        (
            SetupError(SinkState.DISK_FULL, "0 bytes left"),
            3,
            10,
            Trip(
                SinkState.DISK_FULL,
                "0 bytes left",
                Unavailable("the store's disk is full: records are refused until space is free", 5.0),
            ),
        ),
        (
            SetupError(SinkState.SCHEMA_MISMATCH, "x"),
            3,
            10,
            Trip(SinkState.SCHEMA_MISMATCH, "x", Unavailable(f"{NOT_SET_UP}: SCHEMA_MISMATCH", 300.0)),
        ),
        (
            SetupError(SinkState.CLOCK_WRONG, "x"),
            3,
            10,
            Trip(SinkState.CLOCK_WRONG, "x", Unavailable("this instance cannot timestamp records: CLOCK_WRONG", 10.0)),
        ),
    ],
)
def test_next_step(outcome: Outcome, rows: int, failures: int, expected: Disposition) -> None:
    """Each outcome has one consequence, which depends on nothing but the values given."""
    assert decide(outcome, rows, 2, failures) == expected


@pytest.mark.parametrize("rows", [1, 3])
def test_a_message_that_is_refused_alone_without_a_row_being_named_is_isolated(rows: int) -> None:
    """What becomes of it is decided there (app.ingest.suspects)."""
    assert decide(RowsRefused({}, "INVALID_ARGUMENT"), rows, 1, 0) == Isolate()
    assert decide(RowsRefused({7: BAD}), rows, 1, 0) == Isolate()
