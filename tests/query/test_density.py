"""How long a first slice is, by what pages have found before."""

import pytest

from app.query.read.slices import Density
from app.runtime.instants import MINUTE_US, SECOND_US
from app.runtime.time_range import TimeRange
from app.stores.query import Query
from app.stores.source import Answer
from tests.contract.shelf import Put, Shelf, places
from tests.contract.stores import T0_US

SHORTEST_US = 10 * SECOND_US


def test_a_first_slice_is_as_long_as_the_wanted_rows_took_before_and_some() -> None:
    """A row every ten seconds: a hundred rows and a quarter more are 1,250 s; what was never read begins short."""
    density = Density()
    density.note("f", 100 * SECOND_US, 10)
    assert density.slice_us("f", 100, SHORTEST_US) == 1_250 * SECOND_US
    assert density.slice_us("g", 100, SHORTEST_US) == SHORTEST_US


@pytest.mark.parametrize("descending", [False, True])
def test_the_second_page_of_sparse_rows_is_one_query(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, *, descending: bool
) -> None:
    """The first one felt its way from ten seconds on; both have the rows of the model."""
    stored = [Put(T0_US + number * MINUTE_US, f"k{number:03}") for number in range(60)]
    shelf.put(stored)
    shelf.clock.advance_to(T0_US + 60 * MINUTE_US)
    queries: list[Query] = []
    run = shelf.store.runner.rows

    async def rows(query: Query) -> Answer:
        queries.append(query)
        return await run(query)

    monkeypatch.setattr(shelf.store.runner, "rows", rows)
    first = shelf.page(window=TimeRange(T0_US, T0_US + 60 * MINUTE_US), limit=10, descending=descending)
    asked = len(queries)
    second = shelf.page(cursor=first.next_cursor, limit=10)
    assert asked > 2
    assert len(queries) == asked + 1
    expected = [(put.ingest_us, put.key) for put in (stored[::-1] if descending else stored)]
    assert places(first, second) == expected[:20]
