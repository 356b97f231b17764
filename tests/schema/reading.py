"""Reading the records of a message, with limits that no test means to meet."""

from collections.abc import Mapping
from typing import Any

import msgspec

from app.ingest.decode.envelope import Message
from app.ingest.decode.reader import RecordReader
from app.ingest.decode.rejects import Reject
from app.schema.table import records_table
from app.settings.ingest import IngestSettings
from app.stores.sink import RowEncode
from tests.ingest.reading import read_message

ROOMY = IngestSettings(
    max_decompressed_bytes=2**24,
    max_records_per_message=1_000,
    max_record_bytes=2**22,
    max_message_bytes=2**26,
    max_batch_bytes=2**23,
    max_rejects_per_message=1_000,
)


def _encoder(_: Mapping[str, Any]) -> RowEncode:
    return lambda record, _, __: msgspec.json.encode(record)


def rejected(record_type: type[msgspec.Struct], payload: bytes) -> list[Reject]:
    """Return the rejects of a message of one record that holds nothing else."""
    reader = RecordReader(records_table(record_type), _encoder, ROOMY)
    rows, rejects = read_message(
        reader, Message(key="1:0", data=payload, content_type="application/x-ndjson", message_id="1")
    )
    assert not rows
    return [*rejects]
