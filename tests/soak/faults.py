"""What happens to appends of the embedded store, from a seed: answers that are late, lost or untrue, and bad rows."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from app.stores.sink import Appender, Outcome, RowEncode, RowError, RowsRefused, TableCheck, Uncertain
from tests.chaos.plan import AT_STORE

_MARK = AT_STORE.encode()
_KINDS = ("slow", "not stored", "stored, not told")


class Faults:
    """Decides what befalls an append; `rate` of them while `on`. Rows that are marked bad are refused always."""

    def __init__(self, seed: int, rate: float) -> None:
        self.on, self.counts = True, Counter[str]()
        self._dice, self._rate = random.Random(f"{seed}/soak"), rate

    def next(self) -> str:
        """Return the kind of the next one, empty for none."""
        if not self.on or self._dice.random() >= self._rate:
            return ""
        kind = self._dice.choice(_KINDS)
        self.counts[kind] += 1
        return kind


class FaultyAppender:
    """An Appender whose store misbehaves now and then."""

    def __init__(self, store: Appender, faults: Faults) -> None:
        self._store, self._faults = store, faults

    def __getattr__(self, name: str) -> Any:
        """Return what the store's own Appender says of itself: how many appends it takes at once."""
        return getattr(self._store, name)

    def encoder(self, envelope: Mapping[str, Any]) -> RowEncode:
        return self._store.encoder(envelope)

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        bad = {index: RowError("refused on purpose") for index, row in enumerate(rows) if _MARK in row}
        if bad:
            return RowsRefused(bad)
        match self._faults.next():
            case "slow":
                await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.5)
            case "not stored":
                return Uncertain("not stored, on purpose")
            case "stored, not told":
                await self._store.append(rows)
                return Uncertain("stored, and not told on purpose")
        return await self._store.append(rows)

    async def check(self) -> TableCheck:
        return await self._store.check()

    async def close(self) -> None:
        await self._store.close()


class Inside(msgspec.Struct, frozen=True, kw_only=True):
    """What the process says of itself, in bytes where not said otherwise.

    `blocks` are of Python's own allocator (a count); `malloc_used`, `malloc_free` and `malloc_mapped` the C library's.
    `searches` says how often the garbage collector ran by its generations, and its longest run in microseconds.
    `duckdb` is what DuckDB counts, by its tags; `heap` Python's own by where it was allocated, where that is traced.
    """

    tasks: int
    blocks: int
    malloc_used: int
    malloc_free: int
    malloc_mapped: int
    duckdb: Mapping[str, int]
    faults: Mapping[str, int]
    searches: Mapping[str, tuple[int, int]] = {}
    heap: Mapping[str, int] = {}
