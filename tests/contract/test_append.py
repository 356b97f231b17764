"""The way in: what `append` promises, over every store."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from app.ingest.decode.envelope import Message
from app.ingest.verdict import Durable, Unavailable, Verdict
from app.ingest.write.batching import OnRefused
from app.ingest.write.table_writer import TableWriter
from app.record import Record
from app.runtime.clock import MICROSECONDS
from app.runtime.instants import epoch_us
from app.schema.table import Table, records_table
from app.stores.query import Condition
from app.stores.sink import Outcome, RowError, RowsRefused, SetupError, SinkState, Stored
from app.stores.source import StoreUnavailableError
from tests.contract.stores import RECORDS, REJECTS, Engine, Store, every_row
from tests.encoding import encoded, whole_envelope
from tests.support.unwatched import environment_of


class Priced(msgspec.Struct, forbid_unknown_fields=True):
    """A record with a price, which is a NUMERIC: a greater number than it holds is what a store refuses."""

    id: Annotated[str, Meta(extra={"sluice": ["id"]})]
    price: Decimal


PRICED = records_table(Priced)
TOO_MUCH = Decimal("1" + "0" * 40)


def row(store: Store, record_id: str, **changed: Any) -> bytes:
    """Return an encoded row of the default record."""
    record = Record(id=record_id, timestamp=datetime(2026, 1, 31, 12, tzinfo=UTC), **changed)
    message = Message(key=record_id, data=b"", attributes={"a": "b"})
    return encoded(store.appender(RECORDS), record, whole_envelope(message))


def priced(store: Store, record_id: str, price: Decimal = Decimal("9.5")) -> bytes:
    """Return an encoded row of a record with a price; no check looks at the price."""
    message = Message(key=record_id, data=b"")
    return encoded(store.appender(PRICED), Priced(record_id, price), whole_envelope(message))


def append(engine: Engine, store: Store, rows: Sequence[bytes], table: Table = RECORDS) -> Outcome:
    """Append `rows` as one."""
    return engine.loop.run(store.appender(table).append(rows))


def read(engine: Engine, store: Store, *conditions: Condition, table: Table = RECORDS) -> list[Any]:
    """Return the ids of all records that match `conditions`, in order."""
    found = engine.loop.run(every_row(store.runner, table, *conditions, columns=["id"]))
    return sorted(row["id"] for row in found)


def only(engine: Engine, store: Store) -> dict[str, Any]:
    """Return the row of the only record."""
    (row,) = engine.loop.run(every_row(store.runner, RECORDS))
    return row


@pytest.fixture
def priced_store(engine: Engine) -> Iterator[Store]:
    """Give a store of records with prices."""
    store = engine.loop.run(engine.open([PRICED]))
    yield store
    engine.loop.run(store.close())


def test_the_horizon_lies_as_far_back_as_the_store_takes_to_settle(engine: Engine, store: Store) -> None:
    """No row stamped before it will still come: what is stamped now lies behind it."""
    settle_us = round(engine.settle_s * MICROSECONDS)
    before_us = store.clock.now_us()
    assert append(engine, store, [row(store, "a")]) == Stored()
    stamp_us = epoch_us(only(engine, store)["ingest_time"])
    for table in (RECORDS, REJECTS):
        horizon_us = store.runner.horizon_us(table.name)
        assert before_us < horizon_us + settle_us < store.clock.now_us()
    assert (stamp_us < horizon_us) is (settle_us == 0)


def test_a_batch_with_a_bad_row_is_not_stored_at_all(engine: Engine, priced_store: Store) -> None:
    """The good rows are kept out with it; which one it was is said, or nothing is."""
    rows = [priced(priced_store, "a"), priced(priced_store, "b", TOO_MUCH), priced(priced_store, "c")]
    outcome = append(engine, priced_store, rows, PRICED)
    assert isinstance(outcome, RowsRefused)
    assert set(outcome.errors) <= {1}
    assert read(engine, priced_store, table=PRICED) == []
    assert append(engine, priced_store, [rows[0], rows[2]], PRICED) == Stored()
    assert read(engine, priced_store, table=PRICED) == ["a", "c"]


def test_through_the_writer_only_the_bad_rows_are_kept_out(engine: Engine, priced_store: Store) -> None:
    """Whether the store names them or not: the good ones are stored, and each bad one is rejected by its place."""
    bad = {1, 4, 5}
    rejected: list[int] = []

    async def reject(found: Mapping[int, RowError]) -> Verdict:
        rejected.extend(found)
        return Durable()

    rows = [priced(priced_store, f"r{number}", TOO_MUCH if number in bad else Decimal(1)) for number in range(8)]
    verdict = engine.loop.run(_write(priced_store, PRICED, rows, reject))
    assert verdict == Durable()
    assert sorted(rejected) == sorted(bad)
    assert read(engine, priced_store, table=PRICED) == [f"r{number}" for number in range(8) if number not in bad]


async def _write(store: Store, table: Table, rows: Sequence[bytes], reject: OnRefused | None) -> Verdict:
    writer = TableWriter(store.appender(table), environment_of(store.clock), table=table.name)
    try:
        return await writer.submit(rows, store.clock.elapsed_us() + 30 * MICROSECONDS, reject)
    finally:
        await writer.close()


def test_a_table_that_is_gone_is_a_set_up_error(engine: Engine) -> None:
    """What somebody dropped behind the service's back has the state's name, on the way in and on the way out."""
    store = engine.loop.run(engine.open([RECORDS, REJECTS]))
    rows = [row(store, "a")]
    assert append(engine, store, rows) == Stored()
    engine.loop.run(store.drop(RECORDS))
    outcome = append(engine, store, rows)
    assert isinstance(outcome, SetupError)
    assert outcome.state is SinkState.NOT_FOUND
    assert isinstance(engine.loop.run(_write(store, RECORDS, rows, None)), Unavailable)
    with pytest.raises(StoreUnavailableError):
        read(engine, store)
    engine.loop.run(store.close())
