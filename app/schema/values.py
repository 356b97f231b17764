"""Find values that a store cannot hold although the record type allows them.

msgspec has already validated the record. The remaining limits are those of BigQuery's types
(https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types). They apply to the embedded store, too, so
that a laptop rejects the same values as production.
"""

from collections.abc import Callable
from datetime import MAXYEAR, MINYEAR, UTC, datetime, time
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from app.schema.columns import INT64_MAX, INT64_MIN, Column, Kind, Mode

NUMERIC_INTEGER_DIGITS, NUMERIC_SCALE = 29, 9


class Unstorable(NamedTuple):
    """A value that its column cannot hold: the path below the record, and the reason."""

    path: str
    reason: str


RecordCheck = Callable[[Any], Unstorable | None]
ValueCheck = Callable[[Any], str | None]
"""Returns why a column cannot hold a value, or None."""


def compile_checks(columns: tuple[Column, ...]) -> RecordCheck:
    """Return a function that finds the first value of a record that its column cannot hold."""
    checks = [check for column in columns if (check := _column_check(column)) is not None]
    if len(checks) == 1:  # every record passes here
        return checks[0]

    def check_record(record: Any) -> Unstorable | None:
        for check in checks:
            unstorable = check(record)
            if unstorable is not None:
                return unstorable
        return None

    return check_record


def _column_check(column: Column) -> RecordCheck | None:
    name, attribute = column.name, column.attribute
    if column.kind is Kind.STRUCT:
        inner = compile_checks(column.fields)
    elif (checked := value_check(column)) is None:
        return None
    else:

        def inner(value: Any) -> Unstorable | None:
            reason = checked(value)
            return None if reason is None else Unstorable("", reason)

        def check_value(record: Any) -> Unstorable | None:
            value = getattr(record, attribute)
            reason = None if value is None else checked(value)
            return None if reason is None else Unstorable(name, reason)

        if column.mode is not Mode.REPEATED:
            return check_value

    def check(record: Any) -> Unstorable | None:
        value = getattr(record, attribute)
        unstorable = None if value is None else inner(value)
        return None if unstorable is None else _below(name, unstorable)

    def check_items(record: Any) -> Unstorable | None:
        for index, item in enumerate(getattr(record, attribute) or ()):
            if (unstorable := inner(item)) is not None:
                return _below(f"{name}[{index}]", unstorable)
        return None

    return check_items if column.mode is Mode.REPEATED else check


def _below(name: str, unstorable: Unstorable) -> Unstorable:
    return Unstorable(f"{name}.{unstorable.path}" if unstorable.path else name, unstorable.reason)


def value_check(column: Column) -> ValueCheck | None:
    """Return the check of a value of `column`, an item if it is a list; None if it can hold every value of its type."""
    return None if column.closed else _VALUE_CHECKS.get(column.kind)


def _check_int(value: int) -> str | None:
    return None if INT64_MIN <= value <= INT64_MAX else "does not fit in 64 bits: expected -2^63 to 2^63-1"


def numeric_problem(value: Decimal) -> str | None:
    """Return why a NUMERIC column cannot hold `value`, or None."""
    if not value.is_finite():
        return "is not a finite number"
    _, digits, exponent = value.as_tuple()  # not normalize(): it rounds to the context's 28 digits
    zeros = len(digits) - len(bytes(digits).rstrip(b"\0"))
    if zeros == len(digits):
        return None
    scale = -int(exponent) - zeros  # is_finite() has ruled out letters as exponents
    if scale > NUMERIC_SCALE:
        return f"has {scale} decimal places: expected at most {NUMERIC_SCALE}"
    integer_digits = len(digits) - zeros - scale
    if integer_digits > NUMERIC_INTEGER_DIGITS:
        return f"has {integer_digits} digits before the point: expected at most {NUMERIC_INTEGER_DIGITS}"
    return None


def instant_problem(value: datetime) -> str | None:
    """Return why a TIMESTAMP column cannot hold `value`, or None."""
    if value.tzinfo is None:
        return "has no UTC offset: expected RFC 3339 such as 2026-01-31T12:00:00Z"
    if MINYEAR < value.year < MAXYEAR:
        return None
    try:
        value.astimezone(UTC)
    except OverflowError:
        return "is outside the years 1 to 9999 in UTC"
    return None


def _check_time(value: time) -> str | None:
    return None if value.tzinfo is None else "has a UTC offset: expected a plain time such as 12:00:00"


_VALUE_CHECKS: dict[Kind, ValueCheck] = {
    Kind.INT64: _check_int,
    Kind.NUMERIC: numeric_problem,
    Kind.TIMESTAMP: instant_problem,
    Kind.TIME: _check_time,
}


def plain_decimal(value: Decimal) -> str:
    """Return `value` in plain notation, without trailing zeros after the point: 1.5, 100, 0."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def read_id(column: Column, text: str) -> str | int | None:
    """Return the id that `text` represents; None if it represents none.

    A number has one spelling. A UUID has every spelling that a record may hold (capitals, no hyphens), but one value.
    A hashed id is represented by its value, or by the hash.
    """
    if column.hasher is not None:
        return column.hasher(text)
    if column.is_uuid:
        try:
            return str(msgspec.convert(text, UUID))
        except msgspec.ValidationError:
            return None
    if column.kind is Kind.STRING:
        return text
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 19):
        return None
    number = int(text)
    return number if str(number) == text and INT64_MIN <= number <= INT64_MAX else None
