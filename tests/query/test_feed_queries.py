"""The queries of a page, as the store receives them, and what the feed makes of the answers."""

from itertools import pairwise

from app.query.request.scan import WITHOUT_CANARIES
from app.record import CANARY_PREFIX
from app.runtime.instants import MINUTE_US, TimeRange
from app.stores.query import Rows
from app.stores.source import QueryTooExpensiveError
from tests.contract.shelf import LOOKBACK_US
from tests.contract.stores import RECORDS, T0_US
from tests.contract.watched import bounds
from tests.query.scripted_runner import BY_ID, END_US, Scripted, at, budget, feed_over, keys, row, scan_of


async def test_the_first_query_asks_for_one_row_more_than_the_page_has() -> None:
    """The extra row shows whether there are more."""
    runner, columns = Scripted(), tuple(each for each in RECORDS.columns if each.name in {"id", "source"})
    scan = scan_of(after=at(5, "k"), columns=columns, conditions=BY_ID)
    await feed_over(runner).page(scan, budget(max_page_bytes=500))
    assert runner.pages[0] == Rows(
        table="records",
        within=TimeRange(T0_US + 5, T0_US + 5 + MINUTE_US),
        conditions=BY_ID,
        lookback_us=LOOKBACK_US,
        columns=tuple(
            each.name
            for each in RECORDS.columns
            if each.name in {"id", "source", "ingest_time", "delivery_key"}  # the last two are the order
        ),
        descending=False,
        after=at(5, "k"),
        limit=11,
        max_bytes=500,
    )


async def test_canaries_are_left_out_here_and_not_by_the_store() -> None:
    """They count as examined, so a page of nothing else goes on behind them; other conditions are the store's."""
    canaries = [row(number, f"{CANARY_PREFIX}{number}") for number in range(3)]
    runner = Scripted(canaries, [row(4, "a")])
    page = await feed_over(runner).page(scan_of(conditions=(*BY_ID, WITHOUT_CANARIES), limit=2), budget())
    assert keys(page.rows) == ["a"]
    assert [(each.conditions, each.after) for each in runner.pages[:2]] == [
        (BY_ID, None),
        (BY_ID, at(2, f"{CANARY_PREFIX}2")),
    ]
    with_them = Scripted([row(1, f"{CANARY_PREFIX}1")])
    assert len((await feed_over(with_them).page(scan_of(limit=2), budget())).rows) == 1


async def test_a_slice_that_is_too_large_is_read_in_pieces() -> None:
    """In order, and the slices behind it as planned; then the rest of the window follows."""
    runner = Scripted([], QueryTooExpensiveError(1, 2), [row(2 * MINUTE_US, "a")])
    page = await feed_over(runner).page(scan_of(), budget())
    assert (keys(page.rows), page.stopped_at) == (["a"], None)
    (_, first_us), (from_us, to_us), *pieces = map(bounds, runner.pages)
    assert (from_us, to_us) == (first_us, first_us + 6 * MINUTE_US)
    assert pieces[0][0] == from_us
    assert pieces[0][1] < to_us
    assert pieces[-1][1] == END_US
    assert all(before[1] == behind[0] for before, behind in pairwise(pieces))
