"""The guards of every job: its limits, labels and typed parameters."""

from datetime import date, time
from decimal import Decimal

from google.cloud.bigquery import DatasetReference, QueryJobConfig, ScalarQueryParameter

from app.runtime.instants import from_epoch_us
from app.settings.load import Settings
from app.stores.bigquery.client import TableAddress
from app.stores.query import Purpose, Scalar
from app.stores.sql.statement import Statement

# An export makes the table of its result before its first byte, and its client expects to wait. An erasure rewrites
# all data that it touches. A backfill reads the keys of a whole table.
_LONG: set[Purpose] = {"export", "erase", "backfill"}
_LONG_TIMEOUT_FACTOR = 10


def max_bytes_billed(purpose: Purpose, settings: Settings) -> int:
    """Return how much a query may read; an export has the limit of a page.

    An erasure and a backfill have that of a look-up by id.
    """
    return (
        settings.query.look_up_max_bytes_billed
        if purpose in {"look_up", "erase", "backfill"}
        else settings.query.query_max_bytes_billed
    )


def timeout_s(purpose: Purpose, settings: Settings) -> float:
    """Return how long a query may take."""
    return settings.query.query_timeout_s * (_LONG_TIMEOUT_FACTOR if purpose in _LONG else 1)


def job_config(statement: Statement, place: TableAddress, settings: Settings) -> QueryJobConfig:
    """Return the configuration of the job of `statement`, with all its guards."""
    config = QueryJobConfig(
        default_dataset=DatasetReference(place.project, place.dataset),
        labels={"service": "sluice", "purpose": statement.purpose},
        maximum_bytes_billed=max_bytes_billed(statement.purpose, settings),
        query_parameters=[_parameter(name, value) for name, value in statement.parameters.items()],
        use_legacy_sql=False,
        # Free, and never stale: BigQuery caches no result of a table that changed or is being streamed to.
        use_query_cache=True,
    )
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
