"""What all responses of the query side share: caching, and the headers for it."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from litestar import Request, Response

from app.environment import Environment
from app.http.reading import VARY, has_current, keeping_headers, read_response
from app.query.read.cache import Cache, CachedAnswer
from app.query.read.instrumented_source import cache_state
from app.query.read.reads import Reads
from app.query.request.parameters import MEDIA_TYPES
from app.runtime.clock import Clock
from app.telemetry import attributes as names
from app.telemetry.tracing import current_span

Ask = Request[Any, Any, Any]
FRESH = {"Cache-Control": "private, no-store", "Vary": VARY}
"""The headers of a response that no cache may keep."""
REVISION = "2"
"""Raise this when the bytes of a response change: it invalidates the copies that callers and caches hold."""


class Timing:
    """Collects the durations of the stages of one request, which begins when this is created, for `Server-Timing`.

    Browsers show that header with the request (https://www.w3.org/TR/server-timing/).
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begun_us = clock.elapsed_us()
        self._stages_us: dict[str, int] = {}
        self.bytes_processed: int | None = None
        """The bytes that the store read for the request; None if it does not report them."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the duration of the block, however it ends, to the stage `name`: a token, such as `store`.

        Concurrent stages are counted separately, so their sum may exceed the total.
        """
        begun_us = self._clock.elapsed_us()
        try:
            yield
        finally:
            took_us = self._clock.elapsed_us() - begun_us
            self._stages_us[name] = self._stages_us.get(name, 0) + took_us

    def add_bytes(self, count: int | None) -> None:
        """Add the bytes that one query read; None if the store does not report them."""
        if count is not None:
            self.bytes_processed = (self.bytes_processed or 0) + count

    def header(self, cache: str) -> str:
        """Return the header's value: the cache state, the stages in the order they first ended, and the total.

        Durations are in milliseconds, as browsers read them.
        """
        total_us = self._clock.elapsed_us() - self._begun_us
        durations = {**self._stages_us, "total": total_us}
        return ", ".join([f"cache;desc={cache}", *(f"{name};dur={us / 1000:.1f}" for name, us in durations.items())])


class CacheKey(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that determines a response, and so whether a cached response may be reused.

    `etag` is known before the store is queried if the window is closed and the response can never change; else it is
    None. `key` covers everything else that determines the response: the caller's own query string, what the caller may
    see, and the changes that this instance knows of. `ttl_s` is how long a response may be reused; with `is_fresh` it
    is made for this request alone.
    """

    key: str
    etag: str | None
    ttl_s: float
    is_fresh: bool = False


class CachedResponder:
    """Answers requests: once for equal ones, and with 304 if the caller already has the response.

    `cache_namespace` returns what else determines every response: the data, the settings for reading it, and the
    erasures.
    """

    def __init__(
        self, environment: Environment, cache: Cache, reads: Reads, cache_namespace: Callable[[], str]
    ) -> None:
        self.reads, self.clock, self.cache_namespace = reads, environment.clock, cache_namespace
        self.cache, self.metrics = cache, environment.metrics

    async def response(
        self, request: Ask, cache_key: CacheKey, timing: Timing, make: Callable[[], Awaitable[CachedAnswer]]
    ) -> Response[bytes]:
        """Return the response of `cache_key`: from the caller's own copy, from the cache, or from `make`."""
        etag = cache_key.etag
        if etag is not None and has_current(request, etag):
            self._count("revalidated")
            headers = keeping_headers(etag, closed=True) | cost_headers(timing, "revalidated")
            return Response(b"", status_code=304, headers=headers)
        state = "bypass"
        if cache_key.is_fresh:
            content = await make()
        else:
            cache_state.set("miss")  # of a query, if one is made
            content, state = await self.cache.shared(cache_key.key, cache_key.ttl_s, make)
        self._count(state)
        is_closed = etag is not None and content.is_final
        kept = keeping_headers(etag if is_closed else None, closed=is_closed)
        headers = kept | cost_headers(timing, state) | content.headers
        return read_response(request, content.body, MEDIA_TYPES[content.format], headers)

    def _count(self, state: str) -> None:
        self.metrics.cache_answers[state] += 1
        span = current_span()
        if span is not None:
            span.set_attribute(names.CACHE, state)


def cost_headers(timing: Timing, state: str) -> dict[str, str]:
    """Return the headers that report the cost of a response."""
    headers = {"Sluice-Cache": state, "Server-Timing": timing.header(state)}
    if timing.bytes_processed is not None:
        headers["Sluice-Bytes-Processed"] = str(timing.bytes_processed)
    return headers


def as_key(*parts: str) -> str:
    """Return a key in which adjacent parts cannot be confused."""
    return repr((REVISION, *parts))
