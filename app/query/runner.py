"""The seam on the way out: what runs a query over the store."""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

Scalar = str | int | float | bool | bytes | None


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A query in BigQuery's dialect.

    `parameters` are named (`@name` in the text). An instant is passed as integer microseconds under a name
    that ends in `_us` and is a TIMESTAMP in the text.
    """

    sql: str
    parameters: Mapping[str, Scalar]


class QueryRunner(Protocol):
    """Runs queries over the tables of one store.

    A row is a dict by column name: bool, int, float, Decimal, str, bytes, date, time, aware datetime in UTC,
    msgspec.Raw for JSON, dict for a STRUCT, list for a REPEATED column, None for NULL.
    """

    async def rows(self, query: Query) -> list[dict[str, Any]]:
        """Return all rows of `query`, in its order."""
        ...

    def horizon_us(self, table: str) -> int:
        """Return the settled horizon of `table`: no row stamped earlier will become visible later."""
        ...
