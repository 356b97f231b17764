"""Which connection a request goes on, when another is opened, and when one is closed."""

import gc

import pytest

from app.runtime.clock import MICROSECONDS
from app.stores.bigquery.sink import ALONE_US, EXTRA_IDLE_S, IDLE_S, MAX_BYTES, MAX_REQUESTS
from tests.ingest.pool import Pool
from tests.ingest.scripted import turns


async def test_another_connection_is_opened_when_the_open_ones_have_no_room() -> None:
    """Requests share a connection up to its depth, and wait when as many as may be are full."""
    bench = Pool(max_connections=2)
    tasks = [await bench.request() for _ in range(2 * MAX_REQUESTS + 1)]
    assert bench.load == [MAX_REQUESTS, MAX_REQUESTS]
    await bench.answer(tasks[0])
    assert bench.load == [MAX_REQUESTS, MAX_REQUESTS], "the one that waited took the room"
    await bench.answer(*tasks[1:])
    assert bench.load == [0, 0]


async def test_bytes_fill_a_connection_as_requests_do() -> None:
    """More than a connection carries in a second only waits on it; a single large request always goes."""
    bench = Pool()
    large = await bench.request(MAX_BYTES + 1)
    small = await bench.request(1)
    assert bench.load == [1, 1]
    await bench.answer(large)
    half = await bench.request(MAX_BYTES // 2)
    other = await bench.request(MAX_BYTES // 2 + 1)
    assert bench.load == [1, 2], "the freed one, then the one that has room beside the small request"
    await bench.answer(small, half, other)


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


async def test_extra_connections_close_soon_and_the_first_before_the_service_does() -> None:
    """The service closes a connection after 600 s of silence; the next request opens a fresh one."""
    bench = Pool()
    await bench.answer(*[await bench.request() for _ in range(MAX_REQUESTS + 1)])
    await bench.clock.advance(EXTRA_IDLE_S)
    assert [line.closed for line in bench.lines] == [False, True]
    await bench.answer(await bench.request())
    await bench.clock.advance(IDLE_S - 1)
    assert [line.closed for line in bench.lines] == [False, True], "a request begins the silence anew"
    await bench.clock.advance(1)
    assert [line.closed for line in bench.lines] == [True, True]
    assert IDLE_S < 600
    await bench.answer(await bench.request())
    assert len(bench.lines) == 3


async def test_a_connection_with_a_request_on_it_is_not_idle(single: Pool) -> None:
    """Though another one on it was answered long ago."""
    slow, quick = await single.request(), await single.request()
    await single.answer(quick)
    await single.clock.advance(IDLE_S)
    assert not single.lines[0].closed
    await single.answer(slow)


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


async def test_an_idle_connection_that_the_server_ends_is_forgotten() -> None:
    """Servers drain as a matter of course."""
    bench = Pool()
    await bench.answer(await bench.request())
    bench.lines[0].retired = True
    bench.lines[0].ended.set_result(None)
    await turns()
    assert len(bench.pool) == 0
    assert bench.lines[0].closed


async def test_closing_closes_every_connection() -> None:
    """Idle or not."""
    bench = Pool()
    tasks = [await bench.request() for _ in range(MAX_REQUESTS + 1)]
    await bench.pool.close()
    assert all(line.closed for line in bench.lines)
    await bench.answer(*tasks)
    assert len(bench.pool) == 0


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


async def test_answers_in_a_burst_leave_one_idle_timer(single: Pool) -> None:
    """Two that were answered at once both find the connection idle; a later request ends all of that."""
    burst = [await single.request() for _ in range(2)]
    single.lines[0].requests.clear()
    await single.answer(*burst)
    await single.clock.advance(IDLE_S - 1)
    late = await single.request()
    await single.clock.advance(2)
    assert not single.lines[0].closed, "it is busy"
    await single.answer(late)
    await single.clock.advance(IDLE_S)
    assert single.lines[0].closed


async def test_after_an_end_that_blames_one_of_several_requests_go_one_at_a_time() -> None:
    """On each connection, for a minute; then they share it again."""
    bench = Pool(max_connections=2)
    guilty = [await bench.request() for _ in range(2)]
    bench.lines[0].retired = bench.lines[0].blames_one = True
    await bench.answer(*guilty)
    alone = [await bench.request() for _ in range(3)]
    assert bench.load == [0, 1, 1]
    await bench.answer(alone[0])
    assert bench.load == [0, 1, 1], "the one that waited"
    await bench.answer(*alone[1:])
    await bench.clock.advance(ALONE_US / MICROSECONDS)
    shared = [await bench.request() for _ in range(MAX_REQUESTS)]
    assert bench.load == [0, MAX_REQUESTS, 0]
    await bench.answer(*shared)
