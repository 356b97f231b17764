"""Messages that the store refuses go on alone: what becomes of them, and that nobody else is held up."""

import asyncio
from collections.abc import Sequence

import pytest

from app.ingest.suspects import ALONE_REFUSALS, HIGH_DELIVERY_ATTEMPT, SPARE_REFUSALS
from app.ingest.verdict import Durable, Throttled, Unavailable
from app.stores.sink import (
    Outcome,
    QuotaExceeded,
    RowError,
    RowsHeld,
    RowsRefused,
    SetupError,
    SinkState,
    Stored,
    TooLarge,
    Uncertain,
)
from tests.ingest.refusing import Remote, bad, bench, every, one_by_one, unnamed
from tests.ingest.scripted import reply_later, turns


async def test_a_message_refused_alone_while_others_are_stored_is_rejected_at_once() -> None:
    """Its batch shows that the table takes rows; refused alone three times, the message is at fault."""
    made = bench(unnamed)
    told = await asyncio.gather(*[made.deliver(f"m{row!r}", row) for row in (b"a", b"bad", b"b", b"c")])
    assert told == [Durable()] * 4
    assert made.rejected == [b"bad"]
    assert made.appender.batches.count([b"bad"]) == ALONE_REFUSALS
    assert sorted(made.appender.stored) == [b"a", b"b", b"c"]


async def test_neighbours_are_told_while_a_suspect_is_worked_on() -> None:
    """The lane is beside the batches: neither its appends nor its refusals hold up anybody."""
    made, held = bench(unnamed), reply_later()
    decide = made.appender.decide
    waiting = [made.deliver("poison", *bad(8)), made.deliver("good", b"good")]
    made.appender.decide = lambda rows: decide(rows) if len(made.appender.batches) < 3 else hold(rows)

    def hold(rows: Sequence[bytes]) -> Outcome:
        if rows[0].startswith(b"bad"):
            made.appender.replies.append(held)
        return decide(list(rows))

    assert await waiting[1] == Durable()
    for number in range(5):
        assert await made.deliver(f"m{number}", b"later%d" % number) == Durable()
    assert not waiting[0].done()
    held.set_result(RowsRefused({}))
    waiting[0].cancel()
    await turns()


@pytest.mark.parametrize("count", [100, 600])
async def test_bad_rows_named_one_per_answer_cost_their_neighbours_one_append(count: int) -> None:
    """After the first the message goes alone, and when it has cost enough appends it is rejected whole."""
    made = bench(one_by_one)
    poison = made.deliver("poison", b"good of the poison", *bad(count))
    neighbours = [made.deliver(f"m{number}", b"good%d" % number) for number in range(20)]
    assert await asyncio.gather(*neighbours) == [Durable()] * 20
    with_neighbours = [batch for batch in made.appender.batches if b"good0" in batch]
    assert len(with_neighbours) == 2
    assert await poison == Durable()
    assert len(made.appender.batches) <= 3 + SPARE_REFUSALS + count.bit_length()
    assert set(bad(count)) <= set(made.rejected)
    assert len(set(made.rejected)) == len(made.rejected)
    assert made.state() is SinkState.ACTIVE


async def test_a_message_of_many_bad_rows_that_nobody_names_is_rejected_whole() -> None:
    """It may cost the halving of a message down to a bad row, and some more."""
    made = bench(unnamed)
    poison, good = made.deliver("poison", *bad(1_000)), made.deliver("good", b"good")
    assert [await poison, await good] == [Durable()] * 2
    assert sorted(made.rejected) == sorted(bad(1_000))
    assert len(made.appender.batches) < 2 * (SPARE_REFUSALS + 10)


async def test_what_a_message_cost_in_earlier_deliveries_counts() -> None:
    """A message whose rejection fails does not begin anew each time."""
    made = bench(one_by_one)
    made.rejects_verdict = Unavailable("the rejects are down", 1.0)
    for _ in range(30):
        assert isinstance(await made.deliver("poison", *bad(60)), Unavailable)
    appends = len(made.appender.batches)
    made.rejects_verdict = Durable()
    assert await made.deliver("poison", *bad(60)) == Durable()
    assert len(made.appender.batches) - appends == 1
    assert sorted(made.rejected) == sorted(bad(60))


async def test_a_suspect_that_comes_again_goes_straight_to_the_lane() -> None:
    """Its neighbours are not refused with it a second time; once it is stored, it is like any other."""
    made = bench(unnamed)
    await made.deliver("poison", b"bad")
    made.appender.batches.clear()
    told = [*await asyncio.gather(made.deliver("poison", b"bad"), made.deliver("good", b"good"))]
    assert told == [Durable()] * 2
    assert [b"good"] in made.appender.batches
    assert all(batch in ([b"bad"], [b"good"]) for batch in made.appender.batches)
    await made.deliver("other", b"bad too")
    made.appender.decide = every(Stored())
    made.appender.batches.clear()
    assert await made.deliver("other", b"bad too") == Durable()
    await asyncio.gather(made.deliver("other", b"bad too"), made.deliver("good", b"good"))
    assert made.appender.batches == [[b"bad too"], [b"bad too", b"good"]]


async def test_a_message_that_was_delivered_often_goes_alone_and_is_not_condemned() -> None:
    """An outage delivers good messages often: no more of them go alone than the lane has room for."""
    made = bench(every(Stored()))
    told = await asyncio.gather(
        *[made.deliver(f"m{number}", b"%d" % number, delivery_attempt=HIGH_DELIVERY_ATTEMPT) for number in range(20)],
        made.deliver("new", b"new", delivery_attempt=HIGH_DELIVERY_ATTEMPT - 1),
    )
    assert told == [Durable()] * 21
    alone = [batch for batch in made.appender.batches if len(batch) == 1]
    assert len(alone) == 4
    assert len(made.appender.batches) == 5
    assert made.rejected == []
    assert len(made.writer._lane.cases) == 0


async def test_suspects_take_turns() -> None:
    """One append each: a small one is not behind all appends of a large one."""
    made = bench(one_by_one)
    await asyncio.gather(made.deliver("large", *bad(3)), made.deliver("small", b"bad small", b"rest"))
    made.appender.batches.clear()
    large, small = made.deliver("large", *bad(20)), made.deliver("small", b"bad small", b"rest")
    assert await small == Durable()
    assert not large.done()
    assert len(made.appender.batches) <= 4
    assert await large == Durable()


async def test_the_lane_has_one_append_under_way_at_a_time() -> None:
    """However many suspects there are, they take little from everybody else."""
    made = bench(one_by_one)
    assert isinstance(made.appender, Remote)
    await asyncio.gather(*[made.deliver(f"m{number}", b"bad%d" % number, b"rest") for number in range(6)])
    made.appender.most = 0
    suspects = [made.deliver(f"m{number}", b"bad again%d" % number, b"new", b"rest") for number in range(6)]
    assert await asyncio.gather(*suspects) == [Durable()] * 6
    assert made.appender.most == 1


async def test_a_suspect_ends_with_its_deadline() -> None:
    """The lane may be busy with others for longer."""
    made = bench(unnamed)
    made.appender.replies = [RowsRefused({}), reply_later()]
    told = made.deliver("poison", *bad(2), budget_s=5.0)
    other = made.deliver("other", b"bad")
    await made.clock.advance(5.1)
    assert isinstance(await told, Unavailable)
    other.cancel()
    await turns()


@pytest.mark.parametrize(
    ("outcome", "verdict", "state"),
    [
        (QuotaExceeded("rows"), Throttled, SinkState.QUOTA_EXHAUSTED),
        (SetupError(SinkState.NOT_FOUND, "no table"), Unavailable, SinkState.NOT_FOUND),
    ],
)
async def test_trouble_that_a_suspect_meets_stops_the_table_like_any_other(
    outcome: Outcome, verdict: type, state: SinkState
) -> None:
    """And all suspects with it."""
    made = bench(unnamed)
    made.appender.replies = [RowsRefused({}), RowsRefused({}), outcome]
    told = await asyncio.gather(made.deliver("one", *bad(2)), made.deliver("two", *bad(2)))
    assert [type(each) for each in told] == [verdict] * 2
    assert made.state() is state


async def test_a_suspect_that_uses_a_missing_column_waits_like_any_other() -> None:
    """It is told 503, and neither it nor the table is blamed."""
    made = bench(unnamed)
    made.appender.replies = [RowsRefused({}), RowsHeld(frozenset({0}), "it lacks x")]
    assert isinstance(await made.deliver("one", *bad(2)), Unavailable)
    assert made.state() is SinkState.COLUMNS_PENDING


async def test_a_suspect_without_an_answer_is_sent_again() -> None:
    """Until its deadline, with pauses that grow; it counts neither for nor against it."""
    made = bench(every(Stored()))
    made.appender.replies = [RowsRefused({}, "invalid"), *[Uncertain("gone")] * 3]
    told = made.deliver("poison", b"a", b"b")
    await made.clock.advance(5)
    assert await told == Durable()
    assert sorted(made.appender.stored) == [b"a", b"b"]


async def test_a_suspect_that_is_too_large_is_halved() -> None:
    """Its rows are not what is wrong."""
    made = bench(lambda rows: TooLarge("11 MB") if len(rows) > 1 else one_by_one(rows))
    made.appender.replies = [RowsRefused({0: RowError("bad")})]
    assert await made.deliver("large", b"bad", b"b", b"c", b"d") == Durable()
    assert sorted(made.appender.stored) == [b"b", b"c", b"d"]


async def test_closing_the_writer_leaves_no_suspect_waiting() -> None:
    """Those in the lane, and those that compare themselves with others."""
    made = bench(unnamed)
    made.appender.replies = [RowsRefused({}), RowsRefused({}), RowsRefused({}), reply_later()]
    told = [made.deliver("one", b"bad"), made.deliver("two", b"bad"), made.deliver("three", b"c", b"d")]
    await turns()
    await made.writer.close()
    assert {type(each) for each in await asyncio.gather(*told)} == {Unavailable}


async def test_a_defect_in_the_lane_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message comes again, and the lane goes on."""
    made = bench(unnamed)
    with monkeypatch.context() as broken:
        broken.setattr("app.ingest.suspect_lane.suspect_step", lambda *_: 1 / 0)
        assert isinstance(await made.deliver("poison", b"bad"), Unavailable)
    assert len(made.writer._lane) == 0
    told = [*await asyncio.gather(made.deliver("poison", b"bad"), made.deliver("good", b"good"))]
    assert told == [Durable()] * 2


async def test_the_lane_does_not_open_a_case_against_a_message_that_was_never_refused() -> None:
    """Only a refusal does."""
    made = bench(every(Stored()))
    assert await made.deliver("often", b"a", delivery_attempt=100) == Durable()
    made.appender.replies = [Uncertain("gone")] * 30
    told = made.deliver("often", b"a", delivery_attempt=100, budget_s=1.0)
    await made.clock.advance(1.1)
    assert isinstance(await told, Unavailable)
    assert len(made.writer._lane.cases) == 0
