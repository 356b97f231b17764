"""Values of the API as those of Python, and as text that sorts like them."""

import base64
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from sluice_client.errors import TargetError
from sluice_client.protocol.schema import Column

Convert = Callable[[Any], Any]


def json_text(value: Any) -> str:
    """Return the JSON of a column as the service wrote it."""
    return bytes(value).decode()


def six_digits(value: str) -> str:
    """Return an instant or a time of day with six digits of a second, so that texts sort like times."""
    end = "Z" if value.endswith("Z") else ""
    whole, _, fraction = value.removesuffix("Z").partition(".")
    return f"{whole}.{fraction:0<6}{end}"


PYTHON: Mapping[str, Convert] = {
    "BOOL": bool,
    "INT64": int,
    "FLOAT64": float,
    "NUMERIC": Decimal,
    "STRING": str,
    "BYTES": base64.b64decode,
    "TIMESTAMP": datetime.fromisoformat,
    "DATE": date.fromisoformat,
    "TIME": time.fromisoformat,
    "JSON": json_text,
}
"""By type, what makes a value of Python of one of the API."""


def converter(column: Column, conversions: Mapping[str, Convert]) -> Convert:
    """Return what converts a value of a column; null stays null.

    Raises:
        TargetError: the type is younger than this client.
    """
    try:
        convert = conversions[column.kind]
    except KeyError:
        raise TargetError(f"{column.path} has the type {column.kind}, which this version does not know") from None
    return lambda value: None if value is None else convert(value)
