"""The SQL of a page, in BigQuery's dialect.

The query finds the page's candidates first and looks for earlier rows of those only. Numbering every
row of the look-back instead took five to eight times as long with a million rows in ten minutes, though less with
sparse rows (docs/decisions/0004-what-a-copy-is.md).
"""

from app.stores.query import CANDIDATES, IS_COPY, RowQuery
from app.stores.sql.conditions import where_clause
from app.stores.sql.originals import columns_text


def page_sql(query: RowQuery) -> str:
    """Return the query of the next rows of a page."""
    names, descending = query.columns, query.descending
    direction, beyond = (" DESC", "<") if descending else ("", ">")
    beyond_last = f"""
    AND (`ingest_time` {beyond} @after_us OR (`ingest_time` = @after_us AND `delivery_key` {beyond} @after_key))"""
    return f"""\
WITH candidate AS (
  SELECT {columns_text(names)}
  FROM `{query.table}`
  WHERE `ingest_time` >= @from_us
    AND `ingest_time` < @to_us{"" if query.after is None else beyond_last}{where_clause(query.conditions)}
  ORDER BY `ingest_time`{direction}, `delivery_key`{direction}
  LIMIT @candidates
), copies AS (
  SELECT DISTINCT candidate.`ingest_time`, candidate.`delivery_key`
  FROM candidate
  JOIN `{query.table}` AS earlier ON earlier.`delivery_key` = candidate.`delivery_key`
  WHERE earlier.`ingest_time` >= @lookback_from_us
    AND earlier.`ingest_time` < @to_us
    AND earlier.`ingest_time` < candidate.`ingest_time`
    AND earlier.`ingest_time` >= TIMESTAMP_SUB(candidate.`ingest_time`, INTERVAL @lookback_micros MICROSECOND)
)
SELECT {columns_text(names, "candidate.")},
  copies.`delivery_key` IS NOT NULL AS `{IS_COPY}`,
  COUNT(*) OVER () AS `{CANDIDATES}`
FROM candidate
LEFT JOIN copies ON copies.`ingest_time` = candidate.`ingest_time` AND copies.`delivery_key` = candidate.`delivery_key`
WHERE TRUE
QUALIFY copies.`delivery_key` IS NULL OR ROW_NUMBER() OVER ({_last_first(descending=descending)}) = 1
ORDER BY candidate.`ingest_time`{direction}, candidate.`delivery_key`{direction}
LIMIT @row_limit
"""  # noqa: S608 - the names are a record type's fields, which are identifiers; every value is a parameter


def _last_first(*, descending: bool) -> str:
    direction = "" if descending else " DESC"
    return f"ORDER BY candidate.`ingest_time`{direction}, candidate.`delivery_key`{direction}"
