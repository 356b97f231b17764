"""What the answers of the way out have in common: who asks, what may be kept, and the headers that say so."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from litestar import Request, Response

from app.auth.principal import Principal
from app.http.conditional import keeping_headers
from app.http.reading import has_current, read_response
from app.query.cache import Cache, CachedAnswer
from app.query.instrumented_source import cache_state
from app.query.params.filters import Condition, parse_filters
from app.query.reads import Reads
from app.query.timing import Timing
from app.runtime.clock import Clock
from app.schema.filters import FilterField
from app.telemetry import attributes as names
from app.telemetry.metrics import Metrics
from app.telemetry.tracing import current_span

Ask = Request[Any, Any, Any]
REVISION = "2"
"""To be raised when the bytes of an answer change: copies that callers and caches keep are then no longer valid."""


class CacheKey(msgspec.Struct, frozen=True, kw_only=True):
    """What decides an answer, and so whether one that was given before is the answer.

    `etag` is known before the store is asked, where the window is over and the answer can never be another one; else
    None. `key` stands for everything else that decides it: the caller's own words, what the caller may see, and what
    this instance knows to have changed. `ttl_s` is how long an answer may be given again; with `is_fresh` it is made
    for this request alone.
    """

    key: str
    etag: str | None
    ttl_s: float
    is_fresh: bool = False


class CachedResponder:
    """Answers questions: once for equal ones, with 304 where the caller has the answer.

    `realm` returns what else decides every answer: the data, the settings of reading them, and what was erased of them.
    """

    def __init__(
        self, cache: Cache, reads: Reads, clock: Clock, *, metrics: Metrics, cache_namespace: Callable[[], str]
    ) -> None:
        self.reads, self.clock, self._realm = reads, clock, cache_namespace
        self._cache, self._answers = cache, metrics.cache_answers

    @property
    def cache_namespace(self) -> str:
        """What decides every answer, now."""
        return self._realm()

    async def answer(
        self, request: Ask, question: CacheKey, timing: Timing, make: Callable[[], Awaitable[CachedAnswer]]
    ) -> Response[bytes]:
        """Return the answer to `question`, from the caller's own copy, an earlier one, or as `make` makes it."""
        etag = question.etag
        if etag is not None and has_current(request, etag):
            self._count("revalidated")
            headers = keeping_headers(etag, closed=True) | cost_headers(timing, "revalidated")
            return Response(b"", status_code=304, headers=headers)
        state = "bypass"
        if question.is_fresh:
            found = await make()
        else:
            cache_state.set("miss")  # of a query, if one is made
            found, state = await self._cache.answer(question.key, question.ttl_s, make)
        self._count(state)
        is_closed = etag is not None and found.is_final
        headers = {
            **found.headers,
            **keeping_headers(etag if is_closed else None, closed=is_closed),
            **cost_headers(timing, state),
        }
        return read_response(request, found.body, found.media_type, headers)

    def _count(self, state: str) -> None:
        self._answers[state] += 1
        span = current_span()
        if span is not None:
            span.set_attribute(names.CACHE, state)


def cost_headers(timing: Timing, state: str) -> dict[str, str]:
    """Return the headers that say what an answer took."""
    headers = {"Sluice-Cache": state, "Server-Timing": timing.header(state)}
    if timing.bytes_processed is not None:
        headers["Sluice-Bytes-Processed"] = str(timing.bytes_processed)
    return headers


class FixedFilters:
    """Knows the conditions that hold for a caller, whatever it asks for: those of its grant."""

    def __init__(self, fields: Mapping[str, FilterField]) -> None:
        self._fields = fields
        self._known: dict[tuple[tuple[str, str], ...], tuple[Condition, ...]] = {(): ()}

    def of(self, request: Ask) -> tuple[Condition, ...]:
        """Return the conditions; they were checked when the grants were read."""
        principal: Principal = request.state.principal
        if principal.filters not in self._known:
            if len(self._known) > 1_000:  # of grants that are no longer in force, too
                self._known = {(): ()}
            self._known[principal.filters] = parse_filters(self._fields, principal.filters)
        return self._known[principal.filters]


def as_key(*parts: str) -> str:
    """Return a key in which the parts cannot run together."""
    return repr((REVISION, *parts))
