"""The value of a rest's member as that of a column: strictly as ingest converts JSON, or NULL. Pure.

The JSON text of a member says its type: a text is in quotes. A pattern accepts the notations that ingest accepts, and
the cast converts what they hold; a cast alone would accept more, and not the same in every store. What the pattern
refuses stays in the rest. It refuses two notations of instants that ingest accepts, neither of which a store or an
encoder writes: fractions of a second beyond microseconds, and offsets beyond 14 hours.
"""

from typing import NamedTuple

from app.schema.columns import Column, Kind

_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
_OFFSET = r"([Zz]|[+-](0[0-9]|1[0-3]):?[0-5][0-9]|[+-]14:?00)"
_INT = r"-?[0-9]{1,19}"
_FLOAT = r"-?[0-9].*"  # of JSON, which is a number if it begins like one


class Member(NamedTuple):
    """What is read of a promoted column: the expression of its value, and that of the rest without the member."""

    value: str
    rest: str


def member_of(column: Column, rest: Column) -> Member:
    """Return the expressions of a promoted column over a row with both columns."""
    own, kept, path = f"`{column.name}`", f"`{rest.name}`", f"'$.{column.name}'"
    text = f"TO_JSON_STRING(JSON_QUERY({kept}, {path}))"
    value = _converted(column.kind, text, f"JSON_VALUE({kept}, {path})")
    is_taken = f"{own} IS NULL AND ({text} = 'null' OR {value} IS NOT NULL)"
    return Member(f"COALESCE({own}, {value})", f"IF({is_taken}, JSON_REMOVE({kept}, {path}), {kept})")


def _converted(kind: Kind, text: str, value: str) -> str:
    """Return the value of a JSON scalar: `text` is its JSON, `value` the same without quotes."""
    is_text = f"STARTS_WITH({text}, '\"')"
    match kind:
        case Kind.BOOL:
            return f"CASE {text} WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END"
        case Kind.INT64:
            return _if(_like(text, _INT), f"SAFE_CAST({text} AS INT64)")
        case Kind.FLOAT64:
            return _if(_like(text, _FLOAT), f"SAFE_CAST({text} AS FLOAT64)")
        case Kind.TIMESTAMP:
            return _if(f"{is_text} AND {_is_instant(value)}", _instant(value))
        case _:  # a text; no other kind is promoted
            return _if(is_text, value)


def _is_instant(value: str) -> str:
    """Return whether a text is an instant within the years 1 to 9999 in UTC."""
    near_the_end = f"({value} < '0001-01-02' OR {value} >= '9999-12-31')"
    return (
        f"{_like(value, f'{_DAY}[Tt ]{_CLOCK}{_OFFSET}')} AND {value} >= '0001' "
        f"AND NOT ({near_the_end} AND NOT {_like(value, '.*([Zz]|[+-]00:?00)')})"
    )


def _instant(value: str) -> str:
    with_colon = rf"REGEXP_REPLACE(UPPER({value}), r'([+-][0-9]{{2}})([0-9]{{2}})$', r'\1:\2')"
    return f"SAFE_CAST({with_colon} AS TIMESTAMP)"


def _like(value: str, pattern: str) -> str:
    return f"REGEXP_CONTAINS({value}, r'^(?:{pattern})$')"


def _if(condition: str, value: str) -> str:
    return f"IF({condition}, {value}, NULL)"
