"""The guards of every job: its limits, labels and typed parameters."""

from collections.abc import Callable
from datetime import date, time
from decimal import Decimal
from typing import TypeGuard

from google.cloud.bigquery import DatasetReference, QueryJobConfig, ScalarQueryParameter

from app.runtime.clock import Clock
from app.runtime.instants import HOUR_US, MAX_US, MINUTE_US, from_epoch_us
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
_FRESH_US = HOUR_US


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
    rows are not clustered. For an hour, queries of that table and purpose then have the usual limit: all of them if the
    rows were young, as younger ones will be no better, else those that reach as far back, as rows from before a change
    of the clustering.
    """

    def __init__(self, limit_of: Callable[[Purpose], int], clock: Clock) -> None:
        """`limit_of` returns how much a query of a purpose should read at most."""
        self._limit_of, self._clock = limit_of, clock
        self._disappointed: dict[tuple[str, Purpose], tuple[int, int]] = {}

    def covers(self, query: Cheap) -> bool:
        """Return whether `query` may go without the usual limit, if it should be cheap."""
        to_us, until_us = self._disappointed.get((query.table, query.purpose), (0, 0))
        return query.within.from_us >= to_us or self._clock.elapsed_us() >= until_us

    def note(self, query: Cheap, billed: int | None) -> None:
        """Record what a query without the usual limit read: twice that limit is too much.

        The rows that are not clustered yet, and the look-back, may come to the limit at 100,000 records/s.
        """
        if billed is not None and billed > 2 * self._limit_of(query.purpose):
            is_fresh = query.within.to_us > self._clock.now_us() - _FRESH_US
            reach = MAX_US if is_fresh else query.within.to_us, self._clock.elapsed_us() + _DISTRUST_US
            self._disappointed[query.table, query.purpose] = reach


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


def job_config(statement: Statement, place: TableAddress, settings: Settings) -> QueryJobConfig:
    """Return the configuration of the job of `statement`, with all its guards."""
    config = QueryJobConfig(
        default_dataset=DatasetReference(place.project, place.dataset),
        labels={"service": "sluice", "purpose": statement.purpose},
        query_parameters=[_parameter(name, value) for name, value in statement.parameters.items()],
        use_legacy_sql=False,
        # Free, and never stale: BigQuery caches no result of a table that changed or is being streamed to.
        use_query_cache=True,
    )
    if (limit := limit_bytes(statement, settings)) is not None:
        config.maximum_bytes_billed = limit
    config.job_timeout_ms = round(timeout_s(statement.purpose, settings) * 1000)
    return config


def _parameter(name: str, value: Scalar) -> ScalarQueryParameter:  # noqa: PLR0911 - one for each type
    match value:
        case bool():
            return ScalarQueryParameter(name, "BOOL", value)
        case int() if name.endswith("_us"):
            # Spelled out here: the library's own text of a datetime has no leading zeros in the year 1.
            return ScalarQueryParameter(name, "TIMESTAMP", from_epoch_us(value).isoformat(sep=" "))
        case int():
            return ScalarQueryParameter(name, "INT64", value)
        case float():
            return ScalarQueryParameter(name, "FLOAT64", value)
        case Decimal():
            return ScalarQueryParameter(name, "NUMERIC", value)
        case date():
            return ScalarQueryParameter(name, "DATE", value.isoformat())
        case time():
            return ScalarQueryParameter(name, "TIME", value.isoformat())
        case bytes():
            return ScalarQueryParameter(name, "BYTES", value)  # type: ignore[arg-type] # the library encodes it
        case str():
            return ScalarQueryParameter(name, "STRING", value)
