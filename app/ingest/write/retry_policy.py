"""Decide what the writer does after each outcome of an append. Pure.

The store may refuse an append without naming a row. Its messages are halved until one is alone, and that one is
appended again after all others of its batch. Refused again, the message or the table may be at fault:

- The message is, if another append was begun and stored since it was first refused: it is rejected whole. Not before it
  was refused alone twice: a store that names a row the second time leaves the others their place.
- The table is, if different messages are refused alone and nothing is stored: it pauses, and nothing is rejected.
- With nothing to compare with, the message is delivered again. After a few deliveries it is rejected whole, if a check
  of the table finds nothing wrong.
"""

from collections.abc import Mapping
from typing import assert_never

import msgspec

from app.ingest.verdict import Throttled, Unavailable
from app.runtime.circuit_breaker import backoff_s
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

RETRY_BASE_S, RETRY_MAX_S = 0.1, 5.0
QUOTA_PAUSE_S = 10.0  # the shortest time an empty quota bucket stays empty
SETUP_PAUSE_S, PAUSE_MAX_S = 30.0, 300.0
COLUMNS_WAIT_S = 30.0  # the table is checked this often while it lacks columns
# A wrong clock usually corrects itself; a check of the disk, which runs every 2 s, ends that pause sooner.
_SHORT_PAUSES_S = {SinkState.CLOCK_WRONG: 10.0, SinkState.DISK_FULL: 5.0}
MAX_REFUSALS = 24
"""A message that was refused alone this often is rejected whole, though the store names only some of its rows."""
MAX_DELIVERIES = 3
"""How often a message is delivered before a check of the table can reject it."""
_NO_ANSWER = {SinkState.UNREACHABLE, SinkState.QUOTA_EXHAUSTED}
_UNCLEAR = Unavailable(
    "the store refused the message without a reason, and has stored no other message since to compare it with", 10.0
)


class Complete(msgspec.Struct, frozen=True):
    """The rows are durable."""


class RejectRows(msgspec.Struct, frozen=True):
    """The rows at these positions go to the rejects; the others are appended again."""

    errors: Mapping[int, RowError]


class Split(msgspec.Struct, frozen=True):
    """Several messages were refused without a row being named, or the rows are too many bytes: append each half."""


class Isolate(msgspec.Struct, frozen=True):
    """The only message of an append was refused without a row being named: append it again, after all others."""


class Check(msgspec.Struct, frozen=True):
    """The message was delivered often: check the table, and continue with `decide_checked`."""


class Rekey(msgspec.Struct, frozen=True):
    """The rows are late: append them again under another key, even if no message waits (app.stores.sink)."""


class Retry(msgspec.Struct, frozen=True):
    """Send the same rows again, after at most this long; `detail` says what happened."""

    detail: str
    max_delay_s: float


class Postpone(msgspec.Struct, frozen=True):
    """Fail the messages of the rows at these positions; the rows of all others are appended again.

    `detail` is for the operator, `verdict` answers the messages.
    """

    positions: frozenset[int]
    detail: str
    verdict: Unavailable


class Redeliver(msgspec.Struct, frozen=True):
    """Fail the message, and remember its refusals for its next delivery."""

    verdict: Unavailable


class Trip(msgspec.Struct, frozen=True):
    """Fail these rows and all waiting messages, and open the circuit for a while.

    `detail` is for the operator. `verdict` answers the waiting messages, whose senders may be untrusted.
    """

    state: SinkState
    detail: str
    verdict: Unavailable | Throttled


Step = Complete | RejectRows | Split | Isolate | Check | Rekey | Retry | Postpone | Redeliver | Trip


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """The facts about an append, and about its message if it held only one.

    `failures` and `trips` count earlier ones in a row. `refusals` counts earlier refusals of the message alone, and
    `deliveries` its earlier deliveries that ended so. `stored_since`: between its first refusal and this append,
    another one was begun and stored. `table_is_doubtful`: different messages were refused alone, and nothing is stored.
    `table_refuses`: so long, or with no other append in flight, that the table is at fault.
    """

    rows: int
    messages: int
    failures: int = 0
    trips: int = 0
    refusals: int = 0
    deliveries: int = 0
    stored_since: bool = False
    table_is_doubtful: bool = False
    table_refuses: bool = False


def trip_for(error: SetupError, failures: int) -> Trip:
    """Return the trip that follows `error`, from an append or a table check, after `failures` earlier ones."""
    detail, pause_s = f"the store is not ready to accept records: {error.state.value}", _SHORT_PAUSES_S.get(error.state)
    verdict = Unavailable(detail, pause_s or backoff_s(SETUP_PAUSE_S, PAUSE_MAX_S, failures))
    return Trip(error.state, error.detail, verdict)


def decide(outcome: Outcome, attempt: Attempt) -> Step:  # noqa: PLR0911 - one return for each outcome
    """Decide what follows `outcome` of `attempt`."""
    match outcome:
        case Stored(late):
            return Rekey() if late else Complete()
        case RowsRefused():
            return _refused(outcome, attempt)
        case RowsHeld(positions, detail):
            verdict = Unavailable("the store has no column yet for a member of this record", COLUMNS_WAIT_S)
            return Postpone(positions, detail, verdict)
        case TooLarge(detail):
            if attempt.rows > 1:
                return Split()
            return RejectRows({0: RowError(f"the row is too large for the store: {detail}")})
        case Uncertain(detail, late):
            return Rekey() if late else Retry(detail, backoff_s(RETRY_BASE_S, RETRY_MAX_S, attempt.failures))
        case QuotaExceeded(detail):
            pause_s = backoff_s(QUOTA_PAUSE_S, PAUSE_MAX_S, attempt.trips)
            return Trip(SinkState.QUOTA_EXHAUSTED, detail, Throttled("the store's quota is exhausted", pause_s))
        case SetupError():
            return trip_for(outcome, attempt.trips)
        case _:
            assert_never(outcome)


def _refused(outcome: RowsRefused, attempt: Attempt) -> Step:
    known = {position: error for position, error in outcome.errors.items() if 0 <= position < attempt.rows}
    if known and attempt.refusals < MAX_REFUSALS:
        return RejectRows(known)
    if attempt.messages > 1:
        return Split()
    if known or (attempt.refusals and attempt.stored_since):
        return _reject_all(outcome, attempt)
    if attempt.table_refuses:
        detail = f"the store refuses every message, even alone: {_reason(outcome)}"
        return trip_for(SetupError(SinkState.SCHEMA_MISMATCH, detail), attempt.trips)
    if not attempt.refusals:
        return Isolate()
    is_last = attempt.deliveries + 1 >= MAX_DELIVERIES and not attempt.table_is_doubtful
    return Check() if is_last else Redeliver(_UNCLEAR)


def decide_checked(check: TableCheck, outcome: RowsRefused, attempt: Attempt) -> RejectRows | Redeliver | Trip:
    """Decide what follows `outcome` of a message that was delivered often, once its table was checked."""
    match check:
        case None | Stored() | ColumnsPending():
            return _reject_all(outcome, attempt)
        case SetupError(state) if state in _NO_ANSWER:
            return Redeliver(_UNCLEAR)
        case SetupError():
            return trip_for(check, attempt.trips)
        case _:
            assert_never(check)


def _reject_all(outcome: RowsRefused, attempt: Attempt) -> RejectRows:
    times, named = attempt.refusals + 1, "" if outcome.errors else " without naming a row"
    error = RowError(f"the store refused this message {times} times{named}: {_reason(outcome)}")
    return RejectRows(dict.fromkeys(range(attempt.rows), error))


def _reason(outcome: RowsRefused) -> str:
    return outcome.detail or "it gave no reason"
