"""Render the queries of the seam as statements in BigQuery's dialect: a text, and the parameters that it names."""

from collections.abc import Mapping, Sequence
from typing import assert_never

import msgspec

from app.runtime.instants import MAX_US, MIN_US, clamp, to_text
from app.stores.query import (
    Count,
    Deletion,
    Keys,
    LookUp,
    Occurrences,
    Originals,
    Position,
    Purpose,
    Query,
    Rows,
    Scalar,
    Selection,
    Statistics,
)
from app.stores.source import Plan, shown_value
from app.stores.sql.conditions import condition_parameters
from app.stores.sql.rows import (
    count_sql,
    deletion_sql,
    instant_names,
    instants_sql,
    keys_sql,
    look_up_sql,
    occurrences_sql,
    rows_sql,
)
from app.stores.sql.stats import stats_sql


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A statement in BigQuery's dialect; it names tables without their dataset.

    `parameters` are named (`@name` in the text). An instant is passed as integer microseconds under a name that ends in
    `_us`, and is a TIMESTAMP in the text. `max_bytes` limits the rows that are fetched, as in a Rows query. `is_cheap`:
    it should read far less than BigQuery's estimate, which knows neither clustering nor search indexes.
    """

    sql: str
    parameters: Mapping[str, Scalar]
    purpose: Purpose = "page"
    max_bytes: int | None = None
    is_cheap: bool = False

    def plan(self, estimated_bytes: int | None = None) -> Plan:
        """Return the statement as a Plan, in which instants are texts."""
        return Plan(self.sql, {name: _shown(name, each) for name, each in self.parameters.items()}, estimated_bytes)


MOST_INSTANTS = 1_000  # of a look-up; a statement may have 10,000 parameters


def render_instants(query: LookUp, *, is_cheap: bool) -> Statement:
    """Return the statement of when the rows with the id of `query` were stored: one more than MOST_INSTANTS at most."""
    return Statement(
        sql=instants_sql(query),
        parameters={
            "lookback_from_us": clamp(query.within.from_us - query.lookback_us),
            "to_us": query.within.to_us,
            "id": query.record_id,
            "row_limit": MOST_INSTANTS + 1,
        },
        purpose=query.purpose,
        is_cheap=is_cheap,
    )


def render_look_up(
    query: LookUp, source: str = "", instants: Sequence[int] = (), *, is_cheap: bool = False
) -> Statement:
    """Return the statement of `query`; with `instants`, newest first, it reads the rows at those only.

    They must include those of every row that may be the original of another, within the look-back.
    """
    parameters = _parameters(query)
    if instants:
        parameters |= dict(zip(instant_names(len(instants)), instants, strict=True))
        parameters |= {"lookback_from_us": instants[-1], "to_us": instants[0] + 1}
    text = look_up_sql(query, source or f"`{query.table}`", len(instants))
    return Statement(sql=text, parameters=parameters, purpose=query.purpose, is_cheap=is_cheap)


def render(query: Query | Deletion, source: str = "") -> Statement:
    """Return the statement of `query`, which reads from `source` instead of the table, if it is given.

    Of a Deletion, `source` is the row that its conditions compare (app.stores.sql.projection).
    """
    text = deletion_sql(query, source) if isinstance(query, Deletion) else _text(query, source or f"`{query.table}`")
    max_bytes = query.max_bytes if isinstance(query, Rows) else None
    return Statement(sql=text, parameters=_parameters(query), purpose=query.purpose, max_bytes=max_bytes)


def _text(query: Query, source: str) -> str:
    match query:
        case Rows():
            return rows_sql(query, source)
        case LookUp():
            return look_up_sql(query, source)
        case Count():
            return count_sql(query, source)
        case Statistics():
            return stats_sql(query, source)
        case Keys():
            return keys_sql(query, source)
        case Occurrences():
            return occurrences_sql(query, source)
        case _:
            assert_never(query)


def _parameters(query: Query | Deletion) -> dict[str, Scalar]:
    match query:
        case Keys():
            return _bounds(query) | condition_parameters(query.conditions)
        case Selection():
            return _bounds(query) | condition_parameters(query.conditions) | _own(query)
        case Occurrences():
            return {"from_us": MIN_US, "to_us": MAX_US, **condition_parameters(query.conditions)}
        case Deletion():
            bounds: dict[str, Scalar] = {"from_us": query.first_us, "to_us": query.last_us}
            return bounds | condition_parameters(query.conditions)
        case _:
            assert_never(query)


def _bounds(query: Selection) -> dict[str, Scalar]:
    bounds: dict[str, Scalar] = {"from_us": query.within.from_us, "to_us": query.within.to_us}
    if isinstance(query, Originals) and query.lookback_us:
        bounds |= {
            "lookback_from_us": clamp(query.within.from_us - query.lookback_us),
            "lookback_micros": query.lookback_us,
        }
    return bounds


def _own(query: Rows | LookUp | Count | Statistics) -> dict[str, Scalar]:
    match query:
        case Rows():
            return _place(query.after) | ({} if query.limit is None else {"row_limit": query.limit})
        case LookUp():
            return {"id": query.record_id, "row_limit": query.limit}
        case Count():
            return _place(query.after)
        case Statistics():
            return {"first_micros": query.first_us, "bucket_micros": query.bucket_us}
        case _:
            assert_never(query)


def _place(after: Position | None) -> dict[str, Scalar]:
    return {} if after is None else {"after_us": after.ingest_us, "after_key": after.delivery_key}


def _shown(name: str, value: Scalar) -> str | int | float | bool:
    if name.endswith("_us") and isinstance(value, int) and not isinstance(value, bool):
        return to_text(value)
    return shown_value(value)
