"""The value of a rest's member as that of a column: strictly as ingest converts JSON, or NULL. Pure.

The JSON text of a member says its type: a text is in quotes. A pattern accepts the notations that ingest accepts, and
the cast converts what they hold; a cast alone would accept more, and not the same in every store. What the pattern
refuses stays in the rest. It refuses some notations that ingest accepts, none of which a store or an encoder writes:
fractions of a second beyond microseconds, offsets beyond 14 hours, and decimals such as `.5`, `5.` and `1_000`.
"""

from typing import NamedTuple

from app.schema.columns import Column, Kind, Mode

_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_OFFSET = r"([Zz]|[+-](0[0-9]|1[0-3]):?[0-5][0-9]|[+-]14:?00)"
_INT = r"-?[0-9]{1,19}"
_FLOAT = r"-?[0-9].*"  # of JSON, which is a number if it begins like one
_PLAIN_DECIMAL = r"[+-]?0*[0-9]{1,29}(\.[0-9]{1,9}0*)?"
# A cast rounds to nine decimal places. Fifteen digits survive a float, so a rounded value is another float.
_SCIENTIFIC = r"[+-]?[0-9](\.[0-9]{1,14})?[eE][+-]?[0-9]{1,3}"
_UUID = r"[0-9a-fA-F]{8}(-?)[0-9a-fA-F]{4}(-?)[0-9a-fA-F]{4}(-?)[0-9a-fA-F]{4}(-?)[0-9a-fA-F]{12}"
_HYPHENS = ("r'^(.{8})-?(.{4})-?(.{4})-?(.{4})-?(.{12})$'", r"r'\1-\2-\3-\4-\5'")
_BASE64 = r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"


class Member(NamedTuple):
    """What is read of a promoted column: the expression of its value, and that of the rest without the member."""

    value: str
    rest: str


def member_of(column: Column, rest: Column) -> Member:
    """Return the expressions of a promoted column over a row with both columns."""
    own, kept, path = f"`{column.name}`", f"`{rest.name}`", f"'$.{column.name}'"
    member = f"JSON_QUERY({kept}, {path})"
    text = f"TO_JSON_STRING({member})"
    if column.mode is Mode.REPEATED:
        return _list_member(column, own, kept, path)
    value = _converted(column, text, f"JSON_VALUE({kept}, {path})", member)
    is_taken = f"{own} IS NULL AND ({text} = 'null' OR {value} IS NOT NULL)"
    return Member(f"IF({own} IS NULL, {value}, {own})", f"IF({is_taken}, JSON_REMOVE({kept}, {path}), {kept})")


def _list_member(column: Column, own: str, kept: str, path: str) -> Member:
    """Return the expressions of a list: it is taken out as a whole, if every item can be converted."""
    member = f"JSON_QUERY({kept}, {path})"
    items = f"UNNEST(JSON_QUERY_ARRAY(IF(STARTS_WITH(TO_JSON_STRING({member}), '['), {member}, NULL)))"
    value = _converted(column, "TO_JSON_STRING(item)", "JSON_VALUE(item, '$')", "item")
    is_empty = f"IFNULL(ARRAY_LENGTH({own}), 0) = 0"
    is_list = f"STARTS_WITH(TO_JSON_STRING({member}), '[')"
    is_taken = f"{is_empty} AND {is_list} AND NOT EXISTS (SELECT 1 FROM {items} AS item WHERE {value} IS NULL)"  # noqa: S608 - names of a declaration
    converted = f"ARRAY(SELECT {value} FROM {items} AS item WITH OFFSET AS place ORDER BY place)"  # noqa: S608 - as above
    return Member(
        f"IF({is_taken}, {converted}, {own})",
        f"IF({is_taken}, JSON_REMOVE({kept}, {path}), {kept})",
    )


def _converted(column: Column, text: str, value: str, member: str) -> str:  # noqa: C901, PLR0911 - one for each kind
    """Return the value of JSON: `text` is its text, `value` that of a scalar without quotes, `member` the JSON."""
    quoted = f"STARTS_WITH({text}, '\"')"
    match column.kind:
        case Kind.BOOL:
            return f"CASE {text} WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END"
        case Kind.INT64:
            return _if(_like(text, _INT), f"SAFE_CAST({text} AS INT64)")
        case Kind.FLOAT64:
            return _if(_like(text, _FLOAT), f"SAFE_CAST({text} AS FLOAT64)")
        case Kind.NUMERIC:
            return _numeric(value, f"({quoted} OR {_like(text, _FLOAT)})")
        case Kind.STRING if column.is_uuid:
            hyphens, parts = _HYPHENS
            return _if(f"{quoted} AND {_is_uuid(value)}", f"LOWER(REGEXP_REPLACE({value}, {hyphens}, {parts}))")
        case Kind.STRING:
            return _if(quoted, value)
        case Kind.BYTES:
            return _if(f"{quoted} AND {_like(value, _BASE64)}", f"FROM_BASE64({value})")
        case Kind.TIMESTAMP:
            return _if(f"{quoted} AND {_is_instant(value)}", _instant(value))
        case Kind.DATE:
            return _if(f"{quoted} AND {_like(value, _DAY)} AND {value} >= '0001'", f"SAFE_CAST({value} AS DATE)")
        case Kind.TIME:
            return _if(f"{quoted} AND {_like(value, _CLOCK)}", f"SAFE_CAST({value} AS TIME)")
        case Kind.JSON if column.is_object:
            return _if(f"STARTS_WITH({text}, '{{')", member)
        case _:  # JSON; a Struct is not promoted
            return _if(f"{text} != 'null'", member)


def _numeric(value: str, is_number: str) -> str:
    cast = f"SAFE_CAST({value} AS NUMERIC)"
    is_exact = f"CAST({cast} AS FLOAT64) = SAFE_CAST({value} AS FLOAT64)"
    accepted = f"{_like(value, _PLAIN_DECIMAL)} OR ({_like(value, _SCIENTIFIC)} AND {is_exact})"
    return _if(f"{is_number} AND ({accepted})", cast)


def _is_uuid(value: str) -> str:
    return f"{_like(value, _UUID)} AND LENGTH({value}) IN (32, 36)"  # msgspec accepts all hyphens, or none


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
