"""The seam on the way out: what runs a query over the store."""

from collections.abc import AsyncGenerator, Mapping
from datetime import date, time
from decimal import Decimal
from typing import Any, Literal, Protocol

import msgspec

# Not None, which has no type: the text says IS NULL instead.
Scalar = str | int | float | bool | bytes | Decimal | date | time
Row = dict[str, Any]
Purpose = Literal["page", "look_up", "export", "erase"]


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A query in BigQuery's dialect; it names tables without their dataset.

    `parameters` are named (`@name` in the text). An instant is passed as integer microseconds under a name
    that ends in `_us` and is a TIMESTAMP in the text. `purpose` says which limits it runs under. Of its rows no more
    are fetched than come to `max_bytes`, about, but always the first.
    """

    sql: str
    parameters: Mapping[str, Scalar]
    purpose: Purpose = "page"
    max_bytes: int | None = None


class Answer(msgspec.Struct, frozen=True):
    """What a query gave: its rows in order, and how many bytes the store read for them, where it says so.

    `fetched_bytes` is what the rows come to, about, where the query has `max_bytes`. `cut`: there are more rows, which
    would have come to more than that.
    """

    rows: list[Row]
    bytes_processed: int | None = None
    fetched_bytes: int = 0
    cut: bool = False


class QueryError(Exception):
    """A query gave no answer; its subclasses say why. Its text is for the log: it may name projects and tables."""


class QueryTooExpensiveError(QueryError):
    """The query would need more than it may; nothing was billed. `needed_bytes` is None where nobody says."""

    def __init__(self, limit_bytes: int, needed_bytes: int | None) -> None:
        needed = "more" if needed_bytes is None else f"{needed_bytes} bytes"
        super().__init__(f"the query would read {needed}, where {limit_bytes} bytes are allowed")
        self.limit_bytes, self.needed_bytes = limit_bytes, needed_bytes


class LookUpTooExpensiveError(QueryTooExpensiveError):
    """What was read of the time so far did not answer a look-up by id, and the next stretch is too much to read.

    `found` is how many rows had been found.
    """

    def __init__(self, limit_bytes: int, needed_bytes: int | None, found: int) -> None:
        super().__init__(limit_bytes, needed_bytes)
        self.found = found


class QueryTimeoutError(QueryError):
    """The query took longer than it may and was given up."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"the query took longer than {timeout_s:g} s")
        self.timeout_s = timeout_s


class StoreBusyError(QueryError):
    """The store asks for fewer queries, or too many are waiting here already."""


class StoreUnavailableError(QueryError):
    """The store cannot be queried now: unreachable, not set up, or not permitted. The message says which."""


class QueryRunner(Protocol):
    """Runs queries over the tables of one store.

    A row is a dict by column name: bool, int, float, Decimal, str, bytes, date, time, aware datetime in UTC,
    msgspec.Raw for JSON, dict for a STRUCT, list for a REPEATED column, None for NULL.

    partition_us      what the store reads whole, whatever part of that time is asked for; 1 where it reads no more
    first_slice_us    the stretch of time that is worth a query of its own: where a query is cheap, a short one
    first_look_up_us  the same for a look-up by id, for which much time may be read at little cost
    export_rows       how many rows one query of an export may give, so that memory stays flat; None: any number
    poll_s            how often it is worth while to look for new rows
    open_ttl_s        for how long the answer about a window that is still open may be served again

    `rows` and `arrow` raise a QueryError; cancelling `rows`, or closing what `arrow` returned, gives the query up
    in the store too. Anything else they raise is a defect of the query's text.
    """

    partition_us: int
    first_slice_us: int
    first_look_up_us: int
    poll_s: float
    open_ttl_s: float

    @property
    def export_rows(self) -> int | None:
        """How many rows one query of an export may give."""
        ...

    async def rows(self, query: Query) -> Answer:
        """Return the rows of `query`, in its order."""
        ...

    def horizon_us(self, table: str) -> int:
        """Return the settled horizon of `table`: no row stamped earlier will become visible later."""
        ...

    def version(self, table: str) -> int | None:
        """Return a number that is another one as soon as there are new rows of `table`; None where nobody can know.

        It also changes before the horizon passes a row that was there already. So what was read up to a horizon asked
        for after the first of two equal numbers is all there is up to one asked for before the second.
        """
        ...

    async def estimate_bytes(self, query: Query) -> int | None:
        """Return how many bytes `query` would read, at most; None where nobody can say beforehand."""
        ...

    def arrow(self, query: Query) -> AsyncGenerator[bytes, None]:
        """Yield all rows of `query`, in its order, as the pieces of one Arrow IPC stream.

        The first piece is the schema, the last one the mark of the end, and each between them a batch of rows, so the
        batches of two equal queries make one stream. Columns are Arrow's counterparts: a TIMESTAMP is
        timestamp[us, UTC], NUMERIC decimal128(38, 9), JSON a string. Where a NUMERIC column of BigQuery was widened in
        place to BIGNUMERIC, it is decimal256(76, 38).
        The format is https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format.
        """
        ...
