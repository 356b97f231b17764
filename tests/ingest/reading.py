"""Read the records of a message that holds some data."""

import msgspec

from app.ingest.envelope import Message
from app.ingest.records import Limits, RecordReader
from app.ingest.rejects import Reject
from app.ingest.rows import Row
from app.record import Record
from app.schema.table import records_table
from tests.ingest.scripted import ScriptedAppender

LIMITS = Limits(
    max_decompressed_bytes=10_000,
    max_records_per_message=100,
    max_message_bytes=100_000,
    max_record_bytes=5_000,
    max_row_bytes=10_000,
)
GOOD = b'{"id":"a","timestamp":"2026-01-31T12:00:00Z"}'


def read(
    data: bytes,
    record_type: type[msgspec.Struct] = Record,
    content_type: str = "",
    content_encoding: str = "",
    limits: Limits = LIMITS,
) -> tuple[list[Row], list[Reject]]:
    """Return the rows and the rejects of a message that holds `data`."""
    reader = RecordReader(records_table(record_type), ScriptedAppender().encoder, limits)
    message = Message(key="1:0", data=data, content_type=content_type, content_encoding=content_encoding)
    rows, rejects = reader.read(message)
    return [*rows], rejects
