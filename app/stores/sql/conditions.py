"""Conditions as SQL: the comparisons are in the text, the values are parameters.

The keys of a JSON path are in the text, because BigQuery accepts only literals; `app.query.request.filters` lets only
harmless ones through.
"""

from collections.abc import Sequence

from app.schema.columns import Kind
from app.stores.query import Condition, Scalar

_COMPARED = {"eq": "=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


def where_clause(conditions: Sequence[Condition], prefix: str = "") -> str:
    """Return the lines `AND …` that keep the rows matching all `conditions`; column names begin with `prefix`."""
    return "".join(f"\n    AND {_test(index, each, prefix)}" for index, each in enumerate(conditions))


def condition_parameters(conditions: Sequence[Condition]) -> dict[str, Scalar]:
    """Return the parameters that `where_clause` of the same conditions names."""
    return {
        name: value
        for index, each in enumerate(conditions)
        if each.operator != "isnull"
        for name, value in zip(_names(index, each), each.values, strict=True)
    }


def _test(index: int, condition: Condition, prefix: str) -> str:
    value = _compared(condition, prefix)
    names = [f"@{name}" for name in _names(index, condition)]
    match condition.operator:
        case "isnull":
            return f"{value} IS {'' if condition.values[0] else 'NOT '}NULL"
        case "ne":
            return f"({value} IS NULL OR {value} != {names[0]})"
        case "in":
            return f"{value} IN ({', '.join(names)})"
        case "prefix":
            return _begins(condition, prefix, names[0])
        case "outside":
            return f"({value} < {names[0]} OR {value} >= {names[1]})"
        case operator:
            return f"{value} {_COMPARED[operator]} {names[0]}"


def _begins(condition: Condition, prefix: str, name: str) -> str:
    begins = f"STARTS_WITH({_compared(condition, prefix)}, {name})"
    if condition.kind is not Kind.JSON:
        return begins
    is_text = f"""STARTS_WITH({_json_text(_column(condition, prefix), condition)}, '"')"""
    return f"({begins} AND {is_text})"  # a number has no prefix


def _column(condition: Condition, prefix: str) -> str:
    return prefix + ".".join(f"`{part}`" for part in condition.path.split("."))


def _compared(condition: Condition, prefix: str) -> str:
    column = _column(condition, prefix)
    if condition.kind is not Kind.JSON:
        return column
    if not condition.json_path and condition.operator == "isnull":
        return column
    if isinstance(condition.values[0], float):
        # Cast the JSON, in which a text keeps its quotes: "7" is not a number, and must not pass for one in a fixed
        # filter.
        return f"SAFE_CAST({_json_text(column, condition)} AS FLOAT64)"
    return f"JSON_VALUE({column}, '{_json_path(condition.json_path)}')"


def _json_text(column: str, condition: Condition) -> str:
    return f"TO_JSON_STRING(JSON_QUERY({column}, '{_json_path(condition.json_path)}'))"


def _json_path(keys: Sequence[str]) -> str:
    """Return the JSONPath; digits are a list index, because no path is both an index and a member's name."""
    return "$" + "".join(f"[{int(key)}]" if key.isascii() and key.isdecimal() else f'."{key}"' for key in keys)


def _names(index: int, condition: Condition) -> list[str]:
    suffix = "_us" if condition.kind is Kind.TIMESTAMP else ""
    if condition.operator in {"in", "outside"}:
        return [f"f{index}_{position}{suffix}" for position in range(len(condition.values))]
    return [f"f{index}{suffix}"]
