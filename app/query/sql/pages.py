"""The SQL of a page, in BigQuery's dialect.

A row is a *copy* if a row with its `delivery_key` was stored within the look-back before it; copies are not returned.
Whether a row is a copy depends on the table alone, not on where a page or a slice begins, so pages of any length show
the same rows. The query finds the page's candidates first and looks for earlier rows of those only. Numbering every
row of the look-back instead took five to eight times as long with a million rows in ten minutes, though less with
sparse rows (docs/decisions/0004-what-a-copy-is.md).
"""

from collections.abc import Sequence

from app.query.params.filters import Condition
from app.query.sql.conditions import where_clause
from app.query.sql.originals import columns_text
from app.schema.table import Table

IS_COPY = "_sluice_is_copy"
CANDIDATES = "_sluice_candidates"


def page_sql(
    table: Table,
    *,
    descending: bool,
    after: bool,
    columns: Sequence[str] | None = None,
    conditions: Sequence[Condition] = (),
) -> str:
    """Return the query of the next rows of a slice that match `conditions`, in the order of the feed.

    The columns are those named (`ingest_time` and `delivery_key` must be among them), or the table's; then IS_COPY
    and CANDIDATES, the number of candidate rows. The last candidate is returned even if it is a copy, so that the
    reader knows how far they reached.

    Parameters: @from_us and @to_us bound the slice. @lookback_from_us is the start of the look-back before it, and
    @lookback_micros its length. @candidates is the number of rows to examine, and @row_limit the number to return. With
    `after`, @after_us and @after_key are the last row read. The parameters of the conditions follow.
    """
    names = columns or [column.name for column in table.columns]
    direction, beyond = (" DESC", "<") if descending else ("", ">")
    beyond_last = f"""
    AND (`ingest_time` {beyond} @after_us OR (`ingest_time` = @after_us AND `delivery_key` {beyond} @after_key))"""
    return f"""\
WITH candidate AS (
  SELECT {columns_text(names)}
  FROM `{table.name}`
  WHERE `ingest_time` >= @from_us
    AND `ingest_time` < @to_us{beyond_last if after else ""}{where_clause(conditions)}
  ORDER BY `ingest_time`{direction}, `delivery_key`{direction}
  LIMIT @candidates
), copies AS (
  SELECT DISTINCT candidate.`ingest_time`, candidate.`delivery_key`
  FROM candidate
  JOIN `{table.name}` AS earlier ON earlier.`delivery_key` = candidate.`delivery_key`
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
