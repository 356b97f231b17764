"""The data of a message: decompress, weigh, and find the bytes of each record: one, an array, or NDJSON. Pure.

Nothing is decoded here, and no record is copied before it is read. A message becomes one text and the position of each
record in it.

A text that cannot be read gets a hint at what it probably is, and how to declare or correct it. A hint examines only a
few bytes at the beginning, and around the position that msgspec names, so its cost does not depend on the payload.
"""

import random
import re
import zlib
from array import array
from collections.abc import Sequence
from itertools import accumulate

import msgspec

from app.ingest.decode.envelope import Message
from app.record import RejectReason
from app.schema.columns import Column, Kind, Mode, flat

SMALL_BYTES = 128 * 1024
"""The most bytes, decompressed, of a message that may be read on the event loop, or of a record that is examined."""
SURELY_LIGHT_BYTES = 4 * 1024
"""Whatever is in so few bytes, reading it takes a few milliseconds."""
# A unit is about 0.1 µs. An object may be a record, with a row of its own. msgspec parses numbers close to the largest
# or the smallest double in 5 to 10 µs; no other number of so few bytes takes long.
_OBJECT, _LARGE_EXPONENT = 25, 100
_UNDECLARED = 40  # of a member that is kept or counted: Python code reads it
_LISTED = 25  # of an item of a list that Python code checks or converts
_PLAIN = {Kind.BOOL, Kind.FLOAT64, Kind.STRING}
_LIGHT = 150_000
"""The most units of a text that is read on the event loop: about 15 ms."""

_WINDOWS, _WINDOW_BYTES = 32, 64
# Digits become 0 and signs disappear, so that `e-308` reads `e000`; commas and colons become commas.
_NORMALISED = bytes.maketrans(b"0123456789E[:", b"0000000000e,,")
_SIGNS = b"+-"
_BRACKETS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[{]}")
NDJSON_TYPES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})
NDJSON_HINT = "looks like NDJSON: declare content-type: application/x-ndjson, as an attribute or a header"
GZIP_HINT = "looks like gzip: declare content-encoding: gzip, as an attribute or a header"
NOT_COMPRESSED_HINT = "looks like JSON: leave content-encoding: gzip out"
_GZIP_BEGINS = b"\x1f\x8b\x08"
_GZIP = 16 + zlib.MAX_WBITS
_AT = re.compile(r"\(byte (\d{1,12})\)$")
# What pandas, Python and JavaScript write for a missing value. msgspec names a byte in it, or the next one.
_NO_VALUE = re.compile(rb"-?\b(?:NaN|nan|Infinity|inf|None|undefined)\b")
_NEXT_OBJECT = re.compile(rb"\n[ \t\r\n]*\{")
_AROUND = 12
_SPACE = b" \t\r\n"
_any_value = msgspec.json.Decoder(msgspec.Raw)
# A Raw is skipped, not decoded, and the error says where the value ended: the byte after the first one that follows.
_ENDED = re.compile(r"trailing characters \(byte (?P<after>[0-9]+)\)$")
_BYTE = re.compile(r"\(byte (?P<byte>[0-9]+)\)$")


class Unreadable(msgspec.Struct, frozen=True):
    """Why a message has no readable records, for its reject."""

    reason: RejectReason
    detail: str


class Pieces:
    """The records of a text, each by its start and end."""

    def __init__(self, text: bytes, spans: Sequence[tuple[int, int]]) -> None:
        self.text, self._spans = text, spans

    def __len__(self) -> int:
        """Return how many records there are."""
        return len(self._spans)

    def __getitem__(self, index: int) -> bytes:
        """Return the bytes of the record at `index`."""
        start, end = self._spans[index]
        return self.text[start:end]


def text_of(message: Message, max_decompressed_bytes: int) -> bytes | Unreadable:
    """Return the data of a message, decompressed."""
    encoding = message.content_encoding.strip().lower()
    if encoding in {"", "identity"}:
        return message.data
    if encoding != "gzip":
        return Unreadable("bad_encoding", f"content-encoding {encoding[:40]!r}: expected gzip or none")
    inflater = zlib.decompressobj(_GZIP)
    try:
        text = inflater.decompress(message.data, max_decompressed_bytes + 1)
    except zlib.error as error:
        hint = f" ({NOT_COMPRESSED_HINT})" if message.data[:1] in {b"{", b"["} else ""
        return Unreadable("bad_encoding", f"not valid gzip: {error}{hint}")
    if len(text) > max_decompressed_bytes:
        return Unreadable("too_large", f"more than {max_decompressed_bytes} bytes when decompressed")
    if inflater.eof and not inflater.unused_data:
        return text
    return Unreadable("bad_encoding", "not valid gzip: expected one whole member, and nothing after it")


def pieces_of(message: Message, text: bytes, *, most: int) -> Pieces | Unreadable:
    """Return the positions of a message's records in its decompressed text; there may be at most `most`."""
    first = text.lstrip()[:1]
    try:
        if is_ndjson_type(message.content_type):
            spans = _lines(text, most)
        elif first == b"[":
            spans = _elements(text, most)
        else:
            spans = [(0, len(text))] if first else []
    except _TooManyError:
        return Unreadable("too_many_records", f"more than {most} records in one message")
    except _MalformedError as error:
        return Unreadable("malformed", malformed_detail(text, error, message.content_type))
    if not spans and not first:
        return Unreadable("empty", "the message has no data: expected one record, an array of records, or NDJSON")
    return Pieces(text, spans)


class _TooManyError(Exception):
    """There are more records than a message may hold."""


class _MalformedError(Exception):
    """The text is not a JSON array; the message says why."""


def _lines(text: bytes, most: int) -> list[tuple[int, int]]:
    """Return the positions of the lines that are not blank. A lone carriage return is white space and ends no line."""
    if text.count(b"\n") > most:
        raise _TooManyError
    spans, start = list[tuple[int, int]](), 0
    while start < len(text):
        end = text.find(b"\n", start)
        end = len(text) if end < 0 else end
        if text[start:end].strip():
            if len(spans) == most:  # the last line need not end
                raise _TooManyError
            spans.append((start, end))
        start = end + 1
    return spans


def _elements(text: bytes, most: int) -> list[tuple[int, int]]:
    view, spans = memoryview(text), list[tuple[int, int]]()
    position = text.index(b"[") + 1
    if text[: position - 1].strip(_SPACE):
        raise _MalformedError("JSON is malformed: invalid character (byte 0)")
    closing = len(text) - len(text[position:].lstrip(_SPACE))
    if text[closing : closing + 1] != b"]":
        while True:
            closing = _after_value(view, position)
            if len(spans) == most:
                raise _TooManyError
            element = bytes(view[position:closing])
            spans.append((closing - len(element.lstrip(_SPACE)), position + len(element.rstrip(_SPACE))))
            if text[closing] == ord("]"):
                break
            position = closing + 1
    if rest := text[closing + 1 :].lstrip(_SPACE):
        raise _MalformedError(f"JSON is malformed: trailing characters (byte {len(text) - len(rest) + 1})")
    return spans


def _after_value(view: memoryview, start: int) -> int:
    """Return the position of the comma or closing bracket after the value at `start`."""
    try:
        _any_value.decode(view[start:])
    except RecursionError:
        raise _MalformedError("nested too deeply") from None
    except msgspec.DecodeError as error:
        message = str(error)
    else:
        message = "Input data was truncated"  # a value and nothing after it: the array is not closed
    if position := _ENDED.search(message):
        end = start + int(position["after"]) - 1
        if view[end] in b",]":
            return end
        raise _MalformedError(f"JSON is malformed: expected ',' or ']' (byte {end})")
    if position := _BYTE.search(message):
        place = start + int(position["byte"])
        if bytes(view[place : place + 1]) == b"]" and view[start - 1] == ord(","):
            message = "JSON is malformed: trailing comma in array (byte 0)"
        message = _BYTE.sub(f"(byte {place})", message)
    raise _MalformedError(message)


def is_ndjson_type(content_type: str) -> bool:
    """Return whether a content type says that each line is a record."""
    return bool(content_type) and content_type.partition(";")[0].strip().lower() in NDJSON_TYPES


def malformed_detail(payload: bytes | bytearray, error: Exception, content_type: str = "") -> str:
    """Return why `payload` is not one JSON value: the reader's `error`, and a hint at what would be right."""
    text = str(error)
    hint = _hint(payload, text, content_type)
    return f"not valid JSON: {text}" + (f" ({hint})" if hint else "")


def _hint(payload: bytes | bytearray, error: str, content_type: str) -> str:
    if (at := _AT.search(error)) is None:
        return ""
    place = int(at[1])
    if "trailing characters" in error:
        is_next = _NEXT_OBJECT.search(payload, max(place - _AROUND, 0), place + 1) is not None
        return NDJSON_HINT if is_next and not is_ndjson_type(content_type) else ""
    if "invalid character" not in error:
        return ""
    if payload.startswith(_GZIP_BEGINS):
        return GZIP_HINT
    for token in _NO_VALUE.finditer(payload, max(place - _AROUND, 0), place + _AROUND):
        if token.start() <= place <= token.end() + 1:
            return f"{token[0].decode()} is not JSON: send null"
    return ""


def is_light(text: bytes, value_weight: int) -> bool:
    """Return whether reading `text` takes about 15 ms at most, judged by windows of it at random positions.

    A text of 128 KiB that is a tenth heavy passes once in thirty times, and then takes 20 ms or so; one that is a fifth
    heavy once in a thousand. Nobody can choose where the windows are. `value_weight` is what the function
    below returns for the type.
    """
    size = len(text)
    if size <= SURELY_LIGHT_BYTES:
        return True
    starts = random.choices(range(size - _WINDOW_BYTES), k=_WINDOWS)
    sample = b"".join([text[start : start + _WINDOW_BYTES] for start in starts]).translate(_NORMALISED, _SIGNS)
    weight = sample.count(b",") * value_weight + sample.count(b"{") * _OBJECT + sample.count(b"e000") * _LARGE_EXPONENT
    return weight * size <= _LIGHT * _WINDOWS * _WINDOW_BYTES


def value_weight(columns: tuple[Column, ...], *, counts_undeclared: bool) -> int:
    """Return the most units that a value of a record of these columns takes."""
    if counts_undeclared:
        return _UNDECLARED
    lists = [column for _, column in flat(columns) if column.mode is Mode.REPEATED]
    are_plain = all(each.kind in _PLAIN and not (each.closed or each.is_uuid) for each in lists)
    return 1 if are_plain else _LISTED


def is_deeper(text: bytes, levels: int) -> bool:
    """Return whether brackets are nested more than `levels` deep; the JSON need not be valid."""
    if len(text) <= 2 * levels or _count(text, b"{", levels) + _count(text, b"[", levels) <= levels:
        return False
    brackets = _without_strings(text).translate(_BRACKETS, _NO_BRACKETS)
    return max(accumulate(array("b", brackets)), default=0) > levels


def _without_strings(text: bytes) -> bytes:
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")  # pairs first, from the left
    return b"".join(text.split(b'"')[::2])


def _count(payload: bytes, byte: bytes, most: int) -> int:
    """Return how often `byte` occurs, up to `most + 1`.

    Brackets are rare, so finding each costs a fifth of `bytes.count`, which examines every byte.
    """
    count, place = 0, payload.find(byte)
    while place >= 0 and count <= most:
        count, place = count + 1, payload.find(byte, place + 1)
    return count
