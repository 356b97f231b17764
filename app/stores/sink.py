"""The seam on the way in: what appends rows durably, and everything that can come of it."""

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from app.stores.fence import Fence


class StoreError(Exception):
    """A store cannot be opened; the message says what to do."""


class SinkState(enum.Enum):
    """How the store stands, by the names that health, metrics and run-books use."""

    ACTIVE = "ACTIVE"
    NOT_FOUND = "NOT_FOUND"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    SCHEMA_MISMATCH = "SCHEMA_MISMATCH"
    QUOTA_EXHAUSTED = "QUOTA_EXHAUSTED"
    DISK_FULL = "DISK_FULL"
    UNREACHABLE = "UNREACHABLE"
    CLOCK_WRONG = "CLOCK_WRONG"
    """Nothing is stamped, as this instance's time of day cannot be trusted (app.runtime.time_of_day)."""


class RowError(msgspec.Struct, frozen=True):
    """Why the store refused one row."""

    detail: str
    field: str | None = None


class Stored(msgspec.Struct, frozen=True):
    """Every row of the batch is durable; `late`: so long after its stamp that readers may have passed it."""

    late: bool = False


class RowsRefused(msgspec.Struct, frozen=True):
    """No row was stored, because of those at these positions; the list may be incomplete or empty.

    `detail` is what the store said of the whole.
    """

    errors: Mapping[int, RowError]
    detail: str = ""


class Uncertain(msgspec.Struct, frozen=True):
    """The rows may or may not be stored: the same rows are to be sent again.

    `late`: if they are stored, it may be behind readers.
    """

    detail: str
    late: bool = False


class TooLarge(msgspec.Struct, frozen=True):
    """No row was stored: the rows are more than one append may carry."""

    detail: str


class QuotaExceeded(msgspec.Struct, frozen=True):
    """The store asks for less; no row was stored, as far as it says."""

    detail: str


class SetupError(msgspec.Struct, frozen=True):
    """No row will be stored until somebody changes the set-up."""

    state: SinkState
    detail: str


Outcome = Stored | RowsRefused | TooLarge | Uncertain | QuotaExceeded | SetupError


RowEncode = Callable[[msgspec.Struct, int, str], bytes]
"""Returns a row without its `ingest_time`, of a record, its `message_index` and its `delivery_key`."""


class Appender(Protocol):
    """Appends rows to one table.

    `encoder` gives what turns the records of one message into the bytes of rows, once, when they arrive;
    `ingest_time` is not among them, as every attempt is stamped anew. `append` returns when the outcome is
    known; it raises nothing that a store can cause, and when cancelled the rows may still be stored. Up to
    `concurrency` appends may be under way, of batches that are not full up to `eager`, spaced out
    (app.ingest.append_spacing).

    `fence` says when rows are late (app.stores.fence); `late` is told with the outcome. It is None where that cannot
    be: the embedded store's horizon waits for its oldest stamp in flight.
    """

    concurrency: int
    eager: int

    @property
    def fence(self) -> Fence | None:
        """The limits beyond which rows are late."""
        ...

    def encoder(self, envelope: Mapping[str, Any]) -> RowEncode:
        """Return what encodes the records of a message; `envelope` holds the envelope columns they share."""
        ...

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        """Stamp `rows`, append them as one, and say what became of them."""
        ...

    def rekeyed(self, row: bytes, lateness: int) -> bytes:
        """Return `row` under the key that it gets when it was late (app.stores.fence). Only asked where `fence` is."""
        ...

    async def check(self) -> SetupError | Stored | None:
        """Look at the table, appending nothing; return what stands in the way, None when nothing can be seen to.

        Stored is more than None: a write was tried and removed again, so rows can be stored.
        """
        ...

    async def close(self) -> None:
        """Let go of what was opened; nothing is appended afterwards."""
        ...
