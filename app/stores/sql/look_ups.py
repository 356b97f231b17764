"""The SQL of look-ups by id: where the rows of an id are, and the rows."""

from app.stores.query import LookUp
from app.stores.sql.conditions import where_clause
from app.stores.sql.rows import columns_text, originals_sql

_AND = "\n    AND "


def instants_sql(query: LookUp) -> str:
    """Return the query of when the rows with one id were stored, copies included, newest first.

    It covers the look-back as well, and names no column but the two that it needs.
    """
    return f"""\
SELECT `ingest_time`
FROM `{query.table}`
WHERE `ingest_time` >= @lookback_from_us
    AND `ingest_time` < @to_us
    AND `{query.id_column}` = @id
ORDER BY `ingest_time` DESC
LIMIT @row_limit
"""  # noqa: S608 - as in page_sql


def look_up_sql(query: LookUp, source: str, instants: int = 0) -> str:
    """Return the query of the rows of a slice with one id, newest first and without copies.

    There are few such rows, and a copy has the id of its original. With `instants`, the rows at so many are read, which
    parameters name.
    """
    known = ", ".join(f"@{name}" for name in instant_names(instants))
    at = f"{_AND}`ingest_time` IN ({known})" if instants else ""
    return f"""\
WITH original AS (
{originals_sql(source, query.columns, inside=f"{_AND}`{query.id_column}` = @id{at}")}
)
SELECT {columns_text(query.columns, "original.")}
FROM original
WHERE original.`ingest_time` >= @from_us{where_clause(query.conditions, "original.")}
ORDER BY original.`ingest_time` DESC, original.`delivery_key` DESC
LIMIT @row_limit
"""  # noqa: S608 - as in page_sql


def instant_names(count: int) -> list[str]:
    """Return the names of the parameters that are the instants of a look-up."""
    return [f"at_{number}_us" for number in range(count)]
