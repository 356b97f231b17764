"""The store of cached responses: bounded memory in this process, or a Valkey that all instances share."""

import heapq
import itertools
from collections import OrderedDict
from datetime import timedelta

import msgspec
from litestar.stores.base import Store

from app.runtime.clock import MICROSECONDS, Clock, SystemClock

# The overhead of an entry beyond its key and value on CPython 3.11: 400 (measured) for objects, tables and a heap item,
# and up to 250 for a heap item that outlives its entry.
ENTRY_BYTES = 650
_NAMESPACE = "sluice"
_SPARE_DUES = 64


class _Kept(msgspec.Struct, frozen=True, gc=False):
    value: bytes
    due_us: int | None
    """When the entry expires, by the clock's `elapsed_us`; None: never."""
    serial: int


class BoundedMemoryStore(Store):
    """Holds at most `max_bytes` in this process: expired entries are evicted first, then the least recently used.

    Litestar's own MemoryStore is unbounded and drops an expired entry only when it is requested again. A client that
    keeps requesting new windows would fill the memory. The size counts keys, values and ENTRY_BYTES per entry. It is
    for one event loop.
    """

    def __init__(self, max_bytes: int, clock: Clock) -> None:
        self._max_bytes, self._clock = max_bytes, clock
        self._entries: OrderedDict[str, _Kept] = OrderedDict()  # the least recently used first
        self._dues: list[tuple[int, int, str]] = []  # a heap; items of removed entries stay until they are popped
        self._serials = itertools.count()
        self.held_bytes = 0

    async def set(self, key: str, value: str | bytes, expires_in: int | timedelta | None = None) -> None:
        """Store `value` (seconds or a timedelta; None: until evicted). A value that is too large is not stored."""
        self._remove(key)
        raw = value.encode() if isinstance(value, str) else value
        size = _size(key, raw)
        due_us = self._due_us(expires_in)
        if size > self._max_bytes or (due_us is not None and due_us <= self._clock.elapsed_us()):
            return
        self._remove_expired()
        while self.held_bytes + size > self._max_bytes:
            self._remove(next(iter(self._entries)))
        self._put(key, raw, due_us)

    async def get(self, key: str, renew_for: int | timedelta | None = None) -> bytes | None:
        """Return the value and mark it as the most recently used; `renew_for` moves its expiry, if it has one."""
        kept = self._alive(key)
        if kept is None:
            return None
        if renew_for is not None and kept.due_us is not None:
            self._remove(key)
            self._put(key, kept.value, self._due_us(renew_for))
        self._entries.move_to_end(key)
        return kept.value

    async def delete(self, key: str) -> None:
        """Remove a value; a missing one is not an error."""
        self._remove(key)

    async def delete_all(self) -> None:
        """Remove all values."""
        self._entries.clear()
        self._dues.clear()
        self.held_bytes = 0

    async def exists(self, key: str) -> bool:
        """Return whether there is a value that has not expired."""
        return self._alive(key) is not None

    async def expires_in(self, key: str) -> int | None:
        """Return the whole seconds until the value expires; None if there is no value or it does not expire."""
        kept = self._alive(key)
        if kept is None or kept.due_us is None:
            return None
        return (kept.due_us - self._clock.elapsed_us()) // MICROSECONDS

    def _due_us(self, expires_in: int | timedelta | None) -> int | None:
        if expires_in is None:
            return None
        seconds = expires_in.total_seconds() if isinstance(expires_in, timedelta) else expires_in
        return self._clock.elapsed_us() + round(seconds * MICROSECONDS)

    def _alive(self, key: str) -> _Kept | None:
        kept = self._entries.get(key)
        if kept is not None and kept.due_us is not None and kept.due_us <= self._clock.elapsed_us():
            self._remove(key)
            return None
        return kept

    def _put(self, key: str, value: bytes, due_us: int | None) -> None:
        kept = _Kept(value, due_us, next(self._serials))
        self._entries[key] = kept
        self.held_bytes += _size(key, value)
        if due_us is not None:
            heapq.heappush(self._dues, (due_us, kept.serial, key))
        if len(self._dues) > 2 * len(self._entries) + _SPARE_DUES:  # mostly items of removed entries
            self._dues = [(it.due_us, it.serial, key) for key, it in self._entries.items() if it.due_us is not None]
            heapq.heapify(self._dues)

    def _remove(self, key: str) -> None:
        kept = self._entries.pop(key, None)
        if kept is not None:
            self.held_bytes -= _size(key, kept.value)

    def _remove_expired(self) -> None:
        now_us = self._clock.elapsed_us()
        while self._dues and self._dues[0][0] <= now_us:
            _, serial, key = heapq.heappop(self._dues)
            kept = self._entries.get(key)
            if kept is not None and kept.serial == serial:
                self._remove(key)


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


def _size(key: str, value: bytes) -> int:
    return ENTRY_BYTES + len(key) + len(value)
