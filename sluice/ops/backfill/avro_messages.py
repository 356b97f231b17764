"""Read the Avro files that a Cloud Storage subscription writes.

With metadata, a record is a message with its id and publish time, and so has the delivery key that a push of it has:
https://cloud.google.com/pubsub/docs/create-cloudstorage-subscription#file_format. Without metadata it is the data only.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import IO, Any

import fastavro
import msgspec

from app.ingest.decode.envelope import EnvelopeError, message_of
from sluice.ops.backfill.formats import Fault, Item, Reading


class _Data(msgspec.Struct):
    """A message without metadata."""

    data: bytes


class _Message(_Data):
    """A message with metadata, as far as a push of it would be the same."""

    attributes: dict[str, str]
    message_id: str
    publish_time: datetime


_WITH_METADATA, _DATA_ONLY = "com.google.pubsub.PubsubMessageWithMetadata", "com.google.pubsub.PubsubMessage"


def read_avro(file: IO[bytes], reading: Reading) -> Iterator[Item]:
    """Yield each message of the file.

    Raises:
        ValueError: the file has another schema than those that Pub/Sub writes, or other types in it.
    """
    records: Any = fastavro.reader(file)
    schema = records.writer_schema
    name = schema.get("name", "") if isinstance(schema, dict) else ""
    full = name if "." in name else f"{schema.get('namespace', '')}.{name}" if name else ""
    if full not in {_WITH_METADATA, _DATA_ONLY}:
        raise ValueError(
            f"the schema is {full or 'no record'}: expected {_WITH_METADATA} or {_DATA_ONLY}, which a Cloud Storage "
            "subscription writes unless it uses the topic's schema"
        )
    kind = _Message if full == _WITH_METADATA else _Data
    for row, record in enumerate(records):
        read = msgspec.convert(record, kind, builtin_types=(bytes, datetime))
        yield _archived(row, read, reading) if isinstance(read, _Message) else Item(row, read.data)


def _archived(row: int, archived: _Message, reading: Reading) -> Item:
    """Return a message as its push would be, but with no subscription and no trace: those were another delivery's."""
    try:
        message = message_of(
            data=archived.data,
            attributes=archived.attributes,
            subscription=None,
            message_id=archived.message_id,
            publish_time=archived.publish_time,
            ordering_key=None,
            route="",
            proofs=reading.proofs,
        )
    except EnvelopeError as error:
        return Item(row, archived.data, fault=Fault("malformed", str(error)[:500]))
    return Item(row, archived.data, msgspec.structs.replace(message, trace_id=None, parent=None))
