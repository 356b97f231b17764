"""Decide what the writer does after each outcome of an append. Pure."""

from collections.abc import Mapping
from typing import assert_never

import msgspec

from app.ingest.verdict import Throttled, Unavailable
from app.runtime.circuit_breaker import backoff_s
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

RETRY_BASE_S, RETRY_MAX_S = 0.1, 5.0
QUOTA_PAUSE_S = 10.0  # the shortest time an empty quota bucket stays empty
SETUP_PAUSE_S, PAUSE_MAX_S = 30.0, 300.0
CLOCK_PAUSE_S = 10.0  # a wrong clock usually corrects itself
COLUMNS_WAIT_S = 30.0  # the table is checked this often while it lacks columns
DISK_PAUSE_S = 5.0  # the disk check ends it sooner, as it runs every 2 s


class Complete(msgspec.Struct, frozen=True):
    """The rows are durable."""


class RejectRows(msgspec.Struct, frozen=True):
    """The rows at these positions go to the rejects; the others are appended again."""

    errors: Mapping[int, RowError]


class Bisect(msgspec.Struct, frozen=True):
    """An unnamed row was refused, or the rows are too many bytes: append each half separately."""


class Isolate(msgspec.Struct, frozen=True):
    """The only message of an append was refused without naming a row: it goes on alone (app.ingest.suspects)."""


class Repair(msgspec.Struct, frozen=True):
    """The rows are late: append them again under another key, even if no message waits (app.stores.sink)."""


class Retry(msgspec.Struct, frozen=True):
    """Send the same rows again, after at most this long; `detail` says what happened."""

    detail: str
    max_delay_s: float


class Trip(msgspec.Struct, frozen=True):
    """Fail these rows and all waiting messages, and open the circuit for a while.

    `detail` is for the operator. `verdict` answers the waiting messages, whose senders may be untrusted.
    """

    state: SinkState
    detail: str
    verdict: Unavailable | Throttled


class Postpone(msgspec.Struct, frozen=True):
    """Fail the messages of the rows at these positions; the rows of all others are appended again.

    `detail` is for the operator, `verdict` answers the messages.
    """

    positions: frozenset[int]
    detail: str
    verdict: Unavailable


Disposition = Complete | RejectRows | Bisect | Isolate | Repair | Retry | Postpone | Trip


def trip_for(error: SetupError, failures: int) -> Trip:
    """Return the trip that follows `error`, from an append or a table check, after `failures` earlier ones."""
    if error.state is SinkState.CLOCK_WRONG:
        wrong_clock = Unavailable(f"this instance cannot timestamp records: {error.state.value}", CLOCK_PAUSE_S)
        return Trip(error.state, error.detail, wrong_clock)
    if error.state is SinkState.DISK_FULL:
        full = Unavailable("the store's disk is full: records are refused until space is free", DISK_PAUSE_S)
        return Trip(error.state, error.detail, full)
    pause_s = backoff_s(SETUP_PAUSE_S, PAUSE_MAX_S, failures)
    verdict = Unavailable(f"the store is not ready to accept records: {error.state.value}", pause_s)
    return Trip(error.state, error.detail, verdict)


def decide(outcome: Outcome, rows: int, messages: int, failures: int) -> Disposition:  # noqa: PLR0911 - one for each outcome
    """Decide what follows `outcome` of an append of `rows` rows of `messages`, after `failures` failures in a row."""
    match outcome:
        case Stored(late):
            return Repair() if late else Complete()
        case RowsRefused(errors):
            known = {position: error for position, error in errors.items() if 0 <= position < rows}
            if known:
                return RejectRows(known)
            return Bisect() if messages > 1 else Isolate()
        case RowsHeld(positions, detail):
            verdict = Unavailable("the store has no column yet for a member of this record", COLUMNS_WAIT_S)
            return Postpone(positions, detail, verdict)
        case TooLarge(detail):
            return Bisect() if rows > 1 else RejectRows({0: RowError(f"the row is too large for the store: {detail}")})
        case Uncertain(detail, late):
            return Repair() if late else Retry(detail, backoff_s(RETRY_BASE_S, RETRY_MAX_S, failures))
        case QuotaExceeded(detail):
            pause_s = backoff_s(QUOTA_PAUSE_S, PAUSE_MAX_S, failures)
            return Trip(SinkState.QUOTA_EXHAUSTED, detail, Throttled("the store's quota is exhausted", pause_s))
        case SetupError():
            return trip_for(outcome, failures)
        case _:
            assert_never(outcome)
