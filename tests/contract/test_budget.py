"""What one request may cost, over every store: pages become short, and walking them gives the same rows."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.query.request.scan import Now
from app.runtime.instants import TimeRange
from app.stores.query import Query
from app.stores.source import Answer, QueryRunner
from sluice.testing.clock import FakeClock
from tests.contract.service import WINDOW, Service
from tests.contract.shelf import Put, Shelf, in_window, places
from tests.contract.stores import T0_US, Engine, law
from tests.contract.watched import Watched

pytestmark = pytest.mark.above_the_stores

_STEPS = st.sampled_from([0.0, 0.1, 1.0, 1.5, 3.0])  # in slices, of which a page that is cut short reads one
_SLICES = 10


class _Costly(Watched):
    """A runner whose queries take a second each, and read a thousand bytes."""

    def __init__(self, runner: QueryRunner, clock: FakeClock) -> None:
        super().__init__(runner)
        self._clock = clock

    async def rows(self, query: Query) -> Answer:
        answer = await super().rows(query)
        await self._clock.advance(1)
        return msgspec.structs.replace(answer, bytes_processed=1_000)


def _rows(steps: list[tuple[float, str]], slice_us: int) -> list[Put]:
    puts, at_us = [], T0_US
    for step, key in steps:
        at_us += round(step * slice_us)
        puts.append(Put(at_us, key))
    return puts


_BUDGETS = st.sampled_from(
    [{"page_budget_s": 0.5}, {"page_budget_s": 2.5}, {"query_max_bytes_billed": 1_000}, {"max_page_bytes": 1}]
)


def test_short_pages_hold_the_window_all_the_same(shelf: Shelf) -> None:
    """By time, by bytes read or by bytes answered: every row once, in order, whatever the page's end was."""
    short, slice_us = 0, max(shelf.store.runner.profile.first_slice_us, shelf.store.runner.profile.partition_us)
    window = TimeRange(T0_US, T0_US + _SLICES * slice_us)

    @law(shelf.engine)
    @given(
        steps=st.lists(st.tuples(_STEPS, st.sampled_from("abcdefgh")), max_size=12),
        budget=_BUDGETS,
        limit=st.integers(1, 5),
        descending=st.booleans(),
    )
    def holds(steps: list[tuple[float, str]], budget: dict[str, float], limit: int, *, descending: bool) -> None:
        nonlocal short
        puts = _rows(steps, slice_us)
        shelf.clear()
        shelf.put(puts)
        shelf.clock.advance_to(window.to_us + 1)
        assert isinstance(shelf.clock, FakeClock)
        sparing, now = shelf.make_feed(_Costly(shelf.store.runner, shelf.clock), **budget), shelf.now()
        page = shelf.page(window=window, now=now, descending=descending, limit=limit, feed=sparing)
        pages = shelf.scan(page, limit, now=now, feed=sparing)
        expected = in_window(puts, window.from_us, window.to_us)
        assert places(*pages) == (expected[::-1] if descending else expected)
        for each in pages[:-1]:
            assert each.is_short is (len(each.rows) < limit)
        assert not pages[-1].is_short
        short += sum(each.is_short for each in pages)
        if not descending:  # a resume cursor of a short page misses nothing either
            rest = shelf.page(cursor=pages[0].resume_cursor, now=Now(*[window.to_us] * 3))
            assert places(pages[0], *shelf.scan(rest, 100, now=now)) == expected

    holds()
    assert short


def test_a_page_of_large_records_is_short(engine: Engine, service: Service) -> None:
    """At least one record always fits; a short page is no lasting answer, and the count is of the window."""
    small = Service(engine, service.store, max_page_bytes=1).client()
    answer = small.get("/v1/records", params=WINDOW | {"count": "exact"})
    found = [answer.json()["records"]]
    assert answer.json()["count"]["value"] == 3
    while "next" in answer.links:
        assert "etag" not in answer.headers
        assert answer.headers["cache-control"] == "private, no-cache"
        answer = small.get(answer.links["next"]["url"])
        found.append(answer.json()["records"])
    assert [[record["id"] for record in records] for records in found if records] == [["id0"], ["id1"], ["id2"]]
