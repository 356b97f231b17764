"""The response cache: concurrent equal requests share one response, and a fresh cached response is reused."""

import asyncio
import hashlib
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec
from litestar.stores.base import Store

from app.runtime.best_effort import BestEffort
from app.runtime.clock import MICROSECONDS, Clock

CacheState = Literal["hit", "miss", "joined"]
STORE_DEADLINE_S = 0.25
PAUSE_S = 1.0  # after a failure, only one request in this period tries the store
_log = logging.getLogger("sluice.query")


class CachedAnswer(msgspec.Struct, frozen=True):
    """A response as it is sent; `is_final`: an equal request will always get the same response."""

    status: int
    media_type: str
    headers: dict[str, str]
    body: bytes
    is_final: bool = True


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    """A stored response.

    `digest` repeats the key: an entry that a store or a connection returned for another key is discarded, because it
    may be another caller's. `expires_us` uses the wall clock, because instances share entries. The store's own expiry,
    in whole seconds, is no earlier; it limits how long an instance whose clock is behind serves the entry.
    """

    digest: str
    expires_us: int
    answer: CachedAnswer


_ENTRY = msgspec.msgpack.Decoder(_Entry)
_Task = asyncio.Task[tuple[CachedAnswer, CacheState]]


class _Flight:
    """A response being made, and how many callers wait for it."""

    def __init__(self, task: _Task) -> None:
        self.task = task
        self.waiting = 0
        self.shared = False
        task.add_done_callback(_retrieve)


def digest_of(key: str) -> str:
    """Return the store's key for a response; it reveals nothing about the request."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class Cache:
    """Deduplicates equal requests: in this process while one is in flight, and through `store` for some time after.

    If the store fails or is slow, the cache does without it. Encoded entries above `max_entry_bytes` are not stored.
    """

    def __init__(self, store: Store, clock: Clock, *, max_entry_bytes: int) -> None:
        self._store, self._clock, self._max_entry_bytes = store, clock, max_entry_bytes
        self._flights: dict[str, _Flight] = {}
        self._service = BestEffort(clock, deadline_s=STORE_DEADLINE_S, pause_s=PAUSE_S, warn=_warn)

    async def answer(
        self, key: str, ttl_s: float, make: Callable[[], Awaitable[CachedAnswer]]
    ) -> tuple[CachedAnswer, CacheState]:
        """Return the response for `key`: a cached one, one in flight for an equal key, or the result of `make`.

        Everything that determines the response belongs in `key`, above all the caller's fixed filters. A cached
        response is valid for `ttl_s` seconds after it was made; with 0 nothing is stored or looked up. A joined
        response may have been started before this call: a read that must see a write just acknowledged needs a key of
        its own. `make` runs in its own task, with the first caller's context. It is cancelled when the last caller
        leaves.

        Raises:
            Exception: what `make` raised, and each caller an exception of its own; nothing is kept.
        """
        digest = digest_of(key)
        flight = self._flights.get(digest)
        joins = flight is not None
        if flight is None:
            flight = _Flight(asyncio.create_task(self._fly(digest, ttl_s, make)))
            self._flights[digest] = flight
        flight.waiting += 1
        flight.shared |= joins
        try:
            await asyncio.wait([flight.task])
        finally:
            await self._leave(digest, flight)
        answer, state = _outcome(flight)
        return answer, "joined" if joins and state == "miss" else state

    async def _leave(self, digest: str, flight: _Flight) -> None:
        """Stop waiting for a flight; cancel it when no caller is left."""
        flight.waiting -= 1
        ended = flight.task.done()
        # From now on an equal key starts a new flight, even while an abandoned one is still ending.
        if (ended or not flight.waiting) and self._flights.get(digest) is flight:
            del self._flights[digest]
        if not ended and not flight.waiting:
            flight.task.cancel()
            await asyncio.wait([flight.task])

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
        fresh = entry.digest == digest and self._clock.now_us() < entry.expires_us
        return entry.answer if fresh else None

    async def _keep(self, digest: str, answer: CachedAnswer, ttl_s: float) -> None:
        expires_us = self._clock.now_us() + round(ttl_s * MICROSECONDS)
        entry = msgspec.msgpack.encode(_Entry(digest, expires_us, answer))
        if len(entry) <= self._max_entry_bytes:
            # Whole seconds and at least one: Litestar's ValkeyStore turns half a second into `EX 0`, an error.
            await self._service.call(lambda: self._store.set(digest, entry, expires_in=math.ceil(ttl_s)))


def _warn(error: Exception) -> None:
    what = f"no answer within {STORE_DEADLINE_S:g} s" if isinstance(error, TimeoutError) else error
    _log.warning("the shared cache is unavailable and is bypassed for now: %s: %s", type(error).__name__, what)


def _retrieve(task: _Task) -> None:
    """Retrieve the exception of a flight whose callers have all hung up, so that asyncio does not report it."""
    if not task.cancelled():
        task.exception()


def _outcome(flight: _Flight) -> tuple[CachedAnswer, CacheState]:
    """Return the result of a completed flight.

    Raises:
        Exception: what the flight raised, or where several wait, a copy of it each. One exception that is raised in
            many tasks would collect all their tracebacks and contexts.
    """
    error = None if flight.task.cancelled() else flight.task.exception()
    if error is None or not flight.shared:
        return flight.task.result()
    copied = _copy(error)
    if copied is None:
        raise error
    raise copied from error


def _copy(error: BaseException) -> BaseException | None:
    """Return an exception like `error`; None if its class cannot be instantiated this way.

    copy.copy does not work here: it calls the class with `args`, which are the arguments that the class passed to
    Exception, and often not those of its own constructor.
    """
    kind = type(error)
    try:
        copied = kind.__new__(kind, *error.args)
    except Exception:  # a class may raise anything here
        return None
    copied.args = error.args
    copied.__dict__.update(error.__dict__)
    return copied
