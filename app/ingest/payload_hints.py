"""Guess what a payload that is not JSON probably is, and suggest a fix. Pure.

The reader of records calls `malformed_detail` wherever it reports invalid JSON. A hint examines only a few bytes around
the position that msgspec names, so its cost does not depend on the payload.
"""

import re

NDJSON_TYPES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})
NDJSON_HINT = "looks like NDJSON: set content-type application/x-ndjson"
_AT = re.compile(r"\(byte (\d{1,12})\)$")
# What pandas, Python and JavaScript write for a missing value. msgspec names a byte in it, or the next one.
_NO_VALUE = re.compile(rb"-?\b(?:NaN|nan|Infinity|inf|None|undefined)\b")
_NEXT_OBJECT = re.compile(rb"\n[ \t\r\n]*\{")
_AROUND = 12


def is_ndjson_type(content_type: str) -> bool:
    """Return whether a content type says that each line is a record."""
    return bool(content_type) and content_type.partition(";")[0].strip().lower() in NDJSON_TYPES


def malformed_detail(payload: bytes | bytearray, error: Exception, content_type: str = "") -> str:
    """Return why `payload` is not one JSON value: the reader's `error`, and a hint at what would be right."""
    text = str(error)
    hint = _hint(payload, text, content_type)
    return f"not valid JSON: {text}" + (f" ({hint})" if hint else "")


def is_followed_by_another(payload: bytes | bytearray, error: str) -> bool:
    """Return whether `error` is about an object on the line after the first value: most likely NDJSON."""
    at = _AT.search(error)
    if at is None or "trailing characters" not in error:
        return False
    place = int(at[1])
    return _NEXT_OBJECT.search(payload, max(place - _AROUND, 0), place + 1) is not None


def _hint(payload: bytes | bytearray, error: str, content_type: str) -> str:
    if not is_ndjson_type(content_type) and is_followed_by_another(payload, error):
        return NDJSON_HINT
    at = _AT.search(error)
    if at is None or "invalid character" not in error:
        return ""
    place = int(at[1])
    for found in _NO_VALUE.finditer(payload, max(place - _AROUND, 0), place + _AROUND):
        if found.start() <= place <= found.end() + 1:
            return f"{found[0].decode()} is not JSON: send null"
    return ""
