"""Arrow IPC streams, cut into messages: a schema, then batches of rows. Nothing else of Arrow is read here.

https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format
"""

from collections.abc import Iterator
from struct import unpack_from

from sluice_client.errors import ResponseError

_PREFIX_BYTES = 8  # a mark, and the length of the metadata
_MARK = 0xFFFFFFFF
_LONGEST_BYTES = 256 * 1024**2
_BODY_LENGTH = 4 + 2 * 3  # where the table's layout has the place of its fourth field (format/Message.fbs)


class Messages:
    """The messages of a stream out of chunks, wherever they are cut."""

    def __init__(self) -> None:
        """Begin with an empty stream."""
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the messages that `chunk` completes, without the mark of the end.

        Raises:
            ResponseError: it is no Arrow.
        """
        self._rest += chunk
        while (size := self._next_bytes()) <= len(self._rest):
            message = bytes(self._rest[:size])
            del self._rest[:size]
            if size > _PREFIX_BYTES:
                yield message

    def _next_bytes(self) -> int:
        """Return how long the next message is, or more bytes than there are."""
        rest, unknown = self._rest, len(self._rest) + 1
        if len(rest) < _PREFIX_BYTES:
            return unknown
        metadata_bytes: int
        mark, metadata_bytes = unpack_from("<II", rest)
        body_bytes = 0
        if 0 < metadata_bytes <= min(_LONGEST_BYTES, len(rest) - _PREFIX_BYTES):
            body_bytes = _body_bytes(rest)
        if mark != _MARK or not 0 <= metadata_bytes + body_bytes <= _LONGEST_BYTES:
            raise ResponseError("the response is no stream of Arrow")
        if len(rest) < _PREFIX_BYTES + metadata_bytes:
            return unknown
        return _PREFIX_BYTES + metadata_bytes + body_bytes


def _body_bytes(message: bytearray) -> int:
    """Return the length of the body: a field of the root table of a flatbuffer, or its default."""
    table = _PREFIX_BYTES + unpack_from("<I", message, _PREFIX_BYTES)[0]
    layout = table - unpack_from("<i", message, table)[0]
    (layout_bytes,) = unpack_from("<H", message, layout)
    place = unpack_from("<H", message, layout + _BODY_LENGTH)[0] if layout_bytes > _BODY_LENGTH else 0
    return int(unpack_from("<q", message, table + place)[0]) if place else 0
