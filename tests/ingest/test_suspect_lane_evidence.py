"""What a message brings along when it goes alone: what it was refused for, and what was stored meanwhile."""

from app.ingest.verdict import Durable, Unavailable
from app.stores.sink import RowError, RowsRefused, Stored
from tests.ingest.bench import Bench
from tests.ingest.refusing import bench, unnamed
from tests.ingest.scripted import reply_later, turns

NAMED = RowsRefused({0: RowError("bad")})


async def test_a_lone_message_is_not_appended_as_a_whole_again() -> None:
    """It was just refused so; its halves come next."""
    made = bench(unnamed)
    await made.deliver("m", b"bad", b"good")
    assert made.appender.batches[:3].count([b"bad", b"good"]) == 1


async def test_what_was_stored_since_the_first_append_of_a_message_speaks_against_its_other_rows() -> None:
    """The table stores rows of others, so a row that is refused alone is at fault; no redelivery is needed."""
    first = reply_later()
    made = Bench(first, Stored(), *[RowsRefused({})] * 3, target_in_flight=2)
    suspect = made.deliver("m", b"named", b"unnamed")
    await turns()
    assert await made.deliver("n", b"good") == Durable()
    first.set_result(NAMED)
    assert await suspect == Durable()
    assert made.rejected == [b"named", b"unnamed"]


async def test_what_was_stored_before_the_first_append_of_a_message_says_nothing() -> None:
    """The table may have changed since."""
    made = Bench(Stored(), NAMED, *[RowsRefused({})] * 3)
    assert await made.deliver("n", b"good") == Durable()
    assert isinstance(await made.deliver("m", b"named", b"unnamed"), Unavailable)
    assert made.rejected == [b"named"]
