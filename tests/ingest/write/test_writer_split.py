"""A message larger than one append: its parts are appended one after the other, and it is answered once."""

from collections.abc import Mapping

from app.ingest.verdict import DURABLE, Throttled, Unavailable, Verdict
from app.ingest.write.batching import BatchLimits
from app.stores.sink import QuotaExceeded, RowError, RowsRefused, Stored
from tests.ingest.bench import Bench
from tests.ingest.scripted import reply_later, turns

TWO_ROWS = BatchLimits(max_rows=2, max_bytes=10_000)
BAD = RowsRefused({0: RowError("bad")})


async def test_messages_that_arrive_meanwhile_go_between_the_parts_of_a_large_one() -> None:
    """A store that takes one append at a time is not reserved for a message of three of them."""
    first = reply_later()
    bench = Bench(first, limits=TWO_ROWS)
    large = bench.submit(b"a", b"b", b"c", b"d", b"e", b"f")
    await turns()
    small = bench.submit(b"x")
    await turns()
    first.set_result(Stored())
    assert await small is DURABLE
    assert not large.done()
    assert await large is DURABLE
    assert bench.appender.stored == [b"a", b"b", b"x", b"c", b"d", b"e", b"f"]


async def test_parts_behind_one_that_is_not_durable_are_not_appended() -> None:
    """All of the message is delivered again, so they would be copies."""
    bench = Bench(Stored(), QuotaExceeded("rows"), limits=TWO_ROWS)
    assert await bench.submit(b"a", b"b", b"c", b"d", b"e", b"f") == Throttled("the store's quota is exhausted", 10.0)
    assert bench.appender.batches == [[b"a", b"b"], [b"c", b"d"]]


async def test_a_part_that_runs_out_of_time_ends_the_message() -> None:
    """The deadline is the message's, not the part's."""
    bench = Bench(Stored(), reply_later(), limits=TWO_ROWS)
    waiting = bench.submit(b"a", b"b", b"c", budget_s=5.0)
    await bench.clock.advance(5.1)
    assert isinstance(await waiting, Unavailable)
    assert (len(bench.writer._deadlines), bench.writer._open_bytes) == (0, 0)


async def test_positions_count_over_all_appends_of_a_message() -> None:
    """The second part's first row is the third of the message."""
    told: list[int] = []

    async def reject(refused: Mapping[int, RowError]) -> Verdict:
        told.extend(refused)
        return DURABLE

    bench = Bench(Stored(), BAD, limits=TWO_ROWS)
    assert await bench.submit(b"a", b"b", b"c", b"d", reject=reject) is DURABLE
    assert told == [2]
