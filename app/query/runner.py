"""The seam on the way out: what runs a query over the store."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Literal, Protocol

import msgspec

Scalar = str | int | float | bool | bytes  # not None, which has no type: the text says IS NULL instead


Purpose = Literal["page", "look_up", "export"]


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A query in BigQuery's dialect; it names tables without their dataset.

    `parameters` are named (`@name` in the text). An instant is passed as integer microseconds under a name
    that ends in `_us` and is a TIMESTAMP in the text. `purpose` says which limits it runs under.
    """

    sql: str
    parameters: Mapping[str, Scalar]
    purpose: Purpose = "page"


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
    msgspec.Raw for JSON, dict for a STRUCT, list for a REPEATED column, None for NULL. `first_slice_us` is the
    stretch of time that is worth a query of its own: where a query is cheap, a short one.

    `rows` and `arrow` raise a QueryError; cancelling `rows`, or closing what `arrow` returned, gives the query up
    in the store too. Anything else they raise is a defect of the query's text.
    """

    first_slice_us: int

    async def rows(self, query: Query) -> list[dict[str, Any]]:
        """Return all rows of `query`, in its order."""
        ...

    def horizon_us(self, table: str) -> int:
        """Return the settled horizon of `table`: no row stamped earlier will become visible later."""
        ...

    def arrow(self, query: Query) -> AsyncGenerator[bytes, None]:
        """Yield all rows of `query`, in its order, as the pieces of one Arrow IPC stream.

        Columns are Arrow's counterparts: a TIMESTAMP is timestamp[us, UTC], NUMERIC decimal128(38, 9), JSON a string.
        Where a NUMERIC column of BigQuery was widened in place to BIGNUMERIC, it is decimal256(76, 38).
        The format is https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format.
        """
        ...
