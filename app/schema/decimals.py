"""The text of a NUMERIC value, as in rows and responses."""

from decimal import Decimal


def plain_decimal(value: Decimal) -> str:
    """Return `value` in plain notation, without trailing zeros after the point: 1.5, 100, 0."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
