"""Convert values of DuckDB's client to those that the QueryRunner promises. Pure."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec


def converter(type_: Any) -> Callable[[Any], Any] | None:
    """Return the conversion of values of DuckDB's `type_`, or None if they need none."""
    match str(type_), type_.id:
        case "JSON", _:
            return _raw_json
        case _, "timestamp":
            return _in_utc
        case _, "list":
            item = converter(type_.children[0][1])
            return item and partial(_convert_list, item)
        case _, "struct":
            fields = [(name, convert) for name, child in type_.children if (convert := converter(child)) is not None]
            return partial(_convert_struct, fields) if fields else None
        case _:
            return None


def _raw_json(value: str) -> msgspec.Raw:
    return msgspec.Raw(value.encode())


def _in_utc(value: datetime | str) -> datetime | str:
    # DuckDB returns an instant beyond datetime's range as text; one such row must not fail its page.
    return value if isinstance(value, str) else value.replace(tzinfo=UTC)


def _convert_list(convert: Callable[[Any], Any], values: list[Any]) -> list[Any]:
    return [None if value is None else convert(value) for value in values]


def _convert_struct(fields: list[tuple[str, Callable[[Any], Any]]], value: dict[str, Any]) -> dict[str, Any]:
    for name, convert in fields:
        if value[name] is not None:
            value[name] = convert(value[name])
    return value
