"""Cursors: a reader's position, as opaque text.

A cursor is a position, not a permission: it holds nothing that the caller may not request anyway, so it is not
signed. A checksum detects a cursor that was truncated or altered in transit.
"""

import binascii
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

from app.http.problems import ProblemError
from app.runtime.instants import MAX_US, MIN_US
from app.stores.query import Position

_VERSION = 2
_MAX_TEXT_LENGTH = 4096
_CHECKSUM_BYTES = 4


class Cursor(msgspec.Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True):
    """The position of a reader of `table`.

    The window is [since_us, until_us). A resume cursor has no `until_us`: its window reaches as far as the table is
    settled. `after` is the last row read, None before the first. `fingerprint` identifies the filters: with other
    filters the same cursor would skip rows. In a cursor within a window, `settled` is how far the earlier pages were
    settled; it is recorded because another instance's clock may be behind.

    The text holds the fields in this order; a change of them requires a new _VERSION.
    """

    version: int = _VERSION
    table: str
    descending: bool
    since_us: int
    until_us: int | None
    after: Position | None
    fingerprint: str = ""
    settled: Position | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Cursor)


def encode_cursor(cursor: Cursor) -> str:
    """Return the canonical text of `cursor`."""
    payload = _encoder.encode(cursor)
    return urlsafe_b64encode(_checksum(payload) + payload).rstrip(b"=").decode()


def resume_cursor(table: str, after: Position, fingerprint: str) -> str:
    """Return the cursor that reads on behind `after`, up to which everything is settled, in a window without an end."""
    row = after if after.delivery_key else None
    return encode_cursor(
        Cursor(
            table=table,
            descending=False,
            since_us=after.ingest_us,
            until_us=None,
            after=row,
            fingerprint=fingerprint,
        )
    )


def decode_cursor(text: str, *, table: str, fingerprint: str = "") -> Cursor:
    """Return the cursor that `text` holds.

    Raises:
        ProblemError: `invalid_cursor`: it is no cursor, or not one of `table` under these filters.
    """
    cursor = _open(text)
    if cursor.table != table:
        raise ProblemError("invalid_cursor", "the cursor belongs to another endpoint")
    if cursor.fingerprint != fingerprint:
        raise ProblemError("invalid_cursor", "the cursor belongs to a query with other filters")
    if not _is_possible(cursor):
        raise ProblemError("invalid_cursor", "the cursor's position is outside its window")
    return cursor


def position_in(text: str, *, table: str, fingerprint: str) -> Position:
    """Return the position of a resume cursor.

    Raises:
        ProblemError: `invalid_cursor`: it is no cursor, or not such a one of `table` under these filters.
    """
    cursor = decode_cursor(text, table=table, fingerprint=fingerprint)
    if cursor.until_us is not None:
        raise ProblemError(
            "invalid_cursor", "the cursor is a next_cursor, which ends with its window; expected a resume_cursor"
        )
    return cursor.after or Position(cursor.since_us, "")


def instant_of(text: str) -> int:
    """Return the instant up to which a reader with this resume cursor has everything, whatever its table and filters.

    Raises:
        ProblemError: `invalid_cursor`: it is no cursor.
    """
    cursor = _open(text)
    return cursor.after.ingest_us if cursor.after else cursor.since_us


def _checksum(payload: bytes) -> bytes:
    return zlib.crc32(payload).to_bytes(_CHECKSUM_BYTES, "big")


def _open(text: str) -> Cursor:
    damaged = ProblemError(
        "invalid_cursor", "the cursor is not valid: it does not come from this service, or it is truncated or altered"
    )
    if not text or len(text) > _MAX_TEXT_LENGTH or not text.isascii():
        raise damaged
    try:
        sealed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise damaged from None
    checksum, payload = sealed[:_CHECKSUM_BYTES], sealed[_CHECKSUM_BYTES:]
    # Only the canonical text is accepted: the decoder above skips characters it does not know.
    if _checksum(payload) != checksum or urlsafe_b64encode(sealed).rstrip(b"=").decode() != text:
        raise damaged
    try:
        cursor = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ProblemError("invalid_cursor", "the cursor comes from another version of this service") from None
    if cursor.version != _VERSION:
        raise ProblemError("invalid_cursor", f"the cursor has version {cursor.version}, expected {_VERSION}")
    if _encoder.encode(cursor) != payload:
        raise damaged
    return cursor


def _is_possible(cursor: Cursor) -> bool:
    """Return whether reading can produce such a window and position."""
    end_us = MAX_US if cursor.until_us is None else cursor.until_us
    if not MIN_US <= cursor.since_us <= end_us <= MAX_US:  # as for every instant in a query
        return False
    if cursor.until_us is None and cursor.descending:
        return False  # an open window has no newest row to start from
    return cursor.after is None or cursor.since_us <= cursor.after.ingest_us < end_us
