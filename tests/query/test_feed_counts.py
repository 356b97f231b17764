"""Look-ups, counts and explanations of a feed: the queries, as the store receives them."""

import pytest

from app.query.read import feed
from app.query.request.scan import Count as Counted
from app.runtime.instants import MINUTE_US, TimeRange
from app.stores.query import Count, LookUp
from app.stores.source import Answer, LookUpTooExpensiveError, QueryTooExpensiveError
from tests.contract.shelf import LOOKBACK_US
from tests.contract.stores import RECORDS, T0_US
from tests.contract.watched import bounds
from tests.query.scripted_runner import BY_ID, END_US, Scripted, at, budget, feed_over, scan_of


def look_up(from_us: int, to_us: int, limit: int) -> LookUp:
    """Return a look-up of the record x."""
    return LookUp(
        table="records",
        within=TimeRange(from_us, to_us),
        conditions=BY_ID,
        lookback_us=LOOKBACK_US,
        columns=tuple(each.name for each in RECORDS.columns),
        id_column="id",
        record_id="x",
        limit=limit,
    )


async def test_versions_are_looked_up_in_the_newest_slice_and_then_in_all_others() -> None:
    """The second look-up asks for as many as are missing."""
    runner = Scripted([{"id": "new"}], [{"id": "old"}])
    found = await feed_over(runner).versions("x", TimeRange(T0_US, END_US), BY_ID, 2)
    assert [each["id"] for each in found] == ["new", "old"]
    assert runner.queries == [
        look_up(END_US - MINUTE_US, END_US, 2),
        look_up(T0_US, END_US - MINUTE_US, 1),
    ]


async def test_a_look_up_that_is_too_large_says_how_far_it_came() -> None:
    """With the limit, and what it would have needed."""
    runner = Scripted([{"id": "new"}], QueryTooExpensiveError(100, 200))
    with pytest.raises(LookUpTooExpensiveError) as raised:
        await feed_over(runner).versions("x", TimeRange(T0_US, END_US), (), 2)
    assert (raised.value.limit_bytes, raised.value.needed_bytes, raised.value.row_count) == (100, 200, 1)
    assert raised.value.since_us == END_US - MINUTE_US


def counted(*numbers: int) -> Scripted:
    """Return a runner that counts so many rows, in its first queries."""
    return Scripted(*(Answer([{"records": number}], bytes_processed=10) for number in (*numbers, *[0] * 20)))


async def test_a_count_to_a_cap_ends_where_it_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the newest rows backwards; the slices before are not read."""
    monkeypatch.setattr(feed, "COUNT_CAP", 7)
    runner = counted(3, 4, 5)
    assert await feed_over(runner).count(scan_of(count="capped"), budget()) == Counted(7, "gte")
    edges = [bounds(each) for each in runner.queries]
    assert edges == [(END_US - MINUTE_US, END_US), (END_US - 7 * MINUTE_US, END_US - MINUTE_US)]


@pytest.mark.parametrize("is_resumed", [False, True])
async def test_a_count_begins_behind_the_last_row_of_the_scan_that_it_resumes(*, is_resumed: bool) -> None:
    """A page's own position within the window is no such row: the count is of all of the window."""
    runner = counted(1)
    await feed_over(runner).count(scan_of(after=at(5, "k"), is_resumed=is_resumed, count="exact"), budget())
    (query,) = runner.queries
    assert isinstance(query, Count)
    assert (query.after, query.within.from_us) == (at(5, "k") if is_resumed else None, T0_US)
