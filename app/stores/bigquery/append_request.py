"""Write AppendRows requests as bytes, so that each row is copied once on its way to the wire. Pure.

With the client's message types, a request would copy each row five times (bench/README.md). On the wire, a message
is a sequence of fields, each a tag, a length and its content
(https://protobuf.dev/programming-guides/encoding/#structure). The field numbers are those of the client.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from google.cloud.bigquery_storage_v1 import types
from google.protobuf.descriptor_pb2 import DescriptorProto

from app.stores.bigquery.varint import varint

_REQUEST: Any = types.AppendRowsRequest.pb()
_DATA: Any = types.AppendRowsRequest.ProtoData.pb()
_LENGTHS = 16_384  # cached row headers, by row length: the rows of a table have similar lengths


def _tag(message: Any, field: str) -> bytes:
    return varint(message.DESCRIPTOR.fields_by_name[field].number << 3 | 2)  # 2: a length follows, then that many bytes


_PROTO_ROWS, _ROWS = _tag(_REQUEST, "proto_rows"), _tag(_DATA, "rows")
_ROW = _tag(types.ProtoRows.pb(), "serialized_rows")


class AppendRequests:
    """Writes the requests of one stream; a `first` request also carries what applies to all that follow."""

    def __init__(self, stream: str, trace_id: str, descriptor: DescriptorProto) -> None:
        same = {"write_stream": stream, "trace_id": trace_id}
        default = types.AppendRowsRequest.MissingValueInterpretation.DEFAULT_VALUE
        self._head: bytes = _REQUEST(**same).SerializeToString()
        self._first_head: bytes = _REQUEST(**same, default_missing_value_interpretation=default).SerializeToString()
        self._schema: bytes = _DATA(writer_schema={"proto_descriptor": descriptor}).SerializeToString()

    def write(self, rows: Sequence[bytes], end: bytes, *, first: bool) -> bytes:
        """Return the request that appends `rows`, each followed by `end`, its stamp."""
        parts = [b""]
        for row in rows:
            parts += (_before(len(row) + len(end)), row, end)
        size = sum(map(len, parts))
        schema = self._schema if first else b""
        before_rows = schema + _ROWS + varint(size)
        head = self._first_head if first else self._head
        parts[0] = head + _PROTO_ROWS + varint(len(before_rows) + size) + before_rows
        return b"".join(parts)


@lru_cache(_LENGTHS)
def _before(size: int) -> bytes:
    return _ROW + varint(size)
