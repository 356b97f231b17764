"""Split the data of a message into the bytes of its records: decompress, then one, an array, or NDJSON. Pure.

Nothing is decoded here, and no record is copied before it is read. A message becomes one text and the position of each
record in it.
"""

import re
from collections.abc import Sequence

import msgspec

from app.ingest.decode.envelope import Message
from app.ingest.decode.hints import gzip_detail, is_ndjson_type, malformed_detail
from app.record import RejectReason
from app.runtime.compression import GzipError, GzipTooLargeError, gunzip

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
    try:
        return gunzip(message.data, max_decompressed_bytes)
    except GzipTooLargeError as error:
        return Unreadable("too_large", str(error))
    except GzipError as error:
        return Unreadable("bad_encoding", gzip_detail(message.data, error))


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
