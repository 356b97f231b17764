"""What is at hand, for how long, and what goes first."""

from app.query.chunks.chunk import Block, Chunk
from app.query.chunks.shelf import Shelf
from app.runtime.instants import MAX_US, MIN_US
from app.runtime.time_range import TimeRange
from app.stores.query import Position
from sluice.testing.clock import FakeClock


def chunk(from_us: int, to_us: int, size: int = 1_000) -> Chunk:
    """Return a chunk of about so many bytes."""
    return Chunk(from_us, to_us, (Block(Position(from_us, "a"), Position(from_us, "a"), 1, bytes(size - 600)),))


class Stage:
    """A shelf for three chunks of a thousand bytes, and a number of erasures."""

    def __init__(self) -> None:
        self.clock, self.erasures = FakeClock(), 0
        self.shelf = Shelf(3_000, self.clock, ttl_s=60, erasures=lambda: self.erasures)

    def found(self, *at_us: int) -> list[int | None]:
        """Return where the chunks at these instants begin."""
        chunks = [self.shelf.find("records", each) for each in at_us]
        return [None if each is None else each.from_us for each in chunks]


def test_a_chunk_is_found_at_each_of_its_instants_and_the_gaps_are_what_is_left() -> None:
    """Of its own table only."""
    stage = Stage()
    for each in (chunk(10, 20), chunk(30, 31)):
        stage.shelf.add("records", each)
    assert stage.found(9, 10, 19, 20, 29, 30, 31) == [None, 10, 10, None, None, 30, None]
    assert stage.shelf.find("others", 10) is None
    gaps = [stage.shelf.gap("records", at_us) for at_us in (5, 25, 31)]
    assert gaps == [TimeRange(MIN_US, 10), TimeRange(20, 30), TimeRange(31, MAX_US)]
    assert stage.shelf.gap("others", 10) == TimeRange(MIN_US, MAX_US)


def test_what_was_used_least_recently_makes_room() -> None:
    """Tables share the budget; a chunk above it is not kept."""
    stage = Stage()
    for number in range(3):
        stage.shelf.add("records", chunk(10 * number, 10 * number + 10))
    stage.found(0)
    stage.shelf.add("others", chunk(0, 10))
    assert stage.found(0, 10, 20) == [0, None, 20]
    stage.shelf.add("records", chunk(50, 60, size=3_001))
    assert stage.found(50, 0) == [None, 0]
    assert (len(stage.shelf), stage.shelf.size) == (3, 3_000)


async def test_nothing_is_kept_for_longer_than_an_answer() -> None:
    """Rows expire."""
    stage = Stage()
    stage.shelf.add("records", chunk(0, 10))
    await stage.clock.advance(59)
    assert stage.found(5) == [0]
    await stage.clock.advance(1)
    assert stage.found(5) == [None]
    assert stage.shelf.size == 0


def test_an_erasure_empties_it() -> None:
    """The erased record may be in any chunk."""
    stage = Stage()
    stage.shelf.add("records", chunk(0, 10))
    stage.erasures += 1
    assert stage.shelf.gap("records", 5) == TimeRange(MIN_US, MAX_US)
    assert (stage.found(5), len(stage.shelf), stage.shelf.size) == ([None], 0, 0)
