"""Decompress gzip with a ceiling, so that a small message cannot fill the memory."""

import zlib

_GZIP = 16 + zlib.MAX_WBITS
# Each member costs an inflater and a copy of the rest of its chunk: both bounded, or tiny members take for ever.
MAX_MEMBERS = 1_000
_CHUNK_BYTES = 64 * 1024


class GzipError(Exception):
    """The bytes are not valid gzip; the message says why."""


class GzipTooLargeError(Exception):
    """The bytes would grow beyond the limit."""


def gunzip(data: bytes, max_bytes: int) -> bytes:
    """Return the decompressed bytes of one or several gzip members.

    Raises:
        GzipError: `data` is cut short, not gzip at all, or of more than MAX_MEMBERS members.
        GzipTooLargeError: they would be more than `max_bytes`.
    """
    parts: list[bytes] = []
    left, position, members = max_bytes, 0, 0
    while not members or position < len(data):
        members += 1
        if members > MAX_MEMBERS:
            raise GzipError(f"more than {MAX_MEMBERS} gzip members, one after the other")
        inflater = zlib.decompressobj(_GZIP)
        while not inflater.eof:
            chunk = data[position : position + _CHUNK_BYTES]
            if not chunk:
                raise GzipError("not valid gzip: it ends too early")
            position += len(chunk)
            try:
                part = inflater.decompress(chunk, left + 1)
            except zlib.error as error:
                raise GzipError(f"not valid gzip: {error}") from None
            left -= len(part)
            if left < 0:
                raise GzipTooLargeError(f"more than {max_bytes} bytes when decompressed")
            parts.append(part)
        position -= len(inflater.unused_data)
    return b"".join(parts)
