"""Cut the data of a message into the bytes of its records: decompress, then one, an array, or NDJSON. Pure."""

import json
import re

import msgspec

from app.ingest.compression import GzipError, GzipTooLargeError, gunzip
from app.ingest.envelope import Message
from app.ingest.hints import is_ndjson_type, malformed_detail

_SPACE = re.compile(r"[ \t\r\n]*")
_array = msgspec.json.Decoder(list[msgspec.Raw])


class Unreadable(msgspec.Struct, frozen=True):
    """Why a message has no records, as its reject tells."""

    reason: str
    detail: str


class ArrayPieces:
    """The bytes of each record of an array, told apart when somebody asks for one, which is when a store refused it."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._told_apart: list[msgspec.Raw] = []

    def __getitem__(self, index: int) -> bytes:
        """Return those of the record at `index`."""
        self._told_apart = self._told_apart or _array.decode(self._payload)
        return bytes(self._told_apart[index])


def pieces_of(message: Message, *, most: int, max_decompressed_bytes: int) -> list[bytes] | Unreadable:
    """Return the bytes of each record, of at most `most`."""
    payload = _decompressed(message, max_decompressed_bytes) if message.content_encoding else message.data
    if isinstance(payload, Unreadable):
        return payload
    if payload[:1] == b"{" and not message.content_type:
        return [payload]
    try:
        if is_ndjson(message):
            pieces = _lines(payload, most)
        elif payload.lstrip()[:1] == b"[":
            pieces = _elements(payload, most)
        else:
            pieces = [payload] if payload.strip() else []
    except _TooManyError:
        return Unreadable("too_many_records", f"more than {most} records in one message")
    except (ValueError, RecursionError) as error:  # msgspec's, json's and Unicode's errors are all ValueErrors
        return Unreadable("malformed", malformed_detail(payload, error, message.content_type))
    if not pieces and not payload.strip():
        return Unreadable("empty", "the message has no data: expected one record, an array, or NDJSON")
    return pieces


def is_ndjson(message: Message) -> bool:
    """Return whether each line of a message is a record."""
    return is_ndjson_type(message.content_type)


def _decompressed(message: Message, max_bytes: int) -> bytes | Unreadable:
    encoding = message.content_encoding.strip().lower()
    if encoding in {"", "identity"}:
        return message.data
    if encoding != "gzip":
        return Unreadable("bad_encoding", f"content-encoding {encoding[:40]!r}: expected gzip, or none")
    try:
        return gunzip(message.data, max_bytes)
    except GzipTooLargeError as error:
        return Unreadable("too_large", str(error))
    except GzipError as error:
        return Unreadable("bad_encoding", str(error))


class _TooManyError(Exception):
    """There are more records than a message may hold."""


def _lines(payload: bytes, most: int) -> list[bytes]:
    """Return the lines that are not blank. A lone carriage return is white space to JSON and ends no line."""
    if payload.count(b"\n") > most:
        raise _TooManyError
    return [line for line in payload.split(b"\n") if line.strip()]


def _elements(payload: bytes, most: int) -> list[bytes]:
    """Return the elements of a JSON array."""
    if payload.count(b",") >= most:  # there may be too many: count before making millions of them
        _count_elements(payload.decode(), most)
    return [bytes(raw) for raw in _array.decode(payload)]


def _count_elements(text: str, most: int) -> None:
    """Raise _TooManyError when an array has more than `most` elements, having looked at no more of them."""
    scan = json.JSONDecoder().raw_decode
    position = _SPACE.match(text, text.index("[") + 1).end()  # type: ignore[union-attr] # it matches the empty string
    for _ in range(most):
        try:
            _, position = scan(text, position)
        except ValueError:
            return  # not JSON from here on, which msgspec will say better
        position = _SPACE.match(text, position).end()  # type: ignore[union-attr] # likewise
        if text[position : position + 1] != ",":
            return
        position = _SPACE.match(text, position + 1).end()  # type: ignore[union-attr] # likewise
    raise _TooManyError
