"""The response cache: concurrent equal requests share one response, and a fresh cached response is reused.

Responses are kept in bounded memory of this process, or encrypted in a Valkey that all instances share.
"""

import hashlib
import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context
from typing import Literal, NamedTuple, Protocol

import msgspec
from cachetools import TLRUCache

from app.query.request.parameters import Format
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.deadlines import BestEffort
from app.runtime.single_flight import SingleFlight
from app.settings.query import QuerySettings

CacheState = Literal["hit", "miss", "joined"]
CachedHeader = Literal["Sluice-Next-Cursor", "Sluice-Resume-Cursor", "Sluice-Count"]
CLOSED_TTL_S = 3_600.0
"""How long responses about past windows, which never change, are cached."""
STORE_DEADLINE_S = 0.25
PAUSE_S = 1.0  # after a failure, only one request in this period tries the store
_log = logging.getLogger("sluice.query")
# The most that an entry takes beyond its key and value on CPython 3.11: 560 were measured, with tables that have just
# grown, and as many heap items of removed entries as there are entries.
ENTRY_BYTES = 650
KEY_BYTES = 64  # of `digest_of`


class CachedAnswer(msgspec.Struct, frozen=True):
    """A response with status 200; `is_final`: an equal request will always get the same response."""

    format: Format
    headers: dict[CachedHeader, str]
    body: bytes
    is_final: bool = True


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    """A stored response.

    `expires_us` uses the wall clock, because instances share entries. The store's own expiry, in whole seconds, is no
    earlier; it limits how long an instance whose clock is behind serves the entry.
    """

    expires_us: int
    answer: CachedAnswer


_ENTRY = msgspec.msgpack.Decoder(_Entry)


def digest_of(key: str) -> str:
    """Return the store's key for a response; it reveals nothing about the request."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class AnswerStore(Protocol):
    """Keeps bytes by a key of KEY_BYTES, for some whole seconds. It may lose them, and fail."""

    async def get(self, key: str) -> bytes | None:
        """Return the value of `key`, if there is one."""
        ...

    async def set(self, key: str, value: bytes, expires_in: int) -> None:
        """Store a value."""
        ...

    async def aclose(self) -> None:
        """Close its connections."""
        ...


class Cache:
    """Deduplicates equal requests: in this process while one is in flight, and through `store` for some time after.

    If the store fails or is slow, the cache does without it. Encoded entries above `max_entry_bytes` are not stored.
    """

    def __init__(self, store: AnswerStore, clock: Clock, *, max_entry_bytes: int) -> None:
        self._store, self._clock, self._max_entry_bytes = store, clock, max_entry_bytes
        self._flights = SingleFlight[str, tuple[CachedAnswer, CacheState]]()
        self._service = BestEffort(clock, deadline_s=STORE_DEADLINE_S, pause_s=PAUSE_S, warn=_warn)

    async def shared(
        self,
        key: str,
        ttl_s: float,
        make: Callable[[], Awaitable[CachedAnswer]],
        context: Context | None = None,
    ) -> tuple[CachedAnswer, CacheState]:
        """Return the response for `key`: a cached one, one in flight for an equal key, or the result of `make`.

        Everything that determines the response belongs in `key`, above all the caller's fixed filters. A cached
        response is valid for `ttl_s` seconds after it was made; with 0 nothing is stored or looked up. A joined
        response may have been started before this call: a read that must see a write just acknowledged needs a key of
        its own. `make` runs in its own task, with the first caller's context unless another one is given. It is
        cancelled when the last caller leaves.

        Raises:
            Exception: what `make` raised, and each caller an exception of its own; nothing is kept.
        """
        digest = digest_of(key)
        (answer, state), joins = await self._flights.run(digest, lambda: self._fly(digest, ttl_s, make), context)
        return answer, "joined" if joins and state == "miss" else state

    async def _fly(
        self, digest: str, ttl_s: float, make: Callable[[], Awaitable[CachedAnswer]]
    ) -> tuple[CachedAnswer, CacheState]:
        if ttl_s <= 0:
            return await make(), "miss"
        kept = await self._kept(digest)
        if kept is not None:
            return kept, "hit"
        answer = await make()
        if answer.is_final:
            await self._keep(digest, answer, ttl_s)
        return answer, "miss"

    async def _kept(self, digest: str) -> CachedAnswer | None:
        raw = await self._service.call(lambda: self._store.get(digest))
        if raw is None:
            return None
        try:
            entry = _ENTRY.decode(raw)
        except Exception:  # written by another release or another program: it is replaced
            return None
        return entry.answer if self._clock.now_us() < entry.expires_us else None

    async def _keep(self, digest: str, answer: CachedAnswer, ttl_s: float) -> None:
        expires_us = self._clock.now_us() + round(ttl_s * MICROSECONDS)
        entry = msgspec.msgpack.encode(_Entry(expires_us, answer))
        if len(entry) <= self._max_entry_bytes:
            await self._service.call(lambda: self._store.set(digest, entry, math.ceil(ttl_s)))


def _warn(error: Exception) -> None:
    what = f"no answer within {STORE_DEADLINE_S:g} s" if isinstance(error, TimeoutError) else error
    _log.warning("the shared cache is unavailable and is bypassed for now: %s: %s", type(error).__name__, what)


class _Kept(NamedTuple):
    value: bytes
    due_us: int
    """When the entry expires, by the clock's `elapsed_us`."""


class BoundedMemoryStore:
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
            getsizeof=lambda kept: ENTRY_BYTES + KEY_BYTES + len(kept.value),
        )

    async def set(self, key: str, value: bytes, expires_in: int) -> None:
        """Store `value` for some seconds. One that is too large is not stored."""
        self._entries.pop(key, None)  # its room is free for the new value
        with suppress(ValueError):  # it is too large
            self._entries[key] = _Kept(value, self._clock.elapsed_us() + expires_in * MICROSECONDS)

    async def get(self, key: str) -> bytes | None:
        """Return the value and mark it as the most recently used."""
        kept = self._entries.get(key)
        return None if kept is None else kept.value

    async def aclose(self) -> None:
        """Keep what is there: it goes with the process."""


def open_store(limits: QuerySettings, clock: Clock) -> AnswerStore:
    """Return the encrypted Valkey store at `cache_url`; without a URL, a memory store in this process.

    Valkey enforces its own limit: `maxmemory` with an eviction policy (https://valkey.io/topics/lru-cache/).

    Raises:
        SettingsError: the package of the client is missing, or the URL is no address.
    """
    if not limits.cache_url:
        return BoundedMemoryStore(limits.cache_max_bytes, clock)
    from app.query.read.sealed_store import SealedStore  # noqa: PLC0415 - most instances have no Valkey
    from app.runtime.valkey import connect  # noqa: PLC0415 - likewise

    return SealedStore(connect(limits.cache_url), limits.cache_secret)
