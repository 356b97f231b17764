"""A look-up by id in two steps finds what one statement over the whole range finds; and when limits are left out."""

import asyncio
from collections.abc import Iterator
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.ingest.decode.envelope import Message
from app.record import Record
from app.runtime.clock import MICROSECONDS
from app.runtime.instants import HOUR_US, MINUTE_US, SECOND_US, TimeRange, from_epoch_us
from app.schema.columns import Kind
from app.stores.bigquery import source as steps
from app.stores.bigquery.jobs import Trust
from app.stores.duckdb.store import EmbeddedStore
from app.stores.duckdb.table_layout import duckdb_insert
from app.stores.query import Condition, LookUp, Rows
from app.stores.source import Answer
from app.stores.sql.statement import Statement, render
from sluice.testing.clock import FakeClock
from tests.contract.stores import RECORDS, T0_US
from tests.encoding import encoded, whole_envelope
from tests.long_form import examples

STEP_US = 20 * SECOND_US
LOOKBACK_US = 3 * STEP_US
SPAN = 12
NAMES = tuple(column.name for column in RECORDS.columns)
PLACES = st.integers(0, SPAN)
APPENDS = st.lists(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=3), max_size=SPAN)
NOT_KEY_0 = Condition("message_id", (), "ne", Kind.STRING, ("key-0",))


class Copies:
    """A table in memory that holds copies, as BigQuery's do."""

    def __init__(self) -> None:
        self.loop = asyncio.Runner()
        self.store = self.loop.run(self._opened())

    async def _opened(self) -> EmbeddedStore:
        return EmbeddedStore.open(":memory:", [RECORDS], FakeClock(T0_US))

    def fill(self, batches: list[list[tuple[int, int]]]) -> None:
        """Replace the rows by these: batches of keys and ids, STEP_US apart."""
        appender, connection = self.store.appender(RECORDS), self.store._connection
        connection.execute("DELETE FROM records")
        for number, batch in enumerate(batches, 1):
            rows = [
                encoded(
                    appender,
                    Record(id=f"id-{record}", timestamp=from_epoch_us(T0_US)),
                    whole_envelope(Message(key=f"key-{key}", data=b"", attributes={})),
                ).decode()
                for key, record in batch
            ]
            values = {"ingest_us": T0_US + number * STEP_US, "rows": f"[{','.join(rows)}]"}
            connection.execute(duckdb_insert(RECORDS), values)


@pytest.fixture(scope="module")
def stored() -> Iterator[Copies]:
    """Return one table for all examples."""
    found = Copies()
    yield found
    found.store.close()
    found.loop.close()


def look_up_of(record: int, from_place: int, to_place: int, limit: int) -> LookUp:
    """Return the look-up of a record in a range of places."""
    return LookUp(
        table="records",
        within=TimeRange(T0_US + from_place * STEP_US, T0_US + to_place * STEP_US + 1),
        lookback_us=LOOKBACK_US,
        columns=NAMES,
        id_column="id",
        record_id=f"id-{record}",
        limit=limit,
    )


@example(appends=[[(1, 1)]] * 9, edges=(4, 9), limit=3, most=1_000, filtered=False).via("copies of copies")
@example(appends=[[(n, 1)] for n in (1, 2, 3, 4, 0)], edges=(0, SPAN), limit=4, most=3, filtered=False).via("too many")
@example(appends=[[(1, 1)], [(0, 2)]], edges=(2, SPAN), limit=1, most=9, filtered=False).via("only in the look-back")
@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    appends=APPENDS,
    edges=st.tuples(PLACES, PLACES),
    limit=st.integers(1, 4),
    most=st.sampled_from([2, 1_000]),
    filtered=st.booleans(),
)
def test_two_steps_find_what_one_finds(
    stored: Copies,
    appends: list[list[tuple[int, int]]],
    edges: tuple[int, int],
    limit: int,
    most: int,
    *,
    filtered: bool,
) -> None:
    """Versions, copies, copies of copies, and rows that exist before the range only."""

    async def play() -> None:
        stored.fill(appends)
        for record in range(3):
            query = look_up_of(record, min(edges), max(edges), limit)
            query = msgspec.structs.replace(query, conditions=(NOT_KEY_0,) if filtered else ())
            with patch.object(steps, "MOST_INSTANTS", most):
                found = await steps.look_up(stored.store.read, query, "", is_indexed=True)
            assert found.rows == (await stored.store.read(render(query))).rows

    stored.loop.run(play())


async def test_each_step_is_billed_and_only_the_cheap_ones_have_no_limit() -> None:
    """The instants have one unless an index finds them; a few rows have none."""
    sent: list[Statement] = []

    async def read(statement: Statement) -> Answer:
        sent.append(statement)
        rows = [{"ingest_time": each} for each in found] if len(sent) == 1 else []
        return Answer(rows, 10)

    for number, is_indexed, cheap in ((0, False, [False]), (3, True, [True, True]), (150, False, [False, False])):
        sent.clear()
        found = [from_epoch_us(T0_US + STEP_US * place // 20) for place in range(number, 0, -1)]
        answer = await steps.look_up(read, look_up_of(1, 0, SPAN, 1), "", is_indexed=is_indexed)
        assert [each.is_cheap for each in sent] == cheap
        assert answer.bytes_processed == 10 * len(cheap)


def page(from_us: int, to_us: int) -> Rows:
    """Return the query of a page of a range."""
    return Rows(table="records", within=TimeRange(from_us, to_us), lookback_us=1, columns=NAMES, limit=1)


async def test_what_is_short_has_a_high_limit_until_it_disappoints() -> None:
    """Then its table and purpose have the usual one for an hour; others do not."""
    clock = FakeClock(T0_US)
    trust = Trust({"page": 100, "look_up": 1_000}.__getitem__, clock)
    short = page(T0_US, T0_US + MINUTE_US)
    trust.note(short, 200)
    trust.note(short, None)
    assert trust.covers(short)
    trust.note(short, 201)
    assert not trust.covers(page(T0_US + MINUTE_US, T0_US + 2 * MINUTE_US))
    assert trust.covers(msgspec.structs.replace(short, table="others"))
    assert trust.covers(look_up_of(1, 0, 1, 1))
    await clock.advance(HOUR_US / MICROSECONDS)
    assert trust.covers(short)
