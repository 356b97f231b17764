"""How long a page of a settled window takes: from a chunk at hand, and how many queries a cold one takes."""

import random
from collections.abc import Iterator
from statistics import quantiles
from time import perf_counter

import msgspec

from app.query.formats.documents import RowFormat
from app.runtime.instants import MINUTE_US, SECOND_US
from bench.price.readers import NOON_US, RECORDS, Stage, Way

_PAGES, _ROWS, _SECONDS = 400, 1_000, 10
_FORMAT = RowFormat(RECORDS.columns)


class AtHand(msgspec.Struct, frozen=True):
    """Milliseconds of a page of `rows` records as JSON, at 1,000 records/s, and the queries of the first page."""

    rows: int
    p50_ms: float
    p95_ms: float
    cold_queries: int


async def pages_at_hand(way: Way) -> AtHand:
    """Measure pages anywhere in ten seconds that were read before, from the request's parameters to the body."""
    stage = Stage(way, _ROWS)
    since_us = NOON_US - 10 * MINUTE_US
    await stage.page(since_us=since_us, until_us=since_us + SECOND_US)
    cold = stage.store.queries
    for second in range(_SECONDS + 1):
        await stage.page(since_us=since_us + second * SECOND_US, until_us=since_us + (second + 1) * SECOND_US)
    known = stage.store.queries
    times = [await _timed(stage, since_us + offset_us) for offset_us in _offsets()]
    if stage.store.queries != known:
        raise RuntimeError("a page that should be at hand asked the store")
    cuts = quantiles(times, n=20)
    return AtHand(_ROWS, cuts[9], cuts[18], cold)


def _offsets() -> Iterator[int]:
    chance = random.Random(1)
    return (chance.randrange(_SECONDS * SECOND_US) for _ in range(_PAGES))


async def _timed(stage: Stage, since_us: int) -> float:
    begun = perf_counter()
    page = await stage.page(since_us=since_us, until_us=since_us + SECOND_US, limit=_ROWS)
    _FORMAT.page(page, "json")
    return (perf_counter() - begun) * 1_000
