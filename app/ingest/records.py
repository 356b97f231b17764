"""Turn a message into rows: decode, validate, encode; each failure is a reject of its own. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from app.ingest.appender import RowEncode
from app.ingest.envelope import Message
from app.ingest.hints import malformed_detail
from app.ingest.pieces import ArrayPieces, Unreadable, is_ndjson, pieces_of
from app.ingest.rejects import Reject, reject
from app.ingest.rows import NO_ROWS, RecordId, Rows
from app.schema.checks import compile_checks
from app.schema.columns import Kind
from app.schema.table import Table

_AT = re.compile(r" - at `(?:key in )?\$\.?(?P<path>[^`]*)`$")
_NAMED = re.compile(r"(?:unknown|missing required) field `(?P<name>[^`]+)`")
MAX_JSON_DEPTH = 500  # https://cloud.google.com/bigquery/docs/json-data (limitations)
_SHALLOW = 2 * MAX_JSON_DEPTH  # bytes: each level takes two
_FIRST: Sequence[int] = (0,)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one message may hold."""

    max_decompressed_bytes: int
    max_records_per_message: int
    max_message_bytes: int
    max_record_bytes: int
    max_row_bytes: int


class _Good(msgspec.Struct, frozen=True, gc=False):
    """A record that can be stored."""

    id: RecordId
    encoded: bytes


class RecordReader:
    """Reads the records of messages as the rows of one table."""

    def __init__(self, table: Table, encoder: Callable[[Mapping[str, Any]], RowEncode], limits: Limits) -> None:
        self._decoder = msgspec.json.Decoder(table.record_type)
        self._array_decoder = msgspec.json.Decoder(list[table.record_type])  # type: ignore[name-defined] # a type all the same
        self._check = compile_checks(table.record)
        self._id = table.id.attribute if table.id else None
        required = [field.encode_name for field in msgspec.structs.fields(table.record_type) if field.required]
        self._least_bytes = len("{},") + sum(len(f'"{name}":1,') for name in required)
        # Then no record is deeper than its row: what is not declared is neither in the row nor accepted.
        declared = all(column.kind is not Kind.STRUCT for column in table.record)
        self._stores_all = declared and table.record_type.__struct_config__.forbid_unknown_fields
        self._encoder, self._limits = encoder, limits

    def read(self, message: Message) -> tuple[Rows, list[Reject]]:
        """Return the rows of the message's good records and the rejects of its bad ones."""
        plain = self._read_plain(message)
        if plain is not None:
            return plain, []
        limits = self._limits
        pieces = pieces_of(
            message, most=limits.max_records_per_message, max_decompressed_bytes=limits.max_decompressed_bytes
        )
        if isinstance(pieces, Unreadable):
            return NO_ROWS, [reject(message, 0, pieces.reason, pieces.detail, raw=message.data)]
        return self._read_each(message, pieces)

    def _read_plain(self, message: Message) -> Rows | None:
        """Return the rows of what nearly every message is, one good record or an array of them; None of any other."""
        first = message.data[:1]
        if message.content_encoding:
            return None
        if first != b"{" or message.content_type:
            return self._read_array(message) if first == b"[" else None
        read = self._read_one(message, 0, message.data, self._encoder(message.envelope()))
        if isinstance(read, Reject) or len(read.encoded) > self._limits.max_message_bytes:
            return None
        return Rows((read.encoded,), (read.id,), _FIRST, (message.data,))

    def _read_array(self, message: Message) -> Rows | None:
        """Return the rows of an array in which nothing is wrong; None where that is not plain, so one by one will tell.

        Nearly every array is such a one, and to decode it at once spares every record its turn.
        """
        payload, limits = message.data, self._limits
        if len(payload) > limits.max_record_bytes or is_ndjson(message) or self._may_be_too_many(payload):
            return None
        try:
            records = self._array_decoder.decode(payload)
            if any(self._check(record) is not None for record in records):
                return None
            encoded = self._encode_all(message, records)
        except Exception:  # whatever it is, it is one record's, and is told when that has its turn
            return None
        if encoded is None or len(encoded) > limits.max_records_per_message:
            return None
        is_shallow = self._stores_all and max(map(len, encoded), default=0) <= _SHALLOW
        if not is_shallow and _brackets(payload) > MAX_JSON_DEPTH:
            return None
        name = self._id
        ids: list[RecordId] = [getattr(record, name) for record in records] if name else [None] * len(records)
        return Rows(encoded, ids, range(len(records)), ArrayPieces(payload))

    def _encode_all(self, message: Message, records: Sequence[msgspec.Struct]) -> list[bytes] | None:
        """Return the rows; None as soon as they are too much: each has the whole envelope, however small its record."""
        encode, key_of = self._encoder(message.envelope()), message.delivery_key
        encoded, left = list[bytes](), min(self._limits.max_row_bytes, self._limits.max_message_bytes)
        for index, record in enumerate(records):
            row = encode(record, index, key_of(index))
            left -= len(row)
            if left < 0:
                return None
            encoded.append(row)
        return encoded

    def _may_be_too_many(self, payload: bytes) -> bool:
        """Return whether an array may hold more records than a message may, before any is made of it."""
        most = self._limits.max_records_per_message
        return len(payload) > most * self._least_bytes and payload.count(b"{") > most

    def _read_each(self, message: Message, pieces: Sequence[bytes]) -> tuple[Rows, list[Reject]]:
        """Return the rows and the rejects of the records whose bytes are `pieces`."""
        good, indexes, rejects = list[_Good](), list[int](), list[Reject]()
        most = left = self._limits.max_message_bytes
        encode = self._encoder(message.envelope())
        for index, piece in enumerate(pieces):
            read = self._read_one(message, index, piece, encode)
            if isinstance(read, Reject):
                rejects.append(read)
                continue
            good.append(read)
            indexes.append(index)
            left -= len(read.encoded)
            if left < 0:  # each row has the whole envelope: a small message of many records may become large
                detail = f"more than {most} bytes as rows, each with its envelope"
                return NO_ROWS, [reject(message, 0, "too_large", detail, raw=message.data)]
        return Rows([each.encoded for each in good], [each.id for each in good], indexes, pieces), rejects

    def _read_one(self, message: Message, index: int, piece: bytes, encode: RowEncode) -> _Good | Reject:
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
                    return _Good(getattr(record, self._id) if self._id else None, encoded)
                most = self._limits.max_row_bytes
                reason, field, detail = "too_large", None, f"{len(encoded)} bytes as a row: expected at most {most}"
            else:
                reason, field, detail = "invalid", unstorable.path, f"{unstorable.path} {unstorable.reason}"
        except msgspec.ValidationError as error:
            reason, field, detail = "invalid", field_path(str(error)), str(error)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            reason, field, detail = "malformed", None, malformed_detail(piece, error, message.content_type)
        except RecursionError:
            detail = f"nested too deeply: expected at most {MAX_JSON_DEPTH} levels"
            reason, field = "malformed", None
        except Exception as error:  # whatever a declared type's own code raises is the record's fault
            reason, field, detail = "invalid", None, f"the record type refused it: {type(error).__name__}: {error}"
        return reject(message, index, reason, detail, raw=piece, field=field)


_anything = msgspec.json.Decoder(Any)


def _check_depth(piece: bytes) -> None:
    """Raise RecursionError for JSON deeper than a store takes. Nearly always its length or brackets settle it."""
    if len(piece) <= _SHALLOW or _brackets(piece) <= MAX_JSON_DEPTH:
        return
    level, depth = [_anything.decode(piece)], 0
    while level := [container for container in level if isinstance(container, list | dict)]:
        depth += 1
        if depth > MAX_JSON_DEPTH:
            raise RecursionError
        level = [
            value for container in level for value in (container.values() if isinstance(container, dict) else container)
        ]


def _brackets(payload: bytes) -> int:
    """Return how many brackets open, of more than MAX_JSON_DEPTH of a kind only that."""
    return _count(payload, b"{", MAX_JSON_DEPTH) + _count(payload, b"[", MAX_JSON_DEPTH)


def _count(payload: bytes, byte: bytes, most: int) -> int:
    """Return how often `byte` occurs, of more than `most` times only that.

    Brackets are rare: to find each takes a fifth of what `bytes.count` takes, which looks at every byte by itself.
    """
    found, place = 0, payload.find(byte)
    while place >= 0 and found <= most:
        found, place = found + 1, payload.find(byte, place + 1)
    return found


def field_path(message: str) -> str | None:
    """Return the dotted path that an error message of msgspec names, such as `legs[1].origin`."""
    at, named = _AT.search(message), _NAMED.search(message)
    parts = [found for found in (at and at["path"], named and named["name"]) if found]
    return ".".join(parts) or None
