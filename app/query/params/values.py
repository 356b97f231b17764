"""The text of a filter's value, as the value of a column's type."""

import binascii
from base64 import b64decode
from datetime import date, time
from decimal import Decimal, InvalidOperation
from math import isfinite
from uuid import UUID

from app.query.instants import InstantError, parse_instant
from app.query.runner import Scalar
from app.schema.checks import numeric_problem
from app.schema.columns import INT64_MAX, INT64_MIN, Kind

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


class ValueTextError(ValueError):
    """A text is no value of the type; the message says what would be right, `example` shows one."""

    def __init__(self, message: str, kind: Kind) -> None:
        super().__init__(message)
        self.example = _EXAMPLES.get(kind)


def read_value(kind: Kind, text: str, *, is_uuid: bool = False) -> Scalar:  # noqa: PLR0911 - one a type
    """Return the value that `text` names; an instant as microseconds, what is compared as text as it is.

    Raises:
        ValueTextError: it names none.
    """
    try:
        match kind:
            case Kind.BOOL:
                return _bool(text)
            case Kind.INT64:
                return _integer(text)
            case Kind.FLOAT64:
                return _float(text)
            case Kind.NUMERIC:
                return _numeric(text)
            case Kind.BYTES:
                return _bytes(text)
            case Kind.TIMESTAMP:
                return _instant(text)
            case Kind.DATE:
                return date.fromisoformat(text)
            case Kind.TIME:
                return _time(text)
            case _:
                return str(UUID(text)) if is_uuid else text
    except (ValueError, InvalidOperation) as error:
        expected = str(error) if isinstance(error, InstantError) else _EXPECTED.get(kind, "expected a UUID")
        raise ValueTextError(expected, kind) from None


_EXPECTED = {
    Kind.BOOL: "expected true or false",
    Kind.INT64: "expected a whole number of 64 bits",
    Kind.FLOAT64: "expected a number",
    Kind.NUMERIC: "expected a decimal number, of at most 29 digits before the point and 9 after",
    Kind.BYTES: "expected base64",
    Kind.DATE: "expected a date",
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


def _float(text: str) -> float:
    number = float(text)
    if not isfinite(number) or "_" in text:
        raise ValueError
    return number


def _numeric(text: str) -> Decimal:
    number = Decimal(text)
    if len(text) > 60 or "_" in text or numeric_problem(number) is not None:
        raise ValueError
    return number


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError from error


def _instant(text: str) -> int:
    if text == "now" or "P" in text.upper():
        raise InstantError("expected an instant (RFC 3339 with an offset); only since and until may count from now")
    return parse_instant(text, 0)


def _time(text: str) -> time:
    found = time.fromisoformat(text)
    if found.tzinfo is not None:
        raise ValueError
    return found
