"""The store of cached responses: bounded memory in this process, or a Valkey that all instances share."""

import math
from datetime import timedelta

import msgspec
from cachetools import TLRUCache
from litestar.stores.base import Store

from app.runtime.clock import MICROSECONDS, Clock, SystemClock

# The most that an entry takes beyond its key and value on CPython 3.11: 560 were measured, with tables that have just
# grown, and as many heap items of removed entries as there are entries.
ENTRY_BYTES = 650
_NAMESPACE = "sluice"


class _Kept(msgspec.Struct, frozen=True, gc=False):
    value: bytes
    size: int
    due_us: float
    """When the entry expires, by the clock's `elapsed_us`; infinity: never."""


class BoundedMemoryStore(Store):
    """Holds at most `max_bytes` in this process: expired entries are evicted first, then the least recently used.

    Litestar's own MemoryStore is unbounded and drops an expired entry only when it is requested again. A client that
    keeps requesting new windows would fill the memory. The size counts keys, values and ENTRY_BYTES per entry. It is
    for one event loop.
    """

    def __init__(self, max_bytes: int, clock: Clock) -> None:
        self._clock = clock
        self._entries: TLRUCache[str, _Kept] = TLRUCache(
            max_bytes,
            ttu=lambda _key, kept, _now_us: kept.due_us,
            timer=clock.elapsed_us,
            getsizeof=lambda kept: kept.size,
        )

    async def set(self, key: str, value: str | bytes, expires_in: int | timedelta | None = None) -> None:
        """Store `value` (seconds or a timedelta; None: until evicted). A value that is too large is not stored."""
        self._put(key, value.encode() if isinstance(value, str) else value, expires_in)

    async def get(self, key: str, renew_for: int | timedelta | None = None) -> bytes | None:
        """Return the value and mark it as the most recently used; `renew_for` moves its expiry, if it has one."""
        kept = self._entries.get(key)
        if kept is None:
            return None
        if renew_for is not None and kept.due_us != math.inf:
            self._put(key, kept.value, renew_for)
        return kept.value

    async def delete(self, key: str) -> None:
        """Remove a value; a missing one is not an error."""
        self._entries.pop(key, None)

    async def delete_all(self) -> None:
        """Remove all values."""
        self._entries.clear()

    async def exists(self, key: str) -> bool:
        """Return whether there is a value that has not expired."""
        return key in self._entries

    async def expires_in(self, key: str) -> int | None:
        """Return the whole seconds until the value expires; None if there is no value or it does not expire."""
        kept = self._entries.get(key)
        if kept is None or kept.due_us == math.inf:
            return None
        return int(kept.due_us - self._clock.elapsed_us()) // MICROSECONDS

    def _put(self, key: str, value: bytes, expires_in: int | timedelta | None) -> None:
        self._entries.pop(key, None)  # its room is free for the new value, which may be too large
        size = ENTRY_BYTES + len(key) + len(value)
        if size <= self._entries.maxsize:
            seconds = expires_in.total_seconds() if isinstance(expires_in, timedelta) else expires_in
            due_us = math.inf if seconds is None else self._clock.elapsed_us() + seconds * MICROSECONDS
            self._entries[key] = _Kept(value, size, due_us)


def open_store(url: str, max_bytes: int, clock: Clock | None = None) -> Store:
    """Return the Valkey store at `url`; without a URL, a memory store of `max_bytes` in this process.

    `async with` the store closes its connections at the end. Valkey enforces its own limit: `maxmemory` with an
    eviction policy (https://valkey.io/topics/lru-cache/).

    Raises:
        SettingsError: the package of the client is missing, or `url` is no address.
    """
    if not url:
        return BoundedMemoryStore(max_bytes, clock or SystemClock())
    # Imported late: this extra is not needed by default, and start-up time matters.
    from litestar.stores.valkey import ValkeyStore  # noqa: PLC0415 - as above

    from app.runtime.valkey import connect  # noqa: PLC0415 - likewise

    return ValkeyStore(connect(url), namespace=_NAMESPACE, handle_client_shutdown=True)
