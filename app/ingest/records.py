"""Turn a message into rows: decompress, split, decode, validate, encode; each failure is a reject of its own."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from app.ingest.appender import RowEncode
from app.ingest.compression import GzipError, GzipTooLargeError, gunzip
from app.ingest.envelope import Message
from app.ingest.rejects import Reject, reject
from app.schema.checks import compile_checks
from app.schema.table import Table

_NDJSON = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})
_AT = re.compile(r" - at `(?:key in )?\$\.?(?P<path>[^`]*)`$")
_NAMED = re.compile(r"(?:unknown|missing required) field `(?P<name>[^`]+)`")
MAX_JSON_DEPTH = 500  # https://cloud.google.com/bigquery/docs/json-data (limitations)


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A validated record, encoded for the store, with the bytes it came from.

    `encoded` lacks the `ingest_time` that every attempt is stamped with; `id` is None when the declaration
    names no id.
    """

    message: Message
    index: int
    id: str | int | None
    pieces: "Sequence[bytes] | _Pieces"
    encoded: bytes

    @property
    def raw(self) -> bytes:
        """The bytes it came from."""
        return self.pieces[self.index]


class _Pieces:
    """The bytes of each record of an array, told apart when somebody asks for one, which is when a store refused it."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload

    def __getitem__(self, index: int) -> bytes:
        return bytes(_array.decode(self._payload)[index])


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one message may hold."""

    max_decompressed_bytes: int
    max_records_per_message: int
    max_message_bytes: int
    max_record_bytes: int
    max_row_bytes: int


class RecordReader:
    """Reads the records of messages as the rows of one table."""

    def __init__(self, table: Table, encoder: Callable[[Mapping[str, Any]], RowEncode], limits: Limits) -> None:
        self._decoder = msgspec.json.Decoder(table.record_type)
        self._array_decoder = msgspec.json.Decoder(list[table.record_type])  # type: ignore[name-defined] # a type all the same
        self._check = compile_checks(table.record)
        self._id = table.id.attribute if table.id else None
        self._encoder, self._limits = encoder, limits

    def read(self, message: Message) -> tuple[list[Row], list[Reject]]:
        """Return the rows of the message's good records and the rejects of its bad ones."""
        plain = self._read_plain(message)
        if plain is not None:
            return plain, []
        pieces = self._split(message)
        if isinstance(pieces, Reject):
            return [], [pieces]
        rows: list[Row] = []
        rejects: list[Reject] = []
        left = self._limits.max_message_bytes
        encode = self._encoder(message.envelope())
        for index in range(len(pieces)):
            read = self._read_one(message, index, pieces, encode)
            if isinstance(read, Row):
                rows.append(read)
                left -= len(read.encoded)
                if left < 0:  # each row has the whole envelope: a small message of many records may become large
                    most = self._limits.max_message_bytes
                    return [], [_whole(message, "too_large", f"more than {most} bytes as rows, each with its envelope")]
            else:
                rejects.append(read)
        return rows, rejects

    def _read_plain(self, message: Message) -> list[Row] | None:
        """Return the rows of what nearly every message is, one good record or an array of them; None of any other."""
        first = message.data[:1]
        if message.content_encoding:
            return None
        if first != b"{" or message.content_type:
            return self._read_array(message) if first == b"[" else None
        row = self._read_one(message, 0, (message.data,), self._encoder(message.envelope()))
        return [row] if isinstance(row, Row) and len(row.encoded) <= self._limits.max_message_bytes else None

    def _read_array(self, message: Message) -> list[Row] | None:
        """Return the rows of an array in which nothing is wrong; None where that is not plain, so one by one will tell.

        Nearly every array is such a one, and to decode it at once spares every record its turn.
        """
        payload, limits = message.data, self._limits
        if len(payload) > limits.max_record_bytes or payload.count(b",") >= limits.max_records_per_message:
            return None
        if _is_ndjson(message) or payload.count(b"[") + payload.count(b"{") > MAX_JSON_DEPTH:
            return None
        try:
            records = self._array_decoder.decode(payload)
            if any(self._check(record) is not None for record in records):
                return None
            encode, key_of = self._encoder(message.envelope()), message.delivery_key
            encoded = [encode(record, index, key_of(index)) for index, record in enumerate(records)]
        except Exception:  # whatever it is, it is one record's, and is told when that has its turn
            return None
        if sum(map(len, encoded)) > min(limits.max_row_bytes, limits.max_message_bytes):
            return None
        pieces, name = _Pieces(payload), self._id
        return [
            Row(
                message=message,
                index=index,
                id=getattr(record, name) if name else None,
                pieces=pieces,
                encoded=row,
            )
            for index, (record, row) in enumerate(zip(records, encoded, strict=True))
        ]

    def _split(self, message: Message) -> list[bytes] | Reject:
        """Return the bytes of each record, or the reject of the whole message."""
        payload = self._decompressed(message) if message.content_encoding else message.data
        if isinstance(payload, Reject):
            return payload
        if payload[:1] == b"{" and not message.content_type:
            return [payload]
        most = self._limits.max_records_per_message
        try:
            if _is_ndjson(message):
                pieces = _lines(payload, most)
            elif payload.lstrip()[:1] == b"[":
                pieces = _elements(payload, most)
            else:
                pieces = [payload] if payload.strip() else []
        except _TooManyError:
            return _whole(message, "too_many_records", f"more than {most} records in one message")
        except (ValueError, RecursionError) as error:  # msgspec's, json's and Unicode's errors are all ValueErrors
            return _whole(message, "malformed", f"not valid JSON: {error}")
        if not pieces and not payload.strip():
            return _whole(message, "empty", "the message has no data: expected one record, an array, or NDJSON")
        return pieces

    def _decompressed(self, message: Message) -> bytes | Reject:
        encoding = message.content_encoding.strip().lower()
        if encoding in {"", "identity"}:
            return message.data
        if encoding != "gzip":
            return _whole(message, "bad_encoding", f"content-encoding {encoding[:40]!r}: expected gzip, or none")
        try:
            return gunzip(message.data, self._limits.max_decompressed_bytes)
        except GzipTooLargeError as error:
            return _whole(message, "too_large", str(error))
        except GzipError as error:
            return _whole(message, "bad_encoding", str(error))

    def _read_one(self, message: Message, index: int, pieces: Sequence[bytes], encode: RowEncode) -> Row | Reject:
        piece = pieces[index]
        if len(piece) > self._limits.max_record_bytes:
            detail = f"{len(piece)} bytes: expected at most {self._limits.max_record_bytes}"
            return reject(message, index, "too_large", detail, raw=piece)
        field: str | None
        try:
            _check_depth(piece)
            record = self._decoder.decode(piece)
            unstorable = self._check(record)
            if unstorable is None:
                encoded = encode(record, index, message.delivery_key(index))
                if len(encoded) <= self._limits.max_row_bytes:
                    record_id = getattr(record, self._id) if self._id else None
                    return Row(message=message, index=index, id=record_id, pieces=pieces, encoded=encoded)
                most = self._limits.max_row_bytes
                reason, field, detail = "too_large", None, f"{len(encoded)} bytes as a row: expected at most {most}"
            else:
                reason, field, detail = "invalid", unstorable.path, f"{unstorable.path} {unstorable.reason}"
        except msgspec.ValidationError as error:
            reason, field, detail = "invalid", field_path(str(error)), str(error)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            reason, field, detail = "malformed", None, f"not valid JSON: {error}"
        except RecursionError:
            detail = f"nested too deeply: expected at most {MAX_JSON_DEPTH} levels"
            reason, field = "malformed", None
        except Exception as error:  # whatever a declared type's own code raises is the record's fault
            reason, field, detail = "invalid", None, f"the record type refused it: {type(error).__name__}: {error}"
        return reject(message, index, reason, detail, raw=piece, field=field)


def _is_ndjson(message: Message) -> bool:
    return bool(message.content_type) and message.content_type.partition(";")[0].strip().lower() in _NDJSON


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


_SPACE = re.compile(r"[ \t\r\n]*")
_array = msgspec.json.Decoder(list[msgspec.Raw])
_anything = msgspec.json.Decoder(Any)


def _check_depth(piece: bytes) -> None:
    """Raise RecursionError for JSON deeper than a store takes. Nearly always its length or brackets settle it."""
    if len(piece) <= 2 * MAX_JSON_DEPTH or piece.count(b"[") + piece.count(b"{") <= MAX_JSON_DEPTH:
        return
    level, depth = [_anything.decode(piece)], 0
    while level := [container for container in level if isinstance(container, list | dict)]:
        depth += 1
        if depth > MAX_JSON_DEPTH:
            raise RecursionError
        level = [
            value for container in level for value in (container.values() if isinstance(container, dict) else container)
        ]


def field_path(message: str) -> str | None:
    """Return the dotted path that an error message of msgspec names, such as `legs[1].origin`."""
    at, named = _AT.search(message), _NAMED.search(message)
    parts = [found for found in (at and at["path"], named and named["name"]) if found]
    return ".".join(parts) or None


def _whole(message: Message, reason: str, detail: str) -> Reject:
    return reject(message, 0, reason, detail, raw=message.data)
