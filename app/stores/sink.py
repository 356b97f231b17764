"""The ingest seam: append rows durably, and the possible outcomes of an append."""

import enum
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from app.settings.store import StoreSettings

STALE_US = 1_000_000
"""A stamp older than this is not sent: the rows are stamped again."""
_TIMERS_US = 500_000
"""A timer may fire this much after its deadline. Settings without room for it lose it from the clock skew."""
_US = 1_000_000
_LATENESS = re.compile(r"~late[0-9]+\Z")


class LatenessLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How long after its stamp, in microseconds, an append may end before readers may have passed its rows.

    A reader stops at its settled horizon, `settle` behind its clock, which may be `skew` ahead of ours. So a row that
    becomes readable within `settle - skew` of its stamp is ahead of every reader; one that may become readable later is
    *late*. This cannot be ruled out: the process may be stopped, or the machine suspended, between stamp and
    acknowledgement. A late row is appended again under a new key, so that it does not count as a copy of the first.

    By default an attempt ends after 10 s. This allows 28 s for a row that was stored, and 18 s for one that may still
    be stored within the late-commit margin of 10 s.
    """

    stored_us: int
    """For rows whose acknowledgement has come."""
    uncertain_us: int
    """For rows that the store may still commit, within the late-commit margin from now."""
    margin_us: int
    """How long after we abandon rows they may still become readable."""


def lateness_limits(store: StoreSettings) -> LatenessLimits:
    """Derive the limits from the settings; nothing else does."""
    stored_us = round((store.settle_s - store.clock_skew_s) * _US)
    margin_us = round(store.late_commit_margin_s * _US)
    in_time_us = round(store.append_deadline_s * _US) + _TIMERS_US
    return LatenessLimits(
        stored_us=max(stored_us, in_time_us),
        uncertain_us=max(stored_us - margin_us, in_time_us),
        margin_us=margin_us,
    )


def late_key(delivery_key: str, lateness: int) -> str:
    """Return the delivery key of a row that is appended again because it was late, for the `lateness`-th time.

    With its own key it is not a copy of the row that readers may have passed. They see it; later readers see both.
    """
    return f"{delivery_key}~late{lateness}"


def without_lateness(delivery_key: str) -> str:
    """Return the delivery key that a row had before `late_key` changed it; any other key as it is."""
    return _LATENESS.sub("", delivery_key)


def part_key(delivery_key: str, part: int) -> str:
    """Return the delivery key of the row that holds this part of a reject.

    The first part keeps the record's key, so that a replay can keep it too. The others append their number, since two
    rows with the same key would count as copies.
    """
    return f"{delivery_key}#{part}" if part else delivery_key


def whole_key(row_key: str, part: int) -> str:
    """Return the delivery key of the record that a row of the rejects belongs to: the inverse of `part_key`.

    A row that was stored again because it was late belongs to the same record.
    """
    key = without_lateness(row_key)
    return key.removesuffix(f"#{part}") if part else key


class StoreError(Exception):
    """A store cannot be opened; the message says what to do."""


class SinkState(enum.Enum):
    """The state of a store, by the names that health, metrics and run-books use."""

    ACTIVE = "ACTIVE"
    COLUMNS_PENDING = "COLUMNS_PENDING"
    """Rows are stored, but the table lacks columns that the record type declares: rows that use one must wait."""
    NOT_FOUND = "NOT_FOUND"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    SCHEMA_MISMATCH = "SCHEMA_MISMATCH"
    QUOTA_EXHAUSTED = "QUOTA_EXHAUSTED"
    DISK_FULL = "DISK_FULL"
    FILE_MISSING = "FILE_MISSING"
    """The embedded store's open file is not the one at its path: what is written to it is lost with the process."""
    UNREACHABLE = "UNREACHABLE"
    CLOCK_WRONG = "CLOCK_WRONG"
    """Nothing is stamped, because this instance's time of day cannot be trusted (app.runtime.time_of_day)."""


class RowError(msgspec.Struct, frozen=True):
    """Why the store refused one row."""

    detail: str
    field: str | None = None


class Stored(msgspec.Struct, frozen=True):
    """Every row of the batch is durable; `late`: so long after the stamp that readers may have passed the rows."""

    late: bool = False


class RowsRefused(msgspec.Struct, frozen=True):
    """No row was stored, because of the rows at these positions; the list may be incomplete or empty.

    `detail` is the store's message about the whole append.
    """

    errors: Mapping[int, RowError]
    detail: str = ""


class Uncertain(msgspec.Struct, frozen=True):
    """The rows may or may not be stored; the same rows must be sent again.

    `late`: if they are stored, readers may have passed them.
    """

    detail: str
    late: bool = False


class TooLarge(msgspec.Struct, frozen=True):
    """No row was stored: the rows exceed the limits of one append."""

    detail: str


class QuotaExceeded(msgspec.Struct, frozen=True):
    """The store asks for less load; as far as it says, no row was stored."""

    detail: str


class RowsHeld(msgspec.Struct, frozen=True):
    """No row was stored: those at these positions use columns that the table lacks. The others can be appended."""

    positions: frozenset[int]
    detail: str


class SetupError(msgspec.Struct, frozen=True):
    """No row will be stored until the set-up is fixed."""

    state: SinkState
    detail: str


Outcome = Stored | RowsRefused | RowsHeld | TooLarge | Uncertain | QuotaExceeded | SetupError


class ColumnsPending(msgspec.Struct, frozen=True):
    """The table lacks optional columns: it takes rows that use none of them."""

    missing: frozenset[str]
    detail: str


TableCheck = SetupError | ColumnsPending | Stored | None
"""The result of a table check: the obstacle to appending, a lack of columns, a row that was stored, or nothing."""


NO_MESSAGE: Mapping[str, Any] = {
    **dict.fromkeys(("subscription_name", "message_id", "publish_time", "ordering_key", "trace_id")),
    "attributes": {},
}
"""The shared envelope columns of a row that came in no message."""
RowEncode = Callable[[msgspec.Struct, int, str], bytes]
"""Encodes a record, its `message_index` and its `delivery_key` as a row without `ingest_time`."""


class Appender(Protocol):
    """Appends rows to one table.

    `encoder` returns the function that turns the records of one message into rows, once, on arrival. Rows have no
    `ingest_time`, since every attempt gets a new stamp. `append` returns when the outcome is known, and raises nothing
    that a store can cause; if it is cancelled, the rows may still be stored. Up to `max_in_flight` appends may be in
    flight. Batches that are not full go out up to `target_in_flight` in flight, spaced out (app.ingest.write.batching).

    `lateness_limits` say when rows are late, which the outcome reports as `late`. They are None if rows cannot be late:
    the embedded store's horizon waits for its oldest stamp in flight.
    """

    max_in_flight: int
    target_in_flight: int

    @property
    def lateness_limits(self) -> LatenessLimits | None:
        """The limits beyond which rows are late."""
        ...

    def encoder(self, envelope: Mapping[str, Any]) -> RowEncode:
        """Return the encoder for the records of a message; `envelope` holds the envelope columns that they share."""
        ...

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        """Stamp `rows`, append them as one batch, and return the outcome."""
        ...

    def rekeyed(self, row: bytes, lateness: int) -> bytes:
        """Return `row` under the key of a late row (app.stores.sink). Called only if there are `lateness_limits`."""
        ...

    async def check(self) -> TableCheck:
        """Check the table without appending; return the obstacle, a lack of columns, or None if the check is clean.

        Stored says more than None: a row was written and removed again, so rows can be stored.
        """
        ...

    async def close(self) -> None:
        """Release all resources; nothing is appended afterwards."""
        ...
