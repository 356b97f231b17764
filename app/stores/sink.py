"""The ingest seam: append rows durably, and the possible outcomes of an append."""

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from app.stores.fence import Fence


class StoreError(Exception):
    """A store cannot be opened; the message says what to do."""


class SinkState(enum.Enum):
    """The state of a store, by the names that health, metrics and run-books use."""

    ACTIVE = "ACTIVE"
    NOT_FOUND = "NOT_FOUND"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    SCHEMA_MISMATCH = "SCHEMA_MISMATCH"
    QUOTA_EXHAUSTED = "QUOTA_EXHAUSTED"
    DISK_FULL = "DISK_FULL"
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


class SetupError(msgspec.Struct, frozen=True):
    """No row will be stored until the set-up is fixed."""

    state: SinkState
    detail: str


Outcome = Stored | RowsRefused | TooLarge | Uncertain | QuotaExceeded | SetupError


RowEncode = Callable[[msgspec.Struct, int, str], bytes]
"""Encodes a record, its `message_index` and its `delivery_key` as a row without `ingest_time`."""


class Appender(Protocol):
    """Appends rows to one table.

    `encoder` returns the function that turns the records of one message into rows, once, on arrival. Rows have no
    `ingest_time`, since every attempt gets a new stamp. `append` returns when the outcome is known, and raises nothing
    that a store can cause; if it is cancelled, the rows may still be stored. Up to `max_in_flight` appends may be in
    flight. Batches that are not full go out up to `target_in_flight` in flight, spaced out (app.ingest.dispatcher).

    `fence` says when rows are late (app.stores.fence), which the outcome reports as `late`. It is None if rows cannot
    be late: the embedded store's horizon waits for its oldest stamp in flight.
    """

    max_in_flight: int
    target_in_flight: int

    @property
    def fence(self) -> Fence | None:
        """The limits beyond which rows are late."""
        ...

    def encoder(self, envelope: Mapping[str, Any]) -> RowEncode:
        """Return the encoder for the records of a message; `envelope` holds the envelope columns that they share."""
        ...

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        """Stamp `rows`, append them as one batch, and return the outcome."""
        ...

    def rekeyed(self, row: bytes, lateness: int) -> bytes:
        """Return `row` under the key of a late row (app.stores.fence). Called only if there is a `fence`."""
        ...

    async def check(self) -> SetupError | Stored | None:
        """Check the table without appending; return the obstacle, or None if the check is clean.

        Stored says more than None: a row was written and removed again, so rows can be stored.
        """
        ...

    async def close(self) -> None:
        """Release all resources; nothing is appended afterwards."""
        ...
