"""Chunks in a Valkey that all instances share: what one has read, the others need not pay for."""

import hashlib
import logging
import math
import sys
import zlib
from array import array
from asyncio import to_thread
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from litestar.stores.base import Store

from app.query.chunks.chunk import Block, Chunk
from app.query.chunks.keys import RowKeys
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.deadlines import BestEffort
from app.schema.table import Table

TTL_S = 120.0  # readers of the newest rows ask within a few polls
_DEADLINE_S, _PAUSE_S = 2.0, 5.0  # a chunk has megabytes, and its query would take as long
_MAX_BYTES = 16_000_000
_LEVEL = 1
_log = logging.getLogger("sluice.query")


class IndexedChunk(NamedTuple):
    """A chunk, and the keys of its rows."""

    chunk: Chunk
    segment: RowKeys


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    """A chunk as it is stored; `byteorder` is that of the machine that wrote it."""

    expires_us: int
    byteorder: str
    from_us: int
    to_us: int
    blocks: tuple[Block, ...]
    low: bytes
    high: bytes
    stamps_us: bytes


_ENTRY = msgspec.msgpack.Decoder(_Entry)


class SharedChunks:
    """Reads and writes chunks of `table`; if the server fails or is slow, a chunk is read from the store instead.

    `namespace` returns what names the data as it is now: the place, the look-back and the number of erasures.
    """

    def __init__(self, server: Store, clock: Clock, table: Table, namespace: Callable[[], str]) -> None:
        self._server, self._clock, self._namespace = server, clock, namespace
        columns = "".join(f"{column.name} {column.kind} {column.mode} {column.fields}\n" for column in table.columns)
        self._fixed = f"chunk {table.name}\n{columns}"
        self._service = BestEffort(clock, deadline_s=_DEADLINE_S, pause_s=_PAUSE_S, warn=_warn)

    async def get(self, from_us: int) -> IndexedChunk | None:
        """Return the chunk that begins at `from_us`, or None."""
        digest = self._digest(from_us)
        raw = await self._service.call(lambda: self._server.get(digest))
        if raw is None:
            return None
        try:
            entry = await to_thread(lambda: _ENTRY.decode(zlib.decompress(raw)))
            indexed = _indexed_chunk(entry)
        except Exception:  # written by another release or another program
            return None
        is_it = (entry.byteorder, entry.from_us) == (sys.byteorder, from_us)
        return indexed if is_it and self._clock.now_us() < entry.expires_us else None

    async def put(self, chunk: Chunk, segment: RowKeys) -> None:
        """Keep a chunk for the others, for two minutes."""
        digest = self._digest(chunk.from_us)
        entry = _Entry(
            self._clock.now_us() + round(TTL_S * MICROSECONDS),
            sys.byteorder,
            chunk.from_us,
            chunk.to_us,
            chunk.blocks,
            segment.low.tobytes(),
            segment.high.tobytes(),
            segment.stamps_us.tobytes(),
        )
        raw = await to_thread(lambda: zlib.compress(msgspec.msgpack.encode(entry), _LEVEL))
        if len(raw) <= _MAX_BYTES:
            await self._service.call(lambda: self._server.set(digest, raw, expires_in=math.ceil(TTL_S)))

    def _digest(self, from_us: int) -> str:
        return hashlib.sha256(f"{self._fixed}{self._namespace()}\n{from_us}".encode()).hexdigest()


def _indexed_chunk(entry: _Entry) -> IndexedChunk:
    low, high, stamps_us = array("Q", entry.low), array("Q", entry.high), array("q", entry.stamps_us)
    segment = RowKeys(entry.from_us, entry.to_us, low, high, stamps_us)
    return IndexedChunk(Chunk(entry.from_us, entry.to_us, entry.blocks), segment)


def _warn(error: Exception) -> None:
    what = f"no answer within {_DEADLINE_S:g} s" if isinstance(error, TimeoutError) else error
    _log.warning("shared chunks are unavailable and are read from the store: %s: %s", type(error).__name__, what)
