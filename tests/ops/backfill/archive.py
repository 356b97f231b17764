"""Avro files as a Cloud Storage subscription writes them, by the schema in Google's documentation.

https://cloud.google.com/pubsub/docs/create-cloudstorage-subscription#file_format
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastavro

PUBLISHED = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
WITH_METADATA: dict[str, Any] = {
    "type": "record",
    "namespace": "com.google.pubsub",
    "name": "PubsubMessageWithMetadata",
    "fields": [
        {"name": "subscription_name", "type": "string"},
        {"name": "message_id", "type": "string"},
        {"name": "publish_time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "attributes", "type": {"type": "map", "values": "string"}},
        {"name": "data", "type": "bytes"},
    ],
}
DATA_ONLY = {
    "type": "record",
    "namespace": "com.google.pubsub",
    "name": "PubsubMessage",
    "fields": [{"name": "data", "type": "bytes"}],
}


def archived(message_id: str, data: bytes, **members: Any) -> dict[str, Any]:
    """Return a message with its metadata."""
    return {
        "subscription_name": "projects/p/subscriptions/archive",
        "message_id": message_id,
        "publish_time": PUBLISHED,
        "attributes": {},
        "data": data,
    } | members


def write_avro(path: Path, messages: Sequence[dict[str, Any]], schema: dict[str, Any] = WITH_METADATA) -> Path:
    """Write a file of messages."""
    with path.open("wb") as file:
        fastavro.writer(file, schema, messages, codec="deflate")
    return path
