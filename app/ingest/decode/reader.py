"""Turn a message into rows: decode, validate, encode; each failure is a reject of its own. Pure.

Most messages are small, and are read at once (`read_at_once`). All others are read in steps (`read`), so that the event
loop can serve other requests in between. `read` decompresses the text, weighs it and splits it into records, and
decodes each record exactly once. IngestSettings bound the total cost: on the number of records, their weight
(app.ingest.decode.weight), the bytes of the rows, and the rejects.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from app.ingest.decode.envelope import Message
from app.ingest.decode.faults import ExaminedValues, FaultFinder, FieldFault, fault_of, is_of_type_code
from app.ingest.decode.hints import is_ndjson_type, malformed_detail, not_an_object_hint
from app.ingest.decode.rejects import Reject, RejectBudget, reject, with_faults
from app.ingest.decode.rows import NO_ROWS, RecordId, Rows
from app.ingest.decode.splitting import ArrayPieces, Pieces, Unreadable, pieces_of, text_of
from app.ingest.decode.versions import VersionedError, VersionReader
from app.ingest.decode.weight import SMALL_BYTES, Steps, has_typed_lists, is_deeper, list_weight, weight
from app.record import RejectReason
from app.schema.columns import Kind
from app.schema.protection import compile_protection, holds_personal_data
from app.schema.table import Table
from app.schema.undeclared_members import RestError, undeclared_reader
from app.schema.values import compile_checks
from app.settings.ingest import IngestSettings
from app.stores.sink import RowEncode

MAX_JSON_DEPTH = 500  # https://cloud.google.com/bigquery/docs/json-data (limitations)
_SHALLOW = 2 * MAX_JSON_DEPTH  # bytes: each level needs two
_TOO_DEEP = f"nested too deeply: expected at most {MAX_JSON_DEPTH} levels"
_COUNTED_SEVERAL_TIMES = "where values in typed lists count several times"
_UNDECLARED_TOO = "where values in typed lists and undeclared members count several times"
_UNDECLARED_WEIGHT = 40  # of a member that is kept, relative to a plain JSON value: Python code moves it to the rest
_MOST_AT_ONCE = 1_000
"""With more undeclared members, an array is read in steps."""
_FIRST: Sequence[int] = (0,)
_NONE: Sequence[int] = ()
Decoded = tuple[Rows, Sequence[Reject]]
"""The rows and rejects of a message; a plain tuple, as there is one for every message."""


class _Good(msgspec.Struct, frozen=True, gc=False):
    """A record that can be stored; `extra_weight`: of items in typed lists, and of undeclared members."""

    id: RecordId
    encoded: bytes
    extra_weight: int
    has_undeclared: bool


class _Refusal(NamedTuple):
    """Why a record is refused."""

    reason: RejectReason
    fault: FieldFault


class RecordReader:
    """Reads the records of messages as the rows of one table."""

    def __init__(self, table: Table, encoder: Callable[[Mapping[str, Any]], RowEncode], limits: IngestSettings) -> None:
        self._decoder = msgspec.json.Decoder(table.record_type)
        self._versions = None if table.versions is None else VersionReader(table.versions)
        self._array_decoder = msgspec.json.Decoder(list[table.record_type])  # type: ignore[name-defined] # a type all the same
        undeclared = undeclared_reader(table.record_type)
        self._rest = undeclared if undeclared is not None and undeclared.keeps else None
        keeps = self._rest is not None or (self._versions is not None and self._versions.keeps)
        self._counted = _UNDECLARED_TOO if keeps else _COUNTED_SEVERAL_TIMES
        self._check, self._protect = compile_checks(table.record), compile_protection(table)
        self._columns, self._faults = table.record, FaultFinder(table.record_type, table.record)
        self._quotes_values = not holds_personal_data(table)
        self._has_typed_lists = has_typed_lists(table.record)
        self._id = table.id.attribute if table.id else None
        required = [field.encode_name for field in msgspec.structs.fields(table.record_type) if field.required]
        self._least_bytes = len("{},") + sum(len(f'"{name}":1,') for name in required)
        # If so, no record is deeper than its row, since undeclared members are not accepted.
        declared = all(column.kind is not Kind.STRUCT for column in table.record)
        declared = declared and len(table.record) == len(table.record_type.__struct_fields__) and self._protect is None
        self._stores_all = declared and table.record_type.__struct_config__.forbid_unknown_fields
        self._encoder, self._limits = encoder, limits

    def read_at_once(self, message: Message) -> Decoded | None:
        """Read the common message, one record or an array of good ones; return None for any other.

        It reads only small messages, so it takes no longer than one step of `read`.
        """
        data = message.data
        if message.content_encoding or len(data) > SMALL_BYTES:
            return None
        if data[:1] != b"{" or (message.content_type and is_ndjson_type(message.content_type)):
            rows = self._read_array(message) if data[:1] == b"[" else None
            return None if rows is None else (rows, ())
        read = self._read_one(message, 0, data, self._encoder(message.envelope()))
        if isinstance(read, Reject):
            return None if read.reason == "invalid" else (NO_ROWS, (read,))  # its other errors are found in steps
        if len(read.encoded) > self._limits.max_message_bytes:
            return None
        return Rows((read.encoded,), (read.id,), _FIRST, (data,), _FIRST if read.has_undeclared else _NONE), ()

    def read(self, message: Message) -> Steps[Decoded]:
        """Return the rows of the good records and the rejects of the bad ones, or one reject if limits are exceeded.

        Each step yields the bytes that it has added to the memory of the message.
        """
        limits = self._limits
        text = yield from text_of(message, limits.max_decompressed_bytes)
        if isinstance(text, Unreadable):
            return _whole(message, text.reason, text.detail)
        weighed = 0
        if len(text) > SMALL_BYTES:
            weighed = yield from weight(text, limits.max_message_values)
            if weighed > limits.max_message_values:
                return _whole(message, "too_complex", f"the message has more than {limits.max_message_values} values")
        pieces = yield from pieces_of(message, text, most=limits.max_records_per_message)
        if isinstance(pieces, Unreadable):
            return _whole(message, pieces.reason, pieces.detail)
        return (yield from self._read_each(message, pieces, weighed))

    def _read_array(self, message: Message) -> Rows | None:
        """Return the rows of an array without any fault; None if in doubt, so that its records are read one by one.

        Nearly every array is faultless, and decoding it at once is cheaper than record by record.
        """
        payload, limits = message.data, self._limits
        if (
            len(payload) > limits.max_record_bytes
            or self._versions is not None
            or is_ndjson_type(message.content_type)
            or self._may_be_too_many(payload)
        ):
            return None
        try:
            records = self._array_decoder.decode(payload)
            if any(self._check(record) is not None for record in records):
                return None
            with_undeclared = _NONE if self._rest is None else self._rest.fill_all(records, payload, _MOST_AT_ONCE)
            if self._protect is not None:
                for record in records:
                    self._protect(record)
            encoded = None if with_undeclared is None else self._encode_all(message, records)
        except Exception:  # one record's fault; reading one by one finds and reports it
            return None
        if encoded is None or with_undeclared is None or len(encoded) > limits.max_records_per_message:
            return None
        is_shallow = self._stores_all and max(map(len, encoded), default=0) <= _SHALLOW
        if not is_shallow and is_deeper(payload, MAX_JSON_DEPTH):  # counts the array too: one by one
            return None
        name = self._id
        ids: list[RecordId] = [getattr(record, name) for record in records] if name else [None] * len(records)
        return Rows(encoded, ids, range(len(records)), ArrayPieces(payload), with_undeclared)

    def _encode_all(self, message: Message, records: Sequence[msgspec.Struct]) -> list[bytes] | None:
        """Return the rows; None as soon as they are too large, since each row repeats the whole envelope."""
        encode, key_of = self._encoder(message.envelope()), message.delivery_key
        encoded, left = list[bytes](), min(self._limits.max_batch_bytes, self._limits.max_message_bytes)
        for index, record in enumerate(records):
            row = encode(record, index, key_of(index))
            left -= len(row)
            if left < 0:
                return None
            encoded.append(row)
        return encoded

    def _may_be_too_many(self, payload: bytes) -> bool:
        """Return whether an array may hold more records than a message may, without decoding it."""
        most = self._limits.max_records_per_message
        return len(payload) > most * self._least_bytes and payload.count(b"{") > most

    def _read_each(self, message: Message, pieces: Pieces, weighed: int) -> Steps[Decoded]:
        """Return the rows and the rejects of the records of a message that weighs `weighed` (0 if it is small)."""
        limits = self._limits
        good, indexes, rejects = list[_Good](), list[int](), list[Reject]()
        left, total = limits.max_message_bytes, weighed
        budget = RejectBudget(message, max_rejects=limits.max_rejects_per_message, max_bytes=limits.max_message_bytes)
        encode, examined = self._encoder(message.envelope()), ExaminedValues()
        for index in range(len(pieces)):
            piece = pieces[index]
            if weighed and len(piece) > SMALL_BYTES:
                read = yield from self._read_large(message, index, piece, encode)
            else:
                read = self._read_one(message, index, piece, encode)
            if isinstance(read, Reject):
                if read.reason == "too_complex" and len(pieces) == 1:
                    return _whole(message, read.reason, read.detail)  # keep the original bytes, which may be far fewer
                if read.reason == "invalid":
                    read = yield from self._with_all_faults(read, piece, examined)
                rejects.append(read)
                if not budget.allows(read):
                    return NO_ROWS, (budget.exceeded(index + 1, len(pieces)),)
                yield len(piece)
                continue
            good.append(read)
            indexes.append(index)
            total += read.extra_weight
            if total > limits.max_message_values:
                detail = f"the message has more than {limits.max_message_values} values, {self._counted}"
                return _whole(message, "too_complex", detail)
            left -= len(read.encoded)
            if left < 0:  # each row repeats the envelope, so a small message of many records may become large
                detail = f"the message has more than {limits.max_message_bytes} bytes as rows, envelopes included"
                return _whole(message, "too_large", detail)
            yield len(read.encoded)
        with_undeclared = {index for index, each in zip(indexes, good, strict=True) if each.has_undeclared}
        return Rows(
            [each.encoded for each in good], [each.id for each in good], indexes, pieces, with_undeclared
        ), rejects

    def _with_all_faults(self, rejected: Reject, piece: bytes, examined: ExaminedValues) -> Steps[Reject]:
        """Return the reject of an invalid record with its other errors, and the name of its version if it has one."""
        finder: FaultFinder | None = self._faults
        (first,), version = rejected.faults, ""
        if self._versions is not None:
            finder, version = self._versions.faults_of(piece, rejected.message.attributes)
        faults = (first,) if finder is None else (yield from finder.all_of(first, piece, examined))
        if not self._quotes_values or rejected.message.may_be_personal:
            faults = tuple(fault.without_values() for fault in faults)
        whole = with_faults(rejected, faults, version)
        hint = "" if whole.faults or whole.field else not_an_object_hint(piece, whole.message.content_type)
        return msgspec.structs.replace(whole, detail=f"{whole.detail} ({hint})") if hint else whole

    def _read_large(self, message: Message, index: int, piece: bytes, encode: RowEncode) -> Steps[_Good | Reject]:
        """Read a record that may take long: weigh it first, in separate steps."""
        most = self._limits.max_record_values
        if len(piece) > self._limits.max_record_bytes:
            return self._read_one(message, index, piece, encode)
        weighed = yield from weight(piece, most)
        if weighed > most:
            return reject(message, index, "too_complex", f"the record has more than {most} values", raw=piece)
        if is_deeper(piece, MAX_JSON_DEPTH):
            return reject(message, index, "malformed", _TOO_DEEP, raw=piece)
        yield 0
        return self._read_one(message, index, piece, encode, weighed=weighed)

    def _read_one(
        self, message: Message, index: int, piece: bytes, encode: RowEncode, *, weighed: int = 0
    ) -> _Good | Reject:
        """Read one record; `weighed` is the weight of a large one, whose depth was already checked."""
        try:
            read = self._read_good(piece, index, message, encode, weighed)
            if isinstance(read, _Good):
                return read
            reason, fault = read
        except VersionedError as error:
            reason, fault = "invalid", error.fault
        except RestError as error:
            reason, fault = "invalid", FieldFault(error.name, str(error))
        except RecursionError:
            reason, fault = "malformed", FieldFault(None, _TOO_DEEP)
        except Exception as error:  # any error in a declared type's own code is the record's fault
            is_json = isinstance(error, msgspec.ValidationError) or is_of_type_code(error)
            if is_json or not isinstance(error, msgspec.DecodeError | UnicodeDecodeError):
                reason, fault = "invalid", fault_of(error)
            else:
                detail = malformed_detail(piece, error, message.content_type)
                reason, fault = "malformed", FieldFault(None, detail)
        rejected = reject(message, index, reason, fault.detail, raw=piece, field=fault.field)
        return msgspec.structs.replace(rejected, faults=(fault,)) if reason == "invalid" else rejected

    def _read_good(
        self, piece: bytes, index: int, message: Message, encode: RowEncode, weighed: int
    ) -> _Good | _Refusal:
        """Return the row of a record, or its fault; decoding errors are raised instead."""
        limits = self._limits
        if len(piece) > limits.max_record_bytes:
            detail = f"{len(piece)} bytes: expected at most {limits.max_record_bytes}"
            return _Refusal("too_large", FieldFault(None, detail))
        if not weighed and is_deeper(piece, MAX_JSON_DEPTH):
            raise RecursionError
        most = max(limits.max_record_values - weighed, 0) // _UNDECLARED_WEIGHT
        record, undeclared = self._decode(piece, message, most)
        extra = undeclared * _UNDECLARED_WEIGHT + (list_weight(self._columns, record) if self._has_typed_lists else 0)
        if extra and weighed + extra > limits.max_record_values:
            detail = f"the record has more than {limits.max_record_values} values, {self._counted}"
            return _Refusal("too_complex", FieldFault(None, detail))
        unstorable = self._check(record)
        if unstorable is not None:
            return _Refusal("invalid", FieldFault(unstorable.path, f"{unstorable.path} {unstorable.reason}"))
        if self._protect is not None:
            self._protect(record)
        encoded = encode(record, index, message.delivery_key(index))
        if len(encoded) > limits.max_batch_bytes:
            detail = f"{len(encoded)} bytes as a row: expected at most {limits.max_batch_bytes}"
            return _Refusal("too_large", FieldFault(None, detail))
        return _Good(getattr(record, self._id) if self._id else None, encoded, extra, undeclared > 0)

    def _decode(self, piece: bytes, message: Message, most: int) -> tuple[msgspec.Struct, int]:
        """Return a record with its rest, and how many undeclared members it has if they are kept (`most` + 1: more)."""
        if self._versions is not None:
            return self._versions.decode(piece, message.attributes, most)
        record: msgspec.Struct = self._decoder.decode(piece)
        return record, 0 if self._rest is None else self._rest.fill(record, piece, most)


def _whole(message: Message, reason: RejectReason, detail: str) -> Decoded:
    """Return a single reject for the whole message; none of its records is stored."""
    return NO_ROWS, (reject(message, 0, reason, detail, raw=message.data),)
