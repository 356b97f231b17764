"""Which connection a request goes on, when another is opened, and when one is closed."""

import gc

import pytest

from app.stores.bigquery.connections import IDLE_S, MAX_BYTES, MAX_REQUESTS
from tests.ingest.pool import Pool
from tests.ingest.scripted import turns


async def test_requests_share_a_connection_up_to_the_last_byte() -> None:
    """One byte more goes on another."""
    bench = Pool()
    tasks = [await bench.request(size) for size in (MAX_BYTES // 2, MAX_BYTES - MAX_BYTES // 2)]
    assert bench.load == [2]
    tasks.append(await bench.request(1))
    assert bench.load == [2, 1]
    await bench.answer(*tasks)


async def test_a_request_larger_than_a_connection_takes_goes_on_an_idle_one(single: Pool) -> None:
    """Where no other may be opened it would wait for ever."""
    await single.answer(await single.request())
    large = await single.request(MAX_BYTES + 1)
    assert single.has(large)
    await single.answer(large)
    assert len(single.lines) == 1


async def test_a_retired_connection_takes_nothing_new_and_closes_when_nobody_waits_for_it() -> None:
    """The requests on it keep their chance of an answer."""
    bench = Pool()
    first, second = await bench.request(), await bench.request()
    bench.lines[0].retired = True
    third = await bench.request()
    assert bench.load == [2, 1]
    await bench.answer(first)
    assert [line.closed for line in bench.lines] == [False, False]
    await bench.answer(second)
    assert [line.closed for line in bench.lines] == [True, False]
    await bench.answer(third)
    assert [line.closed for line in bench.lines] == [True, False]


@pytest.mark.parametrize(("requests", "open_ones"), [(1, 1), (2 * MAX_REQUESTS + 1, 3)])
async def test_a_fresh_connection_is_used_after_all_were_retired(requests: int, open_ones: int) -> None:
    """That is how a table that was made again is found: every idle connection is closed."""
    bench = Pool()
    await bench.answer(*[await bench.request() for _ in range(requests)])
    bench.pool.retire()
    await turns()
    assert [line.closed for line in bench.lines] == [True] * open_ones
    assert len(bench.pool) == 0
    await bench.answer(await bench.request())
    assert len(bench.lines) == open_ones + 1


async def test_a_connection_that_cannot_be_closed_does_not_keep_the_service_from_ending() -> None:
    """The others are closed, and whoever closes them hears of nothing that it could do anything about."""
    bench = Pool()
    await bench.answer(*[await bench.request() for _ in range(MAX_REQUESTS + 1)])
    bench.lines[0].trouble = OSError("a socket")
    await bench.pool.close()
    assert [line.closed for line in bench.lines] == [False, True]


async def test_a_connection_that_was_closed_leaves_nothing_behind() -> None:
    """Load calls for one and lets it go again, for as long as the service runs."""
    bench = Pool()
    await bench.answer(await bench.request())
    await bench.clock.advance(IDLE_S)
    closing = bench.lines[0].closing
    assert closing is not None
    gc.collect()
    assert closing() is None
