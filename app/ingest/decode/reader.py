"""Turn a message into rows: decode, validate, encode; each failure is a reject of its own. Pure.

Most messages are light, and are read on the event loop (`read_light`): what is small, light by a sample of it, and has
few rejects. All others are read by the same code in a process of its own (app.ingest.decode.heavy), where the limits
are processor time and memory. IngestSettings bound the number of records, the bytes of the rows, and the rejects.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from app.ingest.decode.envelope import Message
from app.ingest.decode.faults import (
    MAX_EXAMINED,
    Examined,
    FaultFinder,
    FieldFault,
    fault_of,
    is_of_type_code,
)
from app.ingest.decode.payload import (
    SMALL_BYTES,
    Pieces,
    Unreadable,
    is_deeper,
    is_light,
    is_ndjson_type,
    malformed_detail,
    pieces_of,
    text_of,
    value_weight,
)
from app.ingest.decode.rejects import Reject, RejectBudget, combined, reject, scrubber_of, with_faults, withheld
from app.ingest.decode.versions import VersionedError, VersionReader
from app.record import RejectReason
from app.schema.columns import Kind
from app.schema.protection import Hasher, compile_protection, holds_personal_data
from app.schema.table import Table
from app.schema.undeclared_members import NONE_UNDECLARED, RestError, Undeclared, undeclared_reader
from app.schema.values import compile_checks
from app.settings.ingest import IngestSettings
from app.stores.sink import RowEncode

MAX_JSON_DEPTH = 500  # https://cloud.google.com/bigquery/docs/json-data (limitations)
# Records of a light message that are read one by one, each in 5 µs, and rejects among them, each in 50 µs.
_MOST_RECORDS_OF_LIGHT, _MOST_REJECTS_OF_LIGHT = 2_000, 100
_SHALLOW = 2 * MAX_JSON_DEPTH  # bytes of a row beside what it has of the envelope: each level needs two
_ENCODED_AT_ONCE = 128  # rows: a call for each would cost an array of 100 a hundredth
_TOO_DEEP = f"nested too deeply: expected at most {MAX_JSON_DEPTH} levels"
_FIRST: Sequence[int] = (0,)


RecordId = str | int | None
"""None if the record type names no id."""


class Rows(msgspec.Struct, frozen=True, gc=False):
    """The rows of one message, in order, without those of rejected records.

    `encoded` are the rows for the store, without `ingest_time`, which every attempt stamps. `ids` and `indexes` are
    their records' ids and positions in the message.
    """

    encoded: Sequence[bytes]
    ids: Sequence[RecordId]
    indexes: Sequence[int]

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.encoded)

    def without(self, positions: Collection[int]) -> "Rows":
        """Return the rows but those at `positions`."""
        kept = [position for position in range(len(self)) if position not in positions]
        return Rows(
            [self.encoded[position] for position in kept],
            [self.ids[position] for position in kept],
            [self.indexes[position] for position in kept],
        )

    def by_index(self) -> Iterator[tuple[int, RecordId]]:
        """Yield each row's position in the message, and its id."""
        return ((index, self.ids[position]) for position, index in enumerate(self.indexes))


NO_ROWS = Rows((), (), ())


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """The rows and rejects of a message, and its undeclared members. The rejects hold no personal data."""

    rows: Rows
    rejects: Sequence[Reject] = ()
    undeclared: Undeclared = NONE_UNDECLARED


class _Good(msgspec.Struct, frozen=True, gc=False):
    """A record that can be stored."""

    id: RecordId
    encoded: bytes
    undeclared: Undeclared


class _Refusal(NamedTuple):
    """Why a record is refused."""

    reason: RejectReason
    fault: FieldFault


class _HeavyError(Exception):
    """A message has more records or rejects than a light one may."""


class RecordReader:
    """Reads the records of messages as the rows of one table; a `hasher` is needed for personal data."""

    def __init__(
        self,
        table: Table,
        encoder: Callable[[Mapping[str, Any]], RowEncode],
        limits: IngestSettings,
        hasher: Hasher | None = None,
    ) -> None:
        self.stream, self._encoder, self._limits, self._hasher = table.name, encoder, limits, hasher
        self._decoder = msgspec.json.Decoder(table.record_type)
        self._versions = None if table.versions is None else VersionReader(table.versions)
        self._array_decoder = msgspec.json.Decoder(list[table.record_type])  # type: ignore[name-defined] # a type all the same
        self._undeclared = undeclared_reader(table.record_type)
        self._check, self._protect = compile_checks(table.record), compile_protection(table)
        self._faults, self._scrubber = FaultFinder(table.record_type, table.record), scrubber_of(table, hasher)
        self._quotes_values = not holds_personal_data(table)
        counts_undeclared = (
            self._undeclared is not None if self._versions is None else self._versions.accepts_undeclared
        )
        self._value_weight = value_weight(table.record, counts_undeclared=counts_undeclared)
        self._id = table.id.attribute if table.id else None
        required = [field.encode_name for field in msgspec.structs.fields(table.record_type) if field.required]
        self._least_bytes = len("{},") + sum(len(f'"{name}":1,') for name in required)
        # If so, no record is deeper than its row, since undeclared members are not accepted.
        declared = len(table.record) == len(table.record_type.__struct_fields__) and self._protect is None
        is_strict = declared and table.record_type.__struct_config__.forbid_unknown_fields
        self._stores_all = is_strict and all(column.kind is not Kind.STRUCT for column in table.record)

    def read_light(self, message: Message) -> Decoded | None:
        """Read a message that is light; return None for any other, whose rejects must not be known from this call."""
        if message.unroutable:
            return self._rejected_whole(message, "unroutable", message.unroutable)
        text = message.data
        if message.content_encoding:
            inflated = text_of(message, min(SMALL_BYTES, self._limits.max_decompressed_bytes))
            if isinstance(inflated, Unreadable):
                heavy = inflated.reason == "too_large"
                return None if heavy else self._rejected_whole(message, inflated.reason, inflated.detail)
            text = inflated
        if len(text) > SMALL_BYTES or not is_light(text, self._value_weight):
            return None
        if text[:1] == b"{" and not (message.content_type and is_ndjson_type(message.content_type)):
            read = self._read_one(message, 0, text, self._encoder(message.envelope()))
            if isinstance(read, _Good) and len(read.encoded) <= self._limits.max_message_bytes:
                return Decoded(Rows((read.encoded,), (read.id,), _FIRST), (), read.undeclared)
        try:
            return self._read_text(message, text, is_light=True)
        except _HeavyError:
            return None

    def read(self, message: Message) -> Decoded:
        """Return the rows of the good records and the rejects of the bad ones, or one reject if limits are exceeded."""
        text = text_of(message, self._limits.max_decompressed_bytes)
        if isinstance(text, Unreadable):
            return self._rejected_whole(message, text.reason, text.detail)
        return self._read_text(message, text)

    def too_complex(self, message: Message, detail: str) -> Decoded:
        """Return the reject of a message that used up what a process may use, without looking at its bytes."""
        rejected = reject(0, "too_complex", detail, raw=message.data)
        may_be_personal = message.may_be_personal or self._scrubber is not None
        return Decoded(NO_ROWS, (withheld(rejected, self._hasher) if may_be_personal else rejected,))

    def is_small(self, message: Message) -> bool:
        """Return whether the records of a message can be told apart on the event loop."""
        return not message.content_encoding and len(message.data) <= SMALL_BYTES

    def rejects_of(self, message: Message, refused: Sequence[Reject], allowed: int) -> list[Reject]:
        """Return the rejects of rows that the store has refused, with their bytes, of which `allowed` may be single.

        Beyond that, or if their rows would be too large, one reject holds the bytes of all.
        """
        text = text_of(message, self._limits.max_decompressed_bytes)
        most = self._limits.max_records_per_message
        pieces = text if isinstance(text, Unreadable) else pieces_of(message, text, most=most)
        if isinstance(pieces, Unreadable):  # it was read before
            raise TypeError(pieces.detail)
        budget = RejectBudget(message, max_rejects=allowed, max_bytes=self._limits.max_message_bytes)
        made = [msgspec.structs.replace(each, raw=pieces[each.index]) for each in refused]
        scrubbed = self._scrubbed(message, made)
        if all(budget.allows(each) for each in scrubbed):
            return scrubbed
        return [combined(scrubbed, is_ndjson=is_ndjson_type(message.content_type))]

    def _read_text(self, message: Message, text: bytes, *, is_light: bool = False) -> Decoded:
        """Return what is in the decompressed `text` of a message.

        Raises:
            _HeavyError: that is more than a light message may hold.
        """
        if text[:1] == b"[" and (decoded := self._read_array(message, text)) is not None:
            return decoded
        most = self._limits.max_records_per_message
        pieces = pieces_of(message, text, most=min(most, _MOST_RECORDS_OF_LIGHT) if is_light else most)
        if isinstance(pieces, Unreadable):
            if is_light and pieces.reason == "too_many_records":
                raise _HeavyError
            return self._rejected_whole(message, pieces.reason, pieces.detail)
        return self._read_each(message, pieces, _MOST_REJECTS_OF_LIGHT if is_light else math.inf)

    def _read_array(self, message: Message, text: bytes) -> Decoded | None:
        """Return the rows of an array without any fault; None if in doubt, so that its records are read one by one.

        Nearly every array is faultless, and decoding it at once is cheaper than record by record.
        """
        limits = self._limits
        if (
            len(text) > limits.max_record_bytes
            or self._versions is not None
            or is_ndjson_type(message.content_type)
            or self._may_be_too_many(text)
        ):
            return None
        try:
            records = self._array_decoder.decode(text)
            check = self._check
            for record in records:  # a generator would take longer, and every array passes here
                if check(record) is not None:
                    return None
            undeclared = NONE_UNDECLARED if self._undeclared is None else self._undeclared.take_all(records, text)
            if self._protect is not None:
                for record in records:
                    self._protect(record)
            encoded = self._encode_all(message, records)
        except Exception:  # one record's fault; reading one by one finds and reports it
            return None
        if encoded is None or len(encoded) > limits.max_records_per_message:
            return None
        key_bytes = min(len(message.delivery or message.key), len(message.delivery_key(0)))
        shared_bytes = key_bytes + len(message.message_id or "") + len(message.subscription_name or "")
        is_shallow = self._stores_all and max(map(len, encoded), default=0) - shared_bytes <= _SHALLOW
        if not is_shallow and is_deeper(text, MAX_JSON_DEPTH):  # counts the array too: one by one
            return None
        ids: list[RecordId] = [*map(attrgetter(self._id), records)] if self._id else [None] * len(records)
        return Decoded(Rows(encoded, ids, range(len(records))), (), undeclared)

    def _encode_all(self, message: Message, records: Sequence[msgspec.Struct]) -> list[bytes] | None:
        """Return the rows; None as soon as a part of them is too large, since each repeats the whole envelope."""
        encode, key = self._encoder(message.envelope()), message.delivery or message.key
        encoded, left = list[bytes](), min(self._limits.max_batch_bytes, self._limits.max_message_bytes)
        keys = [message.delivery_key(0), *(f"{key}:{index}" for index in range(1, len(records)))]
        for start in range(0, len(records), _ENCODED_AT_ONCE):
            indexes = range(start, min(start + _ENCODED_AT_ONCE, len(records)))
            rows = [*map(encode, records[start : indexes.stop], indexes, keys[start : indexes.stop])]
            left -= sum(map(len, rows))
            if left < 0:
                return None
            encoded += rows
        return encoded

    def _may_be_too_many(self, payload: bytes) -> bool:
        """Return whether an array may hold more records than a message may, without decoding it."""
        most = self._limits.max_records_per_message
        return len(payload) > most * self._least_bytes and payload.count(b"{") > most

    def _read_each(self, message: Message, pieces: Pieces, most_rejects: float) -> Decoded:
        """Return the rows and the rejects of the records."""
        limits, left = self._limits, self._limits.max_message_bytes
        good, indexes, rejects, undeclared = list[_Good](), list[int](), list[Reject](), Undeclared()
        budget = RejectBudget(message, max_rejects=limits.max_rejects_per_message, max_bytes=limits.max_message_bytes)
        encode, examined = self._encoder(message.envelope()), iter(range(MAX_EXAMINED))
        for index in range(len(pieces)):
            piece = pieces[index]
            read = self._read_one(message, index, piece, encode)
            if isinstance(read, Reject):
                rejects.append(self._with_all_faults(message, read, piece, examined))
                if not budget.allows(rejects[-1]):
                    exceeded = budget.exceeded(index + 1, len(pieces))
                    return Decoded(NO_ROWS, self._scrubbed(message, [exceeded]))
                if len(rejects) > most_rejects:
                    raise _HeavyError
                continue
            good.append(read)
            indexes.append(index)
            undeclared.update(read.undeclared)
            left -= len(read.encoded)
            if left < 0:  # each row repeats the envelope, so a small message of many records may become large
                detail = f"the message has more than {limits.max_message_bytes} bytes as rows, envelopes included"
                return self._rejected_whole(message, "too_large", detail)
        rows = Rows([each.encoded for each in good], [each.id for each in good], indexes)
        return Decoded(rows, self._scrubbed(message, rejects), undeclared)

    def _with_all_faults(self, message: Message, rejected: Reject, piece: bytes, examined: Examined) -> Reject:
        """Return the reject of an invalid record with its other errors, and the name of its version if it has one."""
        if rejected.reason != "invalid":
            return rejected
        finder: FaultFinder | None = self._faults
        (first,), version = rejected.faults, ""
        if self._versions is not None:
            finder, version = self._versions.faults_of(piece, message.attributes)
        faults = (first,) if finder is None else finder.all_of(first, piece, examined)
        if not self._quotes_values or message.may_be_personal:
            faults = tuple(fault.without_values() for fault in faults)
        return with_faults(rejected, faults, version)

    def _read_one(self, message: Message, index: int, piece: bytes, encode: RowEncode) -> _Good | Reject:
        """Read one record."""
        try:
            read = self._read_good(piece, index, message, encode)
            if isinstance(read, _Good):
                return read
            reason, fault = read
        except VersionedError as error:
            reason, fault = "invalid", error.fault
        except RestError as error:
            reason, fault = "invalid", FieldFault(error.name, str(error))
        except RecursionError:
            reason, fault = "malformed", FieldFault(None, _TOO_DEEP)
        except MemoryError:  # not the record's fault: the process may use no more
            raise
        except Exception as error:  # any error in a declared type's own code is the record's fault
            is_json = isinstance(error, msgspec.ValidationError) or is_of_type_code(error)
            if is_json or not isinstance(error, msgspec.DecodeError | UnicodeDecodeError):
                reason, fault = "invalid", fault_of(error)
            else:
                detail = malformed_detail(piece, error, message.content_type)
                reason, fault = "malformed", FieldFault(None, detail)
        rejected = reject(index, reason, fault.detail, raw=piece, field=fault.field)
        return msgspec.structs.replace(rejected, faults=(fault,)) if reason == "invalid" else rejected

    def _read_good(self, piece: bytes, index: int, message: Message, encode: RowEncode) -> _Good | _Refusal:
        """Return the row of a record, or its fault; decoding errors are raised instead."""
        limits = self._limits
        if len(piece) > limits.max_record_bytes:
            detail = f"{len(piece)} bytes: expected at most {limits.max_record_bytes}"
            return _Refusal("too_large", FieldFault(None, detail))
        if is_deeper(piece, MAX_JSON_DEPTH):
            raise RecursionError
        undeclared = NONE_UNDECLARED
        if self._versions is not None:
            record, undeclared = self._versions.decode(piece, message.attributes)
        else:
            record = self._decoder.decode(piece)
            if self._undeclared is not None:
                undeclared = self._undeclared.take(record, piece)
        unstorable = self._check(record)
        if unstorable is not None:
            return _Refusal("invalid", FieldFault(unstorable.path, f"{unstorable.path} {unstorable.reason}"))
        if self._protect is not None:
            self._protect(record)
        encoded = encode(record, index, message.delivery_key(index))
        if len(encoded) > limits.max_batch_bytes:
            detail = f"{len(encoded)} bytes as a row: expected at most {limits.max_batch_bytes}"
            return _Refusal("too_large", FieldFault(None, detail))
        return _Good(getattr(record, self._id) if self._id else None, encoded, undeclared)

    def _rejected_whole(self, message: Message, reason: RejectReason, detail: str) -> Decoded:
        """Return a single reject for the whole message; none of its records is stored."""
        return Decoded(NO_ROWS, self._scrubbed(message, [reject(0, reason, detail, raw=message.data)]))

    def _scrubbed(self, message: Message, rejects: list[Reject]) -> list[Reject]:
        """Return rejects without personal data."""
        if message.may_be_personal:
            return [withheld(each, self._hasher) for each in rejects]
        if self._scrubber is None:
            return rejects
        return [self._scrubber.scrubbed(each, message.attributes) for each in rejects]
