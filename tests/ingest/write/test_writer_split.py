"""A message larger than one append: its verdict is that of the first part that is not durable."""

import pytest

from app.ingest.verdict import DURABLE, Durable, Throttled, Unavailable, Verdict
from app.ingest.write.batching import BatchLimits
from app.stores.sink import Outcome, QuotaExceeded, RowError, RowsRefused, Stored
from tests.ingest.bench import Bench
from tests.ingest.scripted import reply_later, turns

TWO_ROWS = BatchLimits(max_rows=2, max_bytes=10_000)
BAD = RowsRefused({0: RowError("bad"), 1: RowError("bad")})
REFUSED = Unavailable("the store refused the row: bad", 30.0)
NO_QUOTA = Throttled("the store's quota is exhausted", 10.0)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ((Stored(), Stored(), Stored()), DURABLE),
        ((BAD, Stored(), Stored()), REFUSED),
        ((Stored(), BAD, Stored()), REFUSED),
        ((Stored(), Stored(), BAD), REFUSED),
        ((BAD, Stored(), QuotaExceeded("rows")), REFUSED),
        ((Stored(), BAD, QuotaExceeded("rows")), REFUSED),
        ((Stored(), Stored(), QuotaExceeded("rows")), NO_QUOTA),
        ((QuotaExceeded("rows"), Stored(), BAD), NO_QUOTA),
    ],
)
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_the_first_part_that_is_not_durable_counts(
    outcomes: tuple[Outcome, ...], expected: Verdict, order: tuple[int, ...]
) -> None:
    """By its place in the message, in whichever order the answers come; the others make no difference."""
    answers = [reply_later() for _ in outcomes]
    bench = Bench(*answers, limits=TWO_ROWS, target_in_flight=3)
    waiting = bench.submit(b"a", b"b", b"c", b"d", b"e", b"f")
    await turns()
    assert len(bench.appender.batches) == 3
    for number in order:
        assert not waiting.done()
        answers[number].set_result(outcomes[number])
        await turns()
    assert await waiting == expected


async def test_a_part_that_runs_out_of_time_counts_although_the_others_are_durable() -> None:
    """All of the message is delivered again."""
    bench = Bench(Stored(), reply_later(), Stored(), limits=TWO_ROWS, target_in_flight=3)
    waiting = bench.submit(b"a", b"b", b"c", b"d", b"e", b"f", budget_s=5.0)
    await bench.clock.advance(5.1)
    assert isinstance(await waiting, Unavailable)
    assert sorted(bench.appender.stored) == [b"a", b"b", b"e", b"f"]


async def test_a_message_is_not_told_before_its_last_part_is() -> None:
    """Nor is it told for a neighbour, whose append was stored first."""
    answers = [reply_later(), reply_later()]
    bench = Bench(*answers, limits=TWO_ROWS, target_in_flight=2)
    split, neighbour = bench.submit(b"a", b"b", b"c"), bench.submit(b"d")
    await turns()
    answers[1].set_result(Stored())
    assert await neighbour == Durable()
    assert not split.done()
    answers[0].set_result(Stored())
    assert await split == Durable()


async def test_messages_that_arrive_meanwhile_go_between_the_parts_of_a_large_one() -> None:
    """A store that takes one append at a time is not reserved for a message of four of them."""
    answers = [reply_later() for _ in range(4)]
    bench = Bench(*answers, limits=TWO_ROWS)
    large = bench.submit(b"a", b"b", b"c", b"d", b"e", b"f")
    await turns()
    small = bench.submit(b"x")
    await turns()
    for answer in answers[:2]:
        answer.set_result(Stored())
        await turns()
    assert small.done()
    assert not large.done()
    for answer in answers[2:]:
        answer.set_result(Stored())
    assert await small is DURABLE
    assert await large is DURABLE
    assert bench.appender.stored == [b"a", b"b", b"x", b"c", b"d", b"e", b"f"]


async def test_parts_behind_one_that_is_not_durable_are_not_appended() -> None:
    """All of the message is delivered again, so they would be copies."""
    bench = Bench(BAD, limits=TWO_ROWS)
    assert await bench.submit(b"a", b"b", b"c", b"d", b"e", b"f") == REFUSED
    assert bench.appender.batches == [[b"a", b"b"]]
