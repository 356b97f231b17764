"""Guess what a payload that cannot be read probably is, and say how to declare or correct it. Pure.

The reader of records calls `malformed_detail` wherever it reports invalid JSON. A hint examines only a few bytes at the
beginning, and around the position that msgspec names, so its cost does not depend on the payload.
"""

import re
from collections.abc import Sequence

NDJSON_TYPES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})
NDJSON_HINT = "looks like NDJSON: declare content-type: application/x-ndjson, as an attribute or a header"
GZIP_HINT = "looks like gzip: declare content-encoding: gzip, as an attribute or a header"
SEVERAL_HINT = "looks like several records: send them as an array, or as NDJSON"
ARRAY_HINT = "looks like an array, which needs no declaration: leave content-type: application/x-ndjson out"
NESTED_HINT = "looks like an array in an array: send one array of records"
STRING_HINT = "looks like JSON inside a string: send the object itself, encoded once"
NOT_COMPRESSED_HINT = "looks like JSON: leave content-encoding: gzip out"
_BEGINNINGS: Sequence[tuple[bytes, str]] = (
    (b"\x1f\x8b\x08", GZIP_HINT),
    (b"\x28\xb5\x2f\xfd", "looks like Zstandard: compress with gzip, or not at all"),
    *(
        (bytes((0x78, level)), "looks like zlib: compress with gzip, or not at all")
        for level in (0x01, 0x5E, 0x9C, 0xDA)
    ),
    (b"\xef\xbb\xbf", "begins with a byte order mark: leave it out"),
    *((mark, "looks like UTF-16: send UTF-8") for mark in (b"\xff\xfe", b"\xfe\xff")),
    *((begin, "looks like base64: send the bytes themselves") for begin in (b"eyJ", b"W3s", b"H4sI")),
)
_AT = re.compile(r"\(byte (\d{1,12})\)$")
# What pandas, Python and JavaScript write for a missing value. msgspec names a byte in it, or the next one.
_NO_VALUE = re.compile(rb"-?\b(?:NaN|nan|Infinity|inf|None|undefined)\b")
_ADJACENT_OBJECT = re.compile(rb"\}[ \t\r\n]*,?[ \t\r\n]*\{")
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


def not_an_object_hint(piece: bytes, content_type: str) -> str:
    """Return what a record that is JSON, but no object, probably is; "" without an idea."""
    match piece.lstrip()[:2]:
        case begin if begin[:1] == b"[":
            return ARRAY_HINT if is_ndjson_type(content_type) else NESTED_HINT
        case b'"{' | b'"[':
            return STRING_HINT
        case _:
            return ""


def gzip_detail(data: bytes, error: Exception) -> str:
    """Return why data that is declared as gzip cannot be decompressed, with a hint if it is not compressed."""
    return f"{error} ({NOT_COMPRESSED_HINT})" if data[:1] in {b"{", b"["} else str(error)


def _hint(payload: bytes | bytearray, error: str, content_type: str) -> str:
    is_ndjson = is_ndjson_type(content_type)
    if not is_ndjson and is_followed_by_another(payload, error):
        return NDJSON_HINT
    at = _AT.search(error)
    if at is None:
        return ""
    place = int(at[1])
    if "trailing characters" in error:
        several = _ADJACENT_OBJECT.search(payload, max(place - _AROUND, 0), place + _AROUND)
        return SEVERAL_HINT if several is not None and several.start() <= place and not is_ndjson else ""
    if "invalid character" not in error:
        return ""
    encoded = next((hint for begin, hint in _BEGINNINGS if payload.startswith(begin)), "") if place <= 1 else ""
    return encoded or _missing_value_hint(payload, place)


def _missing_value_hint(payload: bytes | bytearray, place: int) -> str:
    for token in _NO_VALUE.finditer(payload, max(place - _AROUND, 0), place + _AROUND):
        if token.start() <= place <= token.end() + 1:
            return f"{token[0].decode()} is not JSON: send null"
    return ""
