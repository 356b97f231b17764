"""What follows each outcome of an append: the decision table."""

from typing import Any

import pytest

from app.ingest.verdict import Throttled, Unavailable
from app.ingest.write.retry_policy import (
    MAX_DELIVERIES,
    MAX_REFUSALS,
    Attempt,
    Check,
    Complete,
    Isolate,
    Postpone,
    Redeliver,
    RejectRows,
    Rekey,
    Retry,
    Split,
    Step,
    Trip,
    decide,
    decide_checked,
)
from app.stores.sink import (
    ColumnsPending,
    Outcome,
    QuotaExceeded,
    RowError,
    RowsHeld,
    RowsRefused,
    SetupError,
    SinkState,
    Stored,
    TableCheck,
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
        (RowsRefused({7: BAD}), 3, 0, Split()),
        (RowsRefused({}), 3, 0, Split()),
        (Stored(late=True), 3, 0, Rekey()),
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
        (TooLarge("11 MB"), 3, 0, Split()),
        (TooLarge("11 MB"), 2, 0, Split()),
        (TooLarge("11 MB"), 1, 0, RejectRows({0: RowError("the row is too large for the store: 11 MB")})),
        (Uncertain("gone"), 3, 0, Retry("gone", 0.1)),
        (Uncertain("gone"), 3, 3, Retry("gone", 0.8)),
        (Uncertain("gone"), 3, 10, Retry("gone", 5.0)),
        (Uncertain("gone", late=True), 3, 0, Rekey()),
    ],
)
def test_next_step(outcome: Outcome, rows: int, failures: int, expected: Step) -> None:
    """Each outcome has one consequence, which depends on nothing but the values given."""
    attempt = Attempt(rows=rows, messages=2, failures=failures, trips=failures)
    assert decide(outcome, attempt) == expected


QUOTA = "the store's quota is exhausted"
CLOCK = "the store is not ready to accept records: CLOCK_WRONG"
FULL = "the store is not ready to accept records: DISK_FULL"


@pytest.mark.parametrize(
    ("state", "trips", "told", "pause_s"),
    [
        (SinkState.QUOTA_EXHAUSTED, 0, QUOTA, 10.0),
        (SinkState.QUOTA_EXHAUSTED, 2, QUOTA, 40.0),
        (SinkState.QUOTA_EXHAUSTED, 10, QUOTA, 300.0),
        (SinkState.NOT_FOUND, 0, f"{NOT_SET_UP}: NOT_FOUND", 30.0),
        (SinkState.PERMISSION_DENIED, 2, f"{NOT_SET_UP}: PERMISSION_DENIED", 120.0),
        (SinkState.SCHEMA_MISMATCH, 10, f"{NOT_SET_UP}: SCHEMA_MISMATCH", 300.0),
        (SinkState.DISK_FULL, 10, FULL, 5.0),
        (SinkState.CLOCK_WRONG, 10, CLOCK, 10.0),
    ],
)
def test_a_store_that_takes_nothing_is_left_alone(state: SinkState, trips: int, told: str, pause_s: float) -> None:
    """For longer after each trip; what mends itself soon is tried sooner. Senders read nothing of the detail."""
    is_quota = state is SinkState.QUOTA_EXHAUSTED
    outcome = QuotaExceeded("a detail") if is_quota else SetupError(state, "a detail")
    verdict = Throttled(told, pause_s) if is_quota else Unavailable(told, pause_s)
    assert decide(outcome, Attempt(rows=3, messages=2, trips=trips)) == Trip(state, "a detail", verdict)


UNNAMED = RowsRefused({}, "INVALID_ARGUMENT")
UNCLEAR = Unavailable(
    "the store refused the message without a reason, and has stored no other message since to compare it with", 10.0
)
MISMATCH = SetupError(SinkState.SCHEMA_MISMATCH, "the store refuses every message, even alone: INVALID_ARGUMENT")


def refused(**facts: Any) -> Attempt:
    """Return an append of two rows of one message."""
    return Attempt(rows=2, messages=1, **facts)


def whole(detail: str) -> RejectRows:
    """Return the rejection of both rows."""
    return RejectRows(dict.fromkeys(range(2), RowError(detail)))


@pytest.mark.parametrize(
    ("outcome", "attempt", "expected"),
    [
        (UNNAMED, refused(), Isolate()),
        (RowsRefused({7: BAD}), refused(), Isolate()),
        (UNNAMED, refused(refusals=1), Redeliver(UNCLEAR)),
        (UNNAMED, refused(refusals=1, deliveries=MAX_DELIVERIES - 2), Redeliver(UNCLEAR)),
        (UNNAMED, refused(refusals=1, deliveries=MAX_DELIVERIES - 1), Check()),
        (UNNAMED, refused(refusals=1, deliveries=MAX_DELIVERIES, table_is_doubtful=True), Redeliver(UNCLEAR)),
        (
            UNNAMED,
            refused(refusals=1, stored_since=True, table_refuses=True),
            whole("the store refused this message 2 times without naming a row: INVALID_ARGUMENT"),
        ),
        (UNNAMED, refused(stored_since=True), Isolate()),
        (
            RowsRefused({}),
            refused(refusals=1, stored_since=True),
            whole("the store refused this message 2 times without naming a row: it gave no reason"),
        ),
        (RowsRefused({1: BAD}, "no"), refused(refusals=MAX_REFUSALS - 1), RejectRows({1: BAD})),
        (
            RowsRefused({1: BAD}, "no"),
            refused(refusals=MAX_REFUSALS),
            whole(f"the store refused this message {MAX_REFUSALS + 1} times: no"),
        ),
        (
            UNNAMED,
            refused(refusals=1, table_refuses=True, trips=1, deliveries=9),
            Trip(MISMATCH.state, MISMATCH.detail, Unavailable(f"{NOT_SET_UP}: SCHEMA_MISMATCH", 60.0)),
        ),
        (
            UNNAMED,
            refused(table_refuses=True),
            Trip(MISMATCH.state, MISMATCH.detail, Unavailable(f"{NOT_SET_UP}: SCHEMA_MISMATCH", 30.0)),
        ),
    ],
)
def test_a_message_that_is_refused_alone(outcome: Outcome, attempt: Attempt, expected: Step) -> None:
    """It is rejected only if the table is known to take rows."""
    assert decide(outcome, attempt) == expected


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        *[
            (clean, whole("the store refused this message 4 times without naming a row: INVALID_ARGUMENT"))
            for clean in (None, Stored(), ColumnsPending(frozenset({"x"}), "it lacks x"))
        ],
        (SetupError(SinkState.UNREACHABLE, "gone"), Redeliver(UNCLEAR)),
        (SetupError(SinkState.QUOTA_EXHAUSTED, "rows"), Redeliver(UNCLEAR)),
        (
            SetupError(SinkState.NOT_FOUND, "no table"),
            Trip(SinkState.NOT_FOUND, "no table", Unavailable(f"{NOT_SET_UP}: NOT_FOUND", 120.0)),
        ),
    ],
)
def test_a_check_decides_about_a_message_that_was_delivered_often(check: TableCheck, expected: Step) -> None:
    """A clean one rejects it, an obstacle trips the table, and without an answer it is delivered again."""
    assert decide_checked(check, UNNAMED, refused(refusals=3, trips=2)) == expected
