"""Decompress gzip with a ceiling, so that a small message cannot fill the memory."""

import zlib

_GZIP = 16 + zlib.MAX_WBITS


class GzipError(Exception):
    """The bytes are not valid gzip; the message says why."""


class GzipTooLargeError(Exception):
    """The bytes would grow beyond the limit."""


def gunzip(data: bytes, max_bytes: int) -> bytes:
    """Return the decompressed bytes of one or several gzip members.

    Raises:
        GzipError: `data` is cut short or not gzip at all.
        GzipTooLargeError: they would be more than `max_bytes`.
    """
    parts: list[bytes] = []
    left = max_bytes
    while data or not parts:
        inflater = zlib.decompressobj(_GZIP)
        try:
            part = inflater.decompress(data, left + 1)
        except zlib.error as error:
            raise GzipError(f"not valid gzip: {error}") from None
        left -= len(part)
        if left < 0:
            raise GzipTooLargeError(f"more than {max_bytes} bytes when decompressed")
        if not inflater.eof:
            raise GzipError("not valid gzip: it ends too early")
        parts.append(part)
        data = inflater.unused_data
    return b"".join(parts)
