"""Rows of one record and its whole envelope, for tests that have no message to read them from."""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from app.ingest.decode.envelope import Message
from app.stores.sink import RowEncode


class _Encodes(Protocol):
    """An Appender, or what encodes for one."""

    def encoder(self, envelope: Mapping[str, Any]) -> RowEncode: ...


def encoded(appender: _Encodes, record: msgspec.Struct, envelope: Mapping[str, Any]) -> bytes:
    """Return a row without its `ingest_time`; `envelope` holds every other envelope column."""
    shared = dict(envelope)
    index, delivery_key = shared.pop("message_index"), shared.pop("delivery_key")
    return appender.encoder(shared)(record, index, delivery_key)


def whole_envelope(message: Message, index: int = 0) -> dict[str, Any]:
    """Return the envelope columns of the record at `index` of a message, all but `ingest_time`."""
    return message.envelope() | {"message_index": index, "delivery_key": message.delivery_key(index)}
