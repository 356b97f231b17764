"""The text of an id, as it stands in a path, and the value its column holds."""

from uuid import UUID

import msgspec

from app.schema.columns import INT64_MAX, INT64_MIN, Column, Kind


def read_id(column: Column, text: str) -> str | int | None:
    """Return the value of the id that `text` names; None where it names none.

    A number has one text. A UUID has every one that a record may hold (capitals, no hyphens), and one value.
    """
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
