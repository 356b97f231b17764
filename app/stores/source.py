"""The query seam: run queries over the store."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, Protocol

import msgspec

from app.runtime.instants import DAY_US
from app.stores.query import ArrowQuery, Query, Scalar

Row = dict[str, Any]
END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""The last message of an Arrow IPC stream."""


class Answer(msgspec.Struct, frozen=True):
    """The result of a query: its rows in order, and the bytes that the store read for them, if it says.

    `fetched_bytes` is the approximate size of the rows, if the query has `max_bytes`. `cut`: there are more rows, which
    would have exceeded that.
    """

    rows: list[Row]
    bytes_processed: int | None = None
    fetched_bytes: int = 0
    cut: bool = False


streamed_bytes: ContextVar[list[int] | None] = ContextVar("streamed_bytes", default=None)
"""Where `QueryRunner.arrow` adds the bytes that the store read, once it knows them; None: no caller asks."""


class Plan(msgspec.Struct, frozen=True):
    """What a store would run: a text, and the parameters that it names.

    `estimated_bytes` is how many bytes the store would read, at most; None if it cannot estimate it.
    """

    text: str
    parameters: Mapping[str, Scalar]
    estimated_bytes: int | None = None


class QueryError(Exception):
    """A query failed; its subclasses say why. Its text is for the log: it may name projects and tables."""


class QueryTooExpensiveError(QueryError):
    """The query would read more than allowed; nothing was billed. `needed_bytes` is None if unknown."""

    def __init__(self, limit_bytes: int, needed_bytes: int | None) -> None:
        needed = "more" if needed_bytes is None else f"{needed_bytes} bytes"
        super().__init__(f"the query would read {needed}; the limit is {limit_bytes} bytes")
        self.limit_bytes, self.needed_bytes = limit_bytes, needed_bytes


class QueryTimeoutError(QueryError):
    """The query took longer than allowed and was cancelled."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"the query timed out after {timeout_s:g} s")
        self.timeout_s = timeout_s


class StoreBusyError(QueryError):
    """The store asks for fewer queries, or too many are already waiting in this instance."""


class StoreUnavailableError(QueryError):
    """The store cannot be queried now: unreachable, not set up, or not permitted. The message says which."""


class OutdatedColumnsError(StoreUnavailableError):
    """The query named a column that the table lacks, or left one out that it has by now."""


class ReadProfile(msgspec.Struct, frozen=True, kw_only=True):
    """How a store is read at the least cost."""

    partition_us: int = 1
    """The unit of time that the store always reads whole; 1 if it reads only the requested range."""
    first_slice_us: int
    """The time range that is worth a query of its own: short where a query is cheap."""
    longest_slice_us: int = DAY_US
    """The longest time range that one query of a page should read, however few of its rows match."""
    first_look_up_us: int
    """The same as `first_slice_us` for a look-up by id, which may read a long range at little cost."""
    poll_s: float = 0.25
    """How often to look for new rows."""
    open_ttl_s: float = 1.0
    """How long the answer for a window that is still open may be cached."""
    lags: bool = False
    """Whether rows may be missing that another instance has shown, as in a mirror; never before the horizon."""
    materializes: bool = False
    """Whether the result of a query is a table, which is then read as a stream: an export is one query."""


LearnHorizon = Callable[[], Awaitable[int]]
"""Moves on the horizon, which stands still in between, and returns the bytes that the store read for it.

It does nothing if that was done lately, and raises nothing. `horizon_us` needs no such call to be right.
"""


class QueryRunner(Protocol):
    """Runs queries over the tables of one store.

    A row is a dict by column name: bool, int, float, Decimal, str, bytes, date, time, aware datetime in UTC,
    msgspec.Raw for JSON, dict for a STRUCT, list for a REPEATED column, None for NULL.

    `learn_horizon` learns how far the tables are settled, where that takes a query; None where it takes none.

    `rows` and `arrow` raise a QueryError. Cancelling `rows`, or closing the generator of `arrow`, cancels the query in
    the store too. Any other exception is a defect.
    """

    profile: ReadProfile
    learn_horizon: LearnHorizon | None

    async def rows(self, query: Query) -> Answer:
        """Return the rows of `query`, in its order."""
        ...

    def horizon_us(self, table: str) -> int:
        """Return the settled horizon of `table`: no row stamped earlier will become visible later."""
        ...

    def version(self, table: str) -> int | None:
        """Return a number that changes as soon as `table` has new rows; None if the store cannot know.

        It also changes before the horizon passes a row that already exists. So if two calls return the same number, a
        read up to a horizon taken after the first holds every row up to a horizon taken before the second.
        """
        ...

    async def explain(self, query: Query) -> Plan:
        """Return what the store would run for `query`."""
        ...

    def arrow(self, query: ArrowQuery) -> AsyncGenerator[bytes, None]:
        """Yield all rows of `query`, in its order, as the pieces of one Arrow IPC stream.

        The first piece is the schema, the last is the end-of-stream marker, and each between them is a batch of rows.
        So the batches of two equal queries can form one stream. Columns are Arrow's counterparts: a TIMESTAMP is
        timestamp[us, UTC], NUMERIC decimal128(38, 9), JSON a string. A NUMERIC column of BigQuery that was widened in
        place to BIGNUMERIC is decimal256(76, 38).
        The format is https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format.
        """
        ...
