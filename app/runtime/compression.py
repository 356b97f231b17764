"""Decompress gzip up to a limit, so that a small message cannot fill the memory. Pure."""

import zlib

_GZIP = 16 + zlib.MAX_WBITS
# Each member costs an inflater and a copy of the rest of its chunk. Without a limit, tiny members would take forever.
MAX_MEMBERS = 1_000
_CHUNK_BYTES = 64 * 1024
_STEP_BYTES = 1024**2


class GzipError(Exception):
    """The bytes are not valid gzip; the message says why."""


class GzipTooLargeError(Exception):
    """The bytes would grow beyond the limit."""


def inflate(data: bytes, max_bytes: int, text: bytearray) -> None:
    """Fill `text` with the decompressed bytes of one or several gzip members; on an error it keeps those before it.

    Raises:
        GzipError: `data` is cut short, not gzip at all, or of more than MAX_MEMBERS members.
        GzipTooLargeError: they would be more than `max_bytes`.
    """
    position, members = 0, 0
    while not members or position < len(data):
        members += 1
        if members > MAX_MEMBERS:
            raise GzipError(f"more than {MAX_MEMBERS} concatenated gzip members")
        inflater = zlib.decompressobj(_GZIP)
        while not inflater.eof:
            chunk = inflater.unconsumed_tail
            if not chunk:
                chunk = data[position : position + _CHUNK_BYTES]
                position += len(chunk)
            try:
                part = inflater.decompress(chunk, min(_STEP_BYTES, max_bytes - len(text) + 1))
            except zlib.error as error:
                raise GzipError(f"not valid gzip: {error}") from None
            if not chunk and not part and not inflater.eof:
                raise GzipError("not valid gzip: the data ends early")
            text += part
            if len(text) > max_bytes:
                raise GzipTooLargeError(f"more than {max_bytes} bytes when decompressed")
        position -= len(inflater.unused_data)


def gunzip(data: bytes, max_bytes: int) -> bytes:
    """Return the decompressed bytes of one or several gzip members; raise the errors of `inflate`."""
    text = bytearray()
    inflate(data, max_bytes, text)
    return bytes(text)
