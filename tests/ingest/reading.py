"""Read the records of a message that holds some data."""

from typing import TypeVar

import msgspec

from app.ingest.decode.envelope import Message
from app.ingest.decode.reader import Decoded, RecordReader
from app.ingest.decode.rejects import Reject
from app.ingest.decode.rows import Row
from app.ingest.decode.weight import Steps
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
    max_message_values=2_000_000,
    max_record_values=200_000,
    max_rejects_per_message=100,
)
GOOD = b'{"id":"a","timestamp":"2026-01-31T12:00:00Z"}'


_Result = TypeVar("_Result")


def finish(steps: Steps[_Result], yielded: list[int] | None = None) -> _Result:
    """Run `steps` to their end and return the result; add what they yield to `yielded`."""
    while True:
        try:
            step = next(steps)
        except StopIteration as done:
            result: _Result = done.value
            return result
        if yielded is not None:
            yielded.append(step)


def read_message(reader: RecordReader, message: Message) -> Decoded:
    """Read a message as the pipeline does: at once where that is possible."""
    return reader.read_at_once(message) or finish(reader.read(message))


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
    rows, rejects = read_message(reader, message)
    return [*rows], [*rejects]
