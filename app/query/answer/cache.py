"""The cache of answers: 304 for callers that have one, one computation for equal requests, and answers that are kept.

Answers are kept in bounded memory of this process, or encrypted in a Valkey that all instances share.
"""

import hashlib
import hmac
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context
from typing import Any, Literal, NamedTuple

import msgspec
from cachetools import TLRUCache
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from litestar import Response

from app.environment import Environment
from app.http.endpoint import Ask
from app.http.reading import has_current, keeping_headers, read_response
from app.query.answer.contract import Cost
from app.query.request.parameters import MEDIA_TYPES, Format
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.deadlines import BestEffort
from app.runtime.single_flight import SingleFlight
from app.settings.query import QuerySettings
from app.telemetry.tracing import CACHE, current_span

REVISION = "2"
"""Raise this when the bytes of a response change: it invalidates the copies that callers and caches hold."""
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
    """A response with status 200; `is_complete`: it did not end early for its budget, so it may be cached."""

    format: Format
    headers: dict[CachedHeader, str]
    body: bytes
    is_complete: bool = True


class CacheKey(msgspec.Struct, frozen=True, kw_only=True):
    """What determines an answer, and how long it may be reused.

    `parts` are the caller's own query string, what the caller may see, and whatever else shapes the answer. `tag` makes
    the entity tag of an answer that will never change, before the store is queried; None of any other. With `is_fresh`
    the answer is made for this request alone.
    """

    parts: tuple[str, ...]
    ttl_s: float
    tag: Callable[..., str] | None = None
    is_fresh: bool = False


def digest_of(*parts: str) -> str:
    """Return the key for an answer determined by `parts`, which it does not reveal; adjacent ones are not confused."""
    return hashlib.sha256(repr((REVISION, *parts)).encode("utf-8", "surrogatepass")).hexdigest()


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

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        """Store `value` for some seconds. One that is too large is not stored."""
        self._entries.pop(key, None)  # its room is free for the new value
        with suppress(ValueError):  # it is too large
            self._entries[key] = _Kept(value, self._clock.elapsed_us() + round(ttl_s * MICROSECONDS))

    async def get(self, key: str) -> bytes | None:
        """Return the value and mark it as the most recently used."""
        kept = self._entries.get(key)
        return None if kept is None else kept.value

    async def aclose(self) -> None:
        """Keep what is there: it goes with the process."""


_NONCE_BYTES = 12
_NAMESPACE = "sluice:"  # a server may serve others, too


class SealedStore:
    """Encrypts and authenticates what instances share, each value with a key derived from `secret` and from its name.

    Others may read and write the Valkey. What somebody without the secret stored, or stored under another name, is no
    value. The names that the service gives depend on the number of erasures, so after an erasure nothing older is asked
    for, or decrypted, again.
    """

    def __init__(self, valkey: Any, secret: str) -> None:
        self._valkey, self._secret = valkey, secret.encode()

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        """Store `value` encrypted, for some seconds."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher(key).encrypt(nonce, value, None)
        await self._valkey.set(_NAMESPACE + key, sealed, px=round(ttl_s * 1000))

    async def get(self, key: str) -> bytes | None:
        """Return the value; None also for bytes that this secret did not encrypt under this name."""
        sealed = await self._valkey.get(_NAMESPACE + key)
        if sealed is None:
            return None
        try:
            return self._cipher(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
        except (InvalidTag, ValueError):
            return None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._valkey.aclose(close_connection_pool=True)

    def _cipher(self, key: str) -> AESGCM:
        return AESGCM(hmac.digest(self._secret, key.encode(), "sha256"))


AnswerStore = BoundedMemoryStore | SealedStore
"""Keeps bytes by a key of KEY_BYTES, for some time. It may lose them, and fail."""
_answers = msgspec.msgpack.Decoder(CachedAnswer)


class AnswerCache:
    """Answers equal requests once: in this process while one is in flight, and through `store` for some time after.

    `namespace` returns what else determines every answer: the data, the settings for reading it, and the erasures. If
    the store fails or is slow, the cache does without it. An answer that takes more than an eighth of the memory is not
    stored.
    """

    def __init__(self, environment: Environment, store: AnswerStore, namespace: Callable[[], str]) -> None:
        self.environment, self.namespace = environment, namespace
        self._store, self._counts = store, environment.metrics.cache_answers
        self._max_entry_bytes = environment.settings.query.cache_max_bytes // 8
        self._flights = SingleFlight[str, tuple[CachedAnswer, CacheState]]()
        self._service = BestEffort(environment.clock, deadline_s=STORE_DEADLINE_S, pause_s=PAUSE_S, warn=_warn)

    async def response(
        self, request: Ask, key: CacheKey, cost: Cost, make: Callable[[], Awaitable[CachedAnswer]]
    ) -> Response[bytes]:
        """Return the response for `key`: from the caller's own copy, from the cache, or from `make`."""
        etag = None if key.tag is None else key.tag(REVISION, self.namespace(), *key.parts)
        if etag is not None and has_current(request, etag):
            self._count("revalidated")
            return Response(b"", status_code=304, headers=keeping_headers(etag) | cost.headers("revalidated"))
        answer, state = (await make(), "bypass") if key.is_fresh else await self.shared(key.parts, key.ttl_s, make)
        self._count(state)
        headers = keeping_headers(etag if answer.is_complete else None) | cost.headers(state) | answer.headers
        return read_response(request, answer.body, MEDIA_TYPES[answer.format], headers)

    async def shared(
        self,
        parts: tuple[str, ...],
        ttl_s: float,
        make: Callable[[], Awaitable[CachedAnswer]],
        context: Context | None = None,
    ) -> tuple[CachedAnswer, CacheState]:
        """Return the answer for `parts`: a cached one, one in flight for equal parts, or the result of `make`.

        Everything that determines the answer belongs in `parts`, above all the caller's fixed filters. A cached answer
        is valid for `ttl_s` seconds after it was made; with 0 nothing is stored or looked up. A joined answer may have
        been started before this call: a read that must see a write just acknowledged needs a key of its own. `make`
        runs in its own task, with the first caller's context unless another one is given. It is cancelled when the last
        caller leaves.

        Raises:
            Exception: what `make` raised, and each caller an exception of its own; nothing is kept.
        """
        digest = digest_of(self.namespace(), *parts)
        (answer, state), joins = await self._flights.run(digest, lambda: self._fly(digest, ttl_s, make), context)
        return answer, "joined" if joins and state == "miss" else state

    async def _fly(
        self, digest: str, ttl_s: float, make: Callable[[], Awaitable[CachedAnswer]]
    ) -> tuple[CachedAnswer, CacheState]:
        if ttl_s <= 0:
            return await make(), "miss"
        if (raw := await self._service.call(lambda: self._store.get(digest))) is not None:
            with suppress(Exception):  # written by another release or another program: it is replaced
                return _answers.decode(raw), "hit"
        answer = await make()
        entry = msgspec.msgpack.encode(answer)
        if answer.is_complete and len(entry) <= self._max_entry_bytes:
            await self._service.call(lambda: self._store.set(digest, entry, ttl_s))
        return answer, "miss"

    def _count(self, state: str) -> None:
        self._counts[state] += 1
        span = current_span()
        if span is not None:
            span.set_attribute(CACHE, state)


def _warn(error: Exception) -> None:
    what = f"no answer within {STORE_DEADLINE_S:g} s" if isinstance(error, TimeoutError) else error
    _log.warning("the shared cache is unavailable and is bypassed for now: %s: %s", type(error).__name__, what)


def open_store(limits: QuerySettings, clock: Clock) -> AnswerStore:
    """Return the encrypted Valkey store at `cache_url`; without a URL, a memory store in this process.

    Valkey enforces its own limit: `maxmemory` with an eviction policy (https://valkey.io/topics/lru-cache/).

    Raises:
        SettingsError: the package of the client is missing, or the URL is no address.
    """
    if not limits.cache_url:
        return BoundedMemoryStore(limits.cache_max_bytes, clock)
    from app.runtime.valkey import connect  # noqa: PLC0415 - most instances have no Valkey

    return SealedStore(connect(limits.cache_url), limits.cache_secret)
