"""The SQL of an erasure: find the rows of a record and the rejects that may hold it, and delete rows.

Parameters: @from_us and @to_us are the first and the last instant; and those of the conditions.
"""

from app.stores.query import Deletion, Occurrences, PayloadSearch
from app.stores.sql.conditions import where_clause
from app.stores.sql.originals import columns_text

_WITHIN = "`ingest_time` >= @from_us\n    AND `ingest_time` <= @to_us"


def occurrences_sql(query: Occurrences) -> str:
    """Return the query of the number of rows, and of their first and last stamps."""
    return f"""\
SELECT COUNT(*) AS `found`, MIN(`ingest_time`) AS `first`, MAX(`ingest_time`) AS `last`
FROM `{query.table}`
WHERE {_WITHIN}{where_clause(query.conditions)}
"""  # noqa: S608 - as in sql.pages


def search_sql(query: PayloadSearch) -> str:
    """Return the query of the rejects that may hold a text."""
    contained = " OR ".join(f"STRPOS(TO_HEX(`payload`), @needle_{at}_hex) > 0" for at in range(len(query.contained)))
    return f"""\
SELECT {columns_text(query.columns)}
FROM `{query.table}`
WHERE {_WITHIN}
    AND (`parts` > 1 OR {contained} OR STARTS_WITH(TO_HEX(`payload`), @beginning_hex))
"""  # noqa: S608 - as in sql.pages


def needle_parameters(query: PayloadSearch) -> dict[str, str]:
    """Return the parameters of `search_sql` besides the bounds: bytes as hexadecimal digits.

    In them a byte may also be found across two others: then a row is returned that does not hold it.
    """
    needles = {f"needle_{at}_hex": needle.hex() for at, needle in enumerate(query.contained)}
    return needles | {"beginning_hex": query.beginning.hex()}


def deletion_sql(query: Deletion) -> str:
    """Return the DELETE of rows."""
    return f"""\
DELETE FROM `{query.table}`
WHERE {_WITHIN}{where_clause(query.conditions)}
"""  # noqa: S608 - as in sql.pages
