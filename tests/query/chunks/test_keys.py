"""Copies are told by the keys at hand as the store tells them; the look-back is read only where keys are missing."""

import asyncio
from collections import Counter, defaultdict
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.query.chunks.keys import RecentKeys, copies_in, keys_of
from app.query.chunks.plan import Sizes
from app.query.chunks.shelf import Shelf
from app.query.chunks.source import ChunkedSource
from app.query.request.scan import position_of
from app.record import Record
from app.runtime.instants import SECOND_US
from app.runtime.time_range import TimeRange
from app.stores.query import IS_COPY, Export, Position, Query, RowQuery
from app.stores.source import Answer
from sluice.testing.clock import FakeClock
from tests.contract.shelf import LOOKBACK_US, Put, envelope, originals
from tests.contract.stores import RECORDS, T0_US
from tests.encoding import encoded
from tests.long_form import examples
from tests.stores.memory.store import MemoryAppender, MemoryStore

STEP_US = LOOKBACK_US // 4
SPAN = 24
PUTS = st.lists(
    st.builds(Put, st.integers(0, SPAN - 1).map(lambda place: T0_US + place * STEP_US), st.sampled_from("abc"))
)


class Told(MemoryStore):
    """A store of these rows that remembers the look-back of each query for a chunk."""

    def __init__(self, puts: list[Put], *, most_rows: int = 1_000, max_bytes: int = 10**6) -> None:
        self.fake = FakeClock(T0_US + SPAN * STEP_US)
        super().__init__([RECORDS], self.fake, defaultdict(list))
        appender = MemoryAppender(self, RECORDS)
        for put in puts:
            record = Record(id=put.id, timestamp=datetime(2026, 1, 1, tzinfo=UTC))
            self.insert("records", [(put.ingest_us, encoded(appender, record, envelope(put.key)))])
        self.lookbacks = list[int]()
        self.shelf = Shelf(max_bytes, self.fake, ttl_s=1e6, erasures=lambda: self.generation)
        sizes = Sizes(target_rows=2, target_bytes=10**6, most_rows=most_rows)
        self.source = ChunkedSource(
            self, [RECORDS], self.shelf, lookback_us=LOOKBACK_US, reads=Counter(), grid_us=1, sizes=sizes
        )

    async def rows(self, query: Query) -> Answer:
        if isinstance(query, Export):
            self.lookbacks.append(query.lookback_us)
        return await super().rows(query)

    async def page(self, from_place: int, to_place: int, *, descending: bool = False) -> list[Position]:
        """Return the positions of the rows between two places, as a page has them."""
        query = RowQuery(
            table="records",
            within=TimeRange(T0_US + from_place * STEP_US, T0_US + to_place * STEP_US),
            lookback_us=LOOKBACK_US,
            columns=("delivery_key", "ingest_time"),
            descending=descending,
            limit=1_000,
            candidates=1_000,
        )
        places = [position_of(row) for row in (await self.source.rows(query)).rows if not row[IS_COPY]]
        return places[::-1] if descending else places


@example(puts=[Put(T0_US, "a")] * 3, cut=0).via("equal rows")
@example(puts=[Put(T0_US + place * 4 * STEP_US, "a") for place in range(6)], cut=8).via("at the edge of the look-back")
@given(puts=PUTS, cut=st.integers(0, SPAN))
def test_copies_are_those_that_the_definition_says(puts: list[Put], cut: int) -> None:
    """By the keys of the segments before: copies of copies, equal rows, and keys just outside of the look-back."""
    ordered = sorted(puts, key=lambda put: (put.ingest_us, put.key))
    edge_us, keys = T0_US + cut * STEP_US, RecentKeys(10**6)
    for begin in range(0, cut, 2):
        span = TimeRange(T0_US + begin * STEP_US, min(T0_US + (begin + 2) * STEP_US, edge_us))
        keys.add("records", keys_of(span, places_of(ordered, span)))
    keys.add("records", keys_of(TimeRange(T0_US - LOOKBACK_US, T0_US), []))
    span = TimeRange(edge_us, T0_US + SPAN * STEP_US)
    segment = keys_of(span, places_of(ordered, span))
    earlier = keys.before("records", edge_us, LOOKBACK_US)
    assert earlier is not None
    marks = copies_in(segment, earlier, LOOKBACK_US)
    kept = [place for place, is_copy in zip(places_of(ordered, span), marks, strict=True) if not is_copy]
    assert kept == places_of(originals(puts), span)


def places_of(puts: list[Put], span: TimeRange) -> list[Position]:
    """Return the positions of the rows of a span."""
    return [Position(put.ingest_us, put.key) for put in puts if put.ingest_us in span]


READS = st.lists(
    st.tuples(st.integers(0, SPAN), st.integers(0, SPAN), st.booleans(), st.booleans()), min_size=1, max_size=8
)


@example(
    puts=[Put(T0_US + n * STEP_US, "abc"[n % 3]) for n in range(SPAN)],
    reads=[(0, 6, False, False), (6, 12, False, False), (12, 24, True, False)],
    most_rows=4,
    max_bytes=10**6,
).via("a chunk that is cut at its beginning")
@example(puts=[Put(T0_US, "a")], reads=[(0, 1, False, False)], most_rows=4, max_bytes=400).via("no room for a chunk")
@settings(max_examples=examples(80))
@given(puts=PUTS, reads=READS, most_rows=st.sampled_from([4, 1_000]), max_bytes=st.sampled_from([400, 10**6]))
def test_whatever_was_read_before_changes_no_answer(
    puts: list[Put], reads: list[tuple[int, int, bool, bool]], most_rows: int, max_bytes: int
) -> None:
    """In any order and direction, with chunks and keys lost for want of room, and all of them by an erasure."""

    async def play() -> None:
        store = Told(puts, most_rows=most_rows, max_bytes=max_bytes)
        for first, second, descending, erased in reads:
            from_place, to_place = sorted((first, second))
            if erased:
                await store.advance()
            span = TimeRange(T0_US + from_place * STEP_US, T0_US + to_place * STEP_US)
            found = await store.page(from_place, to_place, descending=descending)
            assert found == places_of(originals(puts), span)

    asyncio.run(play())


async def test_a_follower_reads_the_look_back_until_it_has_the_keys_of_it() -> None:
    """From then on no query names another span than its own; an erasure begins anew."""
    store = Told([Put(T0_US + place * STEP_US, "a") for place in range(SPAN)])
    store.fake = store.clock = clock = FakeClock(T0_US)
    looked = list[set[int]]()
    for place in range(8):
        if place == 7:
            await store.advance()
        store.lookbacks.clear()
        await clock.advance(STEP_US / SECOND_US)
        await store.page(place, place + 1)
        looked.append(set(store.lookbacks))
    assert looked[:-1] == [{LOOKBACK_US}] * 4 + [{0}] * 3
    assert LOOKBACK_US in looked[-1]


@pytest.mark.parametrize(("room", "known"), [(12, True), (11, False)])
def test_keys_have_a_budget_and_those_used_least_recently_go_first(room: int, *, known: bool) -> None:
    """A look-back with a gap is no look-back."""
    keys = RecentKeys(room)
    for begin in range(0, 12, 3):
        keys.add("a", keys_of(TimeRange(begin, begin + 3), [Position(begin + at, f"k{begin + at}") for at in range(3)]))
    assert len(keys) == (12 if known else 9)
    assert (keys.before("a", 12, 12) is not None) is known
    assert keys.before("a", 12, 9) is not None
    assert keys.before("a", 11, 1) is None
    assert keys.before("b", 12, 1) is None


def test_a_segment_takes_the_place_of_what_it_overlaps() -> None:
    """What was read again may have other edges."""
    keys = RecentKeys(100)
    for span in (TimeRange(0, 4), TimeRange(4, 8), TimeRange(8, 12), TimeRange(3, 9)):
        keys.add("a", keys_of(span, [Position(span.from_us, "k")]))
    assert len(keys) == 1
    assert keys.before("a", 9, 6) is not None
    assert keys.before("a", 9, 7) is None
