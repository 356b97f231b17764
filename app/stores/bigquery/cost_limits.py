"""The guards of every job: its limits, labels and typed parameters."""

from base64 import b64encode
from collections.abc import Callable
from datetime import date, time
from decimal import Decimal
from typing import Any, TypeGuard

from app.runtime.clock import Clock
from app.runtime.instants import HOUR_US, MINUTE_US, from_epoch_us
from app.settings.load import Settings
from app.stores.bigquery.client import TableAddress
from app.stores.query import Count, Deletion, Export, LookUp, Purpose, Query, RowQuery, Scalar
from app.stores.sql.statement import Statement

# An export makes the table of its result before its first byte, and its client expects to wait. An erasure rewrites
# all data that it touches. A backfill reads the keys of a whole table.
_LONG: set[Purpose] = {"export", "erase", "backfill"}
_LONG_TIMEOUT_FACTOR = 10


Cheap = RowQuery | Count | Export | LookUp
"""What may cost far less than BigQuery estimates."""

CHEAP_FACTOR = 50
"""How many times the limit of its purpose a cheap read may bill, by BigQuery's estimate, which ignores clustering.

At 100,000 records/s of 1 KB, the estimate of a read of seconds is 380 GiB: its hour. It bounds what a read costs if its
rows are not clustered: those that were just written lie in `__UNPARTITIONED__`, for a time that Google does not promise
(https://cloud.google.com/bigquery/docs/partitioned-tables#ingestion_time).
"""
_SHORT_US = 2 * MINUTE_US
_DISTRUST_US = HOUR_US


def is_short(query: Query | Deletion) -> TypeGuard[Cheap]:
    """Return whether a query reads so little time that it should read little, on a table clustered by time."""
    match query:
        case RowQuery() | Export() | Count() if query.purpose == "page":
            return query.within.length_us <= _SHORT_US
        case _:
            return False


class Trust:
    """Remembers which queries read far more than their limit although they should have been cheap.

    Such queries have a limit many times as high, or none, because BigQuery would compare it with an estimate that
    ignores clustering (https://cloud.google.com/bigquery/docs/clustered-tables). One that disappoints shows that its
    rows are not clustered. For an hour, queries of that table and purpose then have the usual limit.
    """

    def __init__(self, limit_of: Callable[[Purpose], int], clock: Clock) -> None:
        """`limit_of` returns how much a query of a purpose should read at most."""
        self._limit_of, self._clock = limit_of, clock
        self._until_us: dict[tuple[str, Purpose], int] = {}

    def covers(self, query: Cheap) -> bool:
        """Return whether `query` may go without the usual limit, if it should be cheap."""
        return self._clock.elapsed_us() >= self._until_us.get((query.table, query.purpose), 0)

    def note(self, query: Cheap, billed: int | None) -> None:
        """Record what a query without the usual limit read: twice that limit is too much.

        The rows that are not clustered yet, and the look-back, may come to the limit at 100,000 records/s.
        """
        if billed is not None and billed > 2 * self._limit_of(query.purpose):
            self._until_us[query.table, query.purpose] = self._clock.elapsed_us() + _DISTRUST_US


def max_bytes_billed(purpose: Purpose, settings: Settings) -> int:
    """Return how much a query may read; an export has the limit of a page.

    An erasure and a backfill have that of a look-up by id.
    """
    return (
        settings.query.look_up_max_bytes_billed
        if purpose in {"look_up", "erase", "backfill"}
        else settings.query.query_max_bytes_billed
    )


def limit_bytes(statement: Statement, settings: Settings) -> int | None:
    """Return how much a statement may bill by BigQuery's estimate; None, without limit, for a cheap look-up.

    The estimate of a look-up by an index is that of a read of the whole table.
    """
    limit = max_bytes_billed(statement.purpose, settings)
    if not statement.is_cheap:
        return limit
    return None if statement.purpose == "look_up" else CHEAP_FACTOR * limit


def timeout_s(purpose: Purpose, settings: Settings) -> float:
    """Return how long a query may take."""
    return settings.query.query_timeout_s * (_LONG_TIMEOUT_FACTOR if purpose in _LONG else 1)


def job_configuration(statement: Statement, place: TableAddress, settings: Settings) -> dict[str, Any]:
    """Return the configuration of the job of `statement`, with all its guards.

    https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfiguration
    """
    limit = limit_bytes(statement, settings)
    query = {
        "query": statement.sql,
        "defaultDataset": {"projectId": place.project, "datasetId": place.dataset},
        "useLegacySql": False,
        # Free, and never stale: BigQuery caches no result of a table that changed or is being streamed to.
        "useQueryCache": True,
        "parameterMode": "NAMED",
        "queryParameters": [_parameter(name, value) for name, value in statement.parameters.items()],
    }
    return {
        "query": query if limit is None else query | {"maximumBytesBilled": str(limit)},
        "labels": {"service": "sluice", "purpose": statement.purpose},
        "jobTimeoutMs": str(round(timeout_s(statement.purpose, settings) * 1000)),
    }


_TYPES: dict[type, tuple[str, Callable[[Any], str]]] = {
    bool: ("BOOL", lambda value: str(value).lower()),
    int: ("INT64", str),
    float: ("FLOAT64", str),
    Decimal: ("NUMERIC", str),
    date: ("DATE", date.isoformat),
    time: ("TIME", time.isoformat),
    bytes: ("BYTES", lambda value: b64encode(value).decode()),
    str: ("STRING", str),
}


def _parameter(name: str, value: Scalar) -> dict[str, Any]:
    type_, text_of = _TYPES[type(value)]
    if type_ == "INT64" and name.endswith("_us"):
        type_, text_of = "TIMESTAMP", lambda instant_us: from_epoch_us(instant_us).isoformat(sep=" ")
    return {"name": name, "parameterType": {"type": type_}, "parameterValue": {"value": text_of(value)}}
