"""Decide whether the payload of a reject holds a record with a given id. Pure.

A reject is one record or a whole message of records. It may be unreadable; that may be why it was rejected.

    JSON or NDJSON    a record at the top level, or in a list there, has this id in its id member
    anything else     the id occurs as a whole word, plain or in JSON's escapes

The second rule may match a reject that only mentions the id: an erasure errs on the side of deleting too much. A
message that was rejected whole is erased whole, including its other records, none of which was ever stored.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from app.runtime.compression import GzipError, GzipTooLargeError, inflated
from app.schema.columns import Column
from app.schema.ids import read_id

GZIP = b"\x1f\x8b"
_MAX_INFLATED_BYTES = 64 * 1024**2
_WORD = rb"[A-Za-z0-9_-]"
_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")


def forms_of(column: Column, record_id: str | int) -> tuple[str, ...]:
    """Return the spellings of an id that producers use: a UUID in either case, with or without hyphens."""
    text = str(record_id)
    if not column.is_uuid:
        return (text,)
    return tuple({text, text.upper(), text.replace("-", ""), text.replace("-", "").upper()})


def holds_record(payload: bytes, column: Column, record_id: str | int) -> bool:
    """Return whether `payload` holds a record whose id, the member of `column`, is `record_id`; see above."""
    return any(_holds(raw, column, record_id) for raw in _texts_of(payload))


def _holds(raw: bytes | bytearray, column: Column, record_id: str | int) -> bool:
    try:
        return any(_is_record(record, column, record_id) for record in _records(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return any(_mentions(raw, form) for form in forms_of(column, record_id))


def _records(raw: bytes | bytearray) -> Iterator[Any]:
    try:
        values = [msgspec.json.decode(raw)]
    except msgspec.DecodeError:  # NDJSON, or not JSON at all
        values = [msgspec.json.decode(line) for line in raw.splitlines() if line.strip()]
    for value in values:
        if isinstance(value, list):
            yield from value
        else:
            yield value


def _is_record(value: Any, column: Column, record_id: str | int) -> bool:
    # Compared as text: a number where the type requires a string is still a reject of that id.
    return isinstance(value, dict) and column.name in value and read_id(column, str(value[column.name])) == record_id


def _mentions(raw: bytes | bytearray, text: str) -> bool:
    escaped = {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    raws = {form.encode(encoding, "surrogatepass") for form in escaped for encoding in _ENCODINGS}
    return any(re.search(rb"(?<!%b)%b(?!%b)" % (_WORD, re.escape(each), _WORD), raw) for each in raws)


def _texts_of(payload: bytes) -> Iterator[bytes | bytearray]:
    """Yield the texts to search; for a broken or very large gzip, the readable part and the raw bytes."""
    if not payload.startswith(GZIP):
        yield payload
        return
    text = bytearray()
    try:
        for _ in inflated(payload, _MAX_INFLATED_BYTES, text):
            pass
    except (GzipError, GzipTooLargeError):
        yield payload
    yield text
