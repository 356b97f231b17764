"""Convert the text of an id in a path to the value that its column holds."""

from uuid import UUID

import msgspec

from app.schema.columns import INT64_MAX, INT64_MIN, Column, Kind


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
