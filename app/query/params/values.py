"""Parse the text of a filter's value into the column's type."""

import binascii
import re
from base64 import b64decode
from collections.abc import Callable
from datetime import date, time
from decimal import Decimal, InvalidOperation
from math import inf, isfinite
from typing import TypeVar
from uuid import UUID

import msgspec

from app.runtime.instants import InstantError, parse_instant
from app.schema.checks import numeric_problem
from app.schema.columns import INT64_MAX, INT64_MIN, Kind
from app.stores.query import Scalar

_EXAMPLES = {
    Kind.BOOL: "true",
    Kind.INT64: "42",
    Kind.FLOAT64: "1.5",
    Kind.NUMERIC: "12.50",
    Kind.BYTES: "aGVsbG8=",
    Kind.TIMESTAMP: "2026-01-31T12:00:00Z",
    Kind.DATE: "2026-01-31",
    Kind.TIME: "12:00:00",
}


# Python's own parsers accept more spellings: white space, `_` between digits, 20260131, digits of other scripts.
TIME_PATTERN = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?"
_TIME = re.compile(TIME_PATTERN)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_Value = TypeVar("_Value", time, UUID)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


class ValueTextError(ValueError):
    """A text is not a value of the type; the message says what is expected, and `example` shows one."""

    def __init__(self, message: str, kind: Kind) -> None:
        super().__init__(message)
        self.example = _EXAMPLES.get(kind)


def read_value(kind: Kind, text: str, *, is_uuid: bool = False) -> Scalar:
    """Return the value of `text`: an instant as microseconds; text stays as it is.

    Raises:
        ValueTextError: it names none.
    """
    try:
        return _READERS.get(kind, _uuid if is_uuid else str)(text)
    except (ValueError, InvalidOperation) as error:
        expected = str(error) if isinstance(error, InstantError) else _EXPECTED.get(kind, "expected a UUID")
        raise ValueTextError(expected, kind) from None


_EXPECTED = {
    Kind.BOOL: "expected true or false",
    Kind.INT64: "expected a whole number of 64 bits",
    Kind.FLOAT64: "expected a number",
    Kind.NUMERIC: "expected a decimal number with at most 29 digits before the point and 9 after it",
    Kind.BYTES: "expected base64",
    Kind.DATE: "expected a date (year, month and day)",
    Kind.TIME: "expected a time of day without an offset",
}


def _bool(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError
    return text == "true"


def _integer(text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 40):
        raise ValueError
    number = int(text)
    if not INT64_MIN <= number <= INT64_MAX:
        raise ValueError
    return number


def read_number(text: str) -> float:
    """Return the number in `text`, in JSON's notation.

    Raises:
        ValueError: it is none, or too large.
    """
    number = float(text) if _NUMBER.fullmatch(text) else inf
    if not isfinite(number):
        raise ValueError
    return number


def _numeric(text: str) -> Decimal:
    if len(text) > 60 or not _NUMBER.fullmatch(text):
        raise ValueError
    number = Decimal(text)
    if numeric_problem(number) is not None:
        raise ValueError
    return number


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError from error


def _instant(text: str) -> int:
    if text == "now" or "P" in text.upper():
        raise InstantError("expected an instant (RFC 3339 with an offset); only since and until may be relative to now")
    return parse_instant(text, 0)


def _date(text: str) -> date:
    if not _DATE.fullmatch(text):
        raise ValueError
    return date.fromisoformat(text)


def _time(text: str) -> time:
    if not _TIME.fullmatch(text):
        raise ValueError
    return _as_in_a_record(text, time)


def _uuid(text: str) -> str:
    return str(_as_in_a_record(text, UUID))


def _as_in_a_record(text: str, type_: type[_Value]) -> _Value:
    try:
        return msgspec.convert(text, type_)
    except msgspec.ValidationError as error:
        raise ValueError from error


_READERS: dict[Kind, Callable[[str], Scalar]] = {
    Kind.BOOL: _bool,
    Kind.INT64: _integer,
    Kind.FLOAT64: read_number,
    Kind.NUMERIC: _numeric,
    Kind.BYTES: _bytes,
    Kind.TIMESTAMP: _instant,
    Kind.DATE: _date,
    Kind.TIME: _time,
}
