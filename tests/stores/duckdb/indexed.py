"""A small embedded store whose indexes grow step by step, and the queries that use them."""

import asyncio
from typing import Any

from app.ingest.decode.envelope import Message
from app.record import Record
from app.runtime.instants import MINUTE_US, SECOND_US, from_epoch_us
from app.runtime.time_range import TimeRange
from app.schema.columns import Kind
from app.stores.duckdb import row_index
from app.stores.duckdb.eraser import delete_rows
from app.stores.duckdb.file import EmbeddedLimits
from app.stores.duckdb.store import EmbeddedStore
from app.stores.query import Condition, Count, Deletion, Export, LookUp, Metric, Query, RowQuery, Statistics
from app.stores.sink import Stored
from sluice.testing.clock import FakeClock
from tests.contract.stores import RECORDS, T0_US
from tests.encoding import encoded, whole_envelope

STEP_US = 20 * SECOND_US
LOOKBACK_US = 3 * STEP_US
SPAN = 12
NAMES = tuple(column.name for column in RECORDS.columns)


class Indexed:
    """A store in memory, with rows at multiples of STEP_US, and the names of its steps."""

    def __init__(self) -> None:
        self.loop = asyncio.Runner()
        self.clock = FakeClock(T0_US)
        self.store: EmbeddedStore = self.loop.run(self._opened())

    async def _opened(self) -> EmbeddedStore:
        return EmbeddedStore.open(":memory:", [RECORDS], self.clock, EmbeddedLimits(lookback_us=LOOKBACK_US))

    async def clear(self) -> None:
        """Remove every row and forget everything."""
        self.store._connection.execute("DELETE FROM records")
        self.store.reader.reset()
        for statement in row_index.index_ddl(RECORDS):
            self.store._connection.execute(statement)
        self.clock._now_us = T0_US

    async def append(self, batch: list[tuple[int, int]]) -> None:
        """Append rows of these keys and ids at the next instant."""
        self.clock._now_us += STEP_US
        appender = self.store.appender(RECORDS)
        rows = [
            encoded(
                appender,
                Record(id=f"id-{record}", timestamp=from_epoch_us(T0_US)),
                whole_envelope(Message(key=f"key-{key}", data=b"", attributes={}, publish_time=from_epoch_us(T0_US))),
            )
            for key, record in batch
        ]
        assert await appender.append(rows) == Stored()

    async def step(self) -> None:
        """Let each index take one chunk."""
        for index in (*self.store.reader._copies.values(), *self.store.reader._ids.values()):
            await index.step()

    async def delete(self, first: int, last: int, record: int | None) -> None:
        """Delete the rows of an id, or all, in a range."""
        conditions = () if record is None else (Condition("id", (), "eq", Kind.STRING, (f"id-{record}",)),)
        first_us, last_us = (T0_US + place * STEP_US + STEP_US // 2 for place in (first - 1, last))
        await delete_rows(
            self.store, Deletion(table="records", first_us=first_us, last_us=last_us, conditions=conditions)
        )
        if record is None and first == 0:
            await self.store.reader.prune("records", last_us)


def queries(from_us: int, to_us: int, limit: int, *, descending: bool) -> list[Query]:
    """Return a query of each kind that an index answers."""
    selected: dict[str, Any] = {"table": "records", "within": TimeRange(from_us, to_us), "lookback_us": LOOKBACK_US}
    of_one = (Condition("id", (), "eq", Kind.STRING, ("id-1",)),)
    found: list[Query] = [
        LookUp(**selected, columns=NAMES, id_column="id", record_id=f"id-{record}", limit=limit) for record in range(3)
    ]
    for conditions in ((), of_one):
        found += [
            RowQuery(
                **selected,
                columns=NAMES,
                conditions=conditions,
                descending=descending,
                limit=limit,
                candidates=limit + 1,
            ),
            Count(**selected, conditions=conditions),
            Export(**selected, columns=NAMES, conditions=conditions, descending=descending),
            Statistics(
                **selected,
                conditions=conditions,
                by="id",
                metrics=(Metric("max:delay", "max", "delay", Kind.FLOAT64, is_computed=True),),
                first_us=T0_US,
                bucket_us=MINUTE_US,
                max_groups=2,
            ),
        ]
    return found
