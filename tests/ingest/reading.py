"""Read the records of a message that holds some data."""

import msgspec

from app.ingest.decode.envelope import Message
from app.ingest.decode.reader import Decoded, RecordId, RecordReader
from app.ingest.decode.rejects import Reject
from app.record import Record
from app.schema.table import records_table
from app.settings.ingest import IngestSettings
from tests.ingest.scripted import ScriptedAppender

LIMITS = IngestSettings(
    max_decompressed_bytes=10_000,
    max_records_per_message=100,
    max_message_bytes=100_000,
    max_record_bytes=5_000,
    max_batch_bytes=10_000,
    max_rejects_per_message=100,
)
GOOD = b'{"id":"a","timestamp":"2026-01-31T12:00:00Z"}'


class Row(msgspec.Struct, frozen=True):
    """A row, as tests look at it."""

    index: int
    id: RecordId
    encoded: bytes


def rows_of(decoded: Decoded) -> list[Row]:
    """Return the rows of a message, one by one."""
    rows = decoded.rows
    return [Row(*each) for each in zip(rows.indexes, rows.ids, rows.encoded, strict=True)]


def decode(reader: RecordReader, message: Message) -> Decoded:
    """Read a message as the pipeline does: as a light one where that is possible."""
    return reader.read_light(message) or reader.read(message)


def read_message(reader: RecordReader, message: Message) -> tuple[list[Row], list[Reject]]:
    """Return the rows and the rejects of a message."""
    decoded = decode(reader, message)
    return rows_of(decoded), [*decoded.rejects]


def read(
    data: bytes,
    record_type: type[msgspec.Struct] = Record,
    content_type: str = "",
    content_encoding: str = "",
    limits: IngestSettings = LIMITS,
) -> tuple[list[Row], list[Reject]]:
    """Return the rows and the rejects of a message that holds `data`."""
    reader = RecordReader(records_table(record_type), ScriptedAppender().encoder, limits)
    message = Message(key="1:0", data=data, content_type=content_type, content_encoding=content_encoding)
    return read_message(reader, message)
