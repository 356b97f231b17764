"""Who goes on a connection when there is room for fewer than want to."""

import asyncio

from app.stores.bigquery.connections import MAX_BYTES, MAX_REQUESTS
from tests.ingest.pool import Pool
from tests.ingest.scripted import turns


async def test_one_that_gives_up_waiting_neither_takes_room_nor_loses_the_call(single: Pool) -> None:
    """Whether it was called already or not."""
    running = [await single.request() for _ in range(MAX_REQUESTS)]
    impatient, patient = await single.request(), await single.request()
    impatient.cancel()
    await turns()
    await single.answer(running[0])
    assert single.load == [MAX_REQUESTS], "the patient one took the room"
    called, last = await single.request(), await single.request()
    single.answer_soon(running[1])
    await running[1]  # `called` is called now, and gives up before it runs
    called.cancel()
    await turns()
    assert single.load == [MAX_REQUESTS], "the call was passed on"
    await single.answer(*running[2:], patient, last)
    assert single.load == [0]


async def test_one_that_gives_up_between_its_call_and_its_turn_passes_the_call_on(single: Pool) -> None:
    """Room was made for it, and it is cancelled before it runs: the next in line would wait for ever."""
    running = [await single.request() for _ in range(MAX_REQUESTS)]
    called, last = await single.request(), await single.request()
    single.answer_soon(running[0])
    asyncio.get_running_loop().call_soon(called.cancel)  # behind the answer, and before what that makes run
    await turns()
    assert called.cancelled()
    assert single.has(last)
    await single.answer(*running[1:], last)
    assert single.load == [0]


async def test_one_that_gives_up_waiting_for_much_room_holds_up_nobody_who_needs_little(single: Pool) -> None:
    """There was room for those behind it all the time, and for whoever comes later; nothing else calls them."""
    running = await single.request(MAX_BYTES // 2)
    large = await single.request(MAX_BYTES)
    behind = [await single.request() for _ in range(2)]
    assert single.load == [1], "first come, first served"
    large.cancel()
    await turns()
    assert [single.has(each) for each in behind] == [True, True]
    late = await single.request()
    assert single.has(late)
    await single.answer(running, *behind, late)


async def test_a_newcomer_goes_at_once_when_all_who_waited_have_given_up(single: Pool) -> None:
    """Nobody is before it; the next answer may be far."""
    running = await single.request(MAX_BYTES // 2)
    waiting = [await single.request(MAX_BYTES) for _ in range(3)]
    for task in (waiting[1], waiting[0], waiting[2]):
        task.cancel()
        await turns()
    newcomer = await single.request()
    assert single.has(newcomer)
    await single.answer(running, newcomer)


async def test_an_answer_that_makes_room_for_several_lets_as_many_in(single: Pool) -> None:
    """A large request kept out small ones; when it is answered they do not come one by one."""
    large = await single.request(MAX_BYTES)
    small = [await single.request() for _ in range(MAX_REQUESTS + 2)]
    assert single.load == [1]
    await single.answer(large)
    assert single.load == [MAX_REQUESTS]
    await single.answer(*small)


async def test_the_last_that_gives_up_on_a_retired_connection_lets_all_in_who_wait(single: Pool) -> None:
    """The fresh one has room for four."""
    running = [await single.request() for _ in range(MAX_REQUESTS)]
    waiting = [await single.request() for _ in range(MAX_REQUESTS)]
    single.lines[0].retired = True
    await single.answer(running[0])
    assert single.load == [MAX_REQUESTS - 1, MAX_REQUESTS]
    await single.answer(*running[1:], *waiting)


async def test_a_newcomer_does_not_go_before_those_who_wait(single: Pool) -> None:
    """Room goes to them in their order, even while the one who was called has not come yet."""
    running = [await single.request() for _ in range(MAX_REQUESTS)]
    first, second = await single.request(), await single.request()
    single.answer_soon(running[0])
    newcomer = single.request_soon()
    await turns()
    assert [single.has(each) for each in (first, second, newcomer)] == [True, False, False]
    await single.answer(running[1])
    assert [single.has(each) for each in (second, newcomer)] == [True, False]
    await single.answer(*running[2:], first, second, newcomer)


async def test_one_that_was_called_in_vain_keeps_its_place(single: Pool) -> None:
    """Its room was taken in the turn of the loop before it came; it is the first in line for the next."""
    running = [await single.request() for _ in range(MAX_REQUESTS)]
    first = await single.request()
    single.answer_soon(running[0])
    quick, second = single.request_soon(), single.request_soon()
    await turns()
    assert [single.has(each) for each in (first, quick, second)] == [False, True, False], "the room is taken"
    await single.answer(running[1])
    assert [single.has(each) for each in (first, second)] == [True, False]
    await single.answer(*running[2:], quick, first, second)


async def test_several_that_were_called_in_vain_keep_their_order(single: Pool) -> None:
    """Two answers at once call two, and there is room for neither."""
    running = [await single.request(MAX_BYTES // 4) for _ in range(3)]
    first, second = await single.request(MAX_BYTES), await single.request(MAX_BYTES)
    for task in running[:2]:
        single.answer_soon(task)
    await turns()
    assert single.load == [1]
    await single.answer(running[2])
    assert [single.has(each) for each in (first, second)] == [True, False]
    await single.answer(first, second)
