"""When batches go out, how much at once and how many at a time; and that none of them is forgotten."""

import asyncio
from contextvars import ContextVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest.scripted import turns
from tests.ingest.write.desk import Desk
from tests.long_form import examples


async def test_batches_that_are_not_full_keep_their_distance() -> None:
    """It grows with what is under way: one, two and three milliseconds after the one before."""
    desk = Desk()
    await desk.added(b"a")
    for row in (b"b", b"c", b"d", b"e"):
        await desk.added(row)
        await desk.clock.advance(0.004)
    assert desk.sent == [[b"a"], [b"b"], [b"c"], [b"d"]]
    assert desk.sent_us == [0, 1_000, 4_000, 8_000]  # the third was allowed at 3, and came at 4
    assert (len(desk.dispatcher.waiting), desk.timers) == (1, 0), "with four under way an end is what it waits for"


@pytest.mark.parametrize(
    ("rows", "sent", "later", "sent_us"),
    [
        ([b"c"], [], [[b"b", b"c"]], [1_000]),
        ([b"c", b"d", b"e"], [[b"b", b"c", b"d"]], [[b"b", b"c", b"d"], [b"e"]], [500, 2_500]),
    ],
    ids=["not full", "full"],
)
async def test_what_comes_while_a_batch_waits_for_its_time_goes_with_it(
    rows: list[bytes], sent: list[list[bytes]], later: list[list[bytes]], sent_us: list[int]
) -> None:
    """One timer is left as it is, unless the batch fills: it goes at once, and what is left keeps the distance."""
    desk = Desk()
    await desk.added(b"a")
    await desk.added(b"b")
    await desk.clock.advance(0.0005)
    await desk.added(*rows)
    assert (desk.sent[1:], desk.timers) == (sent, 1)
    await desk.clock.advance(0.0005)
    assert desk.timers == len(sent)
    await desk.clock.advance(0.0015)
    assert (desk.sent[1:], desk.sent_us[1:], desk.timers) == (later, sent_us, 0)


async def test_an_append_that_fails_makes_way_for_the_next() -> None:
    """Whatever `send` raises is its caller's defect, and stops nobody else."""
    desk = Desk(target_in_flight=1, max_in_flight=1)
    await desk.added(b"a")
    await desk.added(b"b")
    (task,) = desk.dispatcher._tasks
    desk.answers[0].set_exception(RuntimeError("a defect"))
    await turns()
    assert isinstance(task.exception(), RuntimeError)
    assert desk.sent == [[b"a"], [b"b"]]


@pytest.mark.parametrize("timed", [False, True], ids=["in this turn", "at a time"])
async def test_what_is_taken_away_while_it_is_about_to_go_is_not_sent(*, timed: bool) -> None:
    """And what comes after goes as ever."""
    desk = Desk()
    if timed:
        await desk.added(b"a")
    desk.add(b"b", b"c")
    assert [each.rows for each in desk.dispatcher.waiting.take_all()] == [(b"b",), (b"c",)]
    await desk.clock.advance(0.1)
    assert desk.sent == [[b"a"]][: int(timed)]
    await desk.added(b"d")
    await desk.clock.advance(0.1)
    assert desk.sent[-1] == [b"d"]
    assert desk.timers == 0


@pytest.mark.parametrize("timed", [False, True], ids=["in this turn", "at a time"])
async def test_close_sends_nothing_that_was_about_to_go_and_leaves_nothing(*, timed: bool) -> None:
    """Neither a timer, nor a task, nor a batch."""
    desk = Desk()
    if timed:
        await desk.added(b"a")
    desk.add(b"b")
    await desk.dispatcher.close()
    assert (len(desk.dispatcher.waiting), desk.timers) == (0, 0)
    assert all(answer.cancelled() for answer in desk.answers)
    await desk.clock.advance(1)
    assert desk.sent == [[b"a"]][: int(timed)]
    assert (desk.timers, desk.dispatcher._tasks) == (0, set())


@pytest.mark.parametrize("spare_turns", range(6))
async def test_close_in_the_turn_in_which_a_batch_begins_leaves_nothing(spare_turns: int) -> None:
    """It may have been taken and not begun, or have just ended and called for the next."""
    desk = Desk(target_in_flight=1, max_in_flight=1)
    await desk.added(b"a")
    desk.add(b"b")
    desk.answers[0].set_result(None)
    await turns(spare_turns)
    await desk.dispatcher.close()
    await turns()
    assert (len(desk.dispatcher.waiting), desk.timers, desk.dispatcher._tasks) == (0, 0, set())
    assert all(answer.done() for answer in desk.answers)


_whose: ContextVar[str] = ContextVar("whose", default="nobody's")


async def test_what_is_spawned_is_in_nobodys_context() -> None:
    """The trace of the message that happened to begin a batch is not that of the others in it."""
    desk, seen = Desk(), []

    async def beside() -> None:
        seen.append(_whose.get())

    _whose.set("a message's")
    desk.dispatcher.spawn(beside())
    await turns()
    assert seen == ["nobody's"]
    assert desk.dispatcher._tasks == set()


_ARRIVALS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), min_size=1, max_size=12)
_TAKES_S = st.lists(st.sampled_from([0.0, 0.001, 0.02, 60.0]), min_size=1, max_size=8)


@settings(max_examples=examples(40), deadline=None)
@given(_ARRIVALS, _TAKES_S, st.integers(1, 4), st.integers(0, 4))
def test_every_row_is_sent_once_in_order_and_none_waits_for_ever(
    arrivals: list[tuple[int, int]], takes_s: list[float], target_in_flight: int, more: int
) -> None:
    """However the rows come (so many after so many milliseconds), and however long the appends take by turns."""

    async def played() -> None:
        desk = Desk(
            target_in_flight=target_in_flight,
            max_in_flight=target_in_flight + more,
            acknowledged=False,
            takes_s=takes_s,
        )
        rows = 0
        for gap_ms, count in arrivals:
            await desk.clock.advance(gap_ms / 1_000)
            desk.add(*(b"%d" % number for number in range(rows, rows + count)))
            rows += count
        await desk.clock.advance(60.0 * (rows + 1))
        assert [row for batch in desk.sent for row in batch] == [b"%d" % number for number in range(rows)]
        assert max(map(len, desk.sent)) <= 3
        assert desk.most <= target_in_flight + more
        assert (len(desk.dispatcher.waiting), desk.dispatcher.in_flight, desk.timers) == (0, 0, 0)

    asyncio.run(played())
